"""The tensors of a file that someone else's code saved, by name; nothing in it is executed.

A .pt file is read with `weights_only`, and only after its pickle was seen to name nothing but tensors and containers;
its sizes are held against the file's before any weight is loaded. A .safetensors file holds nothing but tensors.
"""

import pickletools
import shlex
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from stages.errors import InputError

_PICKLE = 2**24
"""Bytes of the pickle, which only names tensors."""
_REBUILT = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
_STORAGES = {f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Bool")}
_LIGHTNING = {
    f"{module} AttributeDict"
    for module in (
        "lightning.fabric.utilities.data",
        "lightning_fabric.utilities.data",
        "lightning.pytorch.utilities.parsing",
        "pytorch_lightning.utilities.parsing",
    )
}
"""The dictionary in which Lightning keeps hyperparameters; read as a plain one."""
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number with which torch.save began before version 1.6."""
_ADVICE = "save its state_dict alone, as by `torch.save(network.state_dict(), ...)`, and import that"


def tensors(path: Path, device: str) -> dict[str, Tensor]:
    """Every tensor of `path` under its dotted name; what else the file holds is left.

    Nested dictionaries are joined by dots (`state_dict.model.out.0.weight`), `_orig_mod.` of torch.compile is removed.

    Args:
        path: a .pt, .ckpt or .safetensors file, by content, not by name.
        device: "cpu", or "meta" for names, types and shapes alone.

    Raises:
        InputError: missing, damaged, of a format that cannot be read safely, or an optimiser's.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is not a regular file; name a file that torch.save or safetensors wrote")
        with path.open("rb") as file:
            start = file.read(len(_LEGACY))
        if zipfile.is_zipfile(path):
            _refuse_growth(path)
            with torch.serialization.safe_globals([(dict, name.replace(" ", ".")) for name in _LIGHTNING]):
                held = torch.load(path, map_location=device, weights_only=True)
            if isinstance(held, dict) and {"state", "param_groups"} <= held.keys():
                raise InputError(f"{path} is the state of an optimiser; name the network's file that lies beside it")
            found = dict(_flattened(held, "", set()))
            _refuse_truncation(path, found)
        elif start[8:9] == b"{":
            found = _safetensors(path, device)
        else:
            raise InputError(_legacy(path, start))
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} is missing; name the .pt file to import") from None
    except Exception as error:  # of damaged pickles torch and zipfile raise anything: struct.error, AssertionError, ...
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path} cannot be read safely ({reason}); {_ADVICE}") from error
    if not found:
        raise InputError(f"{path} holds no named tensors; {_ADVICE}")
    return {name.replace("_orig_mod.", ""): tensor for name, tensor in found.items()}


def _flattened(held: object, prefix: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    if isinstance(held, Tensor):
        yield prefix.removesuffix("."), held
    elif isinstance(held, dict | list | tuple) and id(held) not in seen:
        seen.add(id(held))  # a small pickle can nest one list in itself, or twice in each of many
        for name, value in held.items() if isinstance(held, dict) else enumerate(held):
            yield from _flattened(value, f"{prefix}{name}.", seen)


def _safetensors(path: Path, device: str) -> dict[str, Tensor]:
    with safe_open(path, framework="pt") as file:
        if "header" in (file.metadata() or {}):
            raise InputError(f"{path} is a checkpoint of this project; copy it, there is nothing to import")
        return {name: file.get_tensor(name).to(device) for name in file.keys()}  # noqa: SIM118 - not a mapping


def _legacy(path: Path, start: bytes) -> str:
    """The sentence on a file that is neither a zip archive nor safetensors; how to convert it where that is known."""
    if start == _LEGACY:
        python = f"import torch; torch.save(torch.load({str(path)!r}, weights_only=True, map_location='cpu'), "
        python += f"{_converted(path)!r})"
        return (
            f"{path} is of the format that torch.save had before version 1.6, which gives no sizes to check; "
            f"save it anew and import that: python -c {shlex.quote(python)}"
        )
    if tarfile.is_tarfile(path):
        python = (
            f"import torch; torch.save(torch.load({str(path)!r}, weights_only=False, map_location='cpu'), "
            f"{_converted(path)!r})"
        )
        return (
            f"{path} is of the tar format that torch.save had before version 0.1.10, which cannot be read without "
            "running what it holds; if you trust who made it, save it anew in a container without network and import "
            f"that: python -c {shlex.quote(python)}"
        )
    return f"{path} is damaged or no file that torch.save or safetensors wrote; get it again, or {_ADVICE}"


def _converted(path: Path) -> str:
    return str(path.with_name(f"{path.stem}-converted.pt"))


def _refuse_growth(path: Path) -> None:
    """Refuse a .pt file that unpacks to more than it is, or whose pickle asks for more than named tensors.

    torch's own list of what `weights_only` may call has, for one, bytearray, which takes any length.

    Raises:
        InputError: as said.
        ValueError, zipfile.BadZipFile: damaged.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.filename.endswith("/constants.pkl") for entry in entries):
            raise InputError(f"{path} is a TorchScript archive, which is code; {_ADVICE}")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InputError(f"{path} is compressed, which torch.save does not do; {_ADVICE}")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise InputError(f"{path} promises more bytes than it has; get it again")
        pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _PICKLE:
            raise InputError(f"{path} has no pickle of its own, or one of more than {_PICKLE:,} bytes; {_ADVICE}")
        for operation, argument, _ in pickletools.genops(archive.read(pickles[0])):
            if operation.name == "GLOBAL" and argument not in _REBUILT | _STORAGES | _LIGHTNING:
                raise InputError(f"{path} cannot be read safely (it asks for {argument}); {_ADVICE}")
            if operation.name in ("STACK_GLOBAL", "INST"):
                raise InputError(f"{path} cannot be read safely (it asks for what it does not name); {_ADVICE}")


def _refuse_truncation(path: Path, promised: dict[str, Tensor]) -> None:
    with zipfile.ZipFile(path) as archive:
        stored = sum(entry.file_size for entry in archive.infolist())
    storages = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes() for tensor in promised.values()}
    if stored < (needed := sum(storages.values())):
        raise InputError(f"{path} is truncated: {stored:,} bytes for {needed:,} bytes of tensors; get it again")
