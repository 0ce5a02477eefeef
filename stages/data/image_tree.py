"""Which images a folder holds, of which class, split and subject: by its folders' names, a CSV or a JSON file."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath, PurePosixPath

import pandas as pd

from stages.data.extraction import LEADS_OUT, BadCaseError, leads_out
from stages.data.litter import is_litter
from stages.data.pixels import SUFFIXES
from stages.data.store import DISEASED, HEALTHY
from stages.errors import InputError

HEALTHY_NAMES = ("good", "normal", "healthy", "negative", "no finding", "0")
"""What folders and labels of healthy images are called where data.images.healthy does not say it."""

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "train",
    "valid": "train",
    "validation": "train",
    "test": "test",
    "testing": "test",
}
"""Folder names, in small letters, and the split that they mean: what others validate on is trained on here."""

MASK_NAMES = ("ground_truth", "annotation", "annotations", "mask", "masks", "segmentation", "segmentations")
"""Folders whose images are no pictures of anything, in small letters."""

COLUMNS = ("image", "label", "split", "subject", "mask")
"""Of a CSV: the first two are needed."""


_FURTHER = re.compile(r"_\d+$")
"""What the name of an image's second mask, and of every further one, ends in (BUSI: _mask_1)."""


@dataclass(frozen=True)
class Masks:
    """Where masks lie, as data.images.masks says.

    Attributes:
        folder: below the raw folder; None: beside the images.
        ending: what a mask's name has after its image's.
        replace: parts of an image's name, and what a mask's has in their place.
    """

    folder: str | None
    ending: str
    replace: dict[str, str]

    @classmethod
    def of(cls, options: dict) -> "Masks | None":
        """Out of data.images; None where a data set has no masks."""
        if "masks" not in options:
            return None
        given = options["masks"]
        return cls(given.get("folder"), given.get("ending", ""), given.get("replace", {}))

    def name(self, stem: str) -> str:
        """A mask's name, without the ending of the file, for an image's."""
        for part, instead in self.replace.items():
            stem = stem.replace(part, instead)
        return stem + self.ending


@dataclass(frozen=True)
class Item:
    """An image, before it is read.

    Attributes:
        path: the file.
        source: its path below the raw folder.
        slice_id: that path in one word, without the file's ending.
        subject: whose it is.
        label: HEALTHY or DISEASED.
        split: train, test, or empty where nothing says it.
        masks: the files, of which a lesion is where any is; none without a mask.
    """

    path: Path
    source: str
    slice_id: str
    subject: str
    label: int
    split: str
    masks: tuple[Path, ...]

    def bad(self, reason: str) -> BadCaseError:
        """What is wrong with it, as an error that names it."""
        return BadCaseError(self.slice_id, str(self.path), reason)


def find_images(raw: Path, options: dict) -> list[Item]:
    """All images below a folder, sorted by slice_id.

    Args:
        raw: the folder.
        options: data.images of params.yaml.

    Raises:
        InputError: there are none, the table is wrong, an image's class or subject cannot be told, or two have one
            name or mask.
    """
    masks = Masks.of(options)
    index = _index(raw, masks) if masks else {}
    rows = list(_listed(raw, options["table"]) if "table" in options else _in_folders(raw, masks))
    if not rows:
        raise InputError(
            f"the raw data folder {raw} holds no image ({', '.join(SUFFIXES)}); put a folder a class there"
        )
    healthy = [name.lower() for name in options.get("healthy", HEALTHY_NAMES)]
    items = [_item(raw, row, healthy, options.get("subject"), masks, index) for row in rows]
    items.sort(key=lambda item: item.slice_id)
    for one, other in pairwise(items):
        if one.slice_id == other.slice_id:
            raise InputError(f"{one.path} and {other.path} would both be called {one.slice_id}: rename one of them")
    owners: dict[Path, Item] = {}
    for item in items:
        for mask in item.masks:
            if (owner := owners.setdefault(mask, item)) is not item:
                raise InputError(
                    f"{owner.path} and {item.path} would both have the mask {mask}: name the masks in a CSV "
                    "(data.images.table)"
                )
    if all(item.label == DISEASED for item in items):
        raise InputError(
            f"{raw}: no image is healthy; say in data.images.healthy what their folders or labels are called"
        )
    return items


@dataclass(frozen=True)
class _Row:
    """What folders or a table say of an image: its path below the raw folder, names from outer to inner, and more."""

    source: str
    names: Sequence[str]
    subject: str = ""
    mask: str = ""


def _in_folders(raw: Path, masks: Masks | None) -> Iterator[_Row]:
    """<split>/<class>/<image>, either of the folders left out, others in between."""
    for path in pictures(raw, PurePath(), masks):
        relative = path.relative_to(raw)
        yield _Row(relative.as_posix(), relative.parts[:-1])


def pictures(folder: Path, within: PurePath, masks: Masks | None) -> Iterator[Path]:
    """The images in a folder and below, sorted, without masks; `within` is the folder's path below the raw folder.

    Raises:
        InputError: a folder is called as if it held masks, and `masks` does not name it.
    """
    for path in _files(folder):
        relative = within / path.relative_to(folder)
        if masks is not None:
            if masks.folder is not None and relative.is_relative_to(masks.folder):
                continue
            if masks.folder is None and _is_mask(path, masks):
                continue
        if found := next((name for name in relative.parts[:-1] if name.lower() in MASK_NAMES), None):
            raise InputError(
                f"{path}: the folder {found} is called as if it held masks; name it in data.images.masks.folder, or "
                "rename it"
            )
        yield path


def _is_mask(path: Path, masks: Masks) -> bool:
    """Whether a file beside images is the mask of one of them, or one of several."""
    return bool(masks.ending) and _FURTHER.sub("", path.stem).endswith(masks.ending)


def _files(folder: Path) -> Iterator[Path]:
    """The image files below a folder, hidden ones and what macOS adds left out."""
    for path in sorted(folder.rglob("*")):
        litter = any(map(is_litter, path.relative_to(folder).parts))
        if path.suffix.lower() in SUFFIXES and not litter and path.is_file():
            yield path


def _listed(raw: Path, name: str) -> Iterator[_Row]:
    """The rows of the table data.images.table: a CSV, or JSON with lists of images below split and class."""
    path = raw / name
    if leads_out(path, raw):
        raise InputError(f"{path} (data.images.table) {LEADS_OUT}: put the table itself there")
    try:
        if path.suffix.lower() == ".json":
            yield from _in_json(raw, json.loads(path.read_text(encoding="utf-8")), ())
            return
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} (data.images.table) cannot be read ({reason})") from error
    for column in COLUMNS[:2]:
        if column not in table:
            raise InputError(f"{path} lacks the column {column!r}; it needs {', '.join(COLUMNS[:2])}")
    for row in table.reindex(columns=list(COLUMNS), fill_value="").itertuples(index=False):
        if row.split and row.split.lower() not in SPLIT_NAMES:
            raise InputError(f"{path}: {row.split!r} is no split; it may be {', '.join(SPLIT_NAMES)}, or empty")
        if not row.label:
            raise InputError(f"{path}: {row.image!r} has no label; give it one, or take its row out")
        yield _Row(row.image, [part for part in (row.split, _word(row.label)) if part], row.subject, row.mask)


def _word(label: str) -> str:
    """A label as `data.images.healthy` lists it: pandas writes 0 as 0.0 where another label of the column is missing.

    >>> _word("0.0"), _word("good")
    ('0', 'good')
    """
    try:
        return f"{float(label):g}"
    except ValueError:
        return label


def _in_json(raw: Path, found: object, names: tuple[str, ...]) -> Iterator[_Row]:
    """{"train": {"0": [image, ...]}, "test": {"0": [...], "1": [...]}}, the images as named or in images/."""
    if isinstance(found, dict):
        for name, below in found.items():
            yield from _in_json(raw, below, (*names, name))
    elif isinstance(found, list) and all(isinstance(name, str) for name in found):
        for name in found:
            yield _Row(name if (raw / name).exists() else f"images/{name}", names)
    else:
        raise InputError(f"{raw} (data.images.table): {'/'.join(names)} is no list of names of images")


def _item(
    raw: Path, row: _Row, healthy: list[str], subject: str | None, masks: Masks | None, index: dict[str, list[Path]]
) -> Item:
    relative, path = PurePosixPath(row.source), _inside(raw, row.source)
    splits = [SPLIT_NAMES[name.lower()] for name in row.names if name.lower() in SPLIT_NAMES]
    classes = [name for name in row.names if name.lower() not in SPLIT_NAMES]
    split = splits[0] if splits else ""
    if not classes and split != "train":
        raise InputError(
            f"{path}: nothing says whether it is healthy; put it into a folder that is called like its class, or name "
            "a CSV with the columns image and label in data.images.table"
        )
    # Images to train on without a class are healthy: that is how sets for anomaly detection come.
    label = HEALTHY if not classes or classes[-1].lower() in healthy else DISEASED
    slice_id = slice_id_of(relative)
    found = _masks(raw, row, masks, index)
    return Item(path, row.source, slice_id, row.subject or _subject(slice_id, subject), label, split, found)


def slice_id_of(source: PurePath) -> str:
    """An image's path below the raw folder in one word, without the file's ending.

    >>> slice_id_of(PurePath("test/good/000.png"))
    'test_good_000'
    """
    return "_".join(source.with_suffix("").parts)


def _inside(raw: Path, name: str) -> Path:
    """A file below the raw folder, by a name that a manifest can hold."""
    relative = PurePosixPath(name)
    if (
        not relative.name
        or not name.isprintable()
        or max(len(part.encode("utf-8", "replace")) for part in relative.parts) > 255
    ):
        raise InputError(f"{raw}: {name!r} is no name of an image file that can be used: rename it")
    if relative.is_absolute() or ".." in relative.parts or "\\" in name:
        raise InputError(f"{name!r} (data.images.table) leaves the raw data folder {raw}: name a file in it")
    return raw / relative


def _subject(slice_id: str, pattern: str | None) -> str:
    """The group of data.images.subject in an image's name; without it, each image is a subject."""
    if pattern is None:
        return slice_id
    found = re.search(pattern, slice_id)
    if found is None or not found[1]:
        raise InputError(f"data.images.subject ({pattern}) finds no subject in {slice_id}: correct it")
    return found[1]


def _index(raw: Path, masks: Masks) -> dict[str, list[Path]]:
    """The files that can be masks, by their names without ending."""
    folder = raw / masks.folder if masks.folder is not None else raw
    if not folder.is_dir():
        raise InputError(f"{folder} (data.images.masks.folder) is no folder: correct it, or put the masks there")
    index: dict[str, list[Path]] = {}
    for path in _files(folder):
        for name in {path.stem, _FURTHER.sub("", path.stem)}:
            index.setdefault(name, []).append(path)
    return index


def _masks(raw: Path, row: _Row, masks: Masks | None, index: dict[str, list[Path]]) -> tuple[Path, ...]:
    """The mask that a table names, or those whose names fit the image's, of a folder of its name if there is one."""
    if masks is None:
        return ()
    if row.mask:
        return (_inside(raw, row.mask),)
    image, name = raw / row.source, masks.name(PurePosixPath(row.source).stem)
    found = [path for path in index.get(name, []) if path != image]
    if not masks.ending:  # a number is then a part of the image's own name
        found = [path for path in found if path.stem == name]
    if masks.folder is None:
        found = [path for path in found if path.parent == image.parent]
    same = [path for path in found if path.parent.name == image.parent.name]
    if masks.folder is not None and not same and {path.parent for path in found} != {raw / masks.folder}:
        return ()  # another class's, which has the same number
    return tuple(same or found)
