"""The U-Nets of MONAI and diffusers, module by module, in this project's names and conventions.

Both, like openai/guided-diffusion, whose names this project uses, build the network of Ho et al. (2020). They differ in
names, in how queries, keys and values are stored and in the epsilon of their normalisations.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from stages.errors import InputError
from stages.networks.blocks import AttentionBlock, Downsample, ResidualBlock, Upsample
from stages.networks.unet import UNet

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Names:
    """How a code base names the parts of a U-Net, and what it takes for granted.

    Attributes:
        modules: this project's modules outside the levels -> theirs.
        residual: a residual block's modules -> theirs.
        middle: their residual block, attention, residual block.
        down, up: their convolution where the resolution changes, below the level (up: as releases named it).
        norm: their normalisation in an attention block.
        qkv: their query, or query, key and value in one, as releases named it.
        out: their projection of what was attended; without any, nothing is projected.
        unapplied: the one of these that is stored and never applied.
        norm_eps: epsilon of the normalisations if nothing else is told.
    """

    modules: dict[str, str]
    residual: dict[str, str]
    middle: tuple[str, str, str]
    down: str
    up: tuple[str, ...]
    norm: str
    qkv: tuple[str, ...]
    out: tuple[str, ...]
    unapplied: tuple[str, ...]
    norm_eps: float


MONAI = Names(
    modules={
        "time_embed.0": "time_embed.0",
        "time_embed.2": "time_embed.2",
        "label_emb": "class_embedding",
        "input_blocks.0.0": "conv_in.conv",
        "out.0": "out.0",
        "out.2": "out.2.conv",
    },
    residual={
        "in_layers.0": "norm1",
        "in_layers.2": "conv1.conv",
        "emb_layers.1": "time_emb_proj",
        "out_layers.0": "norm2",
        "out_layers.3": "conv2.conv",
        "skip_connection": "skip_connection.conv",
    },
    middle=("middle_block.resnet_1", "middle_block.attention", "middle_block.resnet_2"),
    down="downsampler.op.conv",
    up=("upsampler.postconv.conv", "upsampler.conv.conv"),
    norm="norm",
    qkv=("attn.to_q", "attn.qkv", "to_q"),
    out=("attn.out_proj", "proj_attn"),
    unapplied=(".proj_attn",),  # MONAI GenerativeModels' forward pass leaves it out
    norm_eps=1e-6,
)
DIFFUSERS = Names(
    modules={
        "time_embed.0": "time_embedding.linear_1",
        "time_embed.2": "time_embedding.linear_2",
        "label_emb": "class_embedding",
        "input_blocks.0.0": "conv_in",
        "out.0": "conv_norm_out",
        "out.2": "conv_out",
    },
    residual={
        "in_layers.0": "norm1",
        "in_layers.2": "conv1",
        "emb_layers.1": "time_emb_proj",
        "out_layers.0": "norm2",
        "out_layers.3": "conv2",
        "skip_connection": "conv_shortcut",
    },
    middle=("mid_block.resnets.0", "mid_block.attentions.0", "mid_block.resnets.1"),
    down="downsamplers.0.conv",
    up=("upsamplers.0.conv",),
    norm="group_norm",
    qkv=("to_q",),
    out=("to_out.0",),
    unapplied=(),
    norm_eps=1e-5,
)


class Translation:
    """One file's U-Net, module by module, from the names of MONAI or diffusers into `network`'s.

    GroupNorm(x; epsilon e) is GroupNorm(c x; epsilon c^2 e): where the file's epsilon differs from this project's, all
    that a normalisation sees is made c times as large, which is exact. Those are the stream of residual blocks (`gain`)
    and what lies between the two convolutions of a block; what leaves a normalisation is as it was.
    """

    def __init__(
        self,
        tensors: Tensors,
        names: Names,
        network: UNet,
        path: Path,
        head_channels: tuple[int, ...] | None,
        norm_eps: float | None,
    ):
        self.left, self.names, self.network, self.path = dict(tensors), names, network, path
        self.head_channels = head_channels
        self.levels = 1 + sum(isinstance(layer, Downsample) for layer in network.modules())
        eps = names.norm_eps if norm_eps is None else norm_eps
        if not 0 < eps < 1:
            raise InputError(
                f"{path}: the epsilon of its normalisations is {eps}; it lies between 0 and 1, as 1e-6 does"
            )
        norm = next(layer for layer in network.modules() if isinstance(layer, nn.GroupNorm))
        self.gain = math.sqrt(norm.eps / eps)
        self.made: Tensors = {}

    def run(self) -> Tensors:
        """Every tensor of the file under this project's name.

        Raises:
            InputError: one is missing, one is left, or attention has another number of heads.
        """
        for ours, theirs in self.names.modules.items():
            gain = self.gain if ours == "input_blocks.0.0" else 1
            if ours != "label_emb" or f"{theirs}.weight" in self.left:
                self.module(ours, theirs, gain, gain)
        for ours, theirs, block, level in self.blocks():
            match block:
                case ResidualBlock():
                    self.residual(ours, theirs, block)
                case AttentionBlock():
                    self.attention(ours, theirs, block, level)
                case Downsample():
                    self.module(f"{ours}.op", f"{theirs}.{self.names.down}", 1, self.gain)
                case Upsample():
                    self.module(f"{ours}.conv", self.one_of(theirs, self.names.up), 1, self.gain)
        if self.left:
            raise InputError(
                f"{self.path} holds {sorted(self.left)[0]}, which params.yaml's network has not; its levels, blocks "
                "and attention have to be those of the file, without cross-attention or blocks that resample"
            )
        return self.made

    def blocks(self) -> Iterator[tuple[str, str, nn.Module, int]]:
        """Our name, theirs, the module and its level of each block, in the order of the data."""
        for half, modules in (("input", self.network.input_blocks), ("output", self.network.output_blocks)):
            theirs, level, number = {"input": "down", "output": "up"}[half], 0, 0
            for index, block in enumerate(modules):
                for part, layer in enumerate(block.children()):
                    name, deep = f"{half}_blocks.{index}.{part}", level if half == "input" else self.levels - 1 - level
                    match layer:
                        case ResidualBlock():
                            yield name, f"{theirs}_blocks.{level}.resnets.{number}", layer, deep
                            number += 1
                        case AttentionBlock():
                            yield name, f"{theirs}_blocks.{level}.attentions.{number - 1}", layer, deep
                        case Downsample() | Upsample():
                            yield name, f"{theirs}_blocks.{level}", layer, deep
                            level, number = level + 1, 0
        for part, layer in enumerate(self.network.middle_block):
            yield f"middle_block.{part}", self.names.middle[part], layer, self.levels - 1

    def residual(self, ours: str, theirs: str, block: ResidualBlock) -> None:
        gains = {"in_layers.2": self.gain, "emb_layers.1": self.gain, "out_layers.3": self.gain}
        for part, name in self.names.residual.items():
            if part != "skip_connection":
                self.module(f"{ours}.{part}", f"{theirs}.{name}", gains.get(part, 1), gains.get(part, 1))
            elif isinstance(block.skip_connection, nn.Conv2d):
                self.module(f"{ours}.{part}", f"{theirs}.{name}", 1, self.gain)

    def attention(self, ours: str, theirs: str, block: AttentionBlock, level: int) -> None:
        self.module(f"{ours}.norm", f"{theirs}.{self.names.norm}", 1, 1)
        stored = self.one_of(theirs, self.names.qkv)
        if stored == f"{theirs}.attn.qkv":
            parts = {part: list(self.take(f"{stored}.{part}").chunk(3)) for part in ("weight", "bias")}
        else:
            separate = [stored.removesuffix("q") + letter for letter in "qkv"]
            parts = {part: [self.take(f"{name}.{part}") for name in separate] for part in ("weight", "bias")}
        width = len(parts["bias"][0])
        self.refuse_other_heads(width, block.heads, level)
        for part, stacked in parts.items():  # ours: per head, its query, key and value
            joined = torch.stack(stacked).unflatten(1, (block.heads, -1)).transpose(0, 1).flatten(0, 2)
            self.made[f"{ours}.qkv.{part}"] = joined[:, :, None] if part == "weight" else joined
        projection = next(
            (f"{theirs}.{name}" for name in self.names.out if f"{theirs}.{name}.weight" in self.left), None
        )
        if projection:
            weight, bias = self.take(f"{projection}.weight"), self.take(f"{projection}.bias")
        if projection is None or projection.endswith(self.names.unapplied):
            like = parts["weight"][0]
            weight, bias = torch.eye(width, dtype=like.dtype, device=like.device), torch.zeros_like(parts["bias"][0])
        self.made |= {
            f"{ours}.proj_out.weight": self.gain * weight[:, :, None],
            f"{ours}.proj_out.bias": self.gain * bias,
        }

    def refuse_other_heads(self, width: int, heads: int, level: int) -> None:
        """The weights of attention have the same shapes for any number of heads."""
        if self.head_channels is None or len(self.head_channels) not in (1, self.levels):
            raise InputError(
                f"{self.path} does not show how many channels a head of attention has; say what the network was built "
                f"with by --head-channels, one number or {self.levels} (MONAI's num_head_channels)"
            )
        channels = self.head_channels[level if len(self.head_channels) > 1 else 0]
        if width != heads * channels:
            raise InputError(
                f"{self.path} has heads of {channels} channels at a width of {width} where params.yaml's network has "
                f"{heads} (denoiser.network.heads, one number for all levels); set it, or give this network up"
            )

    def one_of(self, theirs: str, names: tuple[str, ...]) -> str:
        """The first of `names` below `theirs` that the file holds."""
        held = [name for name in names if f"{theirs}.{name}.weight" in self.left]
        return f"{theirs}.{(held or names)[0]}"

    def module(self, ours: str, theirs: str, weight_gain: float, bias_gain: float) -> None:
        self.made[f"{ours}.weight"] = self.take(f"{theirs}.weight") * weight_gain
        if ours != "label_emb":
            self.made[f"{ours}.bias"] = self.take(f"{theirs}.bias") * bias_gain

    def take(self, name: str) -> Tensor:
        if name not in self.left:
            raise InputError(f"{self.path} lacks {name}: it holds another network than params.yaml describes")
        return self.left.pop(name)
