"""Solvers of the ODE below DDIM against closed forms: Gaussian images, whose epsilon is known, guided or not."""

import math
from itertools import pairwise

import pytest
import torch

from stages.diffusion import ddim
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.solvers import SOLVERS, adams_bashforth, heun

# Levels close together at the clean image, since the networks are told the same timestep at levels 0 and 1.
SCHEDULE = NoiseSchedule.linear(1000, (1e-8, 0.02))
SIGMA = (1 / SCHEDULE.alpha_bar - 1).sqrt()
MEAN, VARIANCE, LEVEL = 0.4, 0.09, 512
ORDER = {"ddim": 1, "heun": 2, "adams-bashforth": 2}
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


def encoded(x_0: torch.Tensor) -> torch.Tensor:
    """Where the ODE carries x_0 by LEVEL: the same quantile of the noisier Gaussian."""
    ab = SCHEDULE.alpha_bar[LEVEL]
    return ab.sqrt() * MEAN + (ab * VARIANCE + 1 - ab).sqrt() * (x_0 - MEAN) / math.sqrt(VARIANCE)


def decoded(x_0: torch.Tensor, scale: float) -> torch.Tensor:
    """Where the guided ODE ends that starts at encoded(x_0).

    y = x_bar - MEAN obeys y' = y sigma / (v + sigma^2) - s g sigma / sqrt(1 + sigma^2), a linear equation, so that
    y / sqrt(v + sigma^2) + s g log(sqrt(1 + sigma^2) + sqrt(v + sigma^2)) stays the same.
    """

    def turned(sigma: float) -> float:
        return math.log(math.sqrt(1 + sigma**2) + math.sqrt(VARIANCE + sigma**2))

    return x_0 + math.sqrt(VARIANCE) * scale * SLOPE * (turned(float(SIGMA[LEVEL])) - turned(0))


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
        path = SOLVERS[name].decode(epsilon, log_probability, x_level, LEVEL, scale, SCHEDULE, stride)
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

        x_level = ddim.last(SOLVERS[name].encode(counted, x_0, LEVEL, SCHEDULE, stride))
        x = ddim.last(SOLVERS[name].decode(counted, None, x_level, LEVEL, 0, SCHEDULE, stride))
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
    down = steps * each - (each - 1)  # the step onto the clean image is Euler's
    for scale, guided in ((0, 0), (2.0, down)):
        asked.update(network=0, classifier=0)
        ddim.last(SOLVERS[name].decode(counted, classifier, x_level, 60, scale, SCHEDULE, 20))
        assert asked == {"network": down, "classifier": guided}


@solvers
def test_all_are_ddim_where_epsilon_does_not_change(name):
    x_0, noise = images(), images(2)
    passed = dict(SOLVERS[name].encode(lambda x, t: noise, x_0, 60, SCHEDULE, 20))
    expected = dict(ddim.encode(lambda x, t: noise, x_0, 60, SCHEDULE, 20))
    back = dict(SOLVERS[name].decode(lambda x, t: noise, None, passed[60], 60, 0, SCHEDULE, 20))
    assert list(passed) == [1, 2, 4, 8, 16, 20, 40, 60]
    assert list(back) == [40, 20, 16, 8, 4, 2, 1, 0]
    for level, x in passed.items():
        torch.testing.assert_close(x, expected[level], rtol=1e-12, atol=1e-12)
        ab = SCHEDULE.alpha_bar[level]
        torch.testing.assert_close(x, ab.sqrt() * x_0 + (1 - ab).sqrt() * noise, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(back[0], x_0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("levels", [[3, 5, 9, 10, 200, 600], [600, 200, 90, 89, 10, 4]])
def test_a_slope_linear_in_sigma_is_integrated_exactly_by_steps_of_any_size(levels):
    """Heun's method from the start, Adams and Bashforth's from the second step: the first, Euler's, errs by h^2 / 2."""
    noise, x = images(2), images()
    start, x_bar = levels[0], images() / SCHEDULE.alpha_bar[levels[0]].sqrt()

    def exact(level):
        change = (SIGMA[level] - SIGMA[start]) + (SIGMA[level] ** 2 - SIGMA[start] ** 2) / 2
        return x_bar + change * noise

    first = (SIGMA[levels[1]] - SIGMA[start]) ** 2 / 2
    for method, error in ((heun, 0), (adams_bashforth, first)):
        path = list(method(lambda _, k: (1 + SIGMA[k]) * noise, x, levels, SCHEDULE))
        assert [level for level, _ in path] == levels[1:]
        for level, x_k in path:
            expected = exact(level) - error * noise
            torch.testing.assert_close(x_k / SCHEDULE.alpha_bar[level].sqrt(), expected, rtol=1e-9, atol=1e-9)
