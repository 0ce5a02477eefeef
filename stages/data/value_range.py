"""Whether images use the range that their files' type has: one of 12 bits in a file of 16 comes out almost black."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from stages.data.pixels import Pixels

LEAST = 0.25
"""Of the range of a type: what all images of a set together use less of does not go from black to white."""
_DEPTHS = (8, 10, 12, 14)
"""Bits that cameras and scanners store in 16."""


@dataclass(frozen=True)
class Range:
    """The values of one image, and what its type makes of them."""

    kind: str
    ends: tuple[float, float]
    low: float
    high: float

    @classmethod
    def of(cls, pixels: Pixels) -> Self:
        """Of an image whose values have the ends 0 and 1 where its type has none."""
        return cls(pixels.kind, pixels.ends or (0.0, 1.0), float(pixels.values.min()), float(pixels.values.max()))


@dataclass
class Used:
    """What all images of one kind of file together use.

    Attributes:
        low, high: least and greatest value.
        first, last: the same as shares of the way from black (0) to white (1) of each file's type.
        ends: black and white of one of the files.
        images: how many there are.
    """

    low: float = math.inf
    high: float = -math.inf
    first: float = math.inf
    last: float = -math.inf
    ends: tuple[float, float] = (0.0, 1.0)
    images: int = 0

    def scale(self) -> list[int]:
        """The window that shows these images, of whole bits where they are numbers without a sign."""
        top = next((2**bits - 1 for bits in _DEPTHS if self.high < 2**bits), None)
        return (
            [0, top]
            if top is not None and self.low >= 0 and top < self.ends[1]
            else [math.floor(self.low), math.ceil(self.high)]
        )


@dataclass
class Ranges:
    """What the images of a set use, by kind of file."""

    by_kind: dict[str, Used] = field(default_factory=dict)

    def add(self, one: Range) -> None:
        """One more image."""
        used = self.by_kind.setdefault(one.kind, Used())
        black, white = used.ends = one.ends
        used.low, used.high = min(used.low, one.low), max(used.high, one.high)
        used.first = min(used.first, (one.low - black) / (white - black))
        used.last = max(used.last, (one.high - black) / (white - black))
        used.images += 1

    def problems(self) -> Iterator[str]:
        """A sentence for each kind of file of whose range the images use less than `LEAST`."""
        for kind, used in self.by_kind.items():
            if used.last - used.first >= LEAST:
                continue
            if used.low == used.high:
                yield f"images of {kind} hold nothing but {used.low:g}: put others there"
                continue
            look = "almost black" if used.last < LEAST else "almost without contrast"
            yield (
                f"the {used.images:,} images of {kind} hold values from {used.low:g} to {used.high:g}, where black and "
                f"white are {used.ends[0]:g} and {used.ends[1]:g}, and would come out {look}; set data.images.scale "
                f"to {used.scale()}, or to min-max"
            )
