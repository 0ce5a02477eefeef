"""DDIM, both ways: encode an image to noise level L, decode it under guidance (Wolleb et al. 2022, Algorithm 1).

Either way is a generator of the levels passed and the images there; `last` runs it to its end. `Epsilon` and
`LogProbability` are the networks with their class bound: what is written here is the sampler alone.
Levels are those of `NoiseSchedule`. Arithmetic is float64 around networks that see float32.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

from stages.diffusion.guidance import LogProbability, gradient, guided_epsilon
from stages.diffusion.noise_schedule import NoiseSchedule, timestep
from stages.diffusion.objective import predict_x_0

Epsilon = Callable[[Tensor, Tensor], Tensor]
"""(x_t (N, C, H, W), t (N,)) -> epsilon (N, C, H, W)."""


def ladder(level: int, stride: int = 1) -> list[int]:
    """The noise levels 0 = k_0 < k_1 < ... = L that a sampler visits.

    Multiples of `stride`, which divides L; the first stride is climbed by doubling (1, 2, 4, ...), since a step from
    the clean image straight to level `stride` loses its fine detail: that is where the signal-to-noise ratio, and with
    it epsilon, changes fastest. At stride 1, the paper's, every level.

    >>> ladder(20, 5)
    [0, 1, 2, 4, 5, 10, 15, 20]
    """
    if level < 1 or level % stride:
        raise ValueError(f"noise level {level} is no multiple of the stride {stride}")
    doubling = [2**power for power in range(stride.bit_length()) if 2**power < stride]
    return [0, *doubling, *range(stride, level + 1, stride)]


def encode(
    epsilon: Epsilon, x_0: Tensor, level: int, schedule: NoiseSchedule, stride: int = 1
) -> Iterator[tuple[int, Tensor]]:
    """Reverse DDIM from the clean image to noise level L, yielding (k, x_k) at every level passed (Eq. 6).

    Args:
        epsilon: the noise predictor.
        x_0: clean images (N, C, H, W).
        level: L.
        schedule: the noise levels.
        stride: levels a step (see `ladder`). 1 is the paper's.
    """
    ab = schedule.alpha_bar
    x = x_0.double()
    for k, following in pairwise(ladder(level, stride)):
        eps = predict(epsilon, x, k)
        x = x + ab[following].sqrt() * (
            ((1 / ab[k]).sqrt() - (1 / ab[following]).sqrt()) * x
            + ((1 / ab[following] - 1).sqrt() - (1 / ab[k] - 1).sqrt()) * eps
        )
        yield following, x


def decode(
    epsilon: Epsilon,
    log_probability: LogProbability | None,
    x_level: Tensor,
    level: int,
    scale: float,
    schedule: NoiseSchedule,
    stride: int = 1,
) -> Iterator[tuple[int, Tensor]]:
    """DDIM from noise level L to the clean image, guided towards the healthy class (Eq. 5 with sigma = 0).

    Yields (k, x_k), float64, at every level passed, at last (0, the reconstruction). Nothing is clipped.

    Args:
        epsilon: the noise predictor.
        log_probability: log C(h | x_t, t); not called, and None is allowed, at scale 0.
        x_level: x_L (N, C, H, W).
        level: L.
        scale: s, the gradient scale.
        schedule: the noise levels.
        stride: levels a step (see `ladder`).
    """
    ab = schedule.alpha_bar
    x = x_level.double()
    for k, preceding in pairwise(reversed(ladder(level, stride))):
        eps = guide(predict(epsilon, x, k), log_probability, x, k, scale, ab[k])
        x_0 = (x - (1 - ab[k]).sqrt() * eps) / ab[k].sqrt()
        x = ab[preceding].sqrt() * x_0 + (1 - ab[preceding]).sqrt() * eps
        yield preceding, x


def last(path: Iterator[tuple[int, Tensor]]) -> Tensor:
    """The image (N, C, H, W) at the last level of `encode` or `decode`; those before are not kept."""
    _, x = deque(path, maxlen=1).pop()
    return x


def predict(epsilon: Epsilon, x: Tensor, level: int) -> Tensor:
    """epsilon(x_k) in float64, of a network that sees float32 and the timestep of level k."""
    return epsilon(x.float(), timestep(level, len(x), x.device)).double()


def guide(
    eps: Tensor, log_probability: LogProbability | None, x: Tensor, level: int, scale: float, alpha_bar: Tensor
) -> Tensor:
    """epsilon_hat of level k, whose alpha_bar is given; at scale 0 epsilon itself, and no classifier is asked."""
    if scale == 0:
        return eps
    assert log_probability is not None, "guidance needs a classifier"
    return guided_epsilon(
        eps, gradient(log_probability, x.float(), timestep(level, len(x), x.device)), scale, alpha_bar
    )


# --- what the authors' repository runs ------------------------------------------------------------------------------
# Kept apart, term by term, so that its numbers can be reproduced: one q_sample at t = 0, a timestep skipped on either
# side, and the predicted x_0 clipped to [-1, 1]. Timesteps t are alphas_cumprod's, which is level t + 1.


def released_start(x_0: Tensor, noise: Tensor, schedule: NoiseSchedule) -> Tensor:
    """The clean image after the released code's one q_sample at timestep 0."""
    return schedule.add_noise(x_0, 1, noise)


def encode_released(
    epsilon: Epsilon, x_start: Tensor, level: int, schedule: NoiseSchedule
) -> Iterator[tuple[int, Tensor]]:
    """The released code's encoding over t = 1..L-1, yielding (L', x) where a run to L' would end."""
    x = x_start.double()
    for t in range(1, level):
        x_0, eps = _clipped(predict(epsilon, x, t + 1), x, t + 1, schedule)
        following = schedule.at(t + 2) if t + 2 <= schedule.timesteps else torch.zeros_like(schedule.at(0))
        x = following.sqrt() * x_0 + (1 - following).sqrt() * eps
        yield t + 1, x


def decode_released(
    epsilon: Epsilon,
    log_probability: LogProbability | None,
    x_level: Tensor,
    level: int,
    scale: float,
    schedule: NoiseSchedule,
) -> Iterator[tuple[int, Tensor]]:
    """The released code's decoding over t = L-2..0, yielding (t, x); guidance comes after the clip."""
    x = x_level.double()
    for t in range(level - 2, -1, -1):
        alpha_bar, preceding = schedule.at(t + 1), schedule.at(t)
        _, eps = _clipped(predict(epsilon, x, t + 1), x, t + 1, schedule)
        eps = guide(eps, log_probability, x, t + 1, scale, alpha_bar)
        x = preceding.sqrt() * predict_x_0(x, eps, t + 1, schedule) + (1 - preceding).sqrt() * eps
        yield t, x


def _clipped(eps: Tensor, x: Tensor, level: int, schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """The predicted x_0 clipped to [-1, 1], and the epsilon that belongs to it."""
    alpha_bar = schedule.at(level)
    x_0 = predict_x_0(x, eps, level, schedule).clamp(-1, 1)
    return x_0, (x - alpha_bar.sqrt() * x_0) / (1 - alpha_bar).sqrt()
