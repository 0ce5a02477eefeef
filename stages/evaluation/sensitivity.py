"""The numbers beside the paper's Fig. 4: Dice and AUROC over the guidance scale s (rows) and noise level L (columns).

For every method whose grid has two keys with numbers: L gives the columns, the other one (s, w) the rows. Test split;
the reported setting is marked. Without masks, the image-level AUROC takes the place of both.
"""

import numpy as np
import pandas as pd

from stages.evaluation.summary import TITLES, WITH_MASKS, WITHOUT_MASKS, plotted
from stages.methods import settings


def axes(method: dict) -> tuple[str, str] | None:
    """The keys of a method's grid that are rows and columns of its table; None unless two keys hold numbers.

    Columns: L, or else the first; rows: s or w, or else the first of the others.
    """
    keys = [key for setting in settings(method) for key, value in setting.items() if not isinstance(value, str)]
    keys = list(dict.fromkeys(keys))
    if len(keys) < 2:
        return None
    column = "L" if "L" in keys else keys[0]
    rest = [key for key in keys if key != column]
    return next((key for key in ("s", "w") if key in rest), rest[0]), column


def over_grid(methods: dict, scores: pd.DataFrame, reported: dict[str, str]) -> pd.DataFrame:
    """A row a setting of each such method, on the test split.

    Args:
        methods: name -> grid, as in params.yaml.
        scores: scores.csv as a table.
        reported: method -> the name of its reported setting.

    Returns:
        Columns method, setting, the keys of the grids, dice_average_otsu, auroc, image_auroc, and `reported` (0 or 1).
    """
    test = scores[scores["split"] == "test"].set_index(["method", "setting"])
    chosen = {name: method for name, method in methods.items() if axes(method)}
    keys = list(dict.fromkeys(key for method in chosen.values() for setting in settings(method) for key in setting))
    rows = []
    for name, method in chosen.items():
        for setting in settings(method):
            found = test.loc[(name, setting.name)]
            row = {"method": name, "setting": setting.name} | {key: setting.get(key, np.nan) for key in keys}
            row |= {metric: found[metric] for metric in (*WITH_MASKS, *WITHOUT_MASKS)}
            rows.append(row | {"reported": int(setting.name == reported[name])})
    columns = ["method", "setting", *keys, *WITH_MASKS, *WITHOUT_MASKS, "reported"]
    return pd.DataFrame(rows, columns=columns)


def markdown(methods: dict, table: pd.DataFrame) -> str:
    """The tables of `over_grid` as Markdown: one a method, metric and value of any further key; reported in bold."""
    lines = ["# Scores over the settings", "", "Test split. Bold: the setting that is reported.", ""]
    if not len(table):
        lines += ["No method has a grid of two numbers.", ""]
    for name in table["method"].unique():
        row_key, column_key = axes(methods[name])
        own = table[table["method"] == name]
        others = [key for key in settings(methods[name])[0] if key not in (row_key, column_key)]
        blocks = own.groupby(others, sort=False, dropna=False) if others else [((), own)]
        for values, block in blocks:
            about = ", ".join(
                f"{key} {value if isinstance(value, str) else format(value, 'g')}"
                for key, value in zip(others, values, strict=True)
            )
            lines += [f"## {name}" + (f" ({about})" if about else ""), ""]
            for metric in plotted(table):
                lines += [*_grid(block, row_key, column_key, metric), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _grid(block: pd.DataFrame, row_key: str, column_key: str, metric: str) -> list[str]:
    columns, rows = sorted(block[column_key].unique()), sorted(block[row_key].unique())
    heads = [TITLES[metric], *(f"{column_key} = {value:g}" for value in columns)]
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join(["---", *["---:"] * len(columns)]) + " |"]
    for row in rows:
        cells = [f"{row_key} = {row:g}"]
        for column in columns:
            found = block[(block[row_key] == row) & (block[column_key] == column)]
            value = found[metric].iloc[0] if len(found) else np.nan
            text = f"{value:.3f}" if np.isfinite(value) else "-"
            cells.append(f"**{text}**" if len(found) and found["reported"].iloc[0] else text)
        lines.append("| " + " | ".join(cells) + " |")
    return lines
