"""The denoising U-Net and the encoder classifier of the paper, as openai/guided-diffusion builds them."""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages.networks.blocks import (
    AttentionBlock,
    AttentionPool2d,
    Downsample,
    EmbeddedSequential,
    GroupNorm32,
    ResidualBlock,
    Upsample,
    timestep_embedding,
    zeroed,
)
from stages.networks.build import ListedNetwork

NO_CLASS = -1
"""The label of an image whose class the network is not told."""


class UNet(ListedNetwork):
    """The class-conditional noise predictor epsilon(x_t, t, c) with learned variance.

    Args:
        size: height and width of the images, in pixels.
        image_channels: C. The output has 2 C channels: epsilon, then the variance's interpolation.
        channels: width at full resolution; `multipliers` widen it level by level, each at half the resolution.
        residual_blocks: blocks a level in the encoder (the decoder has one more).
        attention: resolutions, in pixels, that get self-attention with `heads` heads.
        groups: groups of every GroupNorm.
        classes: number of labels.
    """

    SECTION = "denoiser"
    INPUTS: ClassVar[tuple[str, ...]] = ("timestep", "class")

    def __init__(
        self,
        size: int,
        image_channels: int,
        channels: int,
        multipliers: list[int],
        residual_blocks: int,
        attention: list[int],
        heads: int,
        groups: int,
        classes: int = 2,
    ):
        super().__init__()
        self.channels = channels
        emb = 4 * channels
        self.time_embed = nn.Sequential(nn.Linear(channels, emb), nn.SiLU(), nn.Linear(emb, emb))
        self.label_emb = nn.Embedding(classes, emb)

        # Encoder: what every block makes is kept for the decoder.
        width = channels * multipliers[0]
        self.input_blocks = nn.ModuleList([EmbeddedSequential(nn.Conv2d(image_channels, width, 3, padding=1))])
        skips = [width]
        resolution = size
        for level, multiplier in enumerate(multipliers):
            for _ in range(residual_blocks):
                layers: list[nn.Module] = [ResidualBlock(width, emb, channels * multiplier, groups)]
                width = channels * multiplier
                if resolution in attention:
                    layers.append(AttentionBlock(width, heads, groups))
                self.input_blocks.append(EmbeddedSequential(*layers))
                skips.append(width)
            if level < len(multipliers) - 1:
                self.input_blocks.append(EmbeddedSequential(Downsample(width, convolution=True)))
                skips.append(width)
                resolution //= 2

        # Bottleneck.
        self.middle_block = EmbeddedSequential(
            ResidualBlock(width, emb, width, groups),
            AttentionBlock(width, heads, groups),
            ResidualBlock(width, emb, width, groups),
        )

        # Decoder: each block sees the last map of the encoder that is not yet used.
        self.output_blocks = nn.ModuleList()
        for level, multiplier in reversed(list(enumerate(multipliers))):
            for block in range(residual_blocks + 1):
                layers = [ResidualBlock(width + skips.pop(), emb, channels * multiplier, groups)]
                width = channels * multiplier
                if resolution in attention:
                    layers.append(AttentionBlock(width, heads, groups))
                if level > 0 and block == residual_blocks:
                    layers.append(Upsample(width, convolution=True))
                    resolution *= 2
                self.output_blocks.append(EmbeddedSequential(*layers))

        self.out = nn.Sequential(
            GroupNorm32(groups, width), nn.SiLU(), zeroed(nn.Conv2d(width, 2 * image_channels, 3, padding=1))
        )

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """Predict the noise and its variance.

        Args:
            x: noisy images (N, C, H, W).
            t: timesteps (N,), 0..T-1.
            y: classes (N,), `NO_CLASS` where the network is not told: no label embedding is added there.

        Returns:
            (N, 2 C, H, W) float32: epsilon, then v, which interpolates between the variance's bounds.
        """
        emb = self.time_embed(timestep_embedding(t, self.channels))
        emb = emb + self.label_emb(y.clamp(min=0)) * (y >= 0)[:, None]
        h = x
        skips = []
        for block in self.input_blocks:
            h = block(h, emb)
            skips.append(h)
        h = self.middle_block(h, emb)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), emb)
        return self.out(h).float()


SIMPLEX_INTENSITY = (-1.0, 1.0)
"""The interval as which the two networks below see an image's [0, 1], in both authors' code."""


class SimplexDenoiser(UNet):
    """AnoDDPM's noise predictor epsilon(x_t, t): the U-Net, told no class; the variance is not learnt."""

    SECTION = "simplex_denoiser"
    INPUTS = ("timestep",)

    def forward(self, x: Tensor, t: Tensor, _: Tensor | None = None) -> Tensor:
        """Noisy images x (N, C, H, W) at timesteps t (N,) -> the first half of the U-Net's output, (N, C, H, W)."""
        return super().forward(x, t, torch.full_like(t, NO_CLASS)).chunk(2, dim=1)[0]


class PatchedDenoiser(SimplexDenoiser):
    """pDDPM's predictor x_0(x_t, t) of images with one noisy patch: the same U-Net."""

    SECTION = "patched_denoiser"


class EncoderClassifier(ListedNetwork):
    """The noise-aware classifier C(c | x_t, t): the encoder half of a U-Net, then attention pooling.

    Args as for `UNet`; `attention` resolutions have `head_channels` channels a head. Blocks have scale-shift
    normalisation and resample inside residual blocks.
    """

    SECTION = "classifier"
    INPUTS = ("timestep",)

    def __init__(
        self,
        size: int,
        image_channels: int,
        channels: int,
        multipliers: list[int],
        residual_blocks: int,
        attention: list[int],
        head_channels: int,
        groups: int,
        classes: int = 2,
    ):
        super().__init__()
        self.channels = channels
        emb = 4 * channels
        self.time_embed = nn.Sequential(nn.Linear(channels, emb), nn.SiLU(), nn.Linear(emb, emb))

        def residual(width: int, out: int, resample: str | None = None) -> ResidualBlock:
            return ResidualBlock(width, emb, out, groups, scale_shift=True, resample=resample)

        width = channels * multipliers[0]
        self.input_blocks = nn.ModuleList([EmbeddedSequential(nn.Conv2d(image_channels, width, 3, padding=1))])
        resolution = size
        for level, multiplier in enumerate(multipliers):
            for _ in range(residual_blocks):
                layers: list[nn.Module] = [residual(width, channels * multiplier)]
                width = channels * multiplier
                if resolution in attention:
                    layers.append(AttentionBlock(width, width // head_channels, groups))
                self.input_blocks.append(EmbeddedSequential(*layers))
            if level < len(multipliers) - 1:
                self.input_blocks.append(EmbeddedSequential(residual(width, width, resample="down")))
                resolution //= 2

        self.middle_block = EmbeddedSequential(
            residual(width, width), AttentionBlock(width, width // head_channels, groups), residual(width, width)
        )
        self.out = nn.Sequential(
            GroupNorm32(groups, width), nn.SiLU(), AttentionPool2d(resolution, width, head_channels, classes)
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Noisy images x (N, C, H, W) at timesteps t (N,) -> logits (N, classes), float32."""
        emb = self.time_embed(timestep_embedding(t, self.channels))
        h = x
        for block in self.input_blocks:
            h = block(h, emb)
        return self.out(self.middle_block(h, emb)).float()


def log_probability(classifier: nn.Module, x: Tensor, t: Tensor, target: int) -> Tensor:
    """log C(target | x_t, t) of each image, (N,)."""
    return functional.log_softmax(classifier(x, t), dim=-1)[:, target]


def log_odds(classifier: nn.Module, x: Tensor, t: Tensor, target: int) -> Tensor:
    """log C(target | x_t, t) / (1 - C(target | x_t, t)) of each image under two classes, (N,)."""
    logits = classifier(x, t)
    return logits[:, target] - logits[:, 1 - target]
