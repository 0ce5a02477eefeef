"""CheXpert's tables: train.csv and valid.csv -> the radiographs that a benchmark may use, and the rows that are bad."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pandas as pd

from stages.data import nearby
from stages.data.extraction import BadCaseError
from stages.data.labelled_radiographs import Radiograph, Table, read_csv, unusable, without_duplicates
from stages.data.litter import is_litter
from stages.data.store import DISEASED, HEALTHY
from stages.errors import InputError

SPLIT_OF = {"train.csv": "train", "valid.csv": "test"}
TABLES = tuple(SPLIT_OF)
PATH, VIEW = "Path", "Frontal/Lateral"
BATCH_OF_TABLES = "CheXpert-v1.0 batch 1 (validate & csv)"
_PATIENT = re.compile(r"patient\d+")


@dataclass(frozen=True)
class Tree:
    """Where tables and images are.

    Attributes:
        folder: what the images' sources in the manifest lie below.
        tables: holds train.csv and valid.csv.
        places: (table, patient) -> the folders that hold the patient's; None: images lie where the tables say.
    """

    folder: Path
    tables: Path
    places: dict[tuple[str, str], list[Path]] | None = None


def find_tree(raw: Path, advice: str) -> Tree:
    """The tree that `raw` is, or one folder in it, or what lies in several folders in it.

    The latter is the release of 2021, four archives: `CheXpert-v1.0 batch 1 (validate & csv)` holds the tables and
    valid/, each of the others patients of train.csv, not in train/. So it is where train.csv has no train/ beside it.

    Raises:
        InputError: there is none, more than one, or one of the tables is missing; `advice` says what belongs there.
    """
    try:
        folders = [raw, *_folders(raw)]
    except OSError as error:
        raise InputError(f"the raw data folder {raw} cannot be read ({error.strerror}); put there {advice}") from error
    found = [folder for folder in folders if _has_tables(folder)]
    if not found and any(_PATIENT.fullmatch(path.name) for folder in folders for path in _folders(folder)):
        raise _without_tables(raw)
    if not found:
        meant = nearby.meant(raw, _is_named)
        raise InputError(f"the raw data folder {raw} holds no train.csv{meant or f'; put there {advice}'}")
    if len(found) > 1:
        names = ", ".join(str(folder) for folder in found)
        raise InputError(
            f"the raw data folder {raw} holds more than one tree ({names}); set data.folder to one of them"
        )
    (tables,) = found
    for name in TABLES:
        if not (tables / name).is_file():
            raise InputError(f"{tables / name} is missing; put it back, or a file with the header line alone")
    return Tree(tables, tables) if (tables / "train").is_dir() else Tree(raw, tables, _places(folders))


def _without_tables(raw: Path) -> InputError:
    """What is wrong with a folder that holds patients and no table: it is a batch, or lacks the first."""
    around = raw.resolve().parent
    if not (advice := nearby.meant(raw, _has_tables)) and any(around.glob(f"*batch*/{TABLES[0]}")):
        advice = f", which lie in another batch beside it; set data.folder to {around}"
    missing = f"; the batch that has them ({BATCH_OF_TABLES!r}) is missing: put it beside the other batches, and name"
    return InputError(
        f"the raw data folder {raw} holds patients, but not {' and '.join(TABLES)}"
        f"{advice or f'{missing} the folder around them all in data.folder'}"
    )


def _has_tables(folder: Path) -> bool:
    return any((folder / name).is_file() for name in TABLES)


def _is_named(folder: Path) -> bool:
    """Whether data.folder should name this: tables with train/ beside, or the folder around batches."""
    if _has_tables(folder) and (folder / "train").is_dir():
        return True
    return any(_has_tables(inner) and not (inner / "train").is_dir() for inner in _folders(folder))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not is_litter(path.name))


def _places(folders: list[Path]) -> dict[tuple[str, str], list[Path]]:
    """Which of these folders, or of train/, valid/ and the same name again in them, hold which patients."""
    found: dict[tuple[str, str], list[Path]] = {}
    below = [folder / name for folder in folders[1:] for name in ("train", "valid", folder.name)]
    for place in [*folders, *below]:
        table = "valid.csv" if place.name == "valid" else "train.csv"
        for patient in _folders(place) if place.is_dir() else []:
            found.setdefault((table, patient.name), []).append(place)
    return found


def read_table(tree: Tree, healthy: str, diseased: str, view: str) -> Table:
    """Pool both tables of a tree.

    Args:
        tree: as found.
        healthy: column with 1 for healthy images (`No Finding`).
        diseased: column with 1 for diseased images (`Pleural Effusion`).
        view: which rows of the column `Frontal/Lateral` are used.

    Raises:
        InputError: a table cannot be read or lacks a column, no row has that view, or no patient of train.csv is there.
    """
    tables = [read_csv(tree.tables / name, (PATH, VIEW, healthy, diseased)) for name in TABLES]
    rows = pd.concat(tables, ignore_index=True)
    if rows.empty:
        names = " and ".join(TABLES)
        raise InputError(f"{tree.tables}: {names} have no rows below their headers: put the data set's own files there")
    if (views := sorted(set(rows[VIEW]))) and view not in views:
        known = ", ".join(repr(name) for name in views[:4])
        raise InputError(
            f"{tree.tables / TABLES[0]}: no row has {view!r} in the column {VIEW!r}, which holds {known}; "
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
        item = _radiograph(tree, tree.tables / table, row, path, label)
        if isinstance(item, BadCaseError):
            bad.append(item)
        elif is_bad:
            columns = ", ".join(
                f"{column!r}: {text!r}" for column, text in zip((healthy, diseased), texts, strict=True)
            )
            bad.append(item.bad(f"a label is none of 1, 0, -1 and blank ({columns}): correct it"))
        else:
            good.append(item)
    patients = {(TABLES[0], item.subject) for item in good if item.table.name == TABLES[0]}
    if tree.places is not None and patients and patients.isdisjoint(tree.places):
        raise InputError(
            f"{tree.folder} holds no patient of {tree.tables / TABLES[0]}: put train/ beside that table, or the "
            "folders of all of CheXpert's batches, as they are unpacked, into one folder, and name that in data.folder"
        )
    good, twice = without_duplicates(good)
    return Table(sorted(good, key=lambda item: item.slice_id), bad + twice, int(both.sum()))


def _radiograph(tree: Tree, table: Path, row: int, path: str, label: int) -> Radiograph | BadCaseError:
    """A row's radiograph; its image need not exist, but its path must name a patient, a study and an image."""
    given = PurePosixPath(path)
    parts = given.parts
    own = [tree.tables.name] if tree.tables.name not in ("train", "valid") else []
    while parts and (parts[0] in own or parts[0].lower().startswith("chexpert")):
        parts = parts[1:]  # the tree's own name, whatever the folder is called here; some copies have it twice
    reason = None
    if given.is_absolute() or "\\" in path or ".." in parts:
        reason = "the path leaves the data set's folder: name a file in it"
    elif (reason := unusable("/".join(parts))) is None and len(parts) < 3:
        reason = "the path does not end in <patient>/<study>/<image>: correct it"
    if reason is None:
        folder, source = tree.folder, "/".join(parts)
        if tree.places is not None and (places := tree.places.get((table.name, parts[-3]), [])):
            folder, source = places[0], places[0].joinpath(*parts[-3:]).relative_to(tree.folder).as_posix()
            if len(places) > 1:
                reason = f"the patient is there more than once (in {' and '.join(map(str, places))}): leave one folder"
        reason = reason or unusable(source)  # a batch's folder is called as someone wanted
    if reason:
        return BadCaseError(path, str(table), f"row {row} ({path}): {reason}")
    subject, study, name = parts[-3:]
    view = view_of(name)
    number = int(view.removeprefix("view")) if re.fullmatch(r"view\d+", view) else 0
    slice_id, split = f"{subject}_{study}_{view}", SPLIT_OF[table.name]
    return Radiograph(tree.folder / source, source, folder, subject, slice_id, number, label, split, table, row)


def view_of(name: str) -> str:
    """The view in an image's name: its number, or without one the name without its ending.

    >>> view_of("view1_frontal.jpg"), view_of("00000003_000.png")
    ('view1', '00000003_000')
    """
    stem = name.rsplit(".", 1)[0]
    found = re.match(r"view\d+", stem)
    return found[0] if found else stem
