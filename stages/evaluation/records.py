"""The CSV files of the evaluation: written in the same bytes every time, checked where they are opened and only there.

The slice scores, which `stages.evaluation.scores` writes, have a row a slice and the columns `COLUMNS`; `identity.txt`
beside them holds the hash of the parameters that made them. A record is the slice scores of all scored splits of one
method and setting in one repeat, for git:

    # identity: <hex>
    # test: {"average_otsu": 0.21, ...}     a line a split, of what all its rows share (`OF_SPLIT`)
    split,slice_id,...                      the other columns

Digits are those of the slice scores: with fewer, means of maps would tie that did not, and so change image AUROCs, p
and the choice of a setting.
"""

import json
import math
from dataclasses import dataclass
from io import StringIO
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from stages.data.store import SliceStore
from stages.errors import InputError
from stages.regular_files import first_line, read_regular
from stages.writing import replacing

SCORED_SPLITS = ("validation", "test")
IDENTITY = "# identity: "
IDENTITY_FILE = "identity.txt"
TEXT = ["slice_id", "subject_id", "volume"]
NUMBERS = [
    "position",
    "label",
    "lesion_pixels",
    "otsu",
    "average_otsu",
    "dice_average_otsu",
    "dice_own_otsu",
    "auroc",
    "auroc_body",
    "true_positives",
    "predicted_pixels",
    "mean_map",
    "max_map",
    "body_share",
    "scored",
    "healthy_quantile",
    "dice_healthy_quantile",
    "one_finding",
    "lesions",
    "lesions_found",
    "false_findings",
    "seconds",
    "memory_mb",
]
COLUMNS = TEXT + NUMBERS
OF_SPLIT = ["average_otsu", "healthy_quantile", "one_finding", "seconds", "memory_mb"]
"""What has one value in a split: a record says it once, so that maps made again change few of its lines."""
_OF_SLICE = [name for name in NUMBERS if name not in OF_SPLIT]
_BYTES = 2**28
_RULE = "delete it and run the rule that writes it"


@dataclass(frozen=True)
class Cost:
    """What one image cost: seconds, and the peak memory in MB of the process or card; nan where nobody measured it."""

    seconds: float = float("nan")
    memory_mb: float = float("nan")


UNMEASURED = Cost()


@dataclass(frozen=True)
class Record:
    """The slice scores (split -> N rows with `COLUMNS`) of one method, setting and repeat, and what made them."""

    identity: str
    slices: dict[str, pd.DataFrame]


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV, floats with eight significant digits, so that equal runs give equal bytes."""
    write_text(path, _csv(frame))


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, float_format="%.8g", lineterminator="\n")


def as_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """A table as it is read from the CSV that `write_csv` makes of it: every cell a text, empty where it was nan."""
    return pd.read_csv(StringIO(_csv(frame)), dtype=str, keep_default_na=False)


def write_record(path: Path, record: Record) -> None:
    """Write a record; equal ones give equal bytes."""
    frames = [slices.assign(split=split)[["split", *TEXT, *_OF_SLICE]] for split, slices in record.slices.items()]
    shared = [f"# {split}: {json.dumps(_shared(slices))}\n" for split, slices in record.slices.items()]
    rows = pd.concat(frames).to_csv(index=False, float_format="%.8g", lineterminator="\n")
    write_text(path, f"{IDENTITY}{record.identity}\n{''.join(shared)}{rows}")


def _shared(slices: pd.DataFrame) -> dict[str, float | None]:
    """`OF_SPLIT` of a split, in the digits of its rows."""
    values = {name: float(slices[name].iloc[0]) for name in OF_SPLIT}
    return {name: float(f"{value:.8g}") if math.isfinite(value) else None for name, value in values.items()}


def read_csv(path: Path, text: list[str], numbers: list[str], again: str = _RULE) -> pd.DataFrame:
    """Read a CSV whose columns hold at least `text` and `numbers` (floats, empty = nan); other columns stay text.

    Raises:
        InputError: the file is missing, not a CSV or truncated, lacks a column, or holds something that is no number.
            `again` is what its sentence says to do.
    """
    return _parsed(path, _content(path, again), text, numbers, again)


def _content(path: Path, again: str) -> str:
    try:
        return StringIO(read_regular(path, _BYTES).decode("utf-8"), newline=None).getvalue()
    except FileNotFoundError:
        raise InputError(f"{path} is missing: {again.removeprefix('delete it and ')}") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}): {again}") from None


def _parsed(path: Path, content: str, text: list[str], numbers: list[str], again: str) -> pd.DataFrame:
    try:
        # A subject called 007 or NA is a name: nothing is guessed.
        frame = pd.read_csv(StringIO(content), dtype=str, keep_default_na=False)
    except ValueError as error:
        raise InputError(f"{path} cannot be read as CSV ({error}): {again}") from None
    if not content.endswith("\n"):
        raise InputError(f"{path} is truncated: {again}")
    missing = [column for column in text + numbers if column not in frame.columns]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]!r}: {again}")
    for column in numbers:
        try:
            frame[column] = np.array([float(value) if value else np.nan for value in frame[column]], np.float64)
        except ValueError as error:
            raise InputError(f"{path} holds no number in column {column!r} ({error}): {again}") from None
    return frame


def read_slice_scores(path: Path) -> pd.DataFrame:
    """Read one method's scores of one setting and split: a row a slice, `COLUMNS` as columns; InputError as above."""
    again = score_again(path.parent)
    return _typed(path, read_csv(path, TEXT, NUMBERS, again), again)


def score_again(folder: Path) -> str:
    """What helps where a folder of the rule `scores` is not sound; Snakemake does not look at the files in it."""
    return f"delete the folder {folder} and run Snakemake again"


def record_again(path: Path) -> str:
    """What helps where a record, <root>/record/<repeat>/<method>/<setting>.csv, is not sound.

    While its scores in <root>/scores are there and up to date, Snakemake makes nothing again.
    """
    *_, repeat, method, _ = path.parts
    folder = path.parents[3] / "scores" / repeat / method / path.stem
    return f"delete the folder {folder} and this record, whichever is there, and run Snakemake again"


def _typed(path: Path, frame: pd.DataFrame, again: str) -> pd.DataFrame:
    whole = ["label", "lesion_pixels", "scored"]
    if not np.isfinite(frame[whole]).all(axis=None):
        raise InputError(f"{path} has an empty label, lesion_pixels or scored: {again}")
    return frame[COLUMNS].astype(dict.fromkeys(whole, int)).reset_index(drop=True)


def read_scores_of(path: Path, store: SliceStore) -> pd.DataFrame:
    """The slice scores of a store's slices; InputError as above, or where they are of other slices."""
    slices = read_slice_scores(path)
    if slices["slice_id"].tolist() != store.manifest["slice_id"].tolist():
        raise InputError(f"{path} scores other slices than {store.folder} holds: {score_again(path.parent)}")
    return slices


def write_identity(folder: Path, identity: str) -> None:
    """Say in a folder of slice scores what made them: the last of its files, by which it is whole."""
    write_text(folder / IDENTITY_FILE, f"{identity}\n")


def scores_identity(folder: Path) -> str | None:
    """What a folder of slice scores says of the parameters that made it; None where it is not there or not whole."""
    return _first_line(folder / IDENTITY_FILE)


def record_identity(path: Path) -> str | None:
    """The same of a record."""
    line = _first_line(path)
    return line.removeprefix(IDENTITY) if line and line.startswith(IDENTITY) else None


def _first_line(path: Path) -> str | None:
    try:
        return first_line(path)
    except (OSError, ValueError):
        return None


def read_record(path: Path) -> Record:
    """Read a record.

    Raises:
        InputError: as above, or the first line is no identity, a split is none of `SCORED_SPLITS`, or no line says what
            its rows share.
    """
    again = record_again(path)
    lines = _content(path, again).splitlines(keepends=True)
    notes = [line.removeprefix("# ").strip().partition(": ") for line in takewhile(lambda one: one[0] == "#", lines)]
    if not lines or not lines[0].startswith(IDENTITY):
        raise InputError(f"{path} does not begin with {IDENTITY.strip()!r}: {again}")
    said = {name: text for name, _, text in notes}
    frame = _parsed(path, "".join(lines[len(notes) :]), ["split", *TEXT], _OF_SLICE, again)
    slices = {}
    for split, rows in frame.groupby("split", sort=False):
        if split not in SCORED_SPLITS:
            raise InputError(
                f"{path} has a split {split!r}, but only {' and '.join(SCORED_SPLITS)} are scored: {again}"
            )
        try:
            shared = json.loads(said[split])
            values = {name: np.nan if shared[name] is None else float(shared[name]) for name in OF_SPLIT}
        except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
            raise InputError(f"{path} does not say {', '.join(OF_SPLIT)} of its split {split}: {again}") from None
        slices[split] = _typed(path, rows.assign(**values), again)
    return Record(said["identity"], slices)


def read_cost(path: Path) -> Cost:
    """Read what an image cost from the detection's cost.json; nan without the file, InputError where it is damaged."""
    try:
        found = json.loads(read_regular(path, 2**16))
        seconds, memory_mb = (float(found[name]) for name in ("seconds", "memory_mb"))
        if not math.isfinite(seconds) or not math.isfinite(memory_mb):
            raise ValueError("no finite number")
        return Cost(seconds, memory_mb)
    except FileNotFoundError:
        return UNMEASURED
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(
            f"{path} does not say seconds and memory_mb ({error!r}): delete the folder {path.parent} and run Snakemake "
            "again"
        ) from None
