"""Which NIfTI volumes lie in a folder of BraTS cases, or in folders that stand for one, or for one sequence."""

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from stages.data.brats_names import SEQUENCE_OF, Volume, named, stem_of
from stages.data.litter import is_litter

_DEEPEST = 3
"""Levels of folders below one that stands for a volume in which it is looked for."""


def volumes_in(folder: Path) -> list[Volume]:
    """The NIfTI files that lie in a folder, and the folders in it that stand for one, sorted by name.

    Raises:
        OSError: it cannot be read.
    """
    return [volume for path in entries(folder) if (volume := named(path)) and _stands_for_one(volume)]


def _stands_for_one(volume: Volume) -> bool:
    nifti = stem_of(volume.path.name) != volume.path.name
    if not volume.path.is_dir():
        return nifti
    if nifti:
        return True
    return bool(volume.sequence) and len(list(nifti_files(volume.path))) == 1


def in_sequence_folders(folder: Path) -> list[Volume]:
    """The volumes in those folders below `folder` that are called like a sequence and nothing else.

    One with files of other sequences is none of these, but a time point called T1.
    """
    found: list[Volume] = []
    for path in entries(folder):
        if (sequence := SEQUENCE_OF.get(path.name.lower())) and path.is_dir():
            inside = [named(inner) for inner in entries(path)]
            if _of_none_but(sequence, inside):
                volumes = [Volume(case or stem_of(inner.name), sequence, inner) for case, _, inner, _ in inside]
                found += [volume for volume in volumes if _stands_for_one(volume) or _of_a_case(volume)]
    return found


def _of_a_case(volume: Volume) -> bool:
    """Whether a folder in one of a sequence is a case's: NIfTI files lie in it, of this sequence by all they say."""
    files = list(nifti_files(volume.path)) if volume.path.is_dir() else []
    return bool(files) and _of_none_but(volume.sequence, [named(path) for path in files])


def _of_none_but(sequence: str, volumes: list[Volume]) -> bool:
    return all(volume.sequence in ("", sequence) for volume in volumes)


@lru_cache(maxsize=8)
def by_case(folder: Path, _modified: int) -> dict[str, list[Volume]]:
    """The volumes of the cases that share a folder: listed once for all of them."""
    found: dict[str, list[Volume]] = {}
    for volume in (*volumes_in(folder), *in_sequence_folders(folder)):
        found.setdefault(volume.case, []).append(volume)
    return found


def entries(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(folder / entry.name for entry in entries if not is_litter(entry.name))


def nifti_files(folder: Path, deepest: int = _DEEPEST) -> Iterator[Path]:
    """The NIfTI files in a folder, and in folders in it."""
    for path in entries(folder):
        if path.is_dir():
            yield from nifti_files(path, deepest - 1) if deepest else ()
        elif stem_of(path.name) != path.name:
            yield path
