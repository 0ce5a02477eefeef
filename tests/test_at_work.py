"""Snakemake's lock goes with the last one at work, and not before."""

import fcntl
import select
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from stages import at_work
from stages.errors import InputError

ANOTHER = """
import sys
from pathlib import Path
from stages import at_work
print("removed:", at_work.join(*map(Path, sys.argv[1:])), flush=True)
sys.stdin.read()
"""


@contextmanager
def another_at_work(lock):
    """Around another process, which holds a share of the lock until it is killed."""
    command = [sys.executable, "-c", ANOTHER, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "removed: False\n"
        yield
        process.kill()


@pytest.fixture
def stale(tmp_path):
    """What a run left that was killed."""
    (tmp_path / "run/locks").mkdir(parents=True)
    (tmp_path / "run/locks/0.input.lock").write_text("a\n")
    return tmp_path / "run/locks"


@pytest.fixture(autouse=True)
def released(monkeypatch):
    """The shares that a test takes end with it."""
    monkeypatch.setattr(at_work, "_held", held := [])
    yield
    for file in held:
        file.close()


def test_who_is_alone_removes_what_a_killed_run_left(tmp_path, stale):
    with another_at_work(tmp_path / "run/lock"):
        assert not at_work.join(tmp_path / "run/lock", stale)
        assert stale.is_dir()
    at_work._held.pop().close()
    assert at_work.join(tmp_path / "run/lock", stale)
    assert not stale.exists()


def test_the_lock_of_a_run_whose_job_lives_stays(tmp_path, stale, monkeypatch):
    monkeypatch.setenv(at_work.VARIABLE, str(tmp_path / "run/lock"))
    at_work.join_run()
    command = [sys.executable, "-c", ANOTHER, str(tmp_path / "run/lock"), str(stale)]
    other = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert other.stdout == "removed: False\n"
    assert stale.is_dir()


def test_what_another_computer_left_stays(tmp_path, stale, monkeypatch):
    (tmp_path / "run/lock").write_text("elsewhere\n")
    assert not at_work.join(tmp_path / "run/lock", stale)
    assert stale.is_dir()
    assert (tmp_path / "run/lock").read_text().split() == ["elsewhere", socket.gethostname()]


def test_computers_are_forgotten_where_no_lock_is_left(tmp_path):
    (tmp_path / "lock").write_text("elsewhere\n")
    assert not at_work.join(tmp_path / "lock", tmp_path / "locks")
    assert (tmp_path / "lock").read_text().split() == [socket.gethostname()]


def test_a_job_without_a_run_joins_nothing(monkeypatch):
    monkeypatch.delenv(at_work.VARIABLE, raising=False)
    at_work.join_run()
    assert at_work._held == []


def test_a_folder_that_cannot_be_written_changes_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert not at_work.join(tmp_path / "file/lock", tmp_path)
    assert tmp_path.is_dir()


def test_a_folder_has_one_writer(tmp_path):
    with at_work.only_one(tmp_path / "state"):
        with pytest.raises(InputError, match="another process is at work in"), at_work.only_one(tmp_path / "state"):
            pass
        with at_work.only_one(tmp_path / "other"):
            pass
    with at_work.only_one(tmp_path / "state"):
        pass


def test_nobody_comes_in_between_while_a_run_is_alone(tmp_path):
    lock = tmp_path / "run/lock"
    at_work.join(lock)
    with at_work.alone() as alone:
        assert alone
        command = [sys.executable, "-c", ANOTHER, str(lock)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert select.select([other.stdout], [], [], 1)[0] == []
            fcntl.flock(at_work._held[0], fcntl.LOCK_SH)
            assert other.stdout.readline() == "removed: False\n"
            other.kill()


def test_who_is_not_alone_keeps_a_share(tmp_path, stale):
    lock = tmp_path / "run/lock"
    at_work.join(lock)
    with another_at_work(lock), at_work.alone() as alone:
        assert not alone
    command = [sys.executable, "-c", ANOTHER, str(lock), str(stale)]
    other = subprocess.run(command, input="", capture_output=True, text=True, check=True)
    assert other.stdout == "removed: False\n"
    assert stale.is_dir()


def test_without_a_lock_nobody_is_known_to_be_at_work():
    with at_work.alone() as alone:
        assert alone
