"""The hybrid loss of a diffusion model with learned variance (Nichol and Dhariwal 2021), and its terms."""

import math

import torch
from torch import Tensor

from stages.diffusion.noise_schedule import NoiseSchedule


def hybrid_loss(
    output: Tensor, x_0: Tensor, x_t: Tensor, level: Tensor, noise: Tensor, schedule: NoiseSchedule
) -> tuple[Tensor, Tensor]:
    """Squared error of the noise, and the variational bound in bits per dimension with its mean path stopped.

    Args:
        output: the network's (N, 2 C, H, W): epsilon, then v.
        x_0, x_t, noise: (N, C, H, W); `x_t` is `x_0` with `noise` at `level`.
        level: (N,), 1..T.
        schedule: the noise levels.

    Returns:
        (mse, vb), each (N,); the training loss is the mean of their sum.
    """
    epsilon, v = output.chunk(2, dim=1)
    mse = (noise - epsilon).square().mean(dim=(1, 2, 3))
    return mse, variational_bound(epsilon.detach(), v, x_0, x_t, level, schedule)


def variational_bound(
    epsilon: Tensor, v: Tensor, x_0: Tensor, x_t: Tensor, level: Tensor, schedule: NoiseSchedule
) -> Tensor:
    """The bound's term at `level` in bits per dimension, (N,).

    KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), and at level 1 the negative log-likelihood of the image under a
    Gaussian discretised to 256 grey values in [-1, 1]. The predicted x_0 is not clipped.
    """
    mean, log_variance = posterior(x_0, x_t, level, schedule)
    predicted_mean, _ = posterior(predict_x_0(x_t, epsilon, level, schedule), x_t, level, schedule)
    predicted_log_variance = interpolate_log_variance(v, level, schedule)
    kl = gaussian_kl(mean, log_variance, predicted_mean, predicted_log_variance)
    nll = -discretised_log_likelihood(x_0, predicted_mean, 0.5 * predicted_log_variance)
    nats = torch.where(level[:, None, None, None] == 1, nll, kl)
    return nats.mean(dim=(1, 2, 3)) / math.log(2)


def predict_x_0(x_t: Tensor, epsilon: Tensor, level: Tensor | int, schedule: NoiseSchedule) -> Tensor:
    """x_0 = (x_t - sqrt(1 - alpha_bar) epsilon) / sqrt(alpha_bar): Eq. 2 solved for x_0."""
    alpha_bar = schedule.at(level)
    return ((x_t - (1 - alpha_bar).sqrt() * epsilon) / alpha_bar.sqrt()).to(x_t.dtype)


def posterior(
    x_0: Tensor, x_t: Tensor, level: Tensor | int, schedule: NoiseSchedule, preceding: Tensor | int | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and log variance of q(x_{t-1} | x_t, x_0) (Ho et al. 2020, Eq. 7).

    `preceding` is the level of x_{t-1}, by default `level` - 1; a sampler that skips levels takes a lower one, which
    respaces the process (Nichol and Dhariwal 2021). The variance towards level 0 is 0; its logarithm is replaced by
    that from level 2 to 1, as in guided-diffusion.
    """
    preceding = level - 1 if preceding is None else preceding
    alpha_bar, previous = schedule.at(level), schedule.at(preceding)
    beta = 1 - alpha_bar / previous
    mean = (
        previous.sqrt() * beta / (1 - alpha_bar) * x_0
        + (alpha_bar / previous).sqrt() * (1 - previous) / (1 - alpha_bar) * x_t
    )
    return mean.to(x_t.dtype), _posterior_log_variance(level, preceding, schedule).to(x_t.dtype)


def _posterior_log_variance(level: Tensor | int, preceding: Tensor | int, schedule: NoiseSchedule) -> Tensor:
    if isinstance(preceding, Tensor):
        last = preceding == 0
        level, preceding = torch.where(last, 2, level), torch.where(last, 1, preceding)
    elif preceding == 0:
        level, preceding = 2, 1
    alpha_bar, previous = schedule.at(level), schedule.at(preceding)
    return ((1 - alpha_bar / previous) * (1 - previous) / (1 - alpha_bar)).log()


def interpolate_log_variance(
    v: Tensor, level: Tensor | int, schedule: NoiseSchedule, preceding: Tensor | int | None = None
) -> Tensor:
    """The learned log variance, between the posterior's (v = -1) and log beta (v = 1); see `posterior`."""
    preceding = level - 1 if preceding is None else preceding
    lower = _posterior_log_variance(level, preceding, schedule)
    upper = (1 - schedule.at(level) / schedule.at(preceding)).log()
    weight = (v + 1) / 2
    return (weight * upper + (1 - weight) * lower).to(v.dtype)


def gaussian_kl(mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor) -> Tensor:
    """KL divergence of two diagonal Gaussians, element by element, in nats."""
    return 0.5 * (
        other_log_variance
        - log_variance
        - 1
        + (log_variance - other_log_variance).exp()
        + (mean - other_mean).square() * (-other_log_variance).exp()
    )


def discretised_log_likelihood(x: Tensor, mean: Tensor, log_deviation: Tensor) -> Tensor:
    """log P(x) of grey values spaced by 2/255 in [-1, 1] under a Gaussian, in nats, element by element.

    With guided-diffusion's tanh approximation of the normal distribution function, so that losses compare.
    """

    def cdf(z: Tensor) -> Tensor:
        return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))

    inverse_deviation = (-log_deviation).exp()
    upper = cdf(inverse_deviation * (x - mean + 1 / 255))
    lower = cdf(inverse_deviation * (x - mean - 1 / 255))
    probability = torch.where(x < -0.999, upper, torch.where(x > 0.999, 1 - lower, upper - lower))
    return probability.clamp(min=1e-12).log()
