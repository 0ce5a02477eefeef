"""The CSV files of the evaluation: written in the same bytes every time, checked where they are opened and only there.

The slice scores, which `stages.evaluation.scores` writes, have a row a slice and the columns `COLUMNS`.
"""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd

from stages.data.store import SliceStore, replacing
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
        InputError: the file is missing, not a CSV or truncated, lacks a column, or holds something that is no number.
    """
    try:
        content = path.read_text(encoding="utf-8")
        # A subject called 007 or NA is a name: nothing is guessed.
        frame = pd.read_csv(StringIO(content), dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run the rule that writes it") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}): delete it and run the rule that writes it") from None
    if not content.endswith("\n"):
        raise InputError(f"{path} is truncated: delete it and run the rule that writes it")
    missing = [column for column in text + numbers if column not in frame.columns]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]!r}: delete it and run the rule that writes it")
    for column in numbers:
        try:
            frame[column] = np.array([float(value) if value else np.nan for value in frame[column]], np.float64)
        except ValueError as error:
            raise InputError(
                f"{path} holds no number in column {column!r} ({error}): delete it and run the rule that writes it"
            ) from None
    return frame


def read_slice_scores(path: Path) -> pd.DataFrame:
    """Read one method's scores of one setting and split: a row a slice, `COLUMNS` as columns; InputError as above."""
    return read_csv(path, TEXT, NUMBERS)[COLUMNS].astype(dict.fromkeys(["label", "lesion_pixels", "scored"], int))


def read_scores_of(path: Path, store: SliceStore) -> pd.DataFrame:
    """The slice scores of a store's slices; InputError as above, or where they are of other slices."""
    slices = read_slice_scores(path)
    if slices["slice_id"].tolist() != store.manifest["slice_id"].tolist():
        raise InputError(f"{path} scores other slices than {store.folder} holds: delete it and run the rule scores")
    return slices
