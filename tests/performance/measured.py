"""Rows of the table: what was timed, as rates and as shares of the device's peak."""

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from stages import device

from .roofs import COPIED, peak, traffic
from .timing import Times, Work, forget_peak, quartiles

Row = dict[str, object]
PRODUCT, COPY = "matrix product", "copy"
FEW = 12
"""Operations of a profile that are written down."""


@dataclass(frozen=True)
class Measured:
    """Work that has run once, which is counted and not timed.

    Attributes:
        work: what runs.
        first: seconds of the first step of each stretch, in which networks are compiled.
        flops: of all of it.
        bytes: that all of it moves (`Traffic`).
        memory: the peak of one step of each stretch, in MB: of the card or, without one, of the process.
    """

    work: Work
    first: float
    flops: float
    bytes: float
    memory: float

    @classmethod
    def of(cls, work: Work, operations: float) -> Self:
        """Work whose networks take `operations` FLOPs for each image of a batch."""
        first, moved = float(work.timed(1).sum()), traffic(work)
        forget_peak(work.device)
        work.timed(1)
        return cls(work, first, operations * work.batch, moved, device.peak_memory())

    def row(self, seconds: np.ndarray, most: int) -> Row:
        """Rates, from the seconds (R,) of all of it that follow from `most` steps of each stretch."""
        median, low, high = quartiles(seconds)
        return {
            "batch": self.work.batch,
            "images": self.work.images,
            "steps": self.work.steps,
            "steps_made": self.work.made(most),
            "repetitions": len(seconds),
            "first_seconds": self.first,
            "seconds": median,
            "seconds_low": low,
            "seconds_high": high,
            "images_per_second": self.work.images / median,
            "flops_per_second": self.flops / median,
            "bytes_per_second": self.bytes / median,
            "flops_per_byte": self.flops / self.bytes,
            "memory_mb": self.memory,
        }


def rows(here: Measured, plain: Measured, times: Times) -> tuple[Row, Row]:
    """Of work and its plain reference, whose ratio a repetition of both gives: seconds an image, plain by here."""
    ratios = (times.plain / plain.work.images) / (times.here / here.work.images)
    speedup = dict(zip(("speedup", "speedup_low", "speedup_high"), quartiles(ratios), strict=True))
    return here.row(times.here, times.most) | speedup, plain.row(times.plain, times.most)


def product_row(products: dict[int, np.ndarray]) -> Row:
    """Of matrix products by their side (`matrix_products`): the fastest alone."""
    side, rate = peak(products)
    median, low, high = quartiles(products[side])
    seconds = {"seconds": median, "seconds_low": low, "seconds_high": high}
    return {"what": PRODUCT, "size": side, "repetitions": len(products[side]), "flops_per_second": rate} | seconds


def copy_row(seconds: np.ndarray) -> Row:
    """Of copies, which read and write."""
    median, low, high = quartiles(seconds)
    found = {"seconds": median, "seconds_low": low, "seconds_high": high, "bytes_per_second": 2 * COPIED / median}
    return {"what": COPY, "size": COPIED, "repetitions": len(seconds)} | found


def with_shares(found: list[Row]) -> pd.DataFrame:
    """The table, with `share_of_peak`: FLOP/s by those of the fastest matrix product in the same precision."""
    table = pd.DataFrame(found)
    peaks = table[table["what"] == PRODUCT].groupby("precision")["flops_per_second"].max()
    table["share_of_peak"] = table["flops_per_second"] / table["precision"].map(peaks)
    return table


def machine(where: torch.device) -> Row:
    """What it was measured on."""
    name = device.describe(where)
    return {"device": name if where.type == "cuda" else f"{_processor()}, {name}", "torch": torch.__version__}


def _processor() -> str:
    """Its name, and the vector instructions that PyTorch takes."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({torch.backends.cpu.get_cpu_capability()})"


def profiled(work: Work) -> pd.DataFrame:
    """Where the time of one step of each stretch goes: the `FEW` operations that take most, and their shares."""
    cuda = work.device.type == "cuda"
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as found:
        work.timed(1)
    events = [event for event in found.key_averages() if (event.device_type == DeviceType.CUDA) == cuda]
    taken = {event.key: event.self_device_time_total if cuda else event.self_cpu_time_total for event in events}
    total = sum(taken.values())
    most = sorted(taken, key=taken.__getitem__, reverse=True)[:FEW]
    return pd.DataFrame({"operation": most, "share": [taken[name] / total for name in most]})
