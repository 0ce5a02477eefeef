"""A table of numbers as it is printed, in Markdown and in LaTeX: intervals beside or below, the best value bold."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.evaluation.summary import COST, LOWER_IS_BETTER, OWN_UNIT, TITLES
from stages.methods import TRAINED_ON


@dataclass(frozen=True)
class Table:
    """The texts of n rows; the names of the columns are their heads.

    Attributes:
        names: (n, K) what each row is.
        values: (n, M) the numbers, where there are seeds with `± sd`; nan where there is none.
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
        r"""A `tabular` to \input, two lines a row, intervals below the values; it needs booktabs and nothing else.

        A list among the names, as of settings, goes on in the second line after its first comma.
        """
        heads, tails = (self.names.map(lambda text, part=part: _halves(text)[part]) for part in (0, 1))
        above, below = heads.join(self.values), tails.join(self.intervals)
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
    """A minus sign instead of a hyphen, and < and ± in any encoding of the font."""
    return re.sub("[-<]", r"$\g<0>$", text).replace("±", r"$\pm$")


def _halves(text: str) -> tuple[str, str]:
    """A text up to its first comma and after it.

    >>> _halves("L500_s20 (2 folds), L250_s20 (1 fold)"), _halves("vae")
    (('L500_s20 (2 folds),', 'L250_s20 (1 fold)'), ('vae', ''))
    """
    head, comma, tail = text.partition(", ")
    return head + comma.strip(), tail


def _stacked(head: str) -> str:
    """A head with a capital, broken before brackets and after commas; that of a p-value stays as it is."""
    capital = re.sub("^[a-z](?=[a-z])", lambda first: first[0].upper(), head)
    broken = re.sub(r"(?<=\w\w) (?=\()|(?<=,) ", r" \\\\ ", capital)
    return rf"\shortstack{{\strut {broken}}}"


def metric_table(rows: pd.DataFrame, titles: dict[str, str], names: Iterable[str] = ("method", "setting")) -> Table:
    """The table of metrics, a row a method.

    Args:
        rows: with the columns `names`, trained_on if that is known, and <metric>, <metric>_low, <metric>_high of every
            metric; where there is <metric>_seed_sd, the spread over seeds stands beside the value.
        titles: metric -> its head; metrics without any value are left out.
        names: the text columns before the metrics.
    """
    metrics = shown(rows, titles)
    columns = {
        "values": lambda metric: [value_and_spread(row, metric) for row in rows.to_dict("records")],
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
    """A metric's value as it is printed: three decimals, but what has a unit, as a mean map or seconds, three digits.

    >>> number("auroc", 0.91249), number("healthy_mean_map", 0.00012345), number("healthy_mean_map", 123.4)
    ('0.912', '0.000123', '123')
    >>> number("seconds", 0.0123), number("memory_mb", 12345.6)
    ('0.0123', '12346')
    """
    if metric == "memory_mb":
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".") if metric in (*OWN_UNIT, *COST) else f"{value:.3f}"


def best(comparison: pd.DataFrame, metric: str) -> list[bool]:
    """Which rows are bold: those whose printed value is the best of at least two different ones.

    None where neither end is better.

    Upper bounds, which masks trained, are left out (`trained_on`, where the rows have it).

    >>> best(pd.DataFrame({"auroc": [0.9001, 0.9004, 0.5]}), "auroc")
    [True, True, False]
    """
    values = np.array([float(number(metric, value)) for value in comparison[metric]])
    if "trained_on" in comparison and metric not in COST:
        values[comparison["trained_on"] == TRAINED_ON["masks"]] = np.nan
    if len(np.unique(values[np.isfinite(values)])) < 2 or metric in OWN_UNIT:
        return [False] * len(values)
    return (values == (np.nanmin(values) if metric in LOWER_IS_BETTER else np.nanmax(values))).tolist()


def value_and_spread(row: dict, metric: str) -> str | None:
    """A row's value, with `± sd` where it has several seeds; None where there is no value."""
    value, sd = row[metric], row.get(f"{metric}_seed_sd", np.nan)
    if not np.isfinite(value):
        return None
    return number(metric, value) + (f" ± {number(metric, sd)}" if np.isfinite(sd) else "")


def interval(row: dict, metric: str) -> str:
    """`[low, high]` of a row, or nothing: no resample had the slices that it takes, or all subjects cost alike."""
    ends = [row[f"{metric}_low"], row[f"{metric}_high"]]
    known = np.isfinite(ends).all() and metric not in COST
    return "[{}, {}]".format(*(number(metric, end) for end in ends)) if known else ""
