"""Diffusion against closed forms: a Gaussian's score is known, and so is every path that follows from it."""

import math

import pytest
import torch

from stages.diffusion import ddim
from stages.diffusion.guidance import gradient
from stages.diffusion.noise_schedule import NoiseSchedule, timestep
from stages.diffusion.objective import (
    gaussian_kl,
    hybrid_loss,
    interpolate_log_variance,
    posterior,
    predict_x_0,
    variational_bound,
)

SCHEDULE = NoiseSchedule.linear(1000, (1e-4, 0.02))
MEAN, VARIANCE = 0.4, 0.09


def gaussian_epsilon(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The exact noise predictor of images whose pixels are N(MEAN, VARIANCE), at timestep t of level t + 1."""
    alpha_bar = SCHEDULE.at(t + 1)
    spread = alpha_bar * VARIANCE + 1 - alpha_bar
    return (1 - alpha_bar).sqrt() * (x.double() - alpha_bar.sqrt() * MEAN) / spread


def gaussian_path(x_0: torch.Tensor, level: int) -> torch.Tensor:
    """Where the probability-flow ODE carries x_0 by `level`: the same quantile of the noisier Gaussian."""
    alpha_bar = SCHEDULE.alpha_bar[level]
    spread = (alpha_bar * VARIANCE + 1 - alpha_bar).sqrt()
    return alpha_bar.sqrt() * MEAN + spread * (x_0 - MEAN) / math.sqrt(VARIANCE)


def images(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return MEAN + math.sqrt(VARIANCE) * torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64)


def test_levels_are_counted_from_the_clean_image():
    assert SCHEDULE.timesteps == 1000
    assert SCHEDULE.alpha_bar[0] == 1
    assert SCHEDULE.alpha_bar[1] == pytest.approx(1 - 1e-4, abs=1e-12)
    step = (0.02 - 1e-4) / 999
    assert SCHEDULE.alpha_bar[3] == pytest.approx(math.prod(1 - 1e-4 - i * step for i in range(3)), abs=1e-12)
    assert SCHEDULE.alpha_bar[1000] == pytest.approx(4.0358e-5, rel=1e-3)
    assert [int(timestep(k, 1, "cpu")) for k in (0, 1, 2, 1000)] == [0, 0, 1, 999]


def test_noise_has_the_promised_mean_and_variance():
    noise = torch.randn(1, 1, 256, 256, generator=torch.Generator().manual_seed(0))
    x_t = SCHEDULE.add_noise(torch.full_like(noise, 0.7), torch.tensor([400]), noise)
    alpha_bar = float(SCHEDULE.alpha_bar[400])
    assert float(x_t.mean()) == pytest.approx(0.7 * math.sqrt(alpha_bar), abs=0.01)
    assert float(x_t.var()) == pytest.approx(1 - alpha_bar, rel=0.02)


def test_the_networks_see_the_right_timesteps():
    seen = []

    def epsilon(x, t):
        seen.append(int(t[0]))
        return torch.zeros_like(x)

    x_level = dict(ddim.encode(epsilon, images(), 5, SCHEDULE))[5]
    assert seen == [0, 0, 1, 2, 3]
    seen.clear()
    ddim.last(ddim.decode(epsilon, None, x_level, 5, 0, SCHEDULE))
    assert seen == [4, 3, 2, 1, 0]
    seen.clear()
    list(ddim.encode(epsilon, images(), 30, SCHEDULE, stride=10))
    ddim.last(ddim.decode(epsilon, None, x_level, 30, 0, SCHEDULE, stride=10))
    assert seen == [0, 0, 1, 3, 7, 9, 19, 29, 19, 9, 7, 3, 1, 0]


def test_the_ladder_climbs_its_first_stride_by_doubling():
    assert ddim.ladder(5) == [0, 1, 2, 3, 4, 5]
    assert ddim.ladder(40, 20) == [0, 1, 2, 4, 8, 16, 20, 40]
    assert ddim.ladder(48, 16) == [0, 1, 2, 4, 8, 16, 32, 48]
    assert ddim.ladder(500, 20)[-1] == 500


@pytest.mark.parametrize("level", [250, 500])
def test_encoding_follows_the_exact_path(level):
    x_0 = images()
    errors = [
        float(
            (dict(ddim.encode(gaussian_epsilon, x_0, level, SCHEDULE, d))[level] - gaussian_path(x_0, level))
            .abs()
            .max()
        )
        for d in (1, 10)
    ]
    assert errors[0] < 0.02
    assert 4 < errors[1] / errors[0] < 25  # a first-order method: ten times the step, about ten times the error


def test_encoding_and_decoding_return_the_image():
    x_0 = images()
    x_level = dict(ddim.encode(gaussian_epsilon, x_0, 500, SCHEDULE))[500]
    assert float((x_level - x_0).abs().max()) > 0.5
    x = ddim.last(ddim.decode(gaussian_epsilon, None, x_level, 500, 0, SCHEDULE))
    assert float((x - x_0).abs().max()) < 0.01
    assert float((x_0 - x).abs().sum(dim=1).max()) < 0.03


def test_one_run_to_the_largest_level_passes_all_others():
    x_0 = images()
    passed = dict(ddim.encode(gaussian_epsilon, x_0, 60, SCHEDULE, stride=20))
    assert list(passed) == [1, 2, 4, 8, 16, 20, 40, 60]
    assert torch.equal(passed[40], dict(ddim.encode(gaussian_epsilon, x_0, 40, SCHEDULE, stride=20))[40])


def test_guidance_moves_one_step_by_the_known_amount():
    slope = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    s, k = 7.0, 300
    x = gaussian_path(images(), k)
    ab, before = SCHEDULE.alpha_bar[k], SCHEDULE.alpha_bar[k - 20]

    def linear(x, _):
        return (slope.float() * x).sum(dim=(1, 2, 3))

    torch.testing.assert_close(gradient(linear, x.float(), torch.zeros(2)), slope.float())
    steps = []

    def epsilon(x, t):
        steps.append(x)
        return gaussian_epsilon(x, t)

    for scale in (0.0, s):
        ddim.last(ddim.decode(epsilon, linear, x, k, scale, SCHEDULE, stride=20))
    plain, guided = steps[1], steps[len(ddim.ladder(k, 20))]  # the second call of either run
    # d x_{k-1} / d epsilon, times the change of epsilon, -s sqrt(1 - alpha_bar) g
    factor = (1 - before).sqrt() - before.sqrt() * (1 - ab).sqrt() / ab.sqrt()
    expected = -factor * s * (1 - ab).sqrt() * slope
    torch.testing.assert_close((guided - plain).double(), expected, rtol=1e-3, atol=1e-4)
    # towards the class whose probability rises along the gradient
    assert float((expected * slope).sum()) > 0


def test_scale_zero_does_not_ask_the_classifier():
    def fail(x, t):
        raise AssertionError

    ddim.last(ddim.decode(gaussian_epsilon, fail, images(), 10, 0, SCHEDULE))


def test_predicted_x_0_inverts_the_noising():
    x_0, noise = images(), torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    level = torch.tensor([3, 700])
    torch.testing.assert_close(predict_x_0(SCHEDULE.add_noise(x_0, level, noise), noise, level, SCHEDULE), x_0)


@pytest.mark.parametrize("preceding", [None, 150])
def test_posterior_is_bayes_rule(preceding):
    """q(x_s | x_t, x_0) by multiplying the two Gaussians q(x_t | x_s) and q(x_s | x_0); s is t - 1 by default."""
    x_0, x_t, level = torch.tensor(0.3).double(), torch.tensor(-0.8).double(), 200
    mean, log_variance = posterior(x_0, x_t, level, SCHEDULE, preceding)
    ab, before = SCHEDULE.alpha_bar[level], SCHEDULE.alpha_bar[preceding or level - 1]
    alpha = ab / before
    precision = alpha / (1 - alpha) + 1 / (1 - before)
    expected = (alpha.sqrt() * x_t / (1 - alpha) + before.sqrt() * x_0 / (1 - before)) / precision
    assert float(mean) == pytest.approx(float(expected), rel=1e-9)
    assert float(log_variance) == pytest.approx(-math.log(float(precision)), rel=1e-9)


@pytest.mark.parametrize("preceding", [[0, 1, 250, 999], [0, 0, 100, 500]])
def test_levels_an_image_are_levels_one_by_one(preceding):
    x, v = images().float()[:1].expand(4, -1, -1, -1), torch.full((4, 3, 8, 8), 0.3)
    level = torch.tensor([1, 2, 251, 1000])
    together = posterior(x, 2 * x, level, SCHEDULE, torch.tensor(preceding))
    variances = interpolate_log_variance(v, level, SCHEDULE, torch.tensor(preceding))
    for n, (k, below) in enumerate(zip(level.tolist(), preceding, strict=True)):
        mean, log_variance = posterior(x[n], 2 * x[n], k, SCHEDULE, below)
        torch.testing.assert_close(together[0][n], mean)
        torch.testing.assert_close(together[1][n].squeeze(), log_variance)
        torch.testing.assert_close(variances[n], interpolate_log_variance(v[n], k, SCHEDULE, below))
    assert torch.isfinite(variances).all()


def test_learned_variance_lies_between_its_bounds():
    level = 300
    beta = 1 - SCHEDULE.alpha_bar[level] / SCHEDULE.alpha_bar[level - 1]
    upper = interpolate_log_variance(torch.ones(1).double(), level, SCHEDULE)
    lower = interpolate_log_variance(-torch.ones(1).double(), level, SCHEDULE)
    assert float(upper) == pytest.approx(math.log(float(beta)), rel=1e-9)
    assert float(lower) == pytest.approx(float(posterior(torch.zeros(1), torch.zeros(1).double(), level, SCHEDULE)[1]))


def test_kl_against_torch():
    a, b = torch.distributions.Normal(0.2, 0.5), torch.distributions.Normal(-0.1, 0.8)
    ours = gaussian_kl(a.mean, (a.variance).log(), b.mean, b.variance.log())
    assert float(ours) == pytest.approx(float(torch.distributions.kl_divergence(a, b)), rel=1e-5)


def test_the_bound_trains_the_variance_alone():
    """A perfect epsilon leaves only the variance's part, and no gradient of the bound reaches epsilon."""
    x_0, noise = images().float(), torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(5))
    level = torch.tensor([200, 800])
    x_t = SCHEDULE.add_noise(x_0, level, noise)
    lowest = -torch.ones_like(noise)
    assert float(variational_bound(noise, lowest, x_0, x_t, level, SCHEDULE).abs().max()) < 1e-4
    output = torch.cat([noise + 0.1, lowest], dim=1).requires_grad_(True)
    mse, vb = hybrid_loss(output, x_0, x_t, level, noise, SCHEDULE)
    torch.testing.assert_close(mse, torch.full((2,), 0.01))
    slope = torch.autograd.grad(vb.sum(), output)[0]
    assert float(slope[:, :3].abs().max()) == 0
    assert float(slope[:, 3:].abs().max()) > 0
