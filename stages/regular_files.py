"""Files of someone else's, read whole: regular ones of a bounded size, and nothing that blocks or never ends."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EFBIG, EINVAL
from pathlib import Path
from typing import BinaryIO


def read_regular(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes.

    A pipe, a socket or a device is refused before a byte is waited for.

    Raises:
        OSError: missing or unreadable; no regular file; or larger. Its `strerror` says which.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(EFBIG, f"{size:,} bytes, where at most {most:,} are of use", str(path))
        content = file.read(most + 1)
    if len(content) > most:  # it grew
        raise OSError(EFBIG, f"more than {most:,} bytes", str(path))
    return content


def first_line(path: Path, most: int = 2**12) -> str:
    """The first line of a regular file, or its first `most` bytes, as UTF-8 without space around it.

    Raises:
        OSError: missing or unreadable, or no regular file.
        ValueError: it is not UTF-8.
    """
    with _opened(path) as file:
        return file.readline(most).decode("utf-8").strip()


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except ValueError as error:  # a NUL in the name
        raise OSError(EINVAL, str(error), str(path)) from error
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(EINVAL, "not a regular file", str(path))
        yield file


def read_text(path: Path, most: int) -> str:
    """The text of a regular file of at most `most` bytes that is UTF-8, with a byte order mark or without.

    Raises:
        OSError: as `read_regular`.
        ValueError: it is not UTF-8; says how it becomes that.
    """
    try:
        return read_regular(path, most).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("its text is not UTF-8: save it again as that, in Excel as CSV UTF-8") from error
