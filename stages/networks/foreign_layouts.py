"""Which network a file holds and what its numbers mean, turned into this project's: pure functions of tensors.

Names may stand below a prefix (Lightning, DataParallel) and be those of openai/guided-diffusion, of MONAI's
DiffusionModelUNet (and of MONAI GenerativeModels before) or of diffusers' UNet2DModel.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from stages import checkpoint
from stages.errors import InputError
from stages.networks.foreign_unets import DIFFUSERS, MONAI, Names, Translation
from stages.networks.unet import EncoderClassifier, UNet

Network = UNet | EncoderClassifier
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Told:
    """What the weights do not show, so that whoever imports them has to say it.

    Attributes:
        prefix: what precedes the network's names in the file, where several do.
        healthy_class: the label that the file's healthy images had, 0 or 1; None where it has no classes.
        head_channels: channels of an attention head, for all levels or for each; None for guided-diffusion's files.
        norm_eps: epsilon of the normalisations; None for guided-diffusion's files.
        variance: "small" or "large", the fixed variance that was sampled with; None where the network learned it.
        config: diffusers' config.json, parsed.
    """

    prefix: str | None = None
    healthy_class: int | None = None
    head_channels: tuple[int, ...] | None = None
    norm_eps: float | None = None
    variance: str | None = None
    config: dict | None = None


_ANCHORS: dict[str, Names | None] = {
    "input_blocks.0.0.weight": None,
    "conv_in.conv.weight": MONAI,
    "conv_in.weight": DIFFUSERS,
}
"""The first convolution's weight, by which a network is found in a file; None: this project's names."""

_GRANTED = {
    "_class_name": "UNet2DModel",
    "act_fn": "silu",
    "add_attention": True,
    "attn_norm_num_groups": None,
    "center_input_sample": False,
    "class_embed_type": None,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "mid_block_scale_factor": 1,
    "resnet_time_scale_shift": "default",
    "time_embedding_type": "positional",
}
"""What diffusers' config.json can change and the weights do not show, as this project's U-Net has it."""


def own(tensors: Tensors, network: Network, told: Told, path: Path) -> Tensors:
    """The tensors of a file in the names, shapes and conventions of `network`.

    Args:
        tensors: all that the file holds, by name; on the meta device for a rehearsal.
        network: this project's, on any device.
        told: what the file does not show.
        path: the file, for messages.

    Raises:
        InputError: several networks and no prefix told, another network, or something that was not told.
    """
    names, tensors = _without_prefix(tensors, told, path)
    for name, tensor in tensors.items():
        plain = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
        if not tensor.is_floating_point() or not plain:
            raise InputError(f"{path}: {name} is not a plain floating-point tensor of its own storage; save it cloned")
    if names is None:
        _refuse_needless(
            path, "its names are guided-diffusion's", head_channels=told.head_channels, norm_eps=told.norm_eps
        )
    elif isinstance(network, UNet):
        if names is DIFFUSERS:
            told = _by_config(told, network, path)
        tensors = Translation(tensors, names, network, path, told.head_channels, told.norm_eps).run()
    else:
        raise InputError(f"{path} holds a U-Net, not the classifier; import it by --network {UNet.SECTION}")
    rows: tuple[str, ...] = ("out.2.c_proj.weight", "out.2.c_proj.bias")
    if isinstance(network, UNet):
        rows = ("label_emb.weight",)
        tensors = _with_variance(tensors, network, told, path)
    if classless := isinstance(network, UNet) and rows[0] not in tensors:
        # What a label adds is then 0, whichever it is.
        tensors = tensors | {rows[0]: torch.zeros_like(network.label_emb.weight, device=_device(tensors))}
    checkpoint.check_names(tensors, network, path)
    if classless:
        _refuse_needless(path, "its network has no classes", healthy_class=told.healthy_class)
    elif told.healthy_class is None:
        raise InputError(
            f"{path} does not say which class is healthy, and guidance would run the wrong way; add --healthy-class 0 "
            "(the authors' BraTS) or --healthy-class 1 (the authors' CheXpert, whose loader counts diseased first)"
        )
    if told.healthy_class == 1:
        tensors = tensors | {name: tensors[name].flip(0) for name in rows}
    return tensors


def _device(tensors: Tensors) -> torch.device:
    return next((tensor.device for tensor in tensors.values()), torch.device("cpu"))


def _without_prefix(tensors: Tensors, told: Told, path: Path) -> tuple[Names | None, Tensors]:
    """Which names a file uses, and what it holds below the network's prefix (`module.`, `state_dict.model.`, ...)."""
    found = {
        name.removesuffix(anchor): names
        for anchor, names in _ANCHORS.items()
        for name in tensors
        if name == anchor or name.endswith("." + anchor)
    }
    listed = ", ".join(repr(prefix) for prefix in sorted(found)) or "none: there is no network that is known here"
    if told.prefix is None and len(found) > 1:
        raise InputError(f"{path} holds several networks; choose one by --prefix: {listed}")
    if told.prefix is None and not found:
        return None, tensors  # what it lacks is said by the check of names
    prefix = next(iter(found)) if told.prefix is None else told.prefix
    if prefix not in found:
        raise InputError(f"{path} has no network below the prefix {prefix!r}, but: {listed}")
    return found[prefix], {
        name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)
    }


def _refuse_needless(path: Path, reason: str, **told: object) -> None:
    for name, value in told.items():
        if value is not None:
            raise InputError(f"{path} is imported without --{name.replace('_', '-')}: {reason}")


def _by_config(told: Told, network: UNet, path: Path) -> Told:
    """What diffusers' config.json says; refused where it is nothing that this project's network can be."""
    if told.config is None:
        raise InputError(
            f"{path} is a network of diffusers; lay its config.json beside it, which says what it does not"
        )
    _refuse_needless(path, "its config.json says it", head_channels=told.head_channels, norm_eps=told.norm_eps)
    granted = _GRANTED | {"norm_num_groups": network.out[0].num_groups}
    for key, value in granted.items():
        if (found := told.config.get(key, value)) != value:
            raise InputError(f"{path}: {key} is {found!r} in config.json, and {value!r} in the network of params.yaml")
    heads, eps = told.config.get("attention_head_dim", 8), told.config.get("norm_eps", DIFFUSERS.norm_eps)
    widths = told.config.get("block_out_channels") if heads is None else [heads]  # no number: one head
    if not isinstance(widths, list) or not all(isinstance(width, int) for width in widths) or type(eps) is not float:
        raise InputError(f"{path}: config.json beside it is not as diffusers writes it; get it again")
    return replace(told, head_channels=tuple(widths), norm_eps=eps)


def _with_variance(tensors: Tensors, network: UNet, told: Told, path: Path) -> Tensors:
    """A network that predicts the noise alone, with the fixed variance that it is sampled with as a constant v.

    v = -1 is the posterior's variance, v = 1 is beta (Nichol and Dhariwal 2021, Eq. 15).
    """
    weight, bias = (tensors.get(f"out.2.{part}") for part in ("weight", "bias"))
    if weight is None or bias is None or 2 * len(weight) != len(network.state_dict()["out.2.weight"]):
        _refuse_needless(path, "its network predicts the variance too", variance=told.variance)
        return tensors
    if told.variance is None:
        raise InputError(
            f"{path} predicts the noise without its variance; say which one it is sampled with by --variance small "
            "(the posterior's, MONAI's and diffusers' default) or --variance large (beta, guided-diffusion's default)"
        )
    v = torch.full_like(bias, {"small": -1, "large": 1}[told.variance])
    return tensors | {
        "out.2.weight": torch.cat([weight, torch.zeros_like(weight)]),
        "out.2.bias": torch.cat([bias, v]),
    }
