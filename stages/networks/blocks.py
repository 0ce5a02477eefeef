"""Building blocks of the two diffusion networks, in the parameter names of openai/guided-diffusion.

Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis" (2021). The names and the order of the layers are
part of the contract: a checkpoint of that code base loads as it is.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class GroupNorm32(nn.GroupNorm):
    """Group normalisation whose arithmetic stays in float32 under mixed precision."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (N, C, ...) and return it in its own type."""
        if x.is_cuda:
            # That kernel, too, accumulates in float32, but hands mean and deviation to the backward pass, and before
            # github.com/pytorch/pytorch/pull/183946 to its own second half, rounded to x's type.
            return super().forward(x.float()).to(x.dtype)
        # The CPU's kernel takes mixed types as they are. Its backward pass is slow at them: in bfloat16 a classifier's
        # gradient takes half the time without it at the paper's size, .8 of it at 64 px; in float32 .98 and 1.1.
        if x.requires_grad and not self.weight.requires_grad and x.dtype != self.weight.dtype:
            return GroupNormOfInput.apply(x, self.weight, self.bias, self.num_groups, self.eps)
        return super().forward(x)


class GroupNormOfInput(torch.autograd.Function):
    """Group normalisation with weights that take no gradient, as where a classifier guides.

    With x^ = (x - mean) r, r = 1 / sqrt(variance + eps) and g = gamma dy, means over a group's M pixels,

        dx = r (g - mean(g) - x^ mean(g x^)) = r gamma dy + b x + c,
        b = -r^3 mean(g (x - mean)),  c = -r mean(g) - b mean:

    two sums and one combination, in float32 but for what is stored. PyTorch's kernel takes the gradients of gamma and
    beta on its way, asked or not.
    """

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Tensor:
        """Normalise x (N, C, ...) in `groups` groups."""
        n, c = x.shape[:2]
        y, mean, rstd = torch.native_group_norm(x, weight, bias, n, c, x[0, 0].numel(), groups, eps)
        context.save_for_backward(x, weight, mean, rstd)
        context.eps = eps
        return y

    @staticmethod
    def backward(context: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of x; differentiable again."""
        x, weight, mean, rstd = context.saved_tensors
        (n, groups), pixels = mean.shape, x[0, 0].numel()
        if torch.is_grad_enabled():  # the gradient's own gradient is wanted, to which both contribute
            variance, mean = torch.var_mean(x.to(mean.dtype).reshape(n, groups, -1), dim=-1, correction=0)
            rstd = (variance + context.eps).rsqrt()

        def over_group(sums: Tensor) -> Tensor:  # (N, C) -> (N, groups): the mean of gamma times what was summed
            share = weight.shape[0] // groups * pixels
            return (weight * sums).reshape(n, groups, -1).sum(dim=-1) / share

        def for_channels(values: Tensor) -> Tensor:  # (N, groups) -> (N, C, 1, ...)
            return values.repeat_interleave(weight.shape[0] // groups, dim=1).reshape(n, -1, *[1] * (x.dim() - 2))

        space = tuple(range(2, x.dim()))
        mean_g = over_group(dy.sum(dim=space, dtype=mean.dtype))
        # Centred, and in float32, before it is multiplied: a product in half precision would cancel, or overflow.
        mean_gx = over_group((dy * (x - for_channels(mean))).sum(dim=space))
        b = -(rstd**3) * mean_gx
        c = -rstd * mean_g - b * mean
        scale = for_channels(rstd) * weight.reshape(1, -1, *[1] * len(space))
        dx = torch.addcmul(torch.addcmul(for_channels(c), for_channels(b), x), scale, dy)
        return dx.to(x.dtype), None, None, None, None


def zeroed(module: nn.Module) -> nn.Module:
    """Set every parameter of `module` to zero: a residual branch that starts as the identity."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def timestep_embedding(t: Tensor, channels: int, longest_period: float = 10_000) -> Tensor:
    """Sinusoidal embedding of timesteps t (N,), as (N, channels): cosines, then sines."""
    half = channels // 2
    frequencies = torch.exp(-math.log(longest_period) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angles = t[:, None].float() * frequencies
    embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)
    return functional.pad(embedding, (0, channels % 2))


class EmbeddedSequential(nn.ModuleList):
    """A sequence that hands the timestep embedding to those of its layers that take it."""

    def __init__(self, *layers: nn.Module):
        super().__init__(layers)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Apply the layers to x (N, C, H, W) with embedding (N, E)."""
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResidualBlock) else layer(x)
        return x


class Downsample(nn.Module):
    """Halve height and width: a strided convolution, or the mean of each 2 x 2 block."""

    def __init__(self, channels: int, convolution: bool):
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if convolution else nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H/2, W/2)."""
        return self.op(x)


class Upsample(nn.Module):
    """Double height and width by repetition, then convolve (or not)."""

    def __init__(self, channels: int, convolution: bool):
        super().__init__()
        if convolution:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 2H, 2W)."""
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        return self.conv(x) if self.convolution else x


class ResidualBlock(nn.Module):
    """Two convolutions around the timestep embedding, with a skip connection.

    `resample` ("up", "down" or None) changes the resolution inside the block. With `scale_shift` the embedding scales
    and shifts the second normalisation, without it is added before.
    """

    def __init__(
        self,
        channels: int,
        embedding_channels: int,
        out_channels: int,
        groups: int,
        scale_shift: bool = False,
        resample: str | None = None,
    ):
        super().__init__()
        self.scale_shift = scale_shift
        self.in_layers = nn.Sequential(
            GroupNorm32(groups, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        resamplers = {None: nn.Identity(), "up": Upsample(channels, False), "down": Downsample(channels, False)}
        self.resample = resamplers[resample]
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(embedding_channels, 2 * out_channels if scale_shift else out_channels)
        )
        self.out_layers = nn.Sequential(
            GroupNorm32(groups, out_channels),
            nn.SiLU(),
            nn.Identity(),  # guided-diffusion's dropout, which the paper leaves at 0; it keeps the convolution's index
            zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1)),
        )
        self.skip_connection = nn.Identity() if out_channels == channels else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """x (N, C, H, W), embedding (N, E) -> (N, out_channels, H', W')."""
        norm, activation, convolution = self.in_layers
        h = convolution(self.resample(activation(norm(x))))
        x = self.resample(x)
        emb = self.emb_layers(embedding).to(h.dtype)[:, :, None, None]
        norm, *rest = self.out_layers
        if self.scale_shift:
            scale, shift = emb.chunk(2, dim=1)
            h = norm(h) * (1 + scale) + shift
        else:
            h = norm(h + emb)
        for layer in rest:
            h = layer(h)
        return self.skip_connection(x) + h


class AttentionBlock(nn.Module):
    """Self-attention over all positions of a feature map, with a skip connection."""

    def __init__(self, channels: int, heads: int, groups: int):
        super().__init__()
        self.heads = heads
        self.norm = GroupNorm32(groups, channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        n, c, h, w = x.shape
        # Per head, then query, key, value: the order that guided-diffusion calls legacy and its defaults use.
        qkv = self.qkv(self.norm(x).reshape(n, c, h * w)).reshape(n, self.heads, 3, c // self.heads, h * w)
        query, key, value = qkv.transpose(-1, -2).unbind(2)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return x + self.proj_out(attended.transpose(-1, -2).reshape(n, c, h * w)).reshape(n, c, h, w)


class AttentionPool2d(nn.Module):
    """Attention pooling as in CLIP: the mean token attends to every position and becomes the output."""

    def __init__(self, side: int, channels: int, head_channels: int, out_channels: int):
        super().__init__()
        self.heads = channels // head_channels
        self.positional_embedding = nn.Parameter(torch.randn(channels, side**2 + 1) / channels**0.5)
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, side, side) -> (N, out_channels)."""
        n, c, h, w = x.shape
        x = x.reshape(n, c, h * w)
        x = torch.cat([x.mean(dim=-1, keepdim=True), x], dim=-1) + self.positional_embedding[None].to(x.dtype)
        qkv = self.qkv_proj(x).reshape(n, 3, self.heads, c // self.heads, h * w + 1)
        query, key, value = qkv.transpose(-1, -2).unbind(1)
        # Only the mean token's output is used, so only its query is asked.
        attended = functional.scaled_dot_product_attention(query[:, :, :1], key, value)
        return self.c_proj(attended.transpose(-1, -2).reshape(n, c, 1))[:, :, 0]
