"""Print each network's parameters and floating-point operations for a benchmark of params.yaml."""

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stages import command
from stages.networks import build
from stages.parameters import reading


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.networks", description=__doc__)
    parser.add_argument("benchmark", help="a name below `benchmarks` in params.yaml")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def count(kind: type[nn.Module], parameters: dict) -> tuple[int, int, int]:
    """Parameters of a network, and floating-point operations of one image forwards, and forwards and backwards.

    On the meta device: nothing is allocated, so the paper's sizes take a second.
    """
    size, channels = parameters["data"]["size"], len(parameters["data"]["channels"])
    with torch.device("meta"):
        network = build.network(kind, kind.SECTION, parameters, getattr(kind, "PART", "network"))
        inputs = [torch.empty(1, channels, size, size), *(torch.zeros(1, dtype=torch.long) for _ in kind.INPUTS)]
    with FlopCounterMode(display=False) as forward:
        output = network(*inputs)
    with FlopCounterMode(display=False) as backward:
        sum(tensor.sum() for tensor in (output if isinstance(output, tuple) else [output])).backward()
    once = forward.get_total_flops()
    return sum(p.numel() for p in network.parameters()), once, once + backward.get_total_flops()


def main(options: argparse.Namespace) -> None:
    """Print a line a network."""
    values = reading.benchmark(reading.load(options.params), options.benchmark)
    size, channels = values["data"]["size"], len(values["data"]["channels"])
    print(f"{options.benchmark}: {channels} x {size} x {size}")
    print(f"{'network':30}{'parameters':>15}{'GFLOPs forward':>17}{'forward + backward':>21}   (one image)")
    for kind in build.all_networks():
        name = ".".join([kind.SECTION, *([kind.PART] if hasattr(kind, "PART") else [])])
        parameters, once, both = count(kind, values)
        print(f"{name:30}{parameters:>15,}{once / 1e9:>17.2f}{both / 1e9:>21.2f}")


if __name__ == "__main__":
    command.run(main, arguments())
