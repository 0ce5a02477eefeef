"""Networks as detection uses them: with their checkpoint's weights, on the device, without gradients of their own."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stages import checkpoint
from stages.device import one_thread
from stages.errors import InputError
from stages.networks import build
from stages.networks.build import Network
from stages.networks.compiled import compile_forward
from stages.parameters.inert import without_inert


class OtherParametersError(InputError):
    """A checkpoint was trained with another value of a key than a job has; `what` says so without advice."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what}; delete it and run Snakemake again")
        self.what = what


def network(kind: type[Network], name: str, parameters: dict, path: Path, device: torch.device) -> tuple[Network, str]:
    """The network of class `kind` as section `name` of `parameters` describes it, and the SHA-256 (hex) of its weights.

    `parameters["detection"]["weights"]` chooses the raw or the averaged weights of the checkpoint `path`,
    `parameters["compile"]` whether kernels are made for it.

    Raises:
        InputError: the checkpoint is missing, damaged or another network's.
        OtherParametersError: it was trained with other parameters.
    """
    with one_thread():
        result = build.network(kind, name, parameters)
        header = checkpoint.load_into(result, path, parameters["detection"]["weights"])
    _check_trained_with(parameters, header.get("parameters", {}), path)
    placed(result, device)
    compile_forward(result, parameters["compile"], device)
    return result, header["tensors_sha256"]


def fitted(name: str, parameters: dict, path: Path, device: torch.device) -> tuple[dict[str, Tensor], str]:
    """The arrays of the fitted model `name`, on the device, and the SHA-256 (hex) of them.

    Raises:
        InputError: the checkpoint is missing, damaged or another network's.
        OtherParametersError: it was fitted with other parameters.
    """
    tensors, header = checkpoint.load(path)
    if header.get("stage") != f"train_{name}":
        raise InputError(f"{path} is no {name} but of {header.get('stage')}: put the right file there, or delete it")
    _check_trained_with(parameters, header.get("parameters", {}), path)
    return {key: tensor.to(device) for key, tensor in tensors.items()}, header["tensors_sha256"]


def _check_trained_with(parameters: dict, noted: dict, path: Path) -> None:
    """Refuse a checkpoint, such as another repeat's, whose header notes other values of keys in `parameters`."""
    wanted = _leaves(without_inert(parameters))
    for key, value in _leaves(without_inert(noted)).items():
        if key in wanted and value != wanted[key]:
            raise OtherParametersError(
                f"{path} was trained with {key} = {json.dumps(value)} where this job has {json.dumps(wanted[key])}"
            )


def _leaves(section: dict, above: str = "") -> dict[str, Any]:
    """
    >>> _leaves({"seed": 3, "vae": {"training": {"batch": 4}}})
    {'seed': 3, 'vae.training.batch': 4}
    """
    found: dict[str, Any] = {}
    for key, value in section.items():
        found |= _leaves(value, f"{above}{key}.") if isinstance(value, dict) else {above + key: value}
    return found


def placed(network: Network, device: torch.device) -> Network:
    """The network as it computes fastest: on the device, channels last, without gradients of its own."""
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own types lack it
    return network.eval().requires_grad_(False)
