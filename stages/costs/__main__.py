"""Print what a benchmark of params.yaml takes before it runs: network evaluations, operations, hours, gigabytes.

Every repeat of it counts: training, encoding, detection at every setting, trade-off and trajectory. Evaluations are
counted by running the samplers with stand-ins for the networks, operations (matrix products and convolutions) on the
meta device. How many slices there are is read from results/NAME where the rules `extract` and `split` have run; before,
it is taken from data.published_slices and data.split, with every slice of a subject's range and the paper's share of
healthy ones (5,598 of 16,205 in training, 705 of 1,787 in test), or from --slices. Hours are estimates for one device
(stages/costs/hardware.py says what they rest on), without reading, scoring and drawing; --measure adds those of this
machine, by timing each kind of pass that the benchmark makes (stages/costs/measured.py): seconds at 64 pixels, minutes
at 256 on a CPU.
"""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from stages import command, repeats
from stages.costs import measured, slices
from stages.costs.hardware import DEVICES, SHARE
from stages.costs.passes import Pass
from stages.costs.slices import Labels
from stages.costs.work import Work, work
from stages.errors import InputError
from stages.parameters import reading
from stages.split_lists import SPLITS


def labels_of(options: argparse.Namespace, parameters: dict) -> tuple[Labels, str]:
    """The slices that a benchmark has, or is told or assumed to have, and a word for which."""
    if options.slices:
        if min(options.slices) < 0:
            raise InputError(f"--slices cannot be less than 0: {min(options.slices)}")
        return {
            split: slices.by_share(split, n) for split, n in zip(SPLITS, options.slices, strict=True)
        }, "by --slices"
    folder = Path("results") / options.benchmark
    if (found := slices.extracted(parameters, folder)) is not None:
        return found, f"as in {folder}"
    return slices.assumed(parameters), "assumed"


def table(parts: list[Work], an_image: Mapping[Pass, float] | None = None) -> Iterator[str]:
    """The lines that are printed: the parts, hours by device, sums; `an_image`: seconds an image on this machine."""
    yield f"{'':10} {'':17}{'times':>6}{'evaluations':>13}{'with gradient':>15}{'PFLOP':>11}{'GB':>8}  precision"
    for one in parts:
        columns = f"{one.times:>6,}{one.evaluations:>13,.0f}{one.slopes:>15,}{_short(one.flops / 1e15):>11}"
        yield f"{one.chapter:10} {one.name:17}{columns}{_short(one.bytes / 1e9):>8}  {one.precision}"
    chapters = list(dict.fromkeys(one.chapter for one in parts))
    yield ""
    yield f"{'hours (estimated)':20}" + "".join(f"{heading:>11}" for heading in (*chapters, "all"))
    if an_image is not None:
        yield _hours("this machine", parts, partial(measured.seconds, an_image), "measured here, pass by pass")
    for device in DEVICES:
        yield _hours(device.name, parts, device.seconds, device.source)
    plain, mixed = SHARE["float32"], SHARE["mixed"]
    yield f"GPUs: {plain:.0%} of the peak in float32 and {mixed:.0%} in mixed precision are assumed."
    training = sum(one.flops for one in parts if one.chapter == "training")
    latents = sum(one.bytes for one in parts if one.chapter == "latents")
    all_flops, all_bytes = sum(one.flops for one in parts), sum(one.bytes for one in parts)
    yield ""
    yield f"{_short(training / 1e15)} PFLOP of training, {_short((all_flops - training) / 1e15)} PFLOP of what follows"
    yield f"{_short((all_bytes - latents) / 1e9)} GB of maps and reconstructions, {_short(latents / 1e9)} GB of latents"


def _hours(name: str, parts: list[Work], taken: Callable[[Work], float], source: str) -> str:
    """A line of the table: hours of each chapter and of all, by the seconds that a part is said to take."""
    hours: dict[str, float] = {}
    for one in parts:
        hours[one.chapter] = hours.get(one.chapter, 0) + taken(one) / 3600
    numbers = (*hours.values(), sum(hours.values()))
    columns = "".join(f"{'< 0.01' if 0 < value < 0.01 else _short(value):>11}" for value in numbers)
    return f"{name:20}{columns}   {source}"


def _short(value: float) -> str:
    """A number of which two digits count, or all before the point.

    >>> [_short(value) for value in (12345.6, 12.34, 1.234, 0.01234, 0)]
    ['12,346', '12', '1.2', '0.012', '0']
    """
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def arguments() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m stages.costs", description=__doc__, formatter_class=formatter)
    parser.add_argument("benchmark", help="a name below `benchmarks` in params.yaml")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    parser.add_argument("--slices", type=int, nargs=3, metavar=("TRAIN", "VALIDATION", "TEST"), help="in each split")
    parser.add_argument("--measure", action="store_true", help="time the networks on this machine, too")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads to measure with; default: all")
    return parser


def main(options: argparse.Namespace) -> None:
    """Print the table."""
    parameters = reading.benchmark(reading.load(options.params), options.benchmark)
    labels, source = labels_of(options, parameters)
    counts = ", ".join(f"{len(labels[split]):,} {split}" for split in SPLITS)
    number = len(repeats.repeats(parameters))
    print(f"{options.benchmark}: slices {counts} ({source}); repeats {number}\n")
    parts = list(work(parameters, labels))
    passes = dict.fromkeys(one for part in parts for one in part.passes)
    for line in table(parts, measured.measure(parameters, passes, options.threads) if options.measure else None):
        print(line)


if __name__ == "__main__":
    command.run(main, arguments())
