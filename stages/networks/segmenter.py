"""A small U-Net that is told what a lesion is: Ronneberger et al. (MICCAI 2015) with padding and normalisation."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.networks.blocks import GroupNorm32
from stages.networks.build import ListedNetwork


class Segmenter(ListedNetwork):
    """Contract and expand, with skip connections at every resolution.

    Args:
        size: pixels of an image's side, a multiple of 2 ** len(widths).
        image_channels: C.
        widths: channels at full resolution, at half of it, and so on; the image is halved below each.
    """

    SECTION = "segmenter"
    INPUTS = ()

    def __init__(self, size: int, image_channels: int, widths: Sequence[int]):
        super().__init__()
        self.encoder = nn.ModuleList(
            _two_convolutions(thin, wide) for thin, wide in pairwise([image_channels, *widths])
        )
        self.middle = _two_convolutions(widths[-1], widths[-1])
        back = reversed([*pairwise([widths[0], *widths])])
        self.decoder = nn.ModuleList(_two_convolutions(2 * wide, thin) for thin, wide in back)
        self.out = nn.Conv2d(widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Images x (N, C, H, W) -> logits of a lesion in each pixel (N, H, W), float32."""
        h, skips = x, []
        for block in self.encoder:
            h = block(h)
            skips.append(h)
            h = functional.max_pool2d(h, 2)
        h = self.middle(h)
        for block in self.decoder:
            h = functional.interpolate(h, scale_factor=2, mode="nearest")
            h = block(torch.cat([h, skips.pop()], dim=1))
        return self.out(h)[:, 0].float()


def _two_convolutions(channels: int, out_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in (channels, out_channels):
        layers += [nn.Conv2d(width, out_channels, 3, padding=1, bias=False), GroupNorm32(1, out_channels), nn.SiLU()]
    return nn.Sequential(*layers)
