"""Whether reduced precision finds what float32 does: the gate that `paper.detection.precision` has to pass.

On the test slices of the first repeat of each BENCHMARK, whose networks are trained, the method of `figures.method` is
run at its reported setting, slices to noise and back, in float32 and in each reduced precision that this device
computes itself. x_t is float64 outside the networks in all of them. Compared with float32:

- dice_average_otsu, dice_own_otsu, auroc: the mean over the scored slices may differ by LIMITS;
- map: the mean of |map - map in float32|, as a share of the mean map in float32;
- round_trip: the mean of |x - x_0| at s = 0, over that in float32.

Dice and AUROC are judged where enough slices are scored, and given elsewhere. Prints what it finds, writes it as CSV,
and fails where the precision of params.yaml's `paper`, as this device computes it, does not hold.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import torch

from stages import command, repeats
from stages.data.store import SliceStore, open_split
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.job import Computing, Pieces
from stages.detection.sampling import DETECTOR, RoundTrip
from stages.detection.trade_off_maps import Meter, Work, run
from stages.device import Precision, computed, describe, leased
from stages.errors import InputError
from stages.evaluation.scores import score_slices
from stages.figures.results import reported
from stages.methods import networks, of, settings
from stages.parameters import reading
from stages.parameters.sections import section
from stages.writing import replacing

REFERENCE: Precision = "32-true"
SCORES = ("dice_average_otsu", "dice_own_otsu", "auroc")
LIMITS = dict.fromkeys(SCORES, 0.005) | {"map": 0.01, "round_trip": 1.5}
"""How far a reduced precision may be from float32."""
ENOUGH = 20
"""Scored slices from which on a mean of scores is judged."""


@dataclass(frozen=True)
class Found:
    """What one precision gives.

    Attributes:
        maps: (N, H, W) float16, as detection keeps them.
        error: the mean of |x - x_0| at s = 0, images spanning [0, 1].
        seconds: an image, to noise and back at s.
    """

    maps: np.ndarray
    error: float
    seconds: float


@dataclass(frozen=True)
class Row:
    """A line of the CSV: one quantity of one precision of one benchmark.

    Attributes:
        float32, reduced: its value in either; of a map, its mean.
        difference: what `limit` holds for.
        limit: None where the difference is not judged.
        holds: whether the difference is within the limit; True where there is none.
        speed: seconds in float32 over those in the reduced precision.
    """

    benchmark: str
    device: str
    precision: str
    slices: int
    quantity: str
    float32: float
    reduced: float
    difference: float
    limit: float | None
    holds: bool
    speed: float


def find(method: GuidedDdim, store: SliceStore, parameters: dict) -> Found:
    """Run `method` on the slices of `store` as its job's `parameters` say, in the precision of its processor."""
    trip, device = RoundTrip.of(parameters), method.processor.device
    work = Work(
        images=torch.from_numpy(store.images[:].astype(np.float32)).to(device),
        slice_ids=store.manifest["slice_id"].tolist(),
        healthy=torch.ones(len(store), dtype=torch.bool, device=device),  # every slice has a round trip
        trip=trip,
        scales=[trip.scale, 0],
        pieces=Pieces(Computing.of(parameters).batch),
        difference=parameters["detection"]["difference"],
    )
    with torch.no_grad(), method.processor.autocast():
        result = run(method.model, Meter(), work)
    (seconds, _), (_, error) = result["costs"]
    return Found(result["maps"][0], float(error), float(seconds))


def judge(reference: Found, found: Found, store: SliceStore, lesion_pixels_at_256: float) -> Iterator[dict]:
    """The quantities of a reduced precision beside float32's: quantity, float32, reduced, difference, limit, holds."""
    frames = [
        score_slices(one.maps, store.masks, store.manifest, lesion_pixels_at_256, "the gate")
        for one in (reference, found)
    ]
    scored = frames[0]["scored"] == 1
    for name in SCORES if scored.any() else ():
        exact, reduced = (float(frame.loc[scored, name].mean()) for frame in frames)
        yield _row(name, exact, reduced, abs(reduced - exact), judged=scored.sum() >= ENOUGH)
    exact_maps, maps = (one.maps.astype(np.float64) for one in (reference, found))
    mean = float(exact_maps.mean())
    yield _row("map", mean, float(maps.mean()), float(np.abs(maps - exact_maps).mean()) / mean)
    yield _row("round_trip", reference.error, found.error, found.error / reference.error)


def _row(quantity: str, float32: float, reduced: float, difference: float, judged: bool = True) -> dict:
    limit = LIMITS[quantity] if judged else None
    holds = limit is None or bool(difference <= limit)  # which nan is not
    return dict(quantity=quantity, float32=float32, reduced=reduced, difference=difference, limit=limit, holds=holds)


def compare(benchmark: str, parameters: dict, results: Path, precisions: list[Precision], threads: int) -> list[Row]:
    """All rows of a benchmark, whose merged `parameters` made the folder `results`.

    Raises:
        InputError: the method is none of DDIM, or something that the benchmark's run leaves is missing.
    """
    name, repeat = parameters["figures"]["method"], repeats.first(parameters)
    method = of(parameters)[name]
    if method["detector"] != DETECTOR:
        raise InputError(
            f"benchmarks.{benchmark}.figures.method names {name}, of detector {method['detector']}: the gate is for "
            f"one of {DETECTOR}"
        )
    setting = _reported(method, name, results)
    store = open_split(results / "data", results / f"split/fold{repeat.fold}.csv", "test")
    job = section(parameters, "detect", name, setting, repeat)
    folder = results / "checkpoints" / repeat.name
    checkpoints = {network: folder / f"{network}.safetensors" for network in networks(method, setting)}

    found: dict[str, Found] = {}
    for precision in (REFERENCE, *precisions):
        with leased(threads, precision) as processor:
            device = describe(processor.device)
            found[precision] = find(GuidedDdim(job, processor, checkpoints), store, job)
    reference = found.pop(REFERENCE)
    pixels = parameters["evaluation"]["lesion_pixels_at_256"]
    return [
        Row(benchmark, device, precision, len(store), **row, speed=reference.seconds / one.seconds)
        for precision, one in found.items()
        for row in judge(reference, one, store, pixels)
    ]


def _reported(method: dict, name: str, results: Path) -> dict:
    """The setting that params.yaml fixes, or that the validation subjects chose."""
    if method["setting"] != "validation":
        return method["setting"]
    chosen = reported(results / "tables/comparison.csv", [name])[name]
    return next(setting for setting in settings(method) if setting.name == chosen)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.performance.fidelity",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmarks", metavar="BENCHMARK", nargs="+", help="names below `benchmarks:` of params.yaml")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of all results (%(default)s)")
    parser.add_argument("--output", type=Path, default=Path("results/fidelity.csv"), help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    return parser


def main(options: argparse.Namespace) -> None:
    """Compare on every benchmark, print, write, and refuse what does not hold."""
    config = reading.load(Path(reading.FILE))
    reduced = [word for word in get_args(Precision) if word != REFERENCE and computed(word) == word]
    if not reduced:
        raise InputError("this device computes no reduced precision itself: run the gate where one is")
    rows: list[Row] = []
    for benchmark in options.benchmarks:
        parameters = reading.benchmark(config, benchmark)
        rows += compare(benchmark, parameters, options.results / benchmark, reduced, options.threads)
    table = pd.DataFrame([asdict(row) for row in rows])
    with replacing(options.output) as partial:
        table.to_csv(partial, index=False, float_format="%.6g")
    print(table.drop(columns="device").to_string(index=False, float_format="{:.4g}".format, na_rep=""))
    used = computed(config["paper"]["detection"]["precision"])
    if used == REFERENCE:
        print(
            f"paper.detection.precision is {REFERENCE}: nothing is refused; what does not hold is not to be set there"
        )
    refuse(rows, used)


def refuse(rows: list[Row], used: Precision) -> None:
    """InputError where the precision `used` does not hold."""
    for row in rows:
        if row.precision == used and not row.holds:
            raise InputError(
                f"{row.benchmark}: {row.quantity} differs by {row.difference:.3g} in {row.precision}, more than "
                f"{row.limit:g}: set paper.detection.precision in params.yaml to one that holds"
            )


if __name__ == "__main__":
    command.run(main, arguments())
