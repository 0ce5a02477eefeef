"""Generator and discriminator of Fixed-Point GAN (Siddiquee et al., ICCV 2019, arXiv:1908.06965).

Both are StarGAN's (Choi et al., CVPR 2018) with one label channel, except that the generator's output is added to its
input before the last tanh: what needs no change is a fixed point.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from stages.networks.build import ListedNetwork

INTENSITY = (-1.0, 1.0)
"""The interval as which the networks see an image's [0, 1]: tanh's."""


class Generator(ListedNetwork):
    """The translation tanh(x + G(x, c)) of an image x to class c.

    Args:
        size: height and width of the images, in pixels; a multiple of 4, at least 8.
        image_channels: C.
        channels: width at full resolution; it doubles with each of the two halvings.
        residual_blocks: blocks at a quarter of the resolution.
    """

    SECTION = "fixed_point_gan"
    INPUTS = ("class",)

    def __init__(self, size: int, image_channels: int, channels: int, residual_blocks: int):
        super().__init__()
        width = channels
        layers = [nn.Conv2d(image_channels + 1, width, 7, padding=3, bias=False), *_normalised(width)]
        for _ in range(2):
            layers += [nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False), *_normalised(2 * width)]
            width *= 2
        layers += [ResidualBlock(width) for _ in range(residual_blocks)]
        for _ in range(2):
            up = nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1, bias=False)
            layers += [up, *_normalised(width // 2)]
            width //= 2
        self.main = nn.Sequential(*layers, nn.Conv2d(width, image_channels, 7, padding=3, bias=False))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (N, C, H, W) in [-1, 1] and classes c (N,) -> translated images (N, C, H, W) in (-1, 1), float32."""
        label = c.to(x.dtype)[:, None, None, None].expand(-1, 1, *x.shape[2:])
        delta = self.main(torch.cat([x, label], dim=1))
        return torch.tanh(x.float() + delta.float())


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside the identity."""

    def __init__(self, channels: int):
        super().__init__()
        norm, activation = _normalised(channels)
        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            norm,
            activation,
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            _normalised(channels)[0],
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        return x + self.main(x)


class Discriminator(ListedNetwork):
    """The critic of image patches, with a class head (PatchGAN).

    Args:
        size: height and width of the images, in pixels; a multiple of 2 ** `layers`.
        image_channels: C.
        channels: width after the first layer; it doubles with every further one.
        layers: strided convolutions.
    """

    SECTION = "fixed_point_gan"
    PART = "discriminator"
    INPUTS = ()

    def __init__(self, size: int, image_channels: int, channels: int, layers: int):
        super().__init__()
        side = size >> layers
        widths = [image_channels, *(channels << layer for layer in range(layers))]
        body = []
        for before, after in pairwise(widths):
            body += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.main = nn.Sequential(*body)
        self.critic = nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False)
        self.classifier = nn.Conv2d(widths[-1], 1, side, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Judge x (N, C, H, W).

        Returns:
            The realness of each patch (N, 1, H / 2^layers, W / 2^layers) and the logits of class 1 (N,), float32.
        """
        h = self.main(x)
        return self.critic(h).float(), self.classifier(h).flatten().float()


def _normalised(channels: int) -> tuple[nn.Module, nn.Module]:
    # Each instance's own statistics, at test time too: running averages are not kept.
    return nn.InstanceNorm2d(channels, affine=True), nn.ReLU(inplace=True)
