"""Print each network's parameters and floating-point operations for a benchmark of params.yaml."""

import argparse
import importlib
import pkgutil
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from stages import command, networks
from stages.networks import build
from stages.networks.build import ListedNetwork
from stages.parameters import reading


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.networks", description=__doc__)
    parser.add_argument("benchmark", help="a name below `benchmarks` in params.yaml")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def listed() -> list[type[ListedNetwork]]:
    """The networks of this package's modules, so that a new one is listed by its class alone."""
    for module in pkgutil.iter_modules(networks.__path__):
        importlib.import_module(f"{networks.__name__}.{module.name}")
    return ListedNetwork.__subclasses__()


def count(kind: type[ListedNetwork], parameters: dict) -> tuple[int, int, int]:
    """Parameters of a network, and floating-point operations of one image forwards, and forwards and backwards.

    On the meta device: nothing is allocated, so the paper's sizes take a second.
    """
    size, channels = parameters["data"]["size"], len(parameters["data"]["channels"])
    with torch.device("meta"):
        network = build.network(kind, kind.SECTION, parameters, kind.PART)
        inputs = [torch.empty(1, channels, size, size), *(torch.zeros(1, dtype=torch.long) for _ in kind.INPUTS)]
    with FlopCounterMode(display=False) as forward:
        output = network(*inputs)
    with FlopCounterMode(display=False) as backward:
        sum(tensor.sum() for tensor in (output if isinstance(output, tuple) else [output])).backward()
    once = forward.get_total_flops()
    return sum(p.numel() for p in network.parameters()), once, once + backward.get_total_flops()


def main(options: argparse.Namespace) -> None:
    """Print a line a network: its name, parameters, and GFLOPs for one image."""
    values = reading.benchmark(reading.load(options.params), options.benchmark)
    size, channels = values["data"]["size"], len(values["data"]["channels"])
    print(f"{options.benchmark}: {channels} x {size} x {size}")
    print(f"{'network':30}{'parameters':>15}{'GFLOPs forward':>17}{'forward + backward':>21}   (one image)")
    for kind in listed():
        name = kind.SECTION if kind.PART == "network" else f"{kind.SECTION}.{kind.PART}"
        parameters, once, both = count(kind, values)
        print(f"{name:30}{parameters:>15,}{once / 1e9:>17.2f}{both / 1e9:>21.2f}")


if __name__ == "__main__":
    command.run(main, arguments())
