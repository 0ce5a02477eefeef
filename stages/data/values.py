"""The values of large arrays, a few megabytes at a time."""

import math
from collections.abc import Iterator

import numpy as np

from stages.data.rows import Rows

AT_ONCE = 1 << 22
"""Bytes."""


def batches(array: np.ndarray | Rows) -> Iterator[slice]:
    """The rows of an array, so many at a time that memory does not depend on their number."""
    step = max(1, AT_ONCE // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    return (slice(start, start + step) for start in range(0, len(array), step))


def lie_in_0_1(array: np.ndarray) -> bool:
    """Whether all values of an array do; NaN does not."""
    return all(_lie_in_0_1(array[rows]) for rows in batches(array))


def _lie_in_0_1(values: np.ndarray) -> bool:
    # Bits of halves from 0 to 1 are in the values' order, and compare many times as fast; those of -0, NaN are higher.
    if values.dtype == np.float16 and values.view(np.uint16).max() <= np.float16(1).view(np.uint16):
        return True
    return bool(values.min() >= 0 and values.max() <= 1)
