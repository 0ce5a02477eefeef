"""Work and its plain reference timed in turns, so that whatever slows the machine slows both."""

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from stages.device import peak_memory

REPETITIONS = 5
"""For how many a budget of seconds is laid out; at least three are made."""
MEMORY_SHARE = 0.7
"""Of the device's memory, what a batch is allowed."""
CLEAR_REFS = Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class Stretch:
    """Steps of one kind, each of which takes the same time.

    Attributes:
        path: starts them anew; yields after each.
        steps: how many there are, of which the first few may stand for all.
    """

    path: Callable[[], Iterator]
    steps: int = 1

    def run(self, most: int) -> None:
        """Make the first `most`, or all where there are fewer."""
        deque(islice(self.path(), min(self.steps, most)), maxlen=0)


@dataclass(frozen=True)
class Work:
    """What is timed.

    Attributes:
        stretches: its parts.
        batch: images that a network sees at once.
        images: that one go through all of it makes.
        context: of its arithmetic: precision, gradients.
        device: where it computes.
    """

    stretches: tuple[Stretch, ...]
    batch: int
    images: int
    context: Callable[[], AbstractContextManager]
    device: torch.device

    @property
    def steps(self) -> int:
        """All of them."""
        return sum(stretch.steps for stretch in self.stretches)

    def made(self, most: int) -> int:
        """Of all steps, those that are made where each stretch is cut off after `most`."""
        return sum(min(stretch.steps, most) for stretch in self.stretches)

    def timed(self, most: int) -> np.ndarray:
        """Seconds of each stretch, cut off after `most` steps, (stretches,)."""
        found = []
        with self.context():
            for stretch in self.stretches:
                synchronize(self.device)
                started = time.perf_counter()
                stretch.run(most)
                synchronize(self.device)
                found.append(time.perf_counter() - started)
        return np.array(found)

    def seconds(self, most: int) -> float:
        """What all of it takes: each stretch in proportion to its first `most` steps."""
        scale = [stretch.steps / min(stretch.steps, most) for stretch in self.stretches]
        return float(self.timed(most) @ scale)


@dataclass(frozen=True)
class Times:
    """Of work and its plain reference in turns.

    Attributes:
        here, plain: seconds of each repetition, (R,).
        most: steps after which each stretch was cut off.
    """

    here: np.ndarray
    plain: np.ndarray
    most: int


def in_turns(here: Work, plain: Work, budget: float) -> Times:
    """Time both, which have run before, one after the other for `budget` seconds, and at least three times.

    Stretches are cut off where `REPETITIONS` pairs would not fit.
    """
    pair = here.timed(1).sum() + plain.timed(1).sum()
    most = max(1, min(int(budget / REPETITIONS / pair), here.steps + plain.steps))
    found: list[tuple[float, float]] = []
    started = time.perf_counter()
    while len(found) < 3 or time.perf_counter() - started < budget:
        found.append((here.seconds(most), plain.seconds(most)))
    here_seconds, plain_seconds = np.array(found).T
    return Times(here_seconds, plain_seconds, most)


def largest_batch(most: int, make: Callable[[int], Work], budget: float) -> int:
    """The largest power of 2 below `most`, or `most`, for which time and memory do; `make` makes work of a batch.

    One step of each stretch is to take no more than a repetition's part of `budget` seconds. Time and memory are taken
    to grow in proportion from those of one image.
    """
    one = make(1)
    one.timed(1)
    before = forget_peak(one.device)
    seconds = one.timed(1).sum()
    each = max(peak_memory() - before, 1.0)
    free = MEMORY_SHARE * memory(one.device) - before
    sizes = [*(2**power for power in range(most.bit_length()) if 2**power < most), most]
    fit = [size for size in sizes if size * seconds * REPETITIONS <= budget and size * each <= free]
    return max(fit, default=1)


def quartiles(values: np.ndarray) -> tuple[float, float, float]:
    """The median, the lower and the upper quartile.

    >>> quartiles(np.array([3.0, 1.0, 2.0, 5.0, 4.0]))
    (3.0, 2.0, 4.0)
    """
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75]).tolist()
    return median, low, high


def synchronize(where: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def memory(where: torch.device) -> float:
    """All that the device has, in MB (10^6 bytes)."""
    if where.type == "cuda":
        return torch.cuda.get_device_properties(where).total_memory / 1e6
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6


def forget_peak(where: torch.device) -> float:
    """Let `peak_memory` count from now on, and return what is in use now, in MB.

    For a process on a CPU only Linux can forget; elsewhere the peak is that since its start.
    """
    gc.collect()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    elif CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")  # proc(5): sets the peak of the resident set to what it is now
    return peak_memory()
