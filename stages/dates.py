"""Dates of results: none may lie in the future, where no edit is newer than they are."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

AHEAD = 60
"""Seconds; no clock of a file server is that far off."""
OLDEST = 315_532_800
"""1980-01-01, in seconds since 1970: the first date that every file system and archive knows."""


class Dated(NamedTuple):
    """What was dated in the future, in order; and of what cannot be dated back, as by someone else, a sentence each."""

    back: list[Path]
    refused: list[str]


def of_the_future(paths: Iterable[Path], now: float, compared: int) -> dict[Path, int]:
    """Results of the future with dates of the past: older than any edit since, in the order in which they were made.

    When they were made is not known: the clock that dated them was wrong. Snakemake takes an input that is newer for a
    changed one, unless it is small enough for a checksum and has the one that was noted. So what is dated in the future
    comes right after the newest result of the past that has no checksum, since it may have been made of it. Then an
    edited module is newer and reruns its jobs, and one that is as it was reruns none.

    Args:
        paths: files and folders; one that is gone meanwhile, or in a folder that is closed to us, is passed over.
        now: in seconds since 1970.
        compared: bytes up to which Snakemake compares checksums. A folder's date is that of its `.snakemake_timestamp`.

    Returns:
        Path -> the date that it should have, in nanoseconds since 1970, first to last.
    """
    past, future = [OLDEST * 10**9], []
    for path in paths:
        try:
            found = path.lstat()
        except OSError:
            continue
        if found.st_mtime > now + AHEAD:
            future.append((found.st_mtime_ns, path))
        elif path.name == ".snakemake_timestamp" or found.st_size > compared:
            past.append(found.st_mtime_ns)
    date, before, dates = max(past), 0, {}
    for original, path in sorted(future):
        date += 1000 * (original > before)  # what has one date keeps one; Snakemake tells microseconds apart
        before = original
        dates[path] = date
    return dates


def set_back(dates: Mapping[Path, int]) -> Dated:
    """Date files and folders back, as `of_the_future` says; one that is gone meanwhile is passed over."""
    result = Dated([], [])
    for path, date in dates.items():
        try:
            os.utime(path, ns=(date, date), follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError as error:
            result.refused.append(
                f"{path} is dated in the future, as by a clock that jumped, which hides edits, and cannot be dated "
                f"back ({error.strerror}): have its owner run `snakemake` here"
            )
        else:
            result.back.append(path)
    return result
