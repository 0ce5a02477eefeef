"""Who is at work where, by locks that the kernel takes back when a process ends, however it ends.

Snakemake's own lock is a list of files, without a word about whose it is: after SIGKILL or a power cut it stays, and
the next run refuses. Here every run, and every job of it, holds a share of one lock for as long as it lives: who gets
all of it is alone, and what Snakemake's lock says is then of a run that is gone.
"""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout

from stages.errors import InputError

VARIABLE = "BENCHMARK_AT_WORK"
"""The environment variable that names the lock to the jobs of a run."""

_held: list[TextIO] = []  # open for as long as the process lives


def join(lock: Path, stale: Path | None = None) -> bool:
    """Take a share of `lock`, and keep it until this process ends; before, remove `stale` if nobody else is at work.

    Some network file systems keep such locks on each computer by itself. So the file holds the names of the computers
    that were at work: where another's is among them, nothing is removed.

    Args:
        lock: made where missing. Where it cannot be made or locked nothing happens.
        stale: the folder of Snakemake's locks; None: of no concern.

    Returns:
        Whether `stale` was there and is removed.
    """
    host, removed = socket.gethostname(), False
    try:
        lock.parent.mkdir(exist_ok=True)
        file = lock.open("a+", encoding="utf-8")
        if stale is not None and _alone(file):
            left = stale.is_dir() and any(stale.iterdir())  # Snakemake leaves the empty folder behind
            if left and _hosts(file) <= {host}:
                shutil.rmtree(stale)
                removed = True
            if removed or not left:
                file.truncate(0)
        fcntl.flock(file, fcntl.LOCK_SH)
        _held.append(file)
        _name_host(file)
    except OSError:  # a folder that is not ours to write, a file system without locks
        pass
    return removed


@contextmanager
def alone() -> Iterator[bool]:
    """Whether no other run and no job is at work here; who comes while the block lasts waits in `join`.

    True as well where `join` could take no lock. Another computer that keeps its locks by itself is not noticed.
    """
    try:
        yield all(_alone(file) for file in _held)
    finally:
        for file in _held:
            fcntl.flock(file, fcntl.LOCK_SH)  # to ask for all of a lock may lose the share
            with suppress(OSError):
                _name_host(file)


def _name_host(file: TextIO) -> None:
    if (host := socket.gethostname()) not in _hosts(file):
        print(host, file=file, flush=True)


def _hosts(file: TextIO) -> set[str]:
    file.seek(0)
    return set(file.read().split())


def _alone(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def join_run() -> None:
    """Count this job among those at work in the folder of the run that started it, if one did."""
    if VARIABLE in os.environ:
        join(Path(os.environ[VARIABLE]))


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Refuse to write to a folder that another process writes to, such as one that a killed Snakemake left.

    Raises:
        InputError: another process holds the folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{folder}.lock", timeout=0):
            yield
    except Timeout:
        raise InputError(f"another process is at work in {folder}: let it finish, or end it, then try again") from None
