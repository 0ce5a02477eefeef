"""What the paper reports in its Fig. 4: Dice and AUROC over s and L, and the line of Fixed-Point GAN."""

from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("fig4_published.csv")


def read(dataset: str) -> pd.DataFrame:
    """The published values of one data set, which the schema says are there: a row a point.

    Columns dataset, method, L, s, dice and auroc; L and s are nan for methods without them.
    """
    table = pd.read_csv(FILE, comment="#", dtype={"L": float, "s": float})
    return table[table["dataset"] == dataset].reset_index(drop=True)
