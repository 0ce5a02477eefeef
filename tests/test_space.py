"""A disk that is full is one sentence that says which, and how much is left."""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.lib import format as npy

from stages import space
from stages.data.store import create_array
from stages.detection.resumable import ResumableArrays
from stages.errors import InputError


@pytest.fixture
def full(monkeypatch):
    """No disk has room for a file of a megabyte; 0.5 MB are left."""

    def refuse(file, start, length):
        if length >= 1_000_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=500_000))


def test_a_reserved_file_is_not_sparse(tmp_path):
    npy.open_memmap(tmp_path / "a.npy", "w+", dtype=np.uint8, shape=(1_000_000,))
    sparse = os.stat(tmp_path / "a.npy").st_blocks
    space.reserve(tmp_path / "a.npy")
    taken = os.stat(tmp_path / "a.npy")
    assert sparse * 512 < 100_000
    assert taken.st_blocks * 512 >= taken.st_size == 1_000_128


def test_an_array_that_has_no_room_is_refused_before_it_is_filled(tmp_path, full):
    with (
        pytest.raises(InputError, match=r"maps needs 1.0 MB for an array, but its disk has 0.5 MB left: make"),
        create_array(tmp_path / "maps/maps.npy", (1000, 1000), np.uint8),
    ):
        pytest.fail("it began")
    assert list((tmp_path / "maps").iterdir()) == []


def test_a_detection_that_has_no_room_begins_once_there_is_some(tmp_path, full, monkeypatch):
    arrays = {"maps": ((4, 4), np.float16), "images": ((1000, 1000), np.uint8)}
    with pytest.raises(InputError, match=r"test needs 1.0 MB for an array, but its disk has 0.5 MB left"):
        ResumableArrays(tmp_path / "state/test", arrays, {})
    monkeypatch.undo()
    assert ResumableArrays(tmp_path / "state/test", arrays, {}).done == 0


def test_another_error_is_not_a_full_disk(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    (tmp_path / "a").write_bytes(b"a")
    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(OSError, match="Input/output"):
        space.reserve(tmp_path / "a")
    assert (tmp_path / "a").exists()


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)])
def test_what_is_full(number, full):
    assert space.is_full(OSError(number, "")) is full


def test_the_disk_with_least_room_is_named(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    free = {tmp_path / "a": 3_000_000, tmp_path / "b": 1_500_000}
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free[folder]))
    paths = [tmp_path / "a/not/there.csv", tmp_path / "b"]
    sentence = space.none_left(OSError(errno.ENOSPC, ""), paths)
    assert sentence.startswith(f"no space is left in {tmp_path / 'b'} (No space left on device; 1.5 MB are free now")
    named = space.none_left(OSError(errno.EDQUOT, "", str(tmp_path / "a/x")), paths)
    assert named.startswith(f"no space is left in {tmp_path / 'a'} (Disk quota exceeded; 3.0 MB")


def test_without_a_path_it_is_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert f"in {Path.cwd()} " in space.none_left(OSError(errno.ENOSPC, ""), [])
