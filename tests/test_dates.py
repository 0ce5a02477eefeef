"""What lies in the future is dated back in its order: after what it may have been made of, before every edit."""

import errno
import os
from itertools import pairwise

import pytest

from stages import dates

NOW = 1_800_000_000
DAY = 86_400
LARGE = 100
"""Bytes from which Snakemake compares dates."""


@pytest.fixture
def dated(tmp_path):
    """A function that makes a file of a size and a date."""

    def make(name, date, size=1):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(size))
        os.utime(path, (date, date))
        return path

    return make


def set_back(paths):
    return dates.set_back(dates.of_the_future(paths, NOW, LARGE))


def dates_of(*paths):
    return [path.lstat().st_mtime for path in paths]


def test_what_is_of_the_future_comes_after_its_inputs_in_its_order_and_before_an_edit(dated):
    store = dated("data/.snakemake_timestamp", NOW - 7 * DAY)
    checkpoint = dated("checkpoint", NOW - 5 * DAY, LARGE + 1)
    edited, record = dated("module.py", NOW - 60), dated("record", NOW - 1)
    last, first = dated("tables", NOW + 2 * DAY), dated("maps", NOW + DAY)
    same = dated("maps too", NOW + DAY)
    paths = [last, store, first, record, checkpoint, same]
    assert set_back(paths).back == [first, same, last]
    assert all(earlier < later for earlier, later in pairwise(dates_of(store, checkpoint, first, last, edited, record)))
    assert dates_of(first) == dates_of(same)
    assert dates_of(store, checkpoint, edited, record) == [NOW - 7 * DAY, NOW - 5 * DAY, NOW - 60, NOW - 1]
    assert set_back(paths) == ([], [])


def test_where_all_was_made_under_the_wrong_clock_all_is_old(dated):
    paths = [dated(name, NOW + DAY) for name in ("data", "maps")]
    assert set_back(paths) == (paths, [])
    assert set(dates_of(*paths)) == {dates.OLDEST + 1e-6}


def test_a_clock_that_is_a_little_off_is_none_that_jumped(dated, tmp_path):
    path = dated("maps", NOW + dates.AHEAD)
    assert set_back([path, tmp_path / "gone", path / "below a file"]) == ([], [])
    assert dates_of(path) == [NOW + dates.AHEAD]


def test_a_link_is_dated_itself(dated, tmp_path):
    target = dated("elsewhere", NOW + DAY)
    (tmp_path / "link").symlink_to(target)
    os.utime(tmp_path / "link", (NOW + DAY, NOW + DAY), follow_symlinks=False)
    set_back([tmp_path / "link"])
    assert dates_of(target) == [NOW + DAY]
    assert dates_of(tmp_path / "link")[0] < NOW


def test_what_someone_else_owns_is_named_and_the_rest_is_dated_back(dated, monkeypatch):
    theirs, own, utime = dated("maps", NOW + DAY), dated("tables", NOW + 2 * DAY), os.utime

    def refused(path, *arguments, **options):
        if path == theirs:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        utime(path, *arguments, **options)

    monkeypatch.setattr(os, "utime", refused)
    found = set_back([theirs, own])
    assert found.back == [own]
    assert [sentence.partition(" is dated in the future")[0] for sentence in found.refused] == [str(theirs)]
    assert "(Operation not permitted): have its owner run" in found.refused[0]
