"""Checkpoints: safetensors files with one JSON header, written atomically, verified when read; nothing unpickles.

The raw weights bear their own names; averaged (EMA) weights stand beside them under `ema.`. The header says what
trained them: stage, parameters, data hash, repeat, step, version. Its `tensors_sha256` ties it to the weights and its
`header_sha256` to itself, so that a file that was edited or damaged is refused; its `repeat` ties it to its folder, so
that one that lies in another repeat's place is refused, too.
"""

import hashlib
import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from torch import Tensor, nn

from stages import digests, repeats
from stages.errors import InputError
from stages.repeats import Repeat
from stages.writing import replacing

EMA = "ema."
_ANOTHER = "correct the network's keys, or take another checkpoint"
"""Not: train again. A checkpoint of others is told the same."""


def save(path: Path, tensors: dict[str, Tensor], header: dict) -> None:
    """Write `tensors` and `header` (anything JSON holds) to `path`, whole or not at all."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    header = json.loads(json.dumps(header)) | {"tensors_sha256": _digest(tensors)}
    # One key only: with more, safetensors writes them in an order that changes from run to run.
    metadata = {"header": json.dumps(header | {"header_sha256": _header_digest(header)}, sort_keys=True)}
    with replacing(Path(path)) as partial:
        partial.write_bytes(serialised(tensors, metadata))  # save_file's files are readable to their owner alone


def load(path: Path) -> tuple[dict[str, Tensor], dict]:
    """Tensors (on the CPU) and header of a checkpoint.

    Raises:
        InputError: missing, truncated, not of this project, changed since it was written, or another repeat's.
    """
    path = Path(path)
    try:
        digests.version(path)  # regular: opening a pipe would wait
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if "header" not in metadata:
            raise InputError(
                f"{path} has no header of this project; bring a foreign checkpoint in with "
                "`python -m stages.networks.import_checkpoint`"
            )
        header = json.loads(metadata["header"])
        written = header["tensors_sha256"], header.pop("header_sha256")
        found = _digest(tensors), _header_digest(header)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; train it, or bring it in with `dvc pull`") from None
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is not a whole safetensors file ({error}); delete it and train again") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} has a header that is damaged, or of a version before headers were verified; delete it and train "
            "again"
        ) from error
    if written != found:
        part = "weights do not match its header" if written[0] != found[0] else "header is not what was written"
        raise InputError(f"{path} was changed after it was written: its {part}; delete it and train again")
    here, trained = repeat_of(path), header.get("repeat")
    if here and trained and here.name != trained:
        raise InputError(
            f"{path} was trained as {trained}, on other images or from another seed: move it back, and run Snakemake "
            "again for what belongs here"
        )
    return tensors, header


def repeat_of(path: Path) -> Repeat | None:
    """The repeat whose folder a checkpoint lies in; None where it lies elsewhere, such as a copy to translate with."""
    return repeats.of_name(Path(os.path.abspath(path)).parent.name)


def load_into(network: nn.Module, path: Path, weights: str = "raw") -> dict:
    """Load a checkpoint's weights ("raw" or "ema") into `network`; return the header.

    Raises:
        InputError: as `load` and `weights_for`.
    """
    tensors, header = load(path)
    network.load_state_dict(weights_for(network, tensors, path, weights))
    return header


def weights_for(network: nn.Module, tensors: dict[str, Tensor], path: Path, weights: str = "raw") -> dict[str, Tensor]:
    """The raw or averaged ("ema") weights out of a checkpoint's tensors, by the names that `network` has for them.

    Args:
        network: what they are for; on the meta device it takes no memory.
        tensors: of `load`.
        path: where they come from, for messages.
        weights: which of them.

    Raises:
        InputError: names, shapes or kinds of number are not the network's, or a number is not finite.
    """
    averaged = {name.removeprefix(EMA): tensor for name, tensor in tensors.items() if name.startswith(EMA)}
    raw = {name: tensor for name, tensor in tensors.items() if not name.startswith(EMA)}
    found = averaged if weights == "ema" else raw
    check_names(found, network, path)
    for name, expected in network.state_dict().items():
        if not torch.can_cast(found[name].dtype, expected.dtype):
            raise InputError(f"{path}: {name} holds {found[name].dtype} where {expected.dtype} is needed; {_ANOTHER}")
        require_finite(found[name].to(expected.dtype), f"{name} ({weights})", path)
    return found


def require_finite(tensor: Tensor, name: str, path: Path) -> None:
    """Raise InputError where `tensor`, `name` of the checkpoint at `path`, holds nan or infinity."""
    if not tensor.isfinite().all():
        raise InputError(f"{path}: {name} holds a number that is not finite; take another checkpoint")


def check_names(tensors: dict[str, Tensor], network: nn.Module, path: Path) -> None:
    """Raise InputError where names or shapes of `tensors` differ from the parameters of `network`."""
    expected = network.state_dict()
    for name, tensor in expected.items():
        if name not in tensors:
            raise InputError(f"{path} lacks {name}: it holds another network than params.yaml describes; {_ANOTHER}")
        if tensors[name].shape != tensor.shape:
            raise InputError(
                f"{path}: {name} has shape {tuple(tensors[name].shape)} where params.yaml's network has "
                f"{tuple(tensor.shape)}; {_ANOTHER}"
            )
    if unknown := sorted(tensors.keys() - expected.keys()):
        raise InputError(f"{path} holds {unknown[0]}, which params.yaml's network has not; {_ANOTHER}")


def _header_digest(header: dict) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
