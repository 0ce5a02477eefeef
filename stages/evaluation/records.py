"""The score files: one row a slice, written in the same bytes every time and read back with checks."""

from pathlib import Path

import numpy as np
import pandas as pd

from stages.data.store import replacing
from stages.errors import InputError

TEXT = ["slice_id", "subject_id"]
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
]
COLUMNS = TEXT + NUMBERS

# Empty on slices that are not scored, and so on all where there are no masks.
_OF_SCORED_SLICES = {"average_otsu", "dice_average_otsu", "dice_own_otsu"}
# Of all slices where there is an average Otsu threshold, of none where there is not.
_AT_THE_AVERAGE = {"true_positives", "predicted_pixels"}
# AUROC may be empty anywhere, since a lesion can fill its slice; a slice that is no part of a volume has no position.
_MAY_BE_EMPTY = {"auroc", "auroc_body", "position", "body_share"}
_SHARES = ("dice_average_otsu", "dice_own_otsu", "auroc", "auroc_body", "body_share")


def write_text(path: Path, text: str) -> None:
    """Write a small text file, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV, floats with eight significant digits, so that equal runs give equal bytes."""
    write_text(path, frame.to_csv(index=False, float_format="%.8g", lineterminator="\n"))


def read_csv(path: Path, text: list[str], numbers: list[str]) -> pd.DataFrame:
    """Read a CSV whose columns hold at least `text` and `numbers` (floats, empty = nan); other columns stay text.

    Raises:
        InputError: the file is missing or not a CSV, lacks a column, or holds something that is no number.
    """
    try:
        # A subject called 007 or NA is a name: nothing is guessed.
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run the rule that writes it") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}): delete it and run the rule that writes it") from None
    missing = [column for column in text + numbers if column not in frame.columns]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]!r}: delete it and run the rule that writes it")
    for column in numbers:
        try:
            frame[column] = np.array([float(value) if value else np.nan for value in frame[column]], np.float64)
        except ValueError as error:
            raise InputError(f"{path} holds no number in column {column!r} ({error}): write it again") from None
    return frame


def read_slice_scores(path: Path) -> pd.DataFrame:
    """Read one method's scores of one setting and split, checked: one row a slice, `COLUMNS` as columns.

    Raises:
        InputError: the file is missing, truncated or not what `stages.evaluation.scores` writes.
    """
    frame = read_csv(path, TEXT, NUMBERS)[COLUMNS]
    if frame["slice_id"].duplicated().any():
        twice = frame.loc[frame["slice_id"].duplicated(), "slice_id"].iloc[0]
        raise InputError(f"{path} scores slice {twice!r} twice: delete it and score again")
    for column in NUMBERS:
        needed = column not in _MAY_BE_EMPTY
        if column in _OF_SCORED_SLICES:
            needed = frame["scored"] == 1
        elif column in _AT_THE_AVERAGE:
            needed = frame["average_otsu"].notna()
        if (frame[column].isna() & needed).any() or np.isinf(frame[column]).any():
            raise InputError(f"{path} holds empty or infinite values in column {column!r}: delete it and score again")
    for column in ("label", "scored"):
        if not frame[column].isin([0, 1]).all():
            raise InputError(f"{path} holds other values than 0 and 1 in column {column!r}: delete it and score again")
    if frame["average_otsu"].nunique(dropna=False) > 1:
        raise InputError(f"{path} holds more than one average Otsu threshold: delete it and score again")
    for column in _SHARES:
        if not frame[column].dropna().between(0, 1).all():
            raise InputError(f"{path} holds values outside [0, 1] in column {column!r}: delete it and score again")
    if frame["body_share"].isna().nunique() > 1:
        raise InputError(f"{path} has the body of some slices only: delete it and score again")
    overlap, predicted, lesion = (frame[name] for name in ("true_positives", "predicted_pixels", "lesion_pixels"))
    if ((overlap < 0) | (overlap > predicted) | (overlap > lesion)).any():
        raise InputError(f"{path} holds impossible counts in column 'true_positives': delete it and score again")
    if (frame["max_map"] < frame["mean_map"] - 1e-6 * frame["mean_map"].abs()).any():
        raise InputError(f"{path} holds maxima below the mean in column 'max_map': delete it and score again")
    for column in ("label", "lesion_pixels", "scored"):
        frame[column] = frame[column].astype(int)
    return frame
