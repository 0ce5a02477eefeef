"""What a table says of the images of a folder: a CSV, or JSON with lists of images below split and class."""

import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from stages.data import nearby
from stages.data.extraction import LEADS_OUT, leads_out
from stages.data.labelled_radiographs import TABLE_BYTES
from stages.errors import InputError
from stages.regular_files import read_text

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
class Row:
    """What folders or a table say of an image: its path below the raw folder, names from outer to inner, and more."""

    source: str
    names: Sequence[str]
    subject: str = ""
    mask: str = ""


def listed(raw: Path, options: dict) -> Iterator[Row]:
    """The rows of the table data.images.table: a CSV, or JSON with lists of images below split and class.

    Args:
        raw: the folder that holds it.
        options: data.images of params.yaml.

    Raises:
        InputError: it is not there, cannot be read, lists no image, or says what would be taken for something else.
    """
    name = options["table"]
    path = raw / name
    if leads_out(path, raw):
        raise InputError(f"{path} (data.images.table) {LEADS_OUT}: put the table itself there")
    try:
        text = read_text(path, TABLE_BYTES)
        if path.suffix.lower() == ".json":
            yield from _in_json(path, json.loads(text), (), raw)
            return
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
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
    if table.empty:
        raise InputError(f"{path} has no rows below its header: list an image in each")
    if "masks" not in options and "mask" in table and (named := [name for name in table["mask"] if name]):
        folder = os.path.commonpath([inside(raw, name).parent.relative_to(raw) for name in named]) or "."
        raise InputError(
            f"{path} names masks in its column mask, which are read where data.images.masks says where they lie: set "
            f"it to {{folder: {folder}}}, or take the column out"
        )
    _refuse_doubtful(path, table, "subject" in options)
    for row in table.reindex(columns=list(COLUMNS), fill_value="").itertuples(index=False):
        if row.split and row.split.lower() not in SPLIT_NAMES:
            raise _no_split(path, row.split, "empty")
        if not row.label:
            raise InputError(f"{path}: {row.image!r} has no label; give it one, or take its row out")
        yield Row(row.image, [part for part in (row.split, _word(row.label)) if part], row.subject, row.mask)


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


def _no_split(path: Path, name: str, otherwise: str) -> InputError:
    return InputError(f"{path}: {name!r} is no split; it may be {', '.join(SPLIT_NAMES)}, or {otherwise}")


def _word(label: str) -> str:
    """A label as `data.images.healthy` lists it: pandas writes 0 as 0.0 where another label of the column is missing.

    >>> _word("0.0"), _word("good")
    ('0', 'good')
    """
    try:
        return f"{float(label):g}"
    except ValueError:
        return label


def _in_json(path: Path, found: object, names: tuple[str, ...], raw: Path) -> Iterator[Row]:
    """{"train": {"0": [image, ...]}, "test": {"0": [...], "1": [...]}}, the images as named or in images/.

    Raises:
        InputError: a name beside those of splits, or around that of a class, is that of no split.
    """
    if isinstance(found, dict):
        others = [name for name in found if name.lower() not in SPLIT_NAMES]
        if others and len(others) < len(found):
            raise _no_split(path, others[0], "left out")
        for name, below in found.items():
            yield from _in_json(path, below, (*names, name), raw)
    elif isinstance(found, list) and all(isinstance(name, str) for name in found):
        if len(names) > 1 and not any(name.lower() in SPLIT_NAMES for name in names):
            raise _no_split(path, names[0], "left out")
        for name in found:
            yield Row(name if (raw / name).exists() else f"images/{name}", names)
    else:
        what = "/".join(names) or "what it holds"
        raise ValueError(
            f'{what} is no list of names of images: write {{"train": {{"0": ["a.png", ...]}}, "test": ...}}'
        )


def inside(raw: Path, name: str) -> Path:
    """A file below the raw folder, by a name that a manifest can hold."""
    relative = PurePosixPath(name)
    if (
        not relative.name
        or not name.isprintable()
        or max(len(part.encode("utf-8", "replace")) for part in relative.parts) > 255
    ):
        advice = "rename it, or correct its row in data.images.table"
        raise InputError(f"{raw}: {name!r} is no name of an image file that can be used: {advice}")
    if relative.is_absolute() or ".." in relative.parts or "\\" in name:
        raise InputError(f"{name!r} (data.images.table) leaves the raw data folder {raw}: name a file in it")
    return raw / relative
