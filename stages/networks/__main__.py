"""Print each network's parameters and floating-point operations for a benchmark of params.yaml."""

import argparse
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from stages import command, parameters
from stages.networks import build
from stages.networks.fixed_point_gan import Discriminator, Generator
from stages.networks.unet import EncoderClassifier, UNet
from stages.networks.vae import Vae

NETWORKS = {"ddpm": UNet, "classifier": EncoderClassifier, "vae": Vae, "fixed_point_gan": Generator}


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.networks", description=__doc__)
    parser.add_argument("benchmark", help="a name below `benchmarks` in params.yaml")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    return parser


def main(options: argparse.Namespace) -> None:
    """Count on the meta device: nothing is allocated, so the paper's sizes take a second."""
    values = parameters.benchmark(parameters.load(options.params), options.benchmark)
    size, channels = values["data"]["size"], len(values["data"]["channels"])
    print(f"{options.benchmark}: {channels} x {size} x {size}")
    print(f"{'network':12}{'parameters':>15}{'GFLOPs forward':>17}{'forward + backward':>21}   (one image)")
    with torch.device("meta"):
        networks = {name: build.network(kind, name, values) for name, kind in NETWORKS.items()}
        networks["its critic"] = Discriminator(size, channels, **values["fixed_point_gan"]["discriminator"])
        image, number = torch.empty(1, channels, size, size), torch.zeros(1, dtype=torch.long)
    for name, network in networks.items():
        # Beside the image: timestep and class, timestep, nothing, class, nothing.
        others = {"ddpm": [number, number], "classifier": [number], "fixed_point_gan": [number]}.get(name, [])
        with FlopCounterMode(display=False) as forward:
            output = network(image, *others)
        with FlopCounterMode(display=False) as backward:
            sum(tensor.sum() for tensor in (output if isinstance(output, tuple) else [output])).backward()
        count = sum(p.numel() for p in network.parameters())
        once, both = forward.get_total_flops(), forward.get_total_flops() + backward.get_total_flops()
        print(f"{name:15}{count:>12,}{once / 1e9:>17.2f}{both / 1e9:>21.2f}")


if __name__ == "__main__":
    command.run(main, arguments())
