"""The numbers beside the paper's Fig. 4: Dice and AUROC over the gradient scale s (rows) and noise level L (columns).

For every method whose grid has two keys with numbers: L gives the columns, the other one (s, w) the rows. Test split;
the reported setting, or each that a fold chose, is marked. Without masks, the image-level AUROC takes the place of
both.
"""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from stages import methods
from stages.evaluation.summary import NEEDS_MASKS, TITLES, WITHOUT_MASKS

COLUMNS = (*NEEDS_MASKS, *WITHOUT_MASKS)
"""The metrics of the table, beside the keys of the grids; those of scores.csv of the same names."""


def axes(method: dict) -> tuple[str, str] | None:
    """The keys of a method's grid that are rows and columns of its table; None unless two keys hold numbers.

    Columns: L, or else the first; rows: s or w, or else the first of the others.

    >>> axes({"grid": [{"L": [250, 500], "s": [0, 100]}]})
    ('s', 'L')
    """
    found = [setting.items() for setting in methods.settings(method)]
    keys = list(dict.fromkeys(key for items in found for key, value in items if not isinstance(value, str)))
    if len(keys) < 2:
        return None
    column = "L" if "L" in keys else keys[0]
    rest = [key for key in keys if key != column]
    return next((key for key in ("s", "w") if key in rest), rest[0]), column


def over_grid(grids: dict[str, dict], scores: pd.DataFrame, reported: Mapping[str, Collection[str]]) -> pd.DataFrame:
    """A row a setting of each such method, on the test split.

    Args:
        grids: name of a method -> its part of params.yaml.
        scores: scores.csv as a table.
        reported: method -> the name of its reported setting, or of each that a fold chose.

    Returns:
        Columns method, setting, the keys of the grids, `COLUMNS`, and `reported` (0 or 1).
    """
    test = scores[scores["split"] == "test"].set_index(["method", "setting"])
    runs = [(name, one) for name, method in grids.items() if axes(method) for one in methods.settings(method)]
    keys = list(dict.fromkeys(key for _, setting in runs for key in setting))
    rows = []
    for name, setting in runs:
        found = test.loc[(name, setting.name)]
        row = {"method": name, "setting": setting.name} | {key: setting.get(key, np.nan) for key in keys}
        row |= {metric: found[metric] for metric in COLUMNS}
        rows.append(row | {"reported": int(setting.name in reported[name])})
    columns = ["method", "setting", *keys, *COLUMNS, "reported"]
    return pd.DataFrame(rows, columns=columns)


def markdown(grids: dict[str, dict], table: pd.DataFrame) -> str:
    """The tables of `over_grid` as Markdown: one a method, metric and value of any further key; reported in bold."""
    blocks = [
        "# Scores over the settings",
        "Test split. Bold: the setting that is reported, or each that a fold chose.",
    ]
    printed = NEEDS_MASKS if table["dice_average_otsu"].notna().any() else WITHOUT_MASKS
    if not len(table):
        blocks.append("No method has a grid of two numbers.")
    for name, method in grids.items():
        if not (keys := axes(method)):
            continue
        own = table[table["method"] == name]
        further = {one.name: one.without(keys[0]).without(keys[1]).title for one in methods.settings(method)}
        for rest, block in own.groupby(own["setting"].map(further), sort=False):
            blocks.append(f"## {name}" + (f" ({rest})" if rest else ""))
            blocks += [_grid(block, *keys, metric) for metric in printed]
    return "\n\n".join(blocks) + "\n"


def _grid(block: pd.DataFrame, row_key: str, column_key: str, metric: str) -> str:
    """A metric over two keys, both ascending."""
    values, reported = (block.pivot(index=row_key, columns=column_key, values=what) for what in (metric, "reported"))
    texts = values.map("{:.3f}".format, na_action="ignore")
    texts = texts.mask(reported == 1, "**" + texts + "**").fillna("-")
    texts.index = pd.Index([f"{row_key} = {value:g}" for value in values.index], name=TITLES[metric])
    texts.columns = pd.Index([f"{column_key} = {value:g}" for value in values.columns])
    return texts.to_markdown(disable_numparse=True, colalign=["left", *["right"] * values.shape[1]])
