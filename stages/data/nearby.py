"""A raw data folder that was named one level too high or too low: which folder was meant."""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from stages.data.litter import is_litter

_ABOVE = 3
"""Levels: from a study of CheXpert to its tables."""
_BELOW = 3
_MOST = 10_000
"""Folders that are looked into: this is for a sentence, and the data set on a slow disk."""


def meant(raw: Path, holds: Callable[[Path], bool]) -> str:
    """The end of a sentence that says that `raw` lacks something: which folders around it or below have it.

    Args:
        raw: the folder that was named.
        holds: whether a folder has it.

    Returns:
        "; <folder> has it: set data.folder to that", or nothing where none has it.
    """
    above = (folder for folder in raw.resolve().parents[:_ABOVE] if holds(folder))
    found = list(islice(above, 1)) or _below(raw, holds)
    if not found:
        return ""
    if len(found) == 1:
        return f"; {_shown(found[0])} has it: set data.folder to that"
    more = f" and {len(found) - 2:,} more" if len(found) > 2 else ""
    return f"; {_shown(found[0])}, {_shown(found[1])}{more} have it: set data.folder to one of them"


def _below(raw: Path, holds: Callable[[Path], bool]) -> list[Path]:
    """Those nearest, all on one level."""
    level, left = [raw], _MOST
    for _ in range(_BELOW):
        level = list(islice((folder for one in level for folder in _folders(one)), left))
        if found := [folder for folder in level if holds(folder)]:
            return found
        left -= len(level)
    return []


def _folders(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir() and not is_litter(entry.name))
    except OSError:  # whoever reads the data set says so
        names = []
    return (folder / name for name in names)


def _shown(folder: Path) -> Path:
    """A folder as one would write it into params.yaml."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
