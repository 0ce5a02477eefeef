"""A table of numbers as it is printed, in Markdown and in LaTeX: intervals beside or below, the best value bold."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.evaluation.summary import LOWER_IS_BETTER, OWN_UNIT, TITLES


@dataclass(frozen=True)
class Table:
    """The texts of n rows; the names of the columns are their heads.

    Attributes:
        names: (n, K) what each row is.
        values: (n, M) the numbers; nan where there is none.
        intervals: (n, M) `[low, high]`; nothing where there is none.
        bold: (n, M) booleans.
    """

    names: pd.DataFrame
    values: pd.DataFrame
    intervals: pd.DataFrame
    bold: pd.DataFrame

    def markdown(self) -> str:
        """A line a row, each interval beside its value."""
        values = self.values.mask(self.bold, "**" + self.values + "**").fillna("-")
        sides = ["left"] * self.names.shape[1] + ["right"] * values.shape[1]
        cells = self.names.join(values + " " + self.intervals)
        return cells.to_markdown(index=False, disable_numparse=True, colalign=sides)

    def latex(self) -> str:
        r"""A `tabular` to \input, two lines a row, intervals below the values; it needs booktabs and nothing else."""
        above, below = self.names.join(self.values), self.names.map(lambda _: "").join(self.intervals)
        rows = pd.concat([above, below]).sort_index(kind="stable").reset_index(drop=True)
        texts, numbers = list(self.names), list(self.values)
        style = rows.style.hide(axis="index")
        style = style.format(escape="latex", subset=texts).format(_as_mathematics, na_rep="--", subset=numbers)
        style = style.format_index(_stacked, axis="columns", escape="latex")
        marks = self.bold.replace({True: "textbf:--rwrap", False: ""}).set_axis(rows.index[::2])
        style = style.apply(lambda _: marks, axis=None, subset=(marks.index, numbers))
        style = style.set_properties(subset=(rows.index[1::2], numbers), scriptsize="--wrap")
        return style.to_latex(hrules=True, column_format="l" * len(texts) + "c" * len(numbers))


def _as_mathematics(text: str) -> str:
    """A minus sign instead of a hyphen, and < in any encoding of the font."""
    return re.sub("[-<]", r"$\g<0>$", text)


def _stacked(head: str) -> str:
    """A head with a capital, broken before brackets and after commas; that of a p-value stays as it is."""
    capital = re.sub("^[a-z](?=[a-z])", lambda first: first[0].upper(), head)
    broken = re.sub(r"(?<=\w\w) (?=\()|(?<=,) ", r" \\\\ ", capital)
    return rf"\shortstack{{\strut {broken}}}"


def metric_table(rows: pd.DataFrame, titles: dict[str, str], names: Iterable[str] = ("method", "setting")) -> Table:
    """The table of metrics, a row a method.

    Args:
        rows: with the columns `names`, and <metric>, <metric>_low, <metric>_high of every metric.
        titles: metric -> its head; metrics without any value are left out.
        names: the text columns before the metrics.
    """
    metrics = shown(rows, titles)
    columns = {
        "values": lambda metric: [number(metric, value) if np.isfinite(value) else None for value in rows[metric]],
        "intervals": lambda metric: [interval(row, metric) for row in rows.to_dict("records")],
        "bold": lambda metric: best(rows, metric),
    }
    parts = {part: pd.DataFrame({titles[metric]: of(metric) for metric in metrics}) for part, of in columns.items()}
    return Table(rows[[*names]].rename(columns=lambda name: name.replace("_", " ")), **parts)


def shown(comparison: pd.DataFrame, titles: dict[str, str] = TITLES) -> list[str]:
    """The metrics that any method has a value of, by default of the headline.

    Without masks there are no Dice and no AUROC over pixels.
    """
    return [metric for metric in titles if comparison[metric].notna().any()]


def number(metric: str, value: float) -> str:
    """A metric's value as it is printed: three decimals, or for a mean map, whatever its unit, three digits.

    >>> number("auroc", 0.91249), number("healthy_mean_map", 0.00012345), number("healthy_mean_map", 123.4)
    ('0.912', '0.000123', '123')
    """
    return f"{value:#.3g}".rstrip(".") if metric in OWN_UNIT else f"{value:.3f}"


def best(comparison: pd.DataFrame, metric: str) -> list[bool]:
    """Which rows are bold: those whose printed value is the best of at least two; none where neither end is better.

    >>> best(pd.DataFrame({"auroc": [0.9001, 0.9004, 0.5]}), "auroc")
    [True, True, False]
    """
    values = np.array([float(number(metric, value)) for value in comparison[metric]])
    if np.isfinite(values).sum() < 2 or metric in OWN_UNIT:
        return [False] * len(values)
    return (values == (np.nanmin(values) if metric in LOWER_IS_BETTER else np.nanmax(values))).tolist()


def interval(row: dict, metric: str) -> str:
    """`[low, high]` of a row, or nothing where no resample had the slices that it takes."""
    ends = [row[f"{metric}_low"], row[f"{metric}_high"]]
    return "[{}, {}]".format(*(number(metric, end) for end in ends)) if np.isfinite(ends).all() else ""
