"""Solvers of the ODE below DDIM against closed forms: Gaussian images, whose epsilon is known, guided or not."""

import math
from itertools import pairwise

import pytest
import torch
from reference_networks import needs_reference, tiny_unet

from stages.diffusion import ddim
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.solvers import SOLVERS, adams_bashforth, heun, o_belm

# Levels close together at the clean image, since the networks are told the same timestep at levels 0 and 1.
SCHEDULE = NoiseSchedule.linear(1000, (1e-8, 0.02))
SIGMA = (1 / SCHEDULE.alpha_bar - 1).sqrt()
MEAN, VARIANCE, LEVEL = 0.4, 0.09, 512
ORDER = {"ddim": 1, "heun": 2, "adams-bashforth": 2, "o-belm": 2}
solvers = pytest.mark.parametrize("name", SOLVERS)


def epsilon(x, t):
    """The exact noise predictor of images whose pixels are N(MEAN, VARIANCE), at timestep t of level t + 1."""
    ab = SCHEDULE.at(t + 1)
    return (1 - ab).sqrt() * (x.double() - ab.sqrt() * MEAN) / (ab * VARIANCE + 1 - ab)


def images(seed: int = 0) -> torch.Tensor:
    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return MEAN + math.sqrt(VARIANCE) * noise


SLOPE = images(1) - MEAN


def log_probability(x, t):
    """Its gradient is SLOPE everywhere."""
    return (SLOPE.float() * x).sum(dim=(1, 2, 3))


def encoded(x_0: torch.Tensor, level: int = LEVEL) -> torch.Tensor:
    """Where the ODE carries x_0 by a level: the same quantile of the noisier Gaussian."""
    ab = SCHEDULE.alpha_bar[level]
    return ab.sqrt() * MEAN + (ab * VARIANCE + 1 - ab).sqrt() * (x_0 - MEAN) / math.sqrt(VARIANCE)


def decoded(x_0: torch.Tensor, scale: float) -> torch.Tensor:
    """Where the guided ODE ends that starts at encoded(x_0).

    y = x_bar - MEAN obeys y' = y sigma / (v + sigma^2) - s g sigma / sqrt(1 + sigma^2), a linear equation, so that
    y / sqrt(v + sigma^2) + s g log(sqrt(1 + sigma^2) + sqrt(v + sigma^2)) stays the same.
    """

    def turned(sigma: float) -> float:
        return math.log(math.sqrt(1 + sigma**2) + math.sqrt(VARIANCE + sigma**2))

    return x_0 + math.sqrt(VARIANCE) * scale * SLOPE * (turned(float(SIGMA[LEVEL])) - turned(0))


def below(name: str, x_0: torch.Tensor, level: int, stride: int) -> list[torch.Tensor]:
    """What decoding takes beside x_L: with a solver that starts from two levels, the ODE's x at the lower one."""
    return [encoded(x_0, level - stride)] if SOLVERS[name].decodes_from_two else []


def round_trip(name: str, epsilon, x_0: torch.Tensor, level: int, schedule: NoiseSchedule, stride: int) -> torch.Tensor:
    """x_0 encoded and decoded without guidance."""
    passed = {0: x_0} | dict(SOLVERS[name].encode(epsilon, x_0, level, schedule, stride))
    starts = [passed[level - stride]] if SOLVERS[name].decodes_from_two else []
    return ddim.last(SOLVERS[name].decode(epsilon, None, passed[level], level, 0, schedule, stride, *starts))


def ratios(errors: list[float]) -> list[float]:
    return [before / after for before, after in pairwise(errors)]


@solvers
def test_halving_the_steps_of_encoding_shows_the_order(name):
    x_0, exact = images(), encoded(images())
    errors = [
        float((ddim.last(SOLVERS[name].encode(epsilon, x_0, LEVEL, SCHEDULE, stride)) - exact).abs().max())
        for stride in (16, 8, 4)
    ]
    assert all(0.85 < math.log2(ratio) / ORDER[name] < 1.15 for ratio in ratios(errors)), errors


@solvers
@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_halving_the_steps_of_decoding_shows_the_order(name, scale):
    x_0, x_level = images(), encoded(images())
    errors = []
    for stride in (16, 8, 4):
        start = (x_level, LEVEL, scale, SCHEDULE, stride, *below(name, x_0, LEVEL, stride))
        path = SOLVERS[name].decode(epsilon, log_probability, *start)
        errors.append(float((ddim.last(path) - decoded(x_0, scale)).abs().max()))
    assert scale == 0 or float((decoded(x_0, scale) - x_0).abs().max()) > 0.5
    assert all(0.85 < math.log2(ratio) / ORDER[name] < 1.15 for ratio in ratios(errors)), errors


def test_the_round_trip_errs_less_at_equal_evaluations():
    x_0, error, evaluations = images(), {}, {}
    for name, stride in {"ddim": 8, "adams-bashforth": 8, "heun": 16}.items():
        calls = []

        def counted(x, t, calls=calls):
            calls.append(t)
            return epsilon(x, t)

        x = round_trip(name, counted, x_0, LEVEL, SCHEDULE, stride)
        error[name], evaluations[name] = float((x - x_0).abs().mean()), len(calls)
    assert max(evaluations.values()) / min(evaluations.values()) < 1.1, evaluations
    assert error["adams-bashforth"] < error["ddim"] / 4
    assert error["heun"] < error["ddim"] / 4


@solvers
def test_evaluations_of_either_network(name):
    steps, each = len(ddim.ladder(60, 20)) - 1, 2 if name == "heun" else 1
    asked = {"network": 0, "classifier": 0}

    def counted(x, t):
        asked["network"] += 1
        return epsilon(x, t)

    def classifier(x, t):
        asked["classifier"] += 1
        return log_probability(x, t)

    x_level = ddim.last(SOLVERS[name].encode(counted, images(), 60, SCHEDULE, 20))
    assert asked == {"network": steps * each, "classifier": 0}
    down = guidance = steps * each - (each - 1)  # the step onto the clean image is Euler's
    if name == "o-belm":  # epsilon at levels 40 and 20, what guides at 60, too
        down, guidance = 2, 3
    for scale, guided in ((0, 0), (2.0, guidance)):
        asked.update(network=0, classifier=0)
        start = (x_level, 60, scale, SCHEDULE, 20, *below(name, images(), 60, 20))
        ddim.last(SOLVERS[name].decode(counted, classifier, *start))
        assert asked == {"network": down, "classifier": guided}


@solvers
def test_all_are_ddim_where_epsilon_does_not_change(name):
    x_0, noise = images(), images(2)
    passed = dict(SOLVERS[name].encode(lambda x, t: noise, x_0, 60, SCHEDULE, 20))
    expected = dict(ddim.encode(lambda x, t: noise, x_0, 60, SCHEDULE, 20))
    starts = [passed[40]] if SOLVERS[name].decodes_from_two else []
    back = dict(SOLVERS[name].decode(lambda x, t: noise, None, passed[60], 60, 0, SCHEDULE, 20, *starts))
    assert list(passed) == [1, 2, 4, 8, 16, 20, 40, 60]
    assert list(back) == ([40, 20, 0] if name == "o-belm" else [40, 20, 16, 8, 4, 2, 1, 0])
    for level, x in passed.items():
        torch.testing.assert_close(x, expected[level], rtol=1e-12, atol=1e-12)
        ab = SCHEDULE.alpha_bar[level]
        torch.testing.assert_close(x, ab.sqrt() * x_0 + (1 - ab).sqrt() * noise, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(back[0], x_0, rtol=1e-9, atol=1e-9)


LEVELS = [[3, 5, 9, 10, 200, 600], [600, 200, 90, 89, 10, 4]]


@pytest.mark.parametrize("levels", LEVELS)
def test_a_slope_linear_in_sigma_is_integrated_exactly_by_steps_of_any_size(levels):
    """Heun's method from the start, Adams and Bashforth's from the second step: the first, Euler's, errs by h^2 / 2.

    O-BELM from two levels.
    """
    noise, x = images(2), images()
    start, x_bar = levels[0], images() / SCHEDULE.alpha_bar[levels[0]].sqrt()

    def exact(level):
        change = (SIGMA[level] - SIGMA[start]) + (SIGMA[level] ** 2 - SIGMA[start] ** 2) / 2
        return x_bar + change * noise

    first = (SIGMA[levels[1]] - SIGMA[start]) ** 2 / 2

    def slope(_, k):
        return (1 + SIGMA[k]) * noise

    second = SCHEDULE.alpha_bar[levels[1]].sqrt() * exact(levels[1])
    for method, starts, error in ((heun, x, 0), (adams_bashforth, x, first), (o_belm, (x, second), 0)):
        path = list(method(slope, starts, levels, SCHEDULE))
        assert [level for level, _ in path] == levels[2 if method is o_belm else 1 :]
        for level, x_k in path:
            expected = exact(level) - error * noise
            torch.testing.assert_close(x_k / SCHEDULE.alpha_bar[level].sqrt(), expected, rtol=1e-9, atol=1e-9)


# --- O-BELM: its own inverse ------------------------------------------------------------------------------------------


def exact_slope(x, k):
    """`epsilon` in double precision."""
    ab = SCHEDULE.alpha_bar[k]
    return (1 - ab).sqrt() * (x - ab.sqrt() * MEAN) / (ab * VARIANCE + 1 - ab)


@pytest.mark.parametrize(
    "levels", [*LEVELS, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512], list(range(0, 513, 4))], ids=str
)
def test_the_last_two_levels_hold_the_whole_path(levels):
    x, second = images(), encoded(images(), levels[1])
    path = {levels[0]: x, levels[1]: second} | dict(o_belm(exact_slope, (x, second), levels, SCHEDULE))
    back = levels[::-1]
    found = list(o_belm(exact_slope, (path[back[0]], path[back[1]]), back, SCHEDULE))
    assert [level for level, _ in found] == back[2:]
    for level, x_k in found:
        torch.testing.assert_close(x_k, path[level], rtol=1e-9, atol=1e-9)


def test_a_step_is_the_authors_both_ways():
    """The two sums of Wang et al. 2024 over alpha_i = sqrt(alpha_bar_i) and h_i, i + 1 being noisier than i - 1."""
    above, k, following = (60, 40, 20)
    alpha = SCHEDULE.alpha_bar.sqrt()
    h, h_above = SIGMA[k] - SIGMA[following], SIGMA[above] - SIGMA[k]
    eps, x_above, x = images(1), images(2), images(3)
    expected = (
        (h / h_above) ** 2 * alpha[following] / alpha[above] * x_above
        + (h_above**2 - h**2) / h_above**2 * alpha[following] / alpha[k] * x
        - h * (h + h_above) / h_above * alpha[following] * eps
    )
    ((_, found),) = o_belm(lambda *_: eps, (x_above, x), [above, k, following], SCHEDULE)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    expected = (
        (h_above / h) ** 2 * alpha[above] / alpha[following] * found
        + (h**2 - h_above**2) / h**2 * alpha[above] / alpha[k] * x
        + h_above * (h + h_above) / h * alpha[above] * eps
    )
    ((_, inverted),) = o_belm(lambda *_: eps, (found, x), [following, k, above], SCHEDULE)
    torch.testing.assert_close(inverted, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(inverted, x_above, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("stride", [1, 4, 16, 64, 256])
def test_the_round_trip_returns_the_image(stride):
    """Up to what the network, which sees float32, makes of the last digit; with all others it is off by the solver."""
    x_0 = images()
    assert float((round_trip("o-belm", epsilon, x_0, LEVEL, SCHEDULE, stride) - x_0).abs().max()) < 2e-6
    assert float((round_trip("adams-bashforth", epsilon, x_0, LEVEL, SCHEDULE, stride) - x_0).abs().max()) > 2e-5


@needs_reference
@pytest.mark.parametrize(("kept", "bound"), [(torch.float64, 1e-5), (torch.float32, 1e-3)])
def test_the_round_trip_through_a_network_returns_the_image(kept, bound):
    """At 50 evaluations or fewer of a float32 network; less exactly where the two images are kept in float32."""
    network, _ = tiny_unet()
    network.eval().requires_grad_(False)
    schedule, level, stride = NoiseSchedule.linear(1000, (1e-4, 0.02)), 500, 25
    x_0, asked = torch.rand(2, 4, 32, 32, generator=torch.Generator().manual_seed(0)), []

    def noise(x, t):
        asked.append(t)
        return network(x, t, torch.zeros_like(t))[:, :4]

    def trip(name):
        passed = {k: x.to(kept) for k, x in SOLVERS[name].encode(noise, x_0, level, schedule, stride)}
        starts = [passed[level - stride]] if SOLVERS[name].decodes_from_two else []
        x = ddim.last(SOLVERS[name].decode(noise, None, passed[level], level, 0, schedule, stride, *starts))
        return float((x - x_0).abs().max())

    assert trip("o-belm") < bound
    assert len(asked) <= 50
    assert trip("ddim") > 1e-3


def test_climbing_the_first_stride_by_ddim_errs_less_than_o_belm_from_the_clean_image_on():
    """The reason for the climb: the ladder's steps grow there, and with them what the first of them errs by.

    Which changes its sign at each step: at a stride between these it may cancel.
    """
    x_0, exact = images(), encoded(images())
    for stride in (8, 32):
        levels = ddim.ladder(LEVEL, stride)
        first = ddim.last(ddim.encode(epsilon, x_0, 1, SCHEDULE))
        without = ddim.last(o_belm(exact_slope, (x_0, first), levels, SCHEDULE))
        with_it = ddim.last(SOLVERS["o-belm"].encode(epsilon, x_0, LEVEL, SCHEDULE, stride))
        assert (with_it - exact).abs().max() < (without - exact).abs().max() / 3


@pytest.mark.parametrize(("level", "stride"), [(60, 60), (60, 25)])
def test_one_stride_is_too_few(level, stride):
    with pytest.raises(ValueError, match="O-BELM takes two strides or more"):
        ddim.last(SOLVERS["o-belm"].encode(epsilon, images(), level, SCHEDULE, stride))
    with pytest.raises(ValueError, match="O-BELM takes two strides or more"):
        ddim.last(SOLVERS["o-belm"].decode(epsilon, None, images(), level, 0, SCHEDULE, stride, images()))
