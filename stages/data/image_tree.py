"""Which images a folder holds, of which class, split and subject: by its folders' names, a CSV or a JSON file."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePath, PurePosixPath

from stages.data.extraction import BadCaseError
from stages.data.image_files import File, files_below, kinds, once
from stages.data.image_masks import Masks, index, is_mask_folder, masks_of, refuse_masks
from stages.data.image_patients import says_when_or_where
from stages.data.image_table import SPLIT_NAMES, Row, inside, listed
from stages.data.pixels import SUFFIXES
from stages.data.store import DISEASED, HEALTHY
from stages.errors import InputError
from stages.split_lists import spelling

HEALTHY_NAMES = ("good", "normal", "healthy", "negative", "no finding", "0")
"""What folders and labels of healthy images are called where data.images.healthy does not say it."""


_MOST = 4
"""Classes that a message names."""


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
        names: of folders on the way to it, but for split and class (which may be a time point: before, after), and of
            itself, any of which may name a patient.
    """

    path: Path
    source: str
    slice_id: str
    subject: str
    label: int
    split: str
    masks: tuple[Path, ...]
    names: tuple[str, ...] = ()
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
    rows = list(listed(raw, options) if "table" in options else _in_folders(raw, masks))
    if not rows:
        files = kinds(file.path for file in files_below(raw, raw))
        there = f"but {files}" if files else "and is empty"
        raise InputError(
            f"the raw data folder {raw} holds no image ({', '.join(SUFFIXES)}) {there}; put a folder a class there"
        )
    healthy = [name.lower() for name in options.get("healthy", HEALTHY_NAMES)]
    items = [_item(raw, row, healthy, options.get("subject"), masks, candidates) for row in rows]
    items.sort(key=lambda item: item.slice_id)
    for one, other in pairwise(items):
        if one.source == other.source:
            raise InputError(f"{raw / options['table']} lists {one.source!r} more than once: leave one of them")
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
        classes = list(dict.fromkeys(name for row in rows for name in row.names[-1:]))
        called = ", ".join(classes[:_MOST]) + (f" and {len(classes) - _MOST:,} more" if len(classes) > _MOST else "")
        raise InputError(
            f"{raw}: no image is healthy by its label or the folder that it lies in ({called}); say in "
            "data.images.healthy which of these are, or, where these are no classes, name a CSV with the columns image "
            f"and label in data.images.table{_above_split(raw)}{_unread(raw, options)}"
        )
    if all(item.label == HEALTHY for item in items):
        raise InputError(
            f"{raw}: no image is diseased, and so nothing could be scored; put some into a folder that is not called "
            f"{', '.join(healthy)} (data.images.healthy), or name them in a CSV (data.images.table)"
            f"{_above_split(raw)}{_unread(raw, options)}"
        )
    _refuse_two_spellings(raw, items, options)
    return items


def _unread(raw: Path, options: dict) -> str:
    """The end of a sentence where files of no kind that is read lie in the raw folder."""
    paths = [file.path for file in files_below(raw, raw) if file.path != raw / options.get("table", "")]
    others = kinds(path for path in paths if path.suffix.lower() not in SUFFIXES)
    return f"; not read: {others}" if others else ""


def _refuse_two_spellings(raw: Path, items: Sequence[Item], options: dict) -> None:
    first: dict[str, Item] = {}
    for item in items:
        # An image that nobody calls a subject's is one of its own: 1.png and 001.png are two.
        known = first.setdefault(spelling(item.subject), item) if item.subject != item.slice_id else item
        if known.subject != item.subject:
            where = "their names (data.images.subject)" if "subject" in options else raw / options["table"]
            raise InputError(
                f"{known.source} is of the subject {known.subject!r} and {item.source} of {item.subject!r}, which look "
                f"like one: spell it in one way in {where}"
            )


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
    if not any(item.split for item in items) and (advice := _above_split(raw)):
        lines.append(f"warning: no image has a split{advice}")
    for paths, what in (
        (again, "that are read by another name, as links"),
        (sorted(alone), "that could be masks, but of no image"),
        (unlisted, f"that {options.get('table')} does not list"),
        (others, f"of no kind that is read ({kinds(others)})"),
    ):
        if paths:
            lines.append(f"left out: {len(paths):,} files {what}, the first: {paths[0].relative_to(raw)}")
    return lines


def _in_folders(raw: Path, masks: Masks | None) -> Iterator[Row]:
    """<split>/<class>/<image>, either of the folders left out, others in between."""
    for path in pictures(raw, PurePath(), masks):
        relative = path.relative_to(raw)
        yield Row(relative.as_posix(), relative.parts[:-1])


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


def _item(
    raw: Path,
    row: Row,
    healthy: list[str],
    subject: str | None,
    masks: Masks | None,
    candidates: dict[str, list[Path]],
) -> Item:
    relative, path = PurePosixPath(row.source), inside(raw, row.source)
    splits = [SPLIT_NAMES[name.lower()] for name in row.names if name.lower() in SPLIT_NAMES]
    classes = [name for name in row.names if name.lower() not in SPLIT_NAMES]
    split = splits[0] if splits else ""
    if not classes and split != "train":
        raise InputError(
            f"{path}: nothing says whether it is healthy; put it into a folder that is called like its class, or name "
            f"a CSV with the columns image and label in data.images.table{_above_split(raw)}"
        )
    around = next((name for name in classes[:-1] if name.lower() in healthy), None)
    if around and classes[-1].lower() not in healthy:
        raise InputError(
            f"{path} lies in {around}, which is called healthy, and there in {classes[-1]}, which is not and would be "
            "its class: put it into the folder of its class, say in data.images.healthy what healthy classes are "
            "called, or name a CSV with the columns image and label in data.images.table"
        )
    # Images to train on without a class are healthy: that is how sets for anomaly detection come.
    label = HEALTHY if not classes or classes[-1].lower() in healthy else DISEASED
    slice_id = slice_id_of(relative)
    found = (inside(raw, row.mask),) if row.mask else masks_of(raw, row.source, masks, candidates) if masks else ()
    folders = (name for name in relative.parts[:-1] if name.lower() not in SPLIT_NAMES)
    names = (*(name for name in folders if name not in classes[-1:] or says_when_or_where(name)), relative.stem)
    return Item(path, row.source, slice_id, row.subject or _subject(slice_id, subject), label, split, found, names)


def slice_id_of(source: PurePath) -> str:
    """An image's path below the raw folder in one word, without the file's ending.

    >>> slice_id_of(PurePath("test/good/000.png"))
    'test_good_000'
    """
    return "_".join(source.with_suffix("").parts)


def _subject(slice_id: str, pattern: str | None) -> str:
    """The group of data.images.subject in an image's name; without it, each image is a subject."""
    if pattern is None:
        return slice_id
    found = re.search(pattern, slice_id)
    if found is None or not found[1]:
        raise InputError(f"data.images.subject ({pattern}) finds no subject in {slice_id}: correct it")
    return found[1]
