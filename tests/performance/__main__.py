"""Time networks, samplers and training steps on this device, beside a plain reference, as shares of the device's peak.

For each benchmark of --sizes: the U-Net's forward pass, a guided step (the same, the classifier's gradient, update), a
translation (encoding and decoding), the grid of the proposed method (encoded once, decoded at every setting), a step of
training of denoiser and classifier; weights and images are random. The plain reference (eager float32, one image at a
time, encoded anew for each setting) is timed in turns with it. What does not fit into --seconds is cut off after the
steps that do, and scaled by their number; all of it by networks that are compiled in each of the ways of --compile.
Writes performance.csv, operations.csv (where the time goes) and roofline as PNG, SVG and PDF, and prints the hours that
stages/costs expects beside those that follow from what was timed. docs/performance.md says more.
"""

import argparse
import os
import typing
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pandas as pd
import torch

from stages import command
from stages.device import Precision, Processor, leased
from stages.errors import InputError
from stages.figures import style
from stages.networks.compiled import Compile
from stages.parameters import reading
from stages.writing import replacing

from . import hours, roofline, work
from .measured import PRODUCT, Measured, Row, copy_row, machine, product_row, profiled, rows, with_shares
from .roofs import copies, matrix_products
from .timing import in_turns, largest_batch
from .work import WHAT, Size

UNQUIET = 0.05
"""Of the peak: how far it may lie from a second measurement at the end before the machine counts as busy."""


def arguments() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("python -m tests.performance", description=__doc__, formatter_class=formatter)
    words = typing.get_args(Precision)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="default: a CUDA card where there is one")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the CPU (default: all)")
    parser.add_argument("--precision", nargs="+", choices=words, default=["32-true", "bf16-mixed"], metavar="WORD")
    parser.add_argument("--sizes", nargs="+", default=["phantom-brain", "brats2020"], metavar="BENCHMARK")
    ways = [how for how in typing.get_args(Compile) if how != "auto"]
    words_of = "how networks are compiled (default: never; on a card, in all three ways)"
    parser.add_argument("--compile", nargs="+", choices=ways, metavar="WORD", help=words_of)
    parser.add_argument("--what", nargs="+", choices=WHAT, default=WHAT, metavar="WORK", help=f"of {', '.join(WHAT)}")
    parser.add_argument("--seconds", type=float, default=30, help="for each measurement (default: %(default)s)")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    parser.add_argument("--output", type=Path, default=Path("results/performance"), help="default: %(default)s")
    return parser


def main(options: argparse.Namespace) -> None:
    """Measure, write and draw."""
    if options.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    elif options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: PyTorch sees no card here; leave it out to measure the CPU")
    if options.seconds <= 0 or options.threads < 1:
        raise InputError("--seconds and --threads must be above 0")
    config = reading.load(options.params)
    sizes = [Size.of(config, name) for name in dict.fromkeys(options.sizes)]
    found: list[Row] = []
    profiles: list[pd.DataFrame] = []
    measured: set[str] = set()
    for precision in options.precision:
        with leased(options.threads, precision) as processor:
            if _name(processor) in measured:  # what a device cannot compute in, it computes in another
                print(f"{precision}: measured already, as {_name(processor)}", flush=True)
                continue
            measured.add(_name(processor))
            found += _roofs(processor, options.seconds)
            ways = options.compile or (["never"] if processor.device.type == "cpu" else ["never", "kernels", "graphs"])
            for size, what, how in product(sizes, options.what, ways):
                pair, profile = _pair(size, what, processor, how, options.seconds)
                found += pair
                profiles.append(profile)
                table = _write(found, profiles, options.output)
                print(_sentence(table.iloc[-2]), flush=True)
            found += _roofs(processor, options.seconds)
            table = _write(found, profiles, options.output)
            timed = table[(table["precision"] == _name(processor)) & (table["compile"] == ways[0])]
            for size in sizes:
                for line in hours.lines(size, precision, timed, ways[0], processor):
                    print(line)
    for line in _unquiet(table):
        print(line)
    style.save(roofline.draw(table), options.output, "roofline")


def _pair(size: Size, what: str, processor: Processor, how: Compile, budget: float) -> tuple[list[Row], pd.DataFrame]:
    """The rows of a work and its plain reference, and where the time of the former goes."""
    # What was made for the work before would count: a second batch size gets kernels for any size, a ninth gets none.
    torch.compiler.reset()
    # The same for all ways: a batch of one image that is only tried is not worth kernels.
    batch = largest_batch(size.batch(what), work.here(size, what, processor, "never"), budget)
    here = Measured.of(work.here(size, what, processor, how)(batch), work.operations(size, what))
    # The reference comes second, so that its weights are no part of the other's memory.
    plain = Measured.of(work.plain(size, what, processor.device)(batch), work.operations(size, what, again=True))
    sides = rows(here, plain, in_turns(here.work, plain.work, budget))
    names: Row = {"what": what, "size": size.name}
    pair = [
        names | {"side": side, "precision": precision, "compile": compiled} | row | machine(processor.device)
        for side, precision, compiled, row in zip(
            ("here", "plain"), (_name(processor), "float32"), (how, "never"), sides, strict=True
        )
    ]
    return pair, profiled(here.work).assign(**names, precision=_name(processor), compile=how)


def _roofs(processor: Processor, budget: float) -> list[Row]:
    """Products in float32, in which the reference computes, and in the run's type; copies."""
    where, found = processor.device, [copy_row(copies(processor.device, budget / 4))]
    for dtype in dict.fromkeys([torch.float32, _dtype(processor)]):
        found.append(product_row(matrix_products(where, dtype, budget)) | {"precision": _words(dtype)})
    return [row | machine(where) for row in found]


def _dtype(processor: Processor) -> torch.dtype:
    """In which products are computed: the precision that was asked for may not be known here."""
    square = torch.ones(1, 1, device=processor.device)
    with processor.autocast():
        return (square @ square).dtype


def _words(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _name(processor: Processor) -> str:
    return _words(_dtype(processor))


def _write(found: list[Row], profiles: list[pd.DataFrame], folder: Path) -> pd.DataFrame:
    """Both tables; returns that of the rows, with shares of the peak so far."""
    table = with_shares(found)
    for name, content in {"performance": table, "operations": pd.concat(profiles)}.items():
        with replacing(folder / f"{name}.csv") as partial:
            content.to_csv(partial, index=False, float_format="%.6g")
    return table


def _sentence(row: pd.Series) -> str:
    """What is printed of a row while the rest is being measured."""
    part = "" if row["steps_made"] == row["steps"] else f", {row['steps_made']:.0f} of {row['steps']:.0f} steps"
    return (
        f"{row['size']}, {row['precision']}, compile {row['compile']}, {row['what']}: batch {row['batch']:.0f}{part}, "
        f"{row['images_per_second']:.3g} images/s, {row['flops_per_second'] / 1e9:.0f} GFLOP/s, "
        f"{row['share_of_peak']:.0%} of the peak, {row['memory_mb']:.0f} MB; {row['speedup']:.2f} "
        f"({row['speedup_low']:.2f} to {row['speedup_high']:.2f}) times the plain reference"
    )


def _unquiet(table: pd.DataFrame) -> Iterator[str]:
    """A line for each peak that did not stay."""
    for precision, group in table[table["what"] == PRODUCT].groupby("precision"):
        low, high = group["flops_per_second"].agg(["min", "max"])
        if low < (1 - UNQUIET) * high:
            yield (
                f"the machine was not quiet: the fastest products in {precision} made {low / 1e9:.0f} to "
                f"{high / 1e9:.0f} GFLOP/s; shares are of the highest"
            )


if __name__ == "__main__":
    command.run(main, arguments())
