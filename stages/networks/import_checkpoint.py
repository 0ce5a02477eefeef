"""Bring a checkpoint of openai/guided-diffusion (or of the paper's authors) in as safetensors.

Nothing in the file is executed: it is read with `weights_only`, first without its data, and names, shapes and storage
sizes are held against the network that params.yaml describes before a single weight is loaded.
"""

import pickletools
import stat
import zipfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

import torch
from torch import Tensor

import stages
from stages import checkpoint, command, provenance
from stages.errors import InputError
from stages.networks import build
from stages.networks.unet import EncoderClassifier, UNet
from stages.parameters import reading

NETWORKS = {kind.SECTION: kind for kind in (UNet, EncoderClassifier)}
"""Those whose parameters are named as guided-diffusion names them."""

_PICKLE = 2**24
"""Bytes of the pickle, which only names tensors."""
_REBUILT = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch._utils _rebuild_parameter"}
_STORAGES = {f"torch {kind}Storage" for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Bool")}
_ADVICE = "only a state_dict saved by torch.save can be imported"


def read_foreign(path: Path, network: torch.nn.Module) -> dict[str, Tensor]:
    """The tensors of a .pt file, float32, after checking that they are exactly the network's.

    Raises:
        InputError: missing, damaged, more than tensors, or another network's.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is not a regular file; {_ADVICE}")
        with path.open("rb"):
            pass
        if not zipfile.is_zipfile(path):  # the legacy format gives no sizes to check beforehand
            raise InputError(f"{path} is damaged or not a zip-based .pt file; {_ADVICE}")
        _refuse_growth(path)
        promised = torch.load(path, map_location="meta", weights_only=True)
        _check(path, promised, network)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} is missing; name the .pt file to import") from None
    except Exception as error:  # of damaged pickles torch and zipfile raise anything: struct.error, AssertionError, ...
        reason = str(error).split("\n")[0] or type(error).__name__
        raise InputError(f"{path} cannot be read safely ({reason}); {_ADVICE}") from error
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name} is not finite; the checkpoint is of no use")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _refuse_growth(path: Path) -> None:
    """Refuse a .pt file that unpacks to more than it is, or whose pickle asks for more than named tensors.

    torch's own list of what `weights_only` may call has, for one, bytearray, which takes any length.

    Raises:
        InputError: as said.
        ValueError, zipfile.BadZipFile: damaged.
    """
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InputError(f"{path} is compressed, which torch.save does not do; {_ADVICE}")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise InputError(f"{path} promises more bytes than it has; get it again")
        pickles = [entry for entry in entries if entry.filename.endswith("data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _PICKLE:
            raise InputError(f"{path} has no pickle of its own, or one of more than {_PICKLE:,} bytes; {_ADVICE}")
        for operation, argument, _ in pickletools.genops(archive.read(pickles[0])):
            if operation.name == "GLOBAL" and argument not in _REBUILT | _STORAGES:
                raise InputError(f"{path} cannot be read safely (it asks for {argument}); {_ADVICE}")
            if operation.name in ("STACK_GLOBAL", "INST"):
                raise InputError(f"{path} cannot be read safely (it asks for what it does not name); {_ADVICE}")


def _check(path: Path, promised: object, network: torch.nn.Module) -> None:
    if not isinstance(promised, dict) or not all(isinstance(value, Tensor) for value in promised.values()):
        raise InputError(f"{path} holds more than named tensors; save the model's state_dict alone and import that")
    checkpoint.check_names(promised, network, path)
    stored = sum(entry.file_size for entry in zipfile.ZipFile(path).infolist())
    needed = 0
    for name, tensor in promised.items():
        own = tensor.numel() * tensor.element_size()
        if not tensor.is_floating_point() or tensor.untyped_storage().nbytes() != own:
            raise InputError(f"{path}: {name} is not a plain floating-point tensor of its own storage; save it cloned")
        needed += own
    if stored < needed:
        raise InputError(f"{path} is truncated: {stored:,} bytes for {needed:,} bytes of weights; get it again")


def arguments() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m stages.networks.import_checkpoint",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="a guided-diffusion checkpoint, such as model.pt")
    parser.add_argument("target", type=Path, help="the checkpoint to write, such as denoiser.safetensors")
    parser.add_argument("--benchmark", default="brats2020", help="whose network it is (default: brats2020)")
    parser.add_argument("--network", choices=NETWORKS, default=UNet.SECTION, help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def main(options: Namespace) -> None:
    """Write the weights of `options.source`, raw and as averaged ones, once they are known to be the network's."""
    values = reading.benchmark(reading.load(options.params), options.benchmark)
    with torch.device("meta"):
        network = build.network(NETWORKS[options.network], options.network, values)
    tensors = read_foreign(options.source, network)
    # A foreign file has one set of weights; it stands for the averaged ones too.
    averaged = {checkpoint.EMA + name: tensor.clone() for name, tensor in tensors.items()}
    header = {
        "stage": "import_checkpoint",
        "source": options.source.name,
        "parameters": {"data": {key: values["data"][key] for key in ("size", "channels")}}
        | {options.network: {"network": values[options.network]["network"]}},
        "version": stages.__version__,
    }
    checkpoint.save(options.target, tensors | averaged, header)
    provenance.note(options.target, parameters=header["parameters"])
    print(f"{options.target}: {sum(tensor.numel() for tensor in tensors.values()):,} parameters")


if __name__ == "__main__":
    command.run(main, arguments())
