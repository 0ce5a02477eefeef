"""Which files lie in a folder of images: links to folders are followed as far as they stay inside."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stages.data.extraction import LEADS_OUT
from stages.data.litter import is_litter
from stages.errors import InputError


@dataclass(frozen=True)
class File:
    """A file below the raw folder.

    Attributes:
        path: as it is called there.
        real: the file itself, where that is a link or lies below one.
        linked: whether it is.
    """

    path: Path
    real: str
    linked: bool


def files_below(folder: Path, raw: Path) -> list[File]:
    """All files below `folder`, sorted by path; hidden ones and what operating systems add are left out.

    Links that lead nowhere are files too, and so are pipes: who reads them says so.

    Args:
        folder: in the raw folder, or this itself.
        raw: the folder that no linked folder may lead out of.

    Raises:
        InputError: a link to a folder leads out of the raw folder, back to one that it lies in, or where another one
            leads; or a folder cannot be read.
    """
    start = os.path.realpath(folder)
    return sorted(_files(folder, start, False, (start,), os.path.realpath(raw), {}), key=lambda file: file.path)


def _files(
    folder: Path, real: str, linked: bool, above: tuple[str, ...], home: str, led_to: dict[str, Path]
) -> Iterator[File]:
    """The files below a folder, which is `real`; `above`: folders on the way there; `led_to`: where links led."""
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror}); check its permissions") from error
    for entry in entries:
        if is_litter(entry.name):
            continue
        path, link = folder / entry.name, entry.is_symlink()
        target = os.path.realpath(entry.path) if link else os.path.join(real, entry.name)
        if not _is_folder(entry):
            yield File(path, target, linked or link)
            continue
        if link:
            if not Path(target).is_relative_to(home):
                raise InputError(f"{path} {LEADS_OUT}: put its files there, or name their folder in data.folder")
            if target in above:
                raise InputError(f"{path} is a link back to a folder that it lies in: remove it")
            if (other := led_to.setdefault(target, path)) != path:
                raise InputError(f"{other} and {path} are links to one folder: remove one of them")
        yield from _files(path, target, linked or link, (*above, target), home, led_to)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def once(files: Iterable[File]) -> Iterator[File]:
    """Each image once: of one that lies in the folder and is linked there, the link, which says what it is used as.

    Raises:
        InputError: two links lead to one image.
    """
    files = list(files)
    links: dict[str, File] = {}
    for file in files:
        if file.linked and (other := links.setdefault(file.real, file)) is not file:
            raise InputError(f"{other.path} and {file.path} are links to one image: remove one of them")
    return (file for file in files if file.linked or file.real not in links)


def kinds(paths: Iterable[Path]) -> str:
    """What files there are, by the endings of their names, the three most frequent: "57,195 .h5, 1 .txt"."""
    found = Counter(path.suffix.lower() or "without an ending" for path in paths)
    return ", ".join(f"{count:,} {kind}" for kind, count in found.most_common(3))
