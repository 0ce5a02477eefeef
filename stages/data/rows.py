"""Parts of an array: some rows of a slice store's, read when asked for; the rows of one that there are."""

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


class Held:
    """The rows of an array that there are, by their numbers in the whole; what lies in between is not there.

    Index it as the whole array, by rows that it holds.

    Args:
        array: (n, ...), memory-mapped.
        rows: (n,) the numbers of its rows, ascending.
        count: N, of the whole.

    >>> held = Held(np.array([[10, 11], [20, 21]]), np.array([2, 5]), 7)
    >>> held.shape, held[5].tolist(), held[[2, 5], 0].tolist()
    ((7, 2), [20, 21], [10, 20])
    """

    def __init__(self, array: np.ndarray, rows: np.ndarray, count: int) -> None:
        self._array, self.rows = array, rows
        self._places = np.full(count, -1)
        self._places[rows] = np.arange(len(rows))
        self.shape: tuple[int, ...] = (count, *array.shape[1:])
        self.dtype: np.dtype = array.dtype
        self.ndim: int = array.ndim

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, key: Any) -> np.ndarray:
        first, *rest = key if isinstance(key, tuple) else (key,)
        places = self._places[first]
        if (places < 0).any():  # no IndexError, at which an iteration would just end
            raise KeyError(f"not all of the rows {first} are there")
        return self._array[(places, *rest)]


def held(array: "np.ndarray | Held") -> np.ndarray:
    """The numbers of an array's rows that are there, ascending: all but of a `Held`."""
    return array.rows if isinstance(array, Held) else np.arange(len(array))
