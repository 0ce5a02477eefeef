"""Room on the disk, taken before an array is filled, and in memory: one sentence where there is none left."""

import errno
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from stages.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def reserve(path: Path) -> None:
    """Take the room of a file that was made in its full length, but sparse, as numpy makes a memory map.

    Without, a disk that fills up while rows are written ends the process with a bus error, which nothing can catch.

    Raises:
        InputError: the disk has not that much left; the file is removed.
    """
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if not hasattr(os, "posix_fallocate"):  # macOS
            return
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if not is_full(error):
                raise
            path.unlink()
            free = _free(path.parent)
            raise InputError(
                f"{path.parent} needs {_megabytes(size)} for an array, but its disk has {_megabytes(free)} left: "
                "make room there and start again"
            ) from error


def is_full(error: OSError) -> bool:
    """Whether a disk, or a user's share of it, is used up."""
    return error.errno in _FULL


def is_out_of_memory(error: Exception) -> bool:
    """Whether an array was asked for that the machine's memory, or its card's, does not hold.

    Of torch, which is not imported for it: its CPU has no error of its own for that, its cards' has a name.
    """
    of_torch = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and of_torch)


def none_left(error: OSError, written: Iterable[Path]) -> str:
    """The sentence for an error that `is_full`: which folder, and how much its disk has left.

    Args:
        error: it names its file only where it arose when that was opened.
        written: what else the program may have written to. The one whose disk has least left is named.
    """
    paths = [Path(os.fsdecode(error.filename))] if error.filename else list(written)
    folders = [folder for folder in map(_existing, paths) if os.access(folder, os.W_OK)]
    folder = min(folders, key=_free, default=Path.cwd())
    return (
        f"no space is left in {folder} ({os.strerror(error.errno or 0)}; {_megabytes(_free(folder))} are free now that "
        "what was begun is removed): make room there and start again"
    )


def _existing(path: Path) -> Path:
    """The folder that a path lies in, or will."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _free(folder: Path) -> int:
    """Bytes that this user may still write."""
    return shutil.disk_usage(folder).free


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
