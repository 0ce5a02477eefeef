"""CheXpert's tables: train.csv and valid.csv -> the radiographs that a benchmark may use, and the rows that are bad."""

import io
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from stages.data.extraction import BadCaseError
from stages.data.store import DISEASED, HEALTHY
from stages.errors import InputError
from stages.regular_files import read_regular

TABLES = ("train.csv", "valid.csv")
PATH, VIEW = "Path", "Frontal/Lateral"
_BYTES = 2**28
"""Of a table, which is read into memory: a thousand for each of CheXpert's 224,000 images."""
_LONGEST_NAME = 255
"""Characters of a folder's or file's name that file systems take."""


@dataclass(frozen=True)
class Radiograph:
    """One row that is used: an image with a certain label.

    Attributes:
        path: the image.
        source: its path below the tree, patient folder and study included.
        subject: the patient's folder.
        slice_id: patient00001_study1_view1.
        view: the number in the image's name; 0 without one.
        label: HEALTHY or DISEASED.
        table: the CSV file.
        row: number of the row there; the header is row 1.
    """

    path: Path
    source: str
    subject: str
    slice_id: str
    view: int
    label: int
    table: Path
    row: int

    def bad(self, reason: str) -> BadCaseError:
        """What is wrong with it, as an error that names table and row."""
        return BadCaseError(self.slice_id, str(self.table), f"row {self.row} ({self.source}): {reason}")


@dataclass(frozen=True)
class Table:
    """The rows of both tables that are used, sorted by slice_id; those that are bad; how many are contradictory."""

    radiographs: list[Radiograph]
    bad: list[BadCaseError]
    contradictory: int


def find_tree(raw: Path, advice: str) -> Path:
    """The folder that holds train.csv and valid.csv: `raw` or one folder in it.

    Raises:
        InputError: there is none, more than one, or one of the tables is missing; `advice` says what belongs there.
    """
    try:
        folders = [raw, *sorted(path for path in raw.iterdir() if path.is_dir() and not path.name.startswith("."))]
    except OSError as error:
        raise InputError(f"the raw data folder {raw} cannot be read ({error.strerror}); put there {advice}") from error
    found = [folder for folder in folders if any((folder / name).is_file() for name in TABLES)]
    if not found:
        raise InputError(f"the raw data folder {raw} holds no train.csv; put there {advice}")
    if len(found) > 1:
        names = ", ".join(str(folder) for folder in found)
        raise InputError(
            f"the raw data folder {raw} holds more than one tree ({names}); set data.folder to one of them"
        )
    for name in TABLES:
        if not (found[0] / name).is_file():
            raise InputError(f"{found[0] / name} is missing; put it back, or a file with the header line alone")
    return found[0]


def read_table(tree: Path, healthy: str, diseased: str, view: str) -> Table:
    """Pool both tables of a tree.

    Args:
        tree: the folder that holds them.
        healthy: column with 1 for healthy images (`No Finding`).
        diseased: column with 1 for diseased images (`Pleural Effusion`).
        view: which rows of the column `Frontal/Lateral` are used.

    Raises:
        InputError: a table cannot be read or lacks a column, or no row has that view.
    """
    tables = [_read_csv(tree / name, (PATH, VIEW, healthy, diseased)) for name in TABLES]
    rows = pd.concat(tables, ignore_index=True)
    if (views := sorted(set(rows[VIEW]))) and view not in views:
        known = ", ".join(repr(name) for name in views[:4])
        raise InputError(
            f"{tree / TABLES[0]}: no row has {view!r} in the column {VIEW!r}, which holds {known}; "
            "change data.chexpert.view"
        )
    rows = rows[rows[VIEW] == view]
    labels = {}
    no_label = pd.Series(False, index=rows.index)
    for column in (healthy, diseased):
        number = pd.to_numeric(rows[column], errors="coerce")
        no_label |= (rows[column].str.strip() != "") & ~number.isin([-1, 0, 1])
        labels[column] = number == 1
    both = labels[healthy] & labels[diseased] & ~no_label
    rows = rows.assign(label=labels[diseased].map({True: DISEASED, False: HEALTHY}), no_label=no_label)
    rows = rows[((labels[healthy] | labels[diseased]) & ~both) | no_label]
    good, bad = [], []
    for table, row, path, label, is_bad, *texts in rows[
        ["table", "row", PATH, "label", "no_label", healthy, diseased]
    ].itertuples(index=False):
        item = _radiograph(tree, tree / table, row, path, label)
        if isinstance(item, BadCaseError):
            bad.append(item)
        elif is_bad:
            columns = ", ".join(
                f"{column!r}: {text!r}" for column, text in zip((healthy, diseased), texts, strict=True)
            )
            bad.append(item.bad(f"a label is none of 1, 0, -1 and blank ({columns})"))
        else:
            good.append(item)
    good, twice = _without_duplicates(good)
    return Table(sorted(good, key=lambda item: item.slice_id), bad + twice, int(both.sum()))


def _read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table as text: `columns`, its own name, and the row's number (the header is row 1)."""
    try:
        content = io.BytesIO(read_regular(path, _BYTES))
        table = pd.read_csv(content, dtype=str, keep_default_na=False, encoding="utf-8", skip_blank_lines=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable CSV file ({error}); put the data set's own file there") from error
    for column in columns:
        if column not in table:
            raise InputError(
                f"{path} lacks the column {column!r}; put the data set's own file there, or change data.chexpert"
            )
    table = table[list(dict.fromkeys(columns))].fillna("")
    return table.assign(table=path.name, row=range(2, len(table) + 2))


def _radiograph(tree: Path, table: Path, row: int, path: str, label: int) -> Radiograph | BadCaseError:
    """A row's radiograph; its image need not exist, but its path must name a patient, a study and an image."""
    given = PurePosixPath(path)
    parts = given.parts
    if parts and (parts[0] == tree.name or parts[0].lower().startswith("chexpert")):
        parts = parts[1:]  # the tree's own name, whatever the folder is called here
    reason = None
    if given.is_absolute() or "\\" in path or ".." in parts:
        reason = "the path leaves the data set's folder"
    elif not path.isprintable():
        reason = "the path holds a control character"
    elif any(len(part) > _LONGEST_NAME for part in parts) or len(parts) > _LONGEST_NAME:
        reason = "the path is longer than any file's"
    elif any(part.startswith(("=", "+", "@")) for part in parts):
        reason = "a name in the path begins as a spreadsheet's formula does (= + @)"
    elif len(parts) < 3:
        reason = "the path does not end in <patient>/<study>/<image>"
    if reason:
        return BadCaseError(path, str(table), f"row {row} ({path}): {reason}")
    subject, study, name = parts[-3:]
    view, source = view_of(name), "/".join(parts)
    number = int(view.removeprefix("view")) if re.fullmatch(r"view\d+", view) else 0
    return Radiograph(tree / source, source, subject, f"{subject}_{study}_{view}", number, label, table, row)


def view_of(name: str) -> str:
    """The view in an image's name: its number, or without one the name without its ending.

    >>> view_of("view1_frontal.jpg"), view_of("00000003_000.png")
    ('view1', '00000003_000')
    """
    stem = name.rsplit(".", 1)[0]
    found = re.match(r"view\d+", stem)
    return found[0] if found else stem


def _without_duplicates(items: list[Radiograph]) -> tuple[list[Radiograph], list[BadCaseError]]:
    """The radiographs that are there once, and every copy of the others: none of them can be called the right one."""
    copies: dict[str, list[Radiograph]] = {}
    for item in items:
        copies.setdefault(item.slice_id, []).append(item)
    single = [group[0] for group in copies.values() if len(group) == 1]
    bad = []
    for group in copies.values():
        for item in group if len(group) > 1 else []:
            others = ", ".join(f"row {other.row} of {other.table.name}" for other in group if other is not item)
            bad.append(item.bad(f"the same view is there more than once (also {others})"))
    return single, bad
