"""Someone else's results, a folder or a zipped one: what a comparison reads of them, held to the crate's own list."""

import hashlib
import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from stages.errors import InputError
from stages.pages.ro_crate import FILE
from stages.regular_files import read_regular

WANTED = re.compile(
    r"(record/[^/]+/[^/]+/[^/]+\.csv|tables/provenance\.json|tables\.provenance\.json|tables/comparison\.csv|"
    + re.escape(FILE)
    + ")"
)
"""What a comparison reads, by its path in results/<benchmark>."""
MOST = 1 << 30
"""Bytes that are unpacked of one archive at most: records of thousands of slices are some MB."""
FILES = 100_000


@contextmanager
def opened(path: Path) -> Iterator[Path]:
    """The folder of a run: `path`, or what `WANTED` names out of a .zip, in a folder that is gone afterwards.

    Raises:
        InputError: it is neither, cannot be unpacked, or is not what its ro-crate-metadata.json lists.
    """
    if path.is_dir():
        _refuse_changed(path, path)
        yield path
        return
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is no folder and no .zip of one: name results/<benchmark>, or a crate of it")
    with TemporaryDirectory() as scratch:
        folder = _unpacked(path, Path(scratch))
        _refuse_changed(folder, path)
        yield folder


def _unpacked(path: Path, scratch: Path) -> Path:
    """Unpack what is wanted of an archive; its folder, named as in the archive or else as the archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            wanted = {entry: _within(entry.filename) for entry in archive.infolist() if not entry.is_dir()}
            found = {entry: place for entry, place in wanted.items() if place is not None}
            tops = {top for top, _ in found.values()}
            if len(tops) != 1:
                what = "no records of results" if not tops else f"several runs ({', '.join(sorted(map(str, tops)))})"
                raise InputError(f"{path} holds {what}: zip one folder results/<benchmark>")
            if sum(entry.file_size for entry in found) > MOST or len(found) > FILES:
                raise InputError(f"{path} would unpack to more than {MOST >> 20} MiB or {FILES:,} files of records")
            folder = scratch / (tops.pop().name or path.stem)
            for entry, (_, inner) in found.items():
                target = folder / inner
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("wb") as file:  # no more than file_size is read
                    shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be unpacked ({error}): fetch it again") from error
    return folder


def _within(name: str) -> tuple[PurePosixPath, PurePosixPath] | None:
    """The folder of the run in an archive, and a wanted file's path in it; None for what is not wanted.

    >>> _within("phantom-brain/tables/comparison.csv")
    (PurePosixPath('phantom-brain'), PurePosixPath('tables/comparison.csv'))
    >>> _within("../record/a/b/c.csv") is None
    True
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        return None
    for depth in range(len(path.parts)):
        inner = PurePosixPath(*path.parts[depth:])
        if WANTED.fullmatch(inner.as_posix()):
            return PurePosixPath(*path.parts[:depth]), inner
    return None


def _refuse_changed(folder: Path, named: Path) -> None:
    """Files that differ from what the crate's own metadata say of them were changed after it was made."""
    metadata = folder / FILE
    if not metadata.is_file():
        return
    try:
        entities = json.loads(read_regular(metadata, MOST))["@graph"]
        listed = {one["@id"]: one["sha256"] for one in entities if isinstance(one, dict) and "sha256" in one}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{named}: {FILE} is no metadata of a crate: write it again, or delete it") from error
    for name, digest in listed.items():
        if isinstance(name, str) and WANTED.fullmatch(name) and name != FILE:
            place = folder / name
            if not place.is_file():
                raise InputError(f"{named} lacks {name}, which its {FILE} lists: fetch it again, or write that anew")
            if hashlib.sha256(place.read_bytes()).hexdigest() != digest:
                raise InputError(
                    f"{named}: {name} is not what {FILE} lists: it was changed since, so fetch it again, or write that "
                    "anew"
                )
