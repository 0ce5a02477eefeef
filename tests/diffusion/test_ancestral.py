"""Ancestral sampling against closed forms: for Gaussian pixels the whole reverse process is known."""

import math
from itertools import pairwise

import pytest
import torch

from stages.diffusion import ancestral
from stages.diffusion.ddim import ladder
from stages.diffusion.noise_schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.linear(1000, (1e-4, 0.02))
MEAN, VARIANCE = 0.4, 0.09
BETA = [1e-4 + (0.02 - 1e-4) * i / 999 for i in range(1000)]
"""beta_t of Ho et al., t = 1..T at index t - 1."""


def draws(shape, seed=0):
    """A source of noise, and the list of what it gave."""
    generator, given = torch.Generator().manual_seed(seed), []

    def noise():
        given.append(torch.randn(shape, generator=generator, dtype=torch.float64))
        return given[-1]

    return noise, given


def clean_given(x_t: torch.Tensor, alpha_bar: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of x_0 given x_t, for pixels that are N(MEAN, VARIANCE)."""
    spread = alpha_bar * VARIANCE + 1 - alpha_bar
    mean = MEAN + alpha_bar.sqrt() * VARIANCE / spread * (x_t - alpha_bar.sqrt() * MEAN)
    return mean, VARIANCE * (1 - alpha_bar) / spread


def exact_prediction(level: int, stride: int):
    """The epsilon and the v with which every reverse step is the true one."""
    below = {k: preceding for preceding, k in pairwise(ladder(level, stride))}

    def prediction(x, t):
        k = int(t[0]) + 1
        ab, before = SCHEDULE.alpha_bar[k], SCHEDULE.alpha_bar[below[k]]
        x_0, variance_of_x_0 = clean_given(x.double(), ab)
        epsilon = (x.double() - ab.sqrt() * x_0) / (1 - ab).sqrt()
        beta = 1 - ab / before
        posterior = beta * (1 - before) / (1 - ab)
        if below[k] == 0:
            return epsilon, torch.zeros_like(epsilon)
        variance = posterior + before * (beta / (1 - ab)) ** 2 * variance_of_x_0
        v = 2 * (variance.log() - posterior.log()) / (beta.log() - posterior.log()) - 1
        assert -1 <= v <= 1
        return epsilon, v.expand_as(epsilon)

    return prediction


@pytest.mark.parametrize(("level", "stride"), [(300, 1), (500, 20), (500, 250)])
@pytest.mark.parametrize("start", [-0.7, 1.1])
def test_samples_have_the_mean_and_variance_of_the_image_given_its_noisy_version(level, stride, start):
    x_level = torch.full((1, 1, 128, 128), start)
    noise, _ = draws(x_level.shape)
    prediction = exact_prediction(level, stride)
    x = ancestral.sample(prediction, None, x_level, level, 0, SCHEDULE, noise, stride)
    mean, variance = clean_given(torch.tensor(start).double(), SCHEDULE.alpha_bar[level])
    deviation = float(variance.sqrt())
    assert x.dtype == torch.float64
    assert float(x.mean()) == pytest.approx(float(mean), abs=4 * deviation / 128)
    assert float(x.var()) == pytest.approx(float(variance), rel=0.05)


def one_step(level, v, scale=0.0, log_probability=None, stride=1, clip=False, epsilon=None):
    """x_t, epsilon, the first noise drawn and x_{t-1} of a run that starts at `level`."""
    generator = torch.Generator().manual_seed(1)
    x_t = torch.randn(2, 3, 8, 8, generator=generator)
    epsilon = torch.randn(2, 3, 8, 8, generator=generator) if epsilon is None else epsilon
    seen = []

    def prediction(x, t):
        seen.append((x, int(t[0])))
        return epsilon, torch.full_like(epsilon, v)

    noise, given = draws(x_t.shape)
    ancestral.sample(prediction, log_probability, x_t, level, scale, SCHEDULE, noise, stride, clip)
    assert [t for _, t in seen] == [k - 1 for k in reversed(ladder(level, stride)[1:])]
    assert len(given) == len(seen) - 1  # the last step draws none
    return x_t.double(), epsilon.double(), given[0], seen[1][0].double()


@pytest.mark.parametrize("t", [2, 250, 700])
def test_a_step_is_ho_et_al_s(t):
    x_t, epsilon, noise, x = one_step(t, v=0.0)
    beta, alpha = BETA[t - 1], 1 - BETA[t - 1]
    alpha_bar, before = (math.prod(1 - b for b in BETA[:n]) for n in (t, t - 1))
    x_0 = (x_t - math.sqrt(1 - alpha_bar) * epsilon) / math.sqrt(alpha_bar)
    mean = math.sqrt(before) * beta / (1 - alpha_bar) * x_0 + math.sqrt(alpha) * (1 - before) / (1 - alpha_bar) * x_t
    torch.testing.assert_close(
        mean, (x_t - beta / math.sqrt(1 - alpha_bar) * epsilon) / math.sqrt(alpha)
    )  # Algorithm 2
    lowest = beta * (1 - before) / (1 - alpha_bar)
    variance = math.sqrt(lowest * beta)  # v = 0: half way, in the logarithm
    torch.testing.assert_close(x, mean + math.sqrt(variance) * noise, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("v", "upper"), [(-1.0, False), (1.0, True)])
def test_a_strided_step_takes_the_betas_between_visited_levels(v, upper):
    x_t, epsilon, noise, x = one_step(300, v, stride=20)
    alpha_bar, before = SCHEDULE.alpha_bar[300], SCHEDULE.alpha_bar[280]
    beta = 1 - math.prod(1 - b for b in BETA[280:300])
    mean = (x_t - beta / (1 - alpha_bar).sqrt() * epsilon) / math.sqrt(1 - beta)
    variance = beta if upper else beta * (1 - before) / (1 - alpha_bar)
    torch.testing.assert_close(x, mean + variance**0.5 * noise, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stride", [1, 20])
def test_guidance_shifts_the_mean_by_variance_times_scale_times_gradient(stride):
    slope = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))

    def log_probability(x, t):
        return (slope * x).sum(dim=(1, 2, 3))

    *_, plain = one_step(300, v=1.0, stride=stride)
    *_, guided = one_step(300, 1.0, 7.0, log_probability, stride)
    beta = 1 - math.prod(1 - b for b in BETA[300 - stride : 300])
    torch.testing.assert_close(guided - plain, beta * 7 * slope.double(), rtol=1e-4, atol=1e-6)


def test_scale_zero_does_not_ask_the_classifier():
    def fail(x, t):
        raise AssertionError

    one_step(20, 0.0, 0, fail)


def test_clipping_is_of_the_predicted_clean_image():
    """With epsilon = 0 the predicted clean image is x_t / sqrt(alpha_bar), well outside [-1, 1]."""
    t, zero = 500, torch.zeros(2, 3, 8, 8)
    x_t, _, noise, x = one_step(t, 1.0, clip=True, epsilon=zero)
    alpha_bar, before = SCHEDULE.alpha_bar[t], SCHEDULE.alpha_bar[t - 1]
    beta = BETA[t - 1]
    x_0 = (x_t / alpha_bar.sqrt()).clamp(-1, 1)
    assert float((x_t / alpha_bar.sqrt()).abs().max()) > 2
    mean = before.sqrt() * beta / (1 - alpha_bar) * x_0 + math.sqrt(1 - beta) * (1 - before) / (1 - alpha_bar) * x_t
    torch.testing.assert_close(x, mean + math.sqrt(beta) * noise, rtol=1e-5, atol=1e-6)
    results = []
    for clip in (False, True):
        start = torch.full((1, 1, 4, 4), 3.0)
        noise, _ = draws(start.shape)
        results.append(
            ancestral.sample(
                lambda x, t: (torch.zeros_like(x), torch.zeros_like(x)), None, start, 20, 0, SCHEDULE, noise, clip=clip
            )
        )
    assert float(results[0].min()) > 2  # nothing is clipped under the paper's convention
    assert float(results[1].max()) <= 1
