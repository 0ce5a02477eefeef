"""Which images a folder holds, of which class, split and subject: by its folders' names, a CSV or a JSON file."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath, PurePosixPath

import pandas as pd

from stages.data import nearby
from stages.data.extraction import LEADS_OUT, BadCaseError, leads_out
from stages.data.image_files import File, files_below, kinds, once
from stages.data.image_masks import Masks, index, is_mask_folder, masks_of, refuse_masks
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

COLUMNS = ("image", "label", "split", "subject", "mask")
"""Of a CSV: the first two are needed."""


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
    position = 0

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
    candidates = index(raw, masks) if masks else {}
    rows = list(_listed(raw, options, masks) if "table" in options else _in_folders(raw, masks))
    if not rows:
        there = kinds(file.path for file in files_below(raw, raw)) or "it is empty"
        raise InputError(
            f"the raw data folder {raw} holds no image ({', '.join(SUFFIXES)}) but {there}; put a folder a class there"
        )
    healthy = [name.lower() for name in options.get("healthy", HEALTHY_NAMES)]
    items = [_item(raw, row, healthy, options.get("subject"), masks, candidates) for row in rows]
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
            f"{_above_split(raw)}"
        )
    return items


def left_out(raw: Path, options: dict, items: Sequence[Item]) -> list[str]:
    """A line for each kind of file below the raw folder that is no item, no mask of one, and not the table."""
    files = {file.path: file.real for file in files_below(raw, raw)}
    read = {path for item in items for path in (item.path, *item.masks)} | {raw / options.get("table", "")}
    real = {files.get(path) for path in read}
    unread = [path for path in files if path not in read]
    again = [path for path in unread if files[path] in real]
    images = [path for path in unread if path.suffix.lower() in SUFFIXES and files[path] not in real]
    others = [path for path in unread if path.suffix.lower() not in SUFFIXES and files[path] not in real]
    masks = Masks.of(options)
    alone = masks.among(images, raw) if masks else set()
    unlisted = [path for path in images if path not in alone]
    lines = []
    for paths, what in (
        (again, "that are read by another name, as links"),
        (sorted(alone), "that could be masks, but of no image"),
        (unlisted, f"that {options.get('table')} does not list"),
        (others, f"of no kind that is read ({kinds(others)})"),
    ):
        if paths:
            lines.append(f"left out: {len(paths):,} files {what}, the first: {paths[0].relative_to(raw)}")
    return lines


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


def pictures(folder: Path, within: PurePath, masks: Masks | None) -> list[Path]:
    """The images in a folder and below, sorted, without masks; `within` is the folder's path below the raw folder.

    Raises:
        InputError: an image or a folder is called as if it were a mask or held some, and `masks` does not say so; or as
            `files_below` and `once`.
    """
    files = [file for file in files_below(folder, folder) if file.path.suffix.lower() in SUFFIXES]
    places = {Path(within / file.path.relative_to(folder)): file for file in files}
    known = masks.among(list(places), Path()) if masks else set()
    images = list(once(file for place, file in places.items() if place not in known))
    _refuse_mask_folders(folder, images)
    refuse_masks(image.path for image in images)
    return [image.path for image in images]


def _refuse_mask_folders(raw: Path, images: Sequence[File]) -> None:
    for folder in dict.fromkeys(image.path.parent for image in images):
        names = folder.relative_to(raw).parts
        found = next((level for level, name in enumerate(names) if is_mask_folder(name)), None)
        if found is None:
            continue
        place = raw.joinpath(*names[:found])
        own = found and any(name in SPLIT_NAMES and (place / name).is_dir() for name in SPLIT_NAMES)
        where = names[found] if own else "/".join(names[: found + 1])
        first = f"set data.folder to {place}, which is a data set of its own, and " if own else ""
        raise InputError(
            f"{folder}: the folder {names[found]} is called as if it held masks; {first}name it in "
            f"data.images.masks (folder: {where}), or rename it"
        )


def _above_split(raw: Path) -> str:
    """The end of a sentence where the folder that was named is called like a split, or lies in one that is."""
    real = raw.resolve()
    found = next((folder.parent for folder in (real, real.parent) if folder.name.lower() in SPLIT_NAMES), None)
    return f", or set data.folder to {found}, of which {raw} is a part" if found else ""


def _listed(raw: Path, options: dict, masks: Masks | None) -> Iterator[_Row]:
    """The rows of the table data.images.table: a CSV, or JSON with lists of images below split and class."""
    name, subjects = options["table"], "subject" in options
    path = raw / name
    if leads_out(path, raw):
        raise InputError(f"{path} (data.images.table) {LEADS_OUT}: put the table itself there")
    try:
        if path.suffix.lower() == ".json":
            yield from _in_json(raw, json.loads(path.read_text(encoding="utf-8")), ())
            return
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
        if not isinstance(table.index, pd.RangeIndex):  # pandas has moved the columns by one
            raise ValueError("its rows have more fields than its header: name them all there")
        table = table.rename(columns=str.strip).apply(lambda column: column.str.strip())
    except FileNotFoundError:
        meant = nearby.meant(raw, lambda folder: (folder / name).is_file()) or ": put it there"
        raise InputError(f"{path} (data.images.table) cannot be read (it is not there){meant}") from None
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} (data.images.table) cannot be read ({reason})") from error
    for column in COLUMNS[:2]:
        if column not in table:
            there = ", ".join(map(repr, table.columns[:8]))
            needed = " and ".join(COLUMNS[:2])
            raise InputError(
                f"{path} lacks the column {column!r}; it needs {needed}, with commas between (it has {there})"
            )
    if masks is None and "mask" in table and (named := [name for name in table["mask"] if name]):
        folder = os.path.commonpath([_inside(raw, name).parent.relative_to(raw) for name in named]) or "."
        raise InputError(
            f"{path} names masks in its column mask, which are read where data.images.masks says where they lie: set "
            f"it to {{folder: {folder}}}, or take the column out"
        )
    _refuse_doubtful(path, table, subjects)
    for row in table.reindex(columns=list(COLUMNS), fill_value="").itertuples(index=False):
        if row.split and row.split.lower() not in SPLIT_NAMES:
            raise InputError(f"{path}: {row.split!r} is no split; it may be {', '.join(SPLIT_NAMES)}, or empty")
        if not row.label:
            raise InputError(f"{path}: {row.image!r} has no label; give it one, or take its row out")
        yield _Row(row.image, [part for part in (row.split, _word(row.label)) if part], row.subject, row.mask)


def _refuse_doubtful(path: Path, table: pd.DataFrame, subjects: bool) -> None:
    """Refuse what would be taken for something else without a word.

    Args:
        path: the CSV.
        table: its text.
        subjects: whether data.images.subject says whose an image is.
    """
    if twice := table["image"][table["image"].duplicated()].tolist():
        raise InputError(f"{path} lists {twice[0]!r} more than once: leave one row of it")
    if split := next((label for label in table["label"] if label.lower() in SPLIT_NAMES), None):
        raise InputError(
            f"{path}: the label {split!r} is the name of a split: put it in the column split, or rename it"
        )
    patient = next((name for name in table if re.sub(r"[-_ ]|id$", "", name.lower()) in ("patient", "subject")), None)
    if patient and "subject" not in table and not subjects:
        raise InputError(
            f"{path} has the column {patient!r}, but patients are kept in one split by a column called 'subject': "
            "rename it"
        )


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
    raw: Path,
    row: _Row,
    healthy: list[str],
    subject: str | None,
    masks: Masks | None,
    candidates: dict[str, list[Path]],
) -> Item:
    relative, path = PurePosixPath(row.source), _inside(raw, row.source)
    splits = [SPLIT_NAMES[name.lower()] for name in row.names if name.lower() in SPLIT_NAMES]
    classes = [name for name in row.names if name.lower() not in SPLIT_NAMES]
    split = splits[0] if splits else ""
    if not classes and split != "train":
        raise InputError(
            f"{path}: nothing says whether it is healthy; put it into a folder that is called like its class, or name "
            f"a CSV with the columns image and label in data.images.table{_above_split(raw)}"
        )
    # Images to train on without a class are healthy: that is how sets for anomaly detection come.
    label = HEALTHY if not classes or classes[-1].lower() in healthy else DISEASED
    slice_id = slice_id_of(relative)
    named = (_inside(raw, row.mask),) if row.mask else masks_of(raw, row.source, masks, candidates) if masks else ()
    return Item(path, row.source, slice_id, row.subject or _subject(slice_id, subject), label, split, named)


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
