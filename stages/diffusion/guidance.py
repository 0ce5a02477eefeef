"""Guidance to the healthy class: a classifier's gradient (Dhariwal and Nichol 2021), or none (Ho and Salimans 2022)."""

from collections.abc import Callable

import torch
from torch import Tensor

LogProbability = Callable[[Tensor, Tensor], Tensor]
"""(x_t (N, C, H, W), t (N,)) -> log C(h | x_t, t), (N,)."""


def gradient(log_probability: LogProbability, x_t: Tensor, t: Tensor) -> Tensor:
    """The gradient of log C(h | x_t, t) with respect to x_t, (N, C, H, W), each image on its own."""
    with torch.enable_grad():
        x = x_t.detach().requires_grad_(True)
        return torch.autograd.grad(log_probability(x, t).sum(), x)[0]


def guided_epsilon(epsilon: Tensor, gradient: Tensor, scale: float, alpha_bar: Tensor) -> Tensor:
    """epsilon_hat = epsilon - s sqrt(1 - alpha_bar) grad log C(h | x_t) (Algorithm 1)."""
    return epsilon - scale * (1 - alpha_bar).sqrt() * gradient


def classifier_free_epsilon(without: Tensor, healthy: Tensor, weight: float) -> Tensor:
    """epsilon = epsilon_none + w (epsilon_healthy - epsilon_none) (Sanchez et al. 2022, after Ho and Salimans)."""
    return without + weight * (healthy - without)
