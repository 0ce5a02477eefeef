"""Noise that a slice gets wherever it is detected: whatever shares its batch, and where a killed job went on."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def noise(seed: int, slice_ids: list[str], like: Tensor) -> Callable[[], Tensor]:
    """A source of standard normal noise of the shape, type and device of `like` (N, C, H, W), fresh at each call."""
    generators = slice_generators(seed, slice_ids, like.device)

    def draw(generator: torch.Generator) -> Tensor:
        return torch.randn(like.shape[1:], generator=generator, dtype=like.dtype, device=like.device)

    return lambda: torch.stack([draw(generator) for generator in generators])


def slice_generators(seed: int, slice_ids: list[str], device: torch.device) -> list[torch.Generator]:
    """A generator for each slice, seeded by `seed` (the repeat's) and the slice's name.

    What a slice gets depends neither on its batch nor on where a killed job went on.
    """
    seeds = [np.random.SeedSequence([seed, *name.encode()]).generate_state(1, np.uint64)[0] for name in slice_ids]
    return [torch.Generator(device).manual_seed(int(one)) for one in seeds]
