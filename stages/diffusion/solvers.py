"""The solvers that encode and decode: DDIM, and three of second order on the same ordinary differential equation.

With x_bar = x / sqrt(alpha_bar) and sigma = sqrt(1 / alpha_bar - 1), Eq. 5 and Eq. 6 of Wolleb et al. 2022 are Euler's
method, down and up, on

    d x_bar / d sigma = epsilon(x)

(Song et al. 2021, DDIM, Eq. 14). A better method makes fewer network evaluations for the same error. In sigma the
equation is regular at the clean image, sigma = 0, from which encoding starts; there the log-SNR of the DPM-Solvers is
infinite. A guided epsilon_hat is just another epsilon.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from stages.diffusion import ddim
from stages.diffusion.ddim import Epsilon, guide, ladder, predict
from stages.diffusion.guidance import LogProbability
from stages.diffusion.noise_schedule import NoiseSchedule

Path = Iterator[tuple[int, Tensor]]
"""(k, x_k (N, C, H, W) float64) at every level passed."""
Slope = Callable[[Tensor, int], Tensor]
"""(x_k (N, C, H, W) float64, k) -> epsilon, guided or not."""
Method = Callable[[Slope, Tensor, list[int], NoiseSchedule], Path]
"""(slope, x at levels[0], levels, which rise or fall, schedule) -> the path over levels[1:]."""


def heun(slope: Slope, x: Tensor, levels: list[int], schedule: NoiseSchedule) -> Path:
    """Heun's method of second order (Karras et al. 2022, Algorithm 1): two evaluations a step.

    As there, the step onto the clean image is Euler's. The network knows no level below the first, and correcting this
    step by what it makes of the clean image raised the error of the round trip (by 15 and 25 % on the brain phantom).
    """
    root, sigma = _coordinates(schedule)
    x_bar = x.double() / root[levels[0]]
    for k, following in pairwise(levels):
        step = sigma[following] - sigma[k]
        eps = slope(root[k] * x_bar, k)
        euler = x_bar + step * eps
        if following > 0:
            eps = (eps + slope(root[following] * euler, following)) / 2
        x_bar = x_bar + step * eps
        yield following, root[following] * x_bar


def adams_bashforth(slope: Slope, x: Tensor, levels: list[int], schedule: NoiseSchedule) -> Path:
    """The two-step Adams-Bashforth method with steps of any size: one evaluation a step.

    The line through the last two slopes is integrated over the step, as in the linear multistep samplers (Liu et al.
    2022, PNDM, there with equal steps and four slopes). The first step, which has no past, is Euler's.
    """
    root, sigma = _coordinates(schedule)
    x_bar = x.double() / root[levels[0]]
    past = None
    for k, following in pairwise(levels):
        step = sigma[following] - sigma[k]
        eps = slope(root[k] * x_bar, k)
        if past is None:
            mean = eps
        else:
            ratio = step / past[1]
            mean = eps + ratio / 2 * (eps - past[0])
        x_bar, past = x_bar + step * mean, (eps, step)
        yield following, root[following] * x_bar


def o_belm(slope: Slope, x: tuple[Tensor, Tensor], levels: list[int], schedule: NoiseSchedule) -> Path:
    """The optimal two-step method that is its own inverse (Wang et al. 2024, O-BELM): one evaluation a step.

    Epsilon at the middle one of three levels is the slope there of the parabola through x_bar at the three: with d and
    d' its change over the steps h and h' before and after, and r = h' / h,

        epsilon = (r d + d' / r) / (h + h').

    Solved for x_bar at the last level that is a step of second order; solved for x_bar at the first, from the same
    epsilon, the same step backwards. So whoever has x at the last two levels has the whole path, in exact arithmetic.

    Args:
        x: at levels[0] and levels[1]; the path is over levels[2:].
    """
    root, sigma = _coordinates(schedule)
    before, x_bar = (x_k.double() / root[k] for x_k, k in zip(x, levels[:2], strict=True))
    for past, k, following in zip(levels, levels[1:], levels[2:], strict=False):
        step = sigma[following] - sigma[k]
        ratio = step / (sigma[k] - sigma[past])
        eps = slope(root[k] * x_bar, k)
        before, x_bar = x_bar, x_bar + (1 + ratio) * step * eps - ratio**2 * (x_bar - before)
        yield following, root[following] * x_bar


def _coordinates(schedule: NoiseSchedule) -> tuple[Tensor, Tensor]:
    """sqrt(alpha_bar) and sigma at every level, (T + 1,) each."""
    return schedule.alpha_bar.sqrt(), (1 / schedule.alpha_bar - 1).sqrt()


class Solver(NamedTuple):
    """Both ways of one solver, with the arguments of `ddim.encode` and `ddim.decode`.

    Attributes:
        decodes_from_two: whether decoding takes, after these, x at level L - stride too, as encoding left it.
    """

    encode: Callable[..., Path]
    decode: Callable[..., Path]
    decodes_from_two: bool = False


def _both_ways(method: Method) -> Solver:
    def encode(epsilon: Epsilon, x_0: Tensor, level: int, schedule: NoiseSchedule, stride: int = 1) -> Path:
        return method(_plain(epsilon), x_0, ladder(level, stride), schedule)

    def decode(
        epsilon: Epsilon,
        log_probability: LogProbability | None,
        x_level: Tensor,
        level: int,
        scale: float,
        schedule: NoiseSchedule,
        stride: int = 1,
    ) -> Path:
        slope = _guided(epsilon, log_probability, scale, schedule)
        return method(slope, x_level, ladder(level, stride)[::-1], schedule)

    return Solver(encode, decode)


def _plain(epsilon: Epsilon) -> Slope:
    return lambda x, k: predict(epsilon, x, k)


def _guided(epsilon: Epsilon, log_probability: LogProbability | None, scale: float, schedule: NoiseSchedule) -> Slope:
    return lambda x, k: guide(predict(epsilon, x, k), log_probability, x, k, scale, schedule.alpha_bar[k])


# --- O-BELM, both ways ------------------------------------------------------------------------------------------------
# Its levels are the multiples of the stride. What encoding does below the first of them need not be reversed, since
# the clean image is one of the three levels of decoding's last step.


def encode_o_belm(epsilon: Epsilon, x_0: Tensor, level: int, schedule: NoiseSchedule, stride: int = 1) -> Path:
    """The clean image to noise level L by `o_belm`, the first stride by DDIM (see `ladder`).

    DDIM's steps there are shorter than the stride, so that the order stays 2. `o_belm` from the clean image on would
    take these steps, too, of which each is up to twice as long as the one before: what its first step errs by changes
    its sign at every step and grows with their length.

    Arguments and path are those of `ddim.encode`.

    Raises:
        ValueError: L is no multiple of the stride, or not at least twice as large.
    """
    levels = _strides(level, stride)
    for k, x in ddim.encode(epsilon, x_0, stride, schedule, stride):
        yield k, x
    yield from o_belm(_plain(epsilon), (x_0, x), levels, schedule)


def decode_o_belm(
    epsilon: Epsilon,
    log_probability: LogProbability | None,
    x_level: Tensor,
    level: int,
    scale: float,
    schedule: NoiseSchedule,
    stride: int,
    x_below: Tensor,
) -> Path:
    """Noise level L to the clean image by `o_belm`: at scale 0, and the encoder's class, what was encoded.

    Guidance is in no step of the encoder, whose last one is the first here. This step gets its part of guidance by
    Euler's method: sigma's change times what the classifier adds to epsilon at x_L.

    Arguments beside those of `ddim.decode`, whose path it has:
        x_below: x at level L - stride (N, C, H, W), as `encode_o_belm` passed it.

    Raises:
        ValueError: L is no multiple of the stride, or not at least twice as large.
    """
    levels, (root, sigma) = _strides(level, stride)[::-1], _coordinates(schedule)
    below = levels[1]
    added = guide(torch.zeros_like(x_level.double()), log_probability, x_level, level, scale, schedule.alpha_bar[level])
    x = x_below.double() + root[below] * (sigma[below] - sigma[level]) * added
    yield below, x
    yield from o_belm(_guided(epsilon, log_probability, scale, schedule), (x_level, x), levels, schedule)


def _strides(level: int, stride: int) -> list[int]:
    """The levels 0, stride, ..., L, at least three."""
    if level % stride or level < 2 * stride:
        raise ValueError(f"O-BELM takes two strides or more: noise level {level}, stride {stride}")
    return list(range(0, level + 1, stride))


SOLVERS = {
    "ddim": Solver(ddim.encode, ddim.decode),
    "heun": _both_ways(heun),
    "adams-bashforth": _both_ways(adams_bashforth),
    "o-belm": Solver(encode_o_belm, decode_o_belm, decodes_from_two=True),
}
"""By the name `detection.solver` or `trade_off.solvers` in params.yaml."""
