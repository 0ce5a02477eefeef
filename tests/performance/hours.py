"""The hours that stages/costs expects of a benchmark beside those that follow from steps that were timed here."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import torch

from stages.costs import measured, slices
from stages.costs.hardware import DEVICES, Device
from stages.costs.work import Work, work
from stages.device import Precision, Processor
from stages.networks.compiled import Compile

from .work import TRAINED, Size


def lines(size: Size, precision: Precision, table: pd.DataFrame, how: Compile, processor: Processor) -> Iterator[str]:
    """A line a part of the benchmark whose steps were timed in `precision`, by the rows of `table` in that precision.

    Expected: as `python -m stages.costs --measure` does, by networks compiled as `how` says, and by the rate of
    stages/costs for CPU cores.
    """
    rows = table[(table["size"] == size.name) & (table["side"] == "here")].set_index("what")
    if not {"forward", "guided step"} <= set(rows.index):
        return
    each = 1 / rows["images_per_second"]
    parameters = size.parameters | {"compile": how}
    found = slices.extracted(parameters, Path("results") / size.name)
    parts = [
        (one, seconds)
        for one in work(parameters, slices.assumed(parameters) if found is None else found)
        if one.precision == precision and (seconds := timed(one, size, each)) is not None
    ]
    if not parts:
        return
    passes = dict.fromkeys(kind for one, _ in parts for kind in one.passes)
    an_image = {kind: measured.of(parameters, kind, processor) for kind in passes}
    listed = _listed(processor.device)
    yield ""
    heads = ["by --measure", "by stages.costs", "by timed steps", "ratios"]
    yield f"{size.name + ', hours':32}" + "".join(f"{head:>17}" for head in heads)
    for one, seconds in parts:
        expected = [measured.seconds(an_image, one), *([listed.seconds(one)] if listed else [])]
        ratios = " ".join(f"{value / seconds:.2f}" for value in expected)
        hours = [f"{value / 3600:.4g}" for value in (*expected, seconds)]
        if listed is None:
            hours.insert(1, "")
        yield f"{one.chapter + ', ' + one.name:32}" + "".join(f"{value:>17}" for value in (*hours, ratios))


def timed(part: Work, size: Size, each: Mapping[str, float]) -> float | None:
    """Seconds of a part of a benchmark, by those of the steps that it consists of; None where these were not timed.

    Args:
        part: by stages/costs.
        size: of the benchmark.
        each: seconds an image, by what was timed.
    """
    if part.chapter == "training" and part.name in TRAINED:
        seconds = each.get(f"training step, {part.name}")
        return None if seconds is None else part.evaluations * seconds
    if part.chapter == "latents":
        return part.evaluations * each["forward"]
    method = size.parameters["methods"].get(part.name, {})
    if part.chapter == "detection" and method.get("detector") == size.method["detector"]:
        # A guided step evaluates both networks, one of them with a gradient; the others only the denoiser.
        return part.slopes * each["guided step"] + (part.evaluations - 2 * part.slopes) * each["forward"]
    return None


def _listed(where: torch.device) -> Device | None:
    """What stages/costs knows of 2 CPU cores, for as many threads as there are; None on a card."""
    if where.type == "cuda":
        return None
    (pair,) = [device for device in DEVICES if device.name == "2 CPU cores"]
    share = torch.get_num_threads() / 2
    return Device(pair.name, share * pair.float32, share * pair.mixed, pair.source)
