"""Print the parameters and floating-point operations of each network that a benchmark of params.yaml uses.

What the benchmark as a whole takes is printed by `python -m stages.costs`.
"""

import argparse
from pathlib import Path

from stages import command, methods
from stages.networks import flops
from stages.parameters import reading


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.networks", description=__doc__)
    parser.add_argument("benchmark", help="a name below `benchmarks` in params.yaml")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def main(options: argparse.Namespace) -> None:
    """Print a line a network: its name, parameters, and GFLOPs for one image."""
    values = reading.benchmark(reading.load(options.params), options.benchmark)
    size, channels = values["data"]["size"], len(values["data"]["channels"])
    print(f"{options.benchmark}: {channels} x {size} x {size}")
    print(f"{'network':30}{'parameters':>15}{'GFLOPs forward':>17}{'forward + backward':>21}   (one image)")
    used = methods.networks_in_use(values)
    for kind in (one for one in flops.listed() if one.SECTION in used):
        name = kind.SECTION if kind.PART == "network" else f"{kind.SECTION}.{kind.PART}"
        found = flops.of(kind, values)
        print(f"{name:30}{found.parameters:>15,}{found.forward / 1e9:>17.2f}{found.training / 1e9:>21.2f}")


if __name__ == "__main__":
    command.run(main, arguments())
