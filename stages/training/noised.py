"""What denoisers and the classifier share, whose images are noised; other networks do not depend on this module."""

from collections.abc import Iterator

import torch
from torch import Tensor

from stages.diffusion.noise_schedule import NoiseSchedule


def for_sheet(
    images: Tensor, noise: Tensor, max_level: int, schedule: NoiseSchedule
) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, C, H, W) under one noise at an eighth, a half and all of `max_level`: x_t, and the levels (B,)."""
    for level in (max(1, max_level // 8), max(1, max_level // 2), max_level):
        levels = torch.full((len(images),), level, device=images.device)
        yield schedule.add_noise(images, levels, noise), levels
