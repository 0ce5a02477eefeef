import subprocess
import sys

import pytest

from stages.writing import replacing


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "table [1].csv"


def names(path):
    return sorted(file.name for file in path.parent.iterdir())


def test_replacing_is_all_or_nothing(path):
    with replacing(path) as partial:
        partial.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert names(path) == [path.name]


def test_what_lies_beside_is_left_alone(path):
    mine = [
        f"{path.name}.partial",
        f".{path.name}.partial",
        f".{path.name}.mine.partial",
        ".table 1.csv.01234567.partial",
    ]
    path.parent.mkdir()
    for name in mine:
        (path.parent / name).write_text("mine")
    with replacing(path) as partial:
        partial.write_text("made")
    assert names(path) == sorted([*mine, path.name])
    assert {(path.parent / name).read_text() for name in mine} == {"mine"}


KILLED = """
import os, signal, sys
from pathlib import Path
from stages.writing import replacing

with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_goes_with_the_next(path):
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, path], check=False)
        (left,) = path.parent.iterdir()
        assert left.match(".*.partial"), "as .gitignore and .dvcignore have it"
    with replacing(path) as partial:
        partial.write_text("whole")
    assert names(path) == [path.name]
