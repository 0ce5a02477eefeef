"""Noise that a slice gets wherever it is detected: whatever shares its batch, and where a killed job went on."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


def noise(seed: int, slice_ids: list[str], like: Tensor) -> Callable[[], Tensor]:
    """A source of standard normal noise of the shape, type and device of `like` (N, C, H, W), fresh at each call.

    Every slice draws from a generator of its own, seeded by `seed` (the repeat's) and its name.
    """
    generators = [torch.Generator(like.device).manual_seed(_slice_seed(seed, name)) for name in slice_ids]

    def draw(generator: torch.Generator) -> Tensor:
        return torch.randn(like.shape[1:], generator=generator, dtype=like.dtype, device=like.device)

    return lambda: torch.stack([draw(generator) for generator in generators])


def _slice_seed(seed: int, slice_id: str) -> int:
    return int(np.random.SeedSequence([seed, *slice_id.encode()]).generate_state(1, np.uint64)[0])
