"""Radiographs that tables label healthy or diseased -> one slice store: what the readers chexpert and nih share.

Each image is resampled by area to size x size pixels (its aspect ratio is not kept) and min-max scaled to [0, 1]. A
subject is a patient. Images are streamed: memory does not depend on their number. Written are, all or nothing:

  images.npy, manifest.csv   all good images; masks.npy where the reader's key `masks` names masks
  subjects.csv               every patient with a good image, the numbers of images, and the raw data set's split (both,
                             where a patient is in both)
  bad_cases.csv              what data.on_bad_case: skip left out, and why
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from stages.data import extraction
from stages.data.extraction import BadCaseError, Slice
from stages.data.radiographs import read_grey, read_mask, resample, to_unit_range
from stages.data.store import HEALTHY, IMAGE_DTYPE, MASK_DTYPE
from stages.errors import InputError
from stages.processes import in_order
from stages.regular_files import read_text

_LONGEST_NAME = 255
"""Characters of a folder's or file's name that file systems take."""
TABLE_BYTES = 2**28
"""Of a table, which is read into memory: a thousand for each of CheXpert's 224,000 images."""


@dataclass(frozen=True)
class Radiograph:
    """One row of a table that is used: an image with a certain label.

    Attributes:
        path: the image.
        source: its path below the data set's folder, as the manifest has it.
        folder: where images lie; a link may not lead out of it, unless into the raw folder.
        subject: the patient.
        slice_id: unique, such as patient00001_study1_view1.
        position: which of the patient's or the study's images, by its name; 0 where that does not say.
        label: HEALTHY or DISEASED.
        split: the raw data set's, train or test; empty where it does not say.
        table: the CSV file.
        row: number of the row there; the header is row 1.
    """

    path: Path
    source: str
    folder: Path
    subject: str
    slice_id: str
    position: int
    label: int
    split: str
    table: Path
    row: int

    def bad(self, reason: str) -> BadCaseError:
        """What is wrong with it, as an error that names table and row."""
        return BadCaseError(self.slice_id, str(self.table), f"row {self.row} ({self.source}): {reason}")


@dataclass(frozen=True)
class Table:
    """The rows that are used, sorted by slice_id; those that are bad; how many are both healthy and diseased."""

    radiographs: list[Radiograph]
    bad: list[BadCaseError]
    contradictory: int


@dataclass(frozen=True)
class Recipe:
    """What is made of a radiograph.

    Attributes:
        size: side of the slice, in pixels.
        masks: ending of the mask's name beside an image's, which replaces .jpg; None without masks.
    """

    size: int
    masks: str | None


def extract(table: Table, data: dict, raw: Path, output: Path, processes: int = 1) -> list[str]:
    """Write the store, subjects.csv and bad_cases.csv to `output`; all of them or none.

    Args:
        table: what the reader found.
        data: the section of params.yaml.
        raw: folder of the raw data set.
        output: folder to write to.
        processes: how many images are read at once; the outputs do not depend on it.

    Returns:
        A summary: one line of what was extracted, and one for whatever was left out.

    Raises:
        InputError: no image is good.
        BadCaseError: a row or its image is bad and data.on_bad_case is `stop`.
    """
    recipe = Recipe(data["size"], data[data["reader"]].get("masks"))
    find, read = partial(find_files, recipe=recipe, raw=raw), partial(read_radiograph, recipe=recipe, raw=raw)
    radiographs, bad = extraction.usable_cases(table.radiographs, find, read, data["on_bad_case"], processes, table.bad)
    with extraction.outputs(output, raw, 1, recipe.size, recipe.masks is not None) as outputs:
        subjects, empty = extraction.append_images(outputs, radiographs, in_order(read, radiographs, processes))
        outputs.finish(subjects, bad)
    lines = [*extraction.summary(subjects, bad), *empty]
    if table.contradictory:
        lines.append(f"left out: {table.contradictory:,} rows that are both healthy and diseased")
    return lines


def find_files(item: Radiograph, recipe: Recipe, raw: Path | None = None) -> None:
    """Look for a radiograph's image, and for its mask where there are masks.

    Raises:
        BadCaseError: one of them is missing, or a link that leads out of the folder.
    """
    paths = [item.path] if recipe.masks is None else [item.path, mask_path(item, recipe.masks)]
    for path in paths:
        if not path.is_file():
            raise item.bad(
                "the image is missing: put it there, or take the row out"
                if path is item.path
                else f"its mask {path.name} is missing: put it there"
            )
        if extraction.leads_out(path, item.folder) and (raw is None or extraction.leads_out(path, raw)):
            raise item.bad(f"{path.name} {extraction.LEADS_OUT}: copy it there")


def mask_path(item: Radiograph, ending: str) -> Path:
    """view1_frontal_mask.png beside view1_frontal.jpg, for the ending _mask.png."""
    return item.path.with_name(item.path.stem + ending)


def read_radiograph(item: Radiograph, recipe: Recipe, raw: Path | None = None) -> Slice:
    """Read a radiograph (and its mask) and make its slice.

    Raises:
        BadCaseError: anything is wrong with its files.
    """
    find_files(item, recipe, raw)
    try:
        grey = read_grey(item.path)
        image = to_unit_range(resample(grey, recipe.size)).astype(IMAGE_DTYPE)
    except ValueError as error:
        raise item.bad(f"the image {error}") from error
    if recipe.masks is None:
        return Slice(image[None], None)
    path = mask_path(item, recipe.masks)
    try:
        mask, any_lesion = read_mask(path, grey.shape, recipe.size)
    except ValueError as error:
        raise item.bad(f"its mask {path.name} {error}") from error
    if any_lesion and item.label == HEALTHY:
        raise item.bad(f"the row is healthy, but its mask {path.name} holds a lesion: correct one of them")
    return Slice(image[None], mask.astype(MASK_DTYPE))


def read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table as text: `columns`, its own name (`table`), and each row's number (`row`; the header is row 1).

    Raises:
        InputError: it cannot be read, or lacks a column.
    """
    try:
        content = io.StringIO(read_text(path, TABLE_BYTES))
        table = pd.read_csv(content, dtype=str, keep_default_na=False, skip_blank_lines=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable CSV file ({error}); put the data set's own file there") from error
    for column in columns:
        if column not in table:
            raise InputError(
                f"{path} lacks the column {column!r}; put the data set's own file there, or change the columns that "
                "params.yaml names (healthy, diseased)"
            )
    table = table[list(dict.fromkeys(columns))].fillna("")
    return table.assign(table=path.name, row=range(2, len(table) + 2))


def unusable(source: str) -> str | None:
    """Why a path below the data set's folder, as a table has it, can be in no manifest; None where it can."""
    parts = PurePosixPath(source).parts
    if not source.isprintable():
        return "the path holds a control character: rename it"
    if any(len(part) > _LONGEST_NAME for part in parts) or len(parts) > _LONGEST_NAME:
        return "the path is longer than any file's: correct it"
    if any(part.startswith(("=", "+", "@")) for part in parts):
        return "a name in the path begins as a spreadsheet's formula does (= + @): rename it"
    return None


def without_duplicates(items: Iterable[Radiograph]) -> tuple[list[Radiograph], list[BadCaseError]]:
    """The radiographs that are there once, and every copy of the others: none of them can be called the right one."""
    copies: dict[str, list[Radiograph]] = {}
    for item in items:
        copies.setdefault(item.slice_id, []).append(item)
    single = [group[0] for group in copies.values() if len(group) == 1]
    bad = []
    for group in copies.values():
        for item in group if len(group) > 1 else []:
            others = ", ".join(f"row {other.row} of {other.table.name}" for other in group if other is not item)
            bad.append(item.bad(f"the same view is there more than once (also {others}): leave one row"))
    return single, bad
