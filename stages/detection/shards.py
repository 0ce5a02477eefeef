"""Shards: the slices that a job of detection goes through, cut into parts that jobs of their own go through.

Cuts lie between batches, so that a slice shares its batch with the same others whatever the number of shards: on one
device the results are the same bits.
"""

import json
from argparse import ArgumentTypeError
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from stages.errors import InputError
from stages.regular_files import read_regular
from stages.writing import replacing

FILE = "shard.json"
_BYTES = 2**16


@dataclass(frozen=True)
class Shard:
    """One of `count` shards.

    Attributes:
        number: which, from 1.
        count: how many there are.
    """

    number: int
    count: int

    @classmethod
    def named(cls, text: str) -> Self:
        """An argument NUMBER-of-COUNT, which is the name of the shard's folder too.

        >>> Shard.named("2-of-3")
        Shard(number=2, count=3)
        """
        number, of, count = text.partition("-of-")
        if not (of and number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise ArgumentTypeError(f"expected NUMBER-of-COUNT such as 2-of-3, got {text!r}")
        return cls(int(number), int(count))

    def rows(self, lengths: Mapping[str, int], batch: int) -> dict[str, "Part"]:
        """The shard's part of each of several splits, which are gone through one after another, `batch` rows at a time.

        Shards differ by at most one batch. Where there are fewer batches than shards, the last shards are empty.

        >>> [(split, part.bounds) for split, part in Shard(1, 2).rows({"validation": 7, "test": 3}, batch=2).items()]
        [('validation', (0, 6, 7)), ('test', (0, 0, 3))]
        >>> [(split, part.bounds) for split, part in Shard(2, 2).rows({"validation": 7, "test": 3}, batch=2).items()]
        [('validation', (6, 7, 7)), ('test', (0, 3, 3))]
        """
        batches = {split: -(-length // batch) for split, length in lengths.items()}
        total = sum(batches.values())
        count = max(1, min(self.count, total))
        first, last = (min(place, count) * total // count for place in (self.number - 1, self.number))
        found = {}
        for split, length in lengths.items():
            start, stop = (min(max(edge, 0) * batch, length) for edge in (first, last))
            found[split] = Part(start, stop, length)
            first, last = first - batches[split], last - batches[split]
        return found


@dataclass(frozen=True)
class Part:
    """Rows that follow each other.

    Attributes:
        start: the first.
        stop: the one after the last.
        of: how many rows there are, this part's and others'.
    """

    start: int
    stop: int
    of: int

    def __len__(self) -> int:
        return self.stop - self.start

    def within(self, batch: slice) -> slice:
        """The rows of a batch, which is counted from the part's first row, among all."""
        return slice(self.start + batch.start, self.start + batch.stop)

    @property
    def bounds(self) -> tuple[int, int, int]:
        """As JSON holds it."""
        return self.start, self.stop, self.of


WHOLE = Shard(1, 1)


def write(folder: Path, parts: Mapping[str, Part]) -> None:
    """Note beside a shard what it holds of each split."""
    with replacing(folder / FILE) as partial:
        partial.write_text(json.dumps({split: part.bounds for split, part in parts.items()}) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Part]:
    """What a shard holds of each split, as `write` noted it.

    Raises:
        InputError: it is not there, or no such note.
    """
    try:
        note = json.loads(read_regular(folder / FILE, _BYTES))
        parts = {split: Part(*bounds) for split, bounds in note.items()}
        for part in parts.values():
            whole = all(type(edge) is int for edge in part.bounds)
            if not whole or not 0 <= part.start <= part.stop <= part.of:
                raise ValueError(f"{part} is none")
        return parts
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder / FILE} is missing or damaged; delete {folder} and run Snakemake again") from error
