"""The forward process q(x_t | x_0): noise levels and what follows from them.

Levels are counted as in the paper: `alpha_bar[0] = 1` is the clean image, `alpha_bar[k]`, k = 1..T, the k-th noise
level. The networks know level k as timestep k - 1, and the clean image as timestep 0.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NoiseSchedule:
    """Noise levels of a diffusion process.

    Attributes:
        alpha_bar: (T + 1,) float64, the fraction of the clean image's variance that is left at each level.
    """

    alpha_bar: Tensor

    @classmethod
    def linear(cls, timesteps: int, beta: tuple[float, float], device: torch.device | str = "cpu") -> "NoiseSchedule":
        """Betas that rise linearly from beta[0] to beta[1] over `timesteps` steps (Ho et al. 2020).

        >>> schedule = NoiseSchedule.linear(1000, (1e-4, 0.02))  # the paper's
        >>> [round(float(schedule.alpha_bar[k]), 4) for k in (0, 1, 250, 500, 1000)]
        [1.0, 0.9999, 0.5241, 0.0786, 0.0]
        """
        betas = torch.linspace(*beta, timesteps, dtype=torch.float64)
        alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, dim=0)])
        return cls(alpha_bar.to(device))

    @property
    def timesteps(self) -> int:
        """T, the number of noise levels above the clean image."""
        return len(self.alpha_bar) - 1

    def at(self, level: Tensor | int) -> Tensor:
        """alpha_bar at one level (scalar), or at a level an image, (N,) -> (N, 1, 1, 1)."""
        value = self.alpha_bar[level]
        return value if value.ndim == 0 else value[:, None, None, None]

    def add_noise(self, x_0: Tensor, level: Tensor | int, noise: Tensor) -> Tensor:
        """x_t = sqrt(alpha_bar) x_0 + sqrt(1 - alpha_bar) epsilon (Eq. 2).

        Args:
            x_0: clean images (N, C, H, W).
            level: one level, or (N,).
            noise: standard normal, (N, C, H, W).
        """
        alpha_bar = self.at(level)
        return (alpha_bar.sqrt() * x_0 + (1 - alpha_bar).sqrt() * noise).to(x_0.dtype)


def timestep(level: int, images: int, device: torch.device | str) -> Tensor:
    """What the networks are told at noise level `level`: max(level - 1, 0), (images,)."""
    return torch.full((images,), max(level - 1, 0), dtype=torch.long, device=device)
