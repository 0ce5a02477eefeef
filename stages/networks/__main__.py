"""Print each network's parameters and floating-point operations for a benchmark of params.yaml."""

import argparse
import sys
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from stages import parameters
from stages.errors import InputError
from stages.networks import build


def main() -> None:
    """Count on the meta device: nothing is allocated, so the paper's sizes take a second."""
    parser = argparse.ArgumentParser(prog="python -m stages.networks", description=__doc__)
    parser.add_argument("benchmark", help="a name below `benchmarks` in params.yaml")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    options = parser.parse_args()
    try:
        values = parameters.benchmark(parameters.load(options.params), options.benchmark)
    except InputError as error:
        sys.exit(f"error: {error}")
    size, channels = values["data"]["size"], len(values["data"]["channels"])
    print(f"{options.benchmark}: {channels} x {size} x {size}")
    print(f"{'network':12}{'parameters':>15}{'GFLOPs forward':>17}{'forward + backward':>21}   (one image)")
    for name in build.NETWORKS:
        with torch.device("meta"):
            network = build.network(name, values)
            inputs = [torch.empty(1, channels, size, size), torch.zeros(1, dtype=torch.long)]
            if name == "ddpm":
                inputs.append(torch.zeros(1, dtype=torch.long))
            with FlopCounterMode(display=False) as forward:
                output = network(*inputs)
            with FlopCounterMode(display=False) as backward:
                output.sum().backward()
        count = sum(p.numel() for p in network.parameters())
        once, both = forward.get_total_flops(), forward.get_total_flops() + backward.get_total_flops()
        print(f"{name:12}{count:>15,}{once / 1e9:>17.2f}{both / 1e9:>21.2f}")


if __name__ == "__main__":
    main()
