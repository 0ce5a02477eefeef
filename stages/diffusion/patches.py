"""An image patch by patch, the rest of it clean (pDDPM: Behrendt et al., MIDL 2023)."""

from collections.abc import Callable

import torch
from torch import Tensor


def grid(size: int, count: int, device: torch.device | str = "cpu") -> Tensor:
    """The patches that tile an image, `count` along each side: (count^2, 1, size, size) booleans.

    >>> grid(4, 2)[1, 0].int().tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]
    """
    side = torch.arange(size, device=device) * count // size
    cell = side[:, None] * count + side
    return (cell == torch.arange(count**2, device=device)[:, None, None])[:, None]


def predicted(
    x_0: Callable[[Tensor, Tensor], Tensor], images: Tensor, x_t: Tensor, t: Tensor, patches: Tensor
) -> Tensor:
    """Images (N, C, H, W) all of whose patches are predicted, each from its noisy self and the clean rest.

    Args:
        x_0: the network, (x_t, t) -> x_0.
        images: clean, in the network's range.
        x_t: the same with noise everywhere.
        t: (N,) what the network is told.
        patches: (K, 1, H, W) booleans, which tile an image.
    """
    result = torch.empty_like(images)
    for patch in patches:
        seen = torch.where(patch, x_t, images).contiguous(memory_format=torch.channels_last)
        result = torch.where(patch, x_0(seen, t), result)
    return result
