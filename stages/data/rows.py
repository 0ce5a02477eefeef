"""A part of a slice store's array: some of its rows, read when they are asked for."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike


class Rows:
    """Some rows of an array as if they were an array of their own; nothing is read before it is indexed.

    Index it as the array that it stands for; `np.asarray` reads all of it. A slice of rows that follow each other is
    read as one piece.

    Args:
        array: (N, ...), memory-mapped.
        rows: (n,) of its indices, sorted.

    >>> part = Rows(np.arange(12).reshape(6, 2), np.array([1, 2, 5]))
    >>> part.shape, part[2].tolist(), part[:, 0].tolist()
    ((3, 2), [10, 11], [2, 4, 10])
    """

    def __init__(self, array: "np.ndarray | Rows", rows: np.ndarray) -> None:
        self._array, self._rows = array, rows
        self.shape: tuple[int, ...] = (len(rows), *array.shape[1:])
        self.dtype: np.dtype = array.dtype
        self.ndim: int = array.ndim

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is None or first is Ellipsis:
            return np.asarray(self)[key]
        rows = self._rows[first]
        if not isinstance(first, slice):
            return self._array[(rows, *rest)]
        found = self._array[_as_slice(rows)]
        return found[(slice(None), *rest)] if rest else found

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[:], dtype, copy=copy)


def _as_slice(rows: np.ndarray) -> slice | np.ndarray:
    """Indices as a slice where each is one more than the last: then numpy reads one piece, and only when it must."""
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows
