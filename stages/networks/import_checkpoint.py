"""Bring a checkpoint of others in as safetensors: guided-diffusion's, the paper's authors', MONAI's, diffusers'.

Nothing in the file is executed: it is read with `weights_only`, first without its data, and names, shapes and storage
sizes are held against the network that params.yaml describes before a single weight is loaded. What the weights do not
show is asked for, by an option that the message names.
"""

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path

import torch
from torch import Tensor

import stages
from stages import checkpoint, command, provenance
from stages.errors import InputError
from stages.networks import build, foreign_files, foreign_layouts
from stages.networks.foreign_layouts import Network, Told
from stages.networks.unet import EncoderClassifier, UNet
from stages.parameters import reading
from stages.regular_files import read_regular

NETWORKS: dict[str, type[Network]] = {kind.SECTION: kind for kind in (UNet, EncoderClassifier)}


def read_foreign(path: Path, network: Network, told: Told) -> dict[str, Tensor]:
    """The network's tensors from a file of others, float32, in this project's names and conventions.

    Args:
        path: a .pt, .ckpt or .safetensors file.
        network: whose tensors it holds, on any device; it is not changed.
        told: what the file does not show.

    Raises:
        InputError: missing, damaged, not to be read safely, another network's, or something was not told.
    """
    foreign_layouts.own(foreign_files.tensors(path, "meta"), network, told, path)
    tensors = foreign_layouts.own(foreign_files.tensors(path, "cpu"), network, told, path)
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name} is not finite; the checkpoint is of no use")
    return {name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}


def arguments() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m stages.networks.import_checkpoint",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, help="a checkpoint, such as model050000.pt")
    parser.add_argument(
        "target", type=Path, help="what to write, such as denoiser.safetensors; refused where it is there"
    )
    parser.add_argument("--benchmark", default="brats2020", help="whose network it is (default: brats2020)")
    parser.add_argument("--network", choices=NETWORKS, default=UNet.SECTION, help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    parser.add_argument(
        "--ema",
        type=Path,
        help="the averaged weights of the same training, such as ema_0.9999_050000.pt (default: source's)",
    )
    parser.add_argument("--prefix", help="what precedes the network's names, where source holds several networks")
    parser.add_argument("--ema-prefix", help="the same for the averaged weights (default: prefix)")
    parser.add_argument(
        "--healthy-class",
        type=int,
        choices=(0, 1),
        help="the label of healthy images in training: 0 for the authors' BraTS, 1 for their CheXpert",
    )
    parser.add_argument(
        "--variance",
        choices=("small", "large"),
        help="of a network that predicts the noise alone: sampled with the posterior's variance, or with beta",
    )
    parser.add_argument(
        "--head-channels", type=int, nargs="+", metavar="N", help="MONAI: num_head_channels, one or one for each level"
    )
    parser.add_argument("--norm-eps", type=float, metavar="EPS", help="MONAI: norm_eps (default: MONAI's, 1e-6)")
    return parser


def told_by(options: Namespace, path: Path, prefix: str | None) -> Told:
    """What the command line says about the file at `path`, with the config.json that lies beside it."""
    try:
        config = json.loads(read_regular(path.with_name("config.json"), 2**20))
    except (OSError, ValueError, RecursionError):
        config = None
    heads = tuple(options.head_channels) if options.head_channels else None
    config = config if isinstance(config, dict) else None
    return Told(prefix, options.healthy_class, heads, options.norm_eps, options.variance, config)


def main(options: Namespace) -> None:
    """Write the weights of `options.source`, and averaged ones, once they are known to be the network's.

    Raises:
        InputError: as `read_foreign`, or the target is there: it may be what a training of days has left.
    """
    if options.target.exists():
        raise InputError(f"{options.target} is there already: move it away or delete it, or name another target")
    values = reading.benchmark(reading.load(options.params), options.benchmark)
    with torch.device("meta"):
        network = build.network(NETWORKS[options.network], options.network, values)
    tensors = read_foreign(options.source, network, told_by(options, options.source, options.prefix))
    # A file with one set of weights stands for both.
    averaged = {name: value.clone() for name, value in tensors.items()}
    if options.ema or options.ema_prefix is not None:
        source = options.ema or options.source
        prefix = options.prefix if options.ema_prefix is None else options.ema_prefix
        averaged = read_foreign(source, network, told_by(options, source, prefix))
    header = {
        "stage": "import_checkpoint",
        "source": options.source.name,
        "parameters": {"data": {key: values["data"][key] for key in ("size", "channels")}}
        | {options.network: {"network": values[options.network]["network"]}},
        "version": stages.__version__,
    }
    if options.ema:
        header["ema_source"] = options.ema.name
    if options.healthy_class is not None:
        header["healthy_class"] = options.healthy_class
    checkpoint.save(
        options.target, tensors | {checkpoint.EMA + name: value for name, value in averaged.items()}, header
    )
    provenance.note(options.target, parameters=header["parameters"])
    print(f"{options.target}: {sum(tensor.numel() for tensor in tensors.values()):,} parameters")
    if isinstance(network, UNet) and not tensors["label_emb.weight"].any():
        print("It has no classes: methods whose classes differ between encoding and decoding have nothing to go by")
    described = values[options.network]["network"]
    unseen = ", ".join(f"{key} {described[key]}" for key in ("heads", "head_channels", "groups") if key in described)
    print(f"Taken from params.yaml, since weights do not show it: {unseen}, inputs in {values['intensity']}")


if __name__ == "__main__":
    command.run(main, arguments())
