"""Ancestral sampling, the DDPM way from noise to image, guided towards the healthy class.

Every step draws x_{t-1} from the network's Gaussian (Ho et al. 2020, Eq. 7 with the predicted x_0) with the learned
variance (Nichol and Dhariwal 2021); guidance shifts the mean (Dhariwal and Nichol 2021, Algorithm 1). A stride visits
the levels of `ladder` only, respaced as by Nichol and Dhariwal: the betas are those between consecutive visited levels.
"""

from collections.abc import Callable
from itertools import pairwise

from torch import Tensor

from stages.diffusion.ddim import ladder
from stages.diffusion.guidance import LogProbability, gradient
from stages.diffusion.noise_schedule import NoiseSchedule, timestep
from stages.diffusion.objective import interpolate_log_variance, posterior, predict_x_0

Prediction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x_t (N, C, H, W), t (N,)) -> epsilon and v, which interpolates the log variance, each (N, C, H, W)."""


def sample(
    prediction: Prediction,
    log_probability: LogProbability | None,
    x_level: Tensor,
    level: int,
    scale: float,
    schedule: NoiseSchedule,
    noise: Callable[[], Tensor],
    stride: int = 1,
    clip: bool = False,
) -> Tensor:
    """Sample from noise level L down to the clean image.

    Args:
        prediction: the network with its class bound.
        log_probability: log C(h | x_t, t); not called, and None is allowed, at scale 0.
        x_level: x_L (N, C, H, W).
        level: L.
        scale: s, the gradient scale.
        schedule: the noise levels.
        noise: draws standard normal noise (N, C, H, W); called once a step, but not at the last, which draws none.
        stride: levels a step (see `ladder`). 1 is the paper's.
        clip: clip the predicted x_0 to [-1, 1], as the released code does.

    Returns:
        The reconstruction (N, C, H, W), float64.
    """
    x = x_level.double()
    for k, preceding in pairwise(reversed(ladder(level, stride))):
        t = timestep(k, len(x), x.device)
        epsilon, v = (output.double() for output in prediction(x.float(), t))
        x_0 = predict_x_0(x, epsilon, k, schedule)
        mean, _ = posterior(x_0.clamp(-1, 1) if clip else x_0, x, k, schedule, preceding)
        log_variance = interpolate_log_variance(v, k, schedule, preceding)
        if scale != 0:
            assert log_probability is not None, "guidance needs a classifier"
            mean = mean + log_variance.exp() * scale * gradient(log_probability, x.float(), t)
        x = mean + (log_variance / 2).exp() * noise() if preceding > 0 else mean
    return x
