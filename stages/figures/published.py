"""What the paper reports in its Fig. 4: Dice and AUROC over s and L, and the line of Fixed-Point GAN."""

from io import StringIO
from pathlib import Path

import pandas as pd

from stages.errors import InputError

FILE = Path(__file__).with_name("fig4_published.csv")
TEXT, NUMBERS = ["dataset", "method"], ["L", "s", "dice", "auroc"]


def read(dataset: str, path: Path = FILE) -> pd.DataFrame:
    """The published values of one data set: a row a point, L and s nan for methods without them.

    Lines that start with # say where the values come from.

    Raises:
        InputError: the file is missing or damaged, or has no values of this data set.
    """
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        table = pd.read_csv(StringIO("\n".join(lines)), dtype=dict.fromkeys(NUMBERS, float), keep_default_na=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): get it back from the repository") from None
    missing = [column for column in TEXT + NUMBERS if column not in table]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]!r}: get it back from the repository")
    if not table[["dice", "auroc"]].map(lambda value: 0 <= value <= 1).all(axis=None):
        raise InputError(f"{path} holds a Dice or an AUROC that is not in [0, 1]: get it back from the repository")
    if (table["L"].isna() != table["s"].isna()).any() or table.duplicated(["dataset", "method", "L", "s"]).any():
        raise InputError(f"{path} has a point without its L or s, or one twice: get it back from the repository")
    rows = table[table["dataset"] == dataset].reset_index(drop=True)
    if rows.empty:
        known = ", ".join(dict.fromkeys(table["dataset"]))
        raise InputError(
            f"figures.published is {dataset!r}, of which {path} has no values: name {known}, or leave it out"
        )
    return rows
