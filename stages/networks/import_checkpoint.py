"""Bring a checkpoint of openai/guided-diffusion (or of the paper's authors) in as safetensors.

Nothing in the file is executed: it is read with `weights_only`, first without its data, and names, shapes and storage
sizes are held against the network that params.yaml describes before a single weight is loaded.
"""

import pickle
import zipfile
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

import torch
from torch import Tensor

import stages
from stages import checkpoint, command
from stages.errors import InputError
from stages.networks import build
from stages.networks.unet import EncoderClassifier, UNet
from stages.parameters import reading

NETWORKS = {kind.SECTION: kind for kind in (UNet, EncoderClassifier)}
"""Those whose parameters are named as guided-diffusion names them."""


def read_foreign(path: Path, network: torch.nn.Module) -> dict[str, Tensor]:
    """The tensors of a .pt file, float32, after checking that they are exactly the network's.

    Raises:
        InputError: missing, damaged, more than tensors, or another network's.
    """
    advice = "only a state_dict saved by torch.save can be imported"
    try:
        if not zipfile.is_zipfile(path):  # the legacy format gives no sizes to check beforehand
            path.open("rb").close()
            raise InputError(f"{path} is damaged or not a zip-based .pt file; {advice}")
        promised = torch.load(path, map_location="meta", weights_only=True)
        _check(path, promised, network)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} is missing; name the .pt file to import") from None
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read safely ({reason}); {advice}") from error
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name} is not finite; the checkpoint is of no use")
    return {name: tensor.float() for name, tensor in tensors.items()}


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
    print(f"{options.target}: {sum(tensor.numel() for tensor in tensors.values()):,} parameters")


if __name__ == "__main__":
    command.run(main, arguments())
