"""Networks as detection uses them: with their checkpoint's weights, on the device, without gradients of their own."""

from pathlib import Path

import torch

from stages import checkpoint
from stages.networks import build
from stages.networks.build import Network


def network(kind: type[Network], name: str, parameters: dict, path: Path, device: torch.device) -> tuple[Network, str]:
    """The network of class `kind` as section `name` of `parameters` describes it, and the SHA-256 (hex) of its weights.

    `parameters["detection"]["weights"]` chooses the raw or the averaged weights of the checkpoint `path`.

    Raises:
        InputError: the checkpoint is missing, damaged, or another network's.
    """
    result = build.network(kind, name, parameters)
    header = checkpoint.load_into(result, path, parameters["detection"]["weights"])
    return placed(result, device), header["tensors_sha256"]


def placed(network: Network, device: torch.device) -> Network:
    """The network as it computes fastest: on the device, channels last, without gradients of its own."""
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own types lack it
    return network.eval().requires_grad_(False)
