"""A view of some rows is what an array of these rows would be."""

import numpy as np
import pytest

from stages.data.rows import Rows

ARRAY = np.random.default_rng(0).random((20, 2, 3, 3))
SCATTERED, CONSECUTIVE = np.array([1, 2, 3, 7, 11, 12, 19]), np.arange(4, 11)
KEYS = {
    "int": 3,
    "numpy int": np.int64(4),
    "negative": -1,
    "slice": slice(1, 5),
    "open slice": slice(2, None),
    "step": slice(0, 7, 2),
    "backwards": slice(None, None, -1),
    "empty": slice(3, 3),
    "ints": np.array([5, 0, 0, 3]),
    "list": [2, 1],
    "bools": np.array([True, False, True, True, False, False, True]),
    "no row": np.array([], int),
    "int and channel": (2, 1),
    "all of a channel": (slice(None), 1),
    "ints and channel": (np.array([6, 2]), 0),
    "slice and channels": (slice(0, 3), [1, 0]),
    "pairs": (np.array([6, 2]), [1, 0]),
    "last axis": (..., 0),
    "new axis": (None, slice(1, 3)),
}


@pytest.mark.parametrize("rows", [SCATTERED, CONSECUTIVE], ids=["scattered", "consecutive"])
@pytest.mark.parametrize("kind", KEYS)
def test_indexing(rows, kind):
    found, expected = Rows(ARRAY, rows)[KEYS[kind]], ARRAY[rows][KEYS[kind]]
    np.testing.assert_array_equal(found, expected)
    assert np.shape(found) == np.shape(expected)


@pytest.mark.parametrize("rows", [SCATTERED, CONSECUTIVE], ids=["scattered", "consecutive"])
def test_it_is_like_an_array(rows):
    part, copy = Rows(ARRAY, rows), ARRAY[rows]
    assert (part.shape, part.dtype, part.ndim, len(part)) == (copy.shape, copy.dtype, copy.ndim, len(copy))
    np.testing.assert_array_equal(np.asarray(part), copy)
    assert np.asarray(part, np.float32).dtype == np.float32
    np.testing.assert_array_equal(list(part), list(copy))
    with pytest.raises(IndexError):
        part[len(part)]


def test_rows_that_follow_each_other_are_not_copied():
    assert np.shares_memory(Rows(ARRAY, CONSECUTIVE)[1:5], ARRAY)
    assert np.shares_memory(np.asarray(Rows(ARRAY, CONSECUTIVE)), ARRAY)
    assert np.shares_memory(Rows(ARRAY, SCATTERED)[:3], ARRAY)
    assert not np.shares_memory(np.array(Rows(ARRAY, CONSECUTIVE)), ARRAY)


def test_rows_of_rows():
    np.testing.assert_array_equal(Rows(Rows(ARRAY, SCATTERED), np.array([1, 4])), ARRAY[[2, 11]])
