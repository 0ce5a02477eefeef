"""Guidance to the healthy class: a classifier's gradient (Dhariwal and Nichol 2021), or none (Ho and Salimans 2022)."""

from collections.abc import Callable

import torch
from torch import Tensor

LogProbability = Callable[[Tensor, Tensor], Tensor]
"""(x_t (N, C, H, W), t (N,)) -> log C(h | x_t, t), (N,)."""


SCALE = 2.0**10
"""By what log C is multiplied before it is differentiated, and the gradient divided after.

On its way back through a network in float16 a gradient is as small as log C's, of which what lies below 6e-8 is lost
there, and below 6e-5 its digits one by one: half of its values at the pixels, at levels below 250 of phantom-brain,
whose largest within the network is 1.6 of the 65504 that float16 holds. In float32 and bfloat16 a power of two changes
no digit.
"""


def gradient(log_probability: LogProbability, x_t: Tensor, t: Tensor) -> Tensor:
    """The gradient of log C(h | x_t, t) with respect to x_t, (N, C, H, W) float32, each image on its own."""
    with torch.enable_grad():
        x = x_t.detach().requires_grad_(True)
        (scaled,) = torch.autograd.grad(SCALE * log_probability(x, t).sum(), x)
    return scaled / SCALE


def guided_epsilon(epsilon: Tensor, gradient: Tensor, scale: float, alpha_bar: Tensor) -> Tensor:
    """epsilon_hat = epsilon - s sqrt(1 - alpha_bar) grad log C(h | x_t) (Algorithm 1)."""
    return epsilon - scale * (1 - alpha_bar).sqrt() * gradient


def classifier_free_epsilon(without: Tensor, healthy: Tensor, weight: float) -> Tensor:
    """epsilon = epsilon_none + w (epsilon_healthy - epsilon_none) (Sanchez et al. 2022, after Ho and Salimans)."""
    return without + weight * (healthy - without)
