"""A row a method as Markdown and as LaTeX: `mean [low, high]`, the best value of a metric bold.

The headline is one such table, the field's further metrics and the scores by lesion size are others
(stages.evaluation.documents puts them together).
"""

import numpy as np
import pandas as pd

from stages.evaluation.bootstrap import FEW
from stages.evaluation.summary import LOWER_IS_BETTER, NEEDS_MASKS, OWN_UNIT, TITLES

_LATEX = {character: f"\\{character}" for character in "&%$#_{}"}
_LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}"}


def shown(comparison: pd.DataFrame, titles: dict[str, str] = TITLES) -> list[str]:
    """The metrics that any method has a value of, by default of the headline.

    Without masks there are no Dice and no AUROC over pixels.
    """
    return [metric for metric in titles if comparison[metric].notna().any()]


def number(metric: str, value: float) -> str:
    """A metric's value as it is printed: three decimals, or for a mean map, whatever its unit, three digits."""
    return f"{value:#.3g}".rstrip(".") if metric in OWN_UNIT else f"{value:.3f}"


def best(comparison: pd.DataFrame, metric: str) -> list[bool]:
    """Which rows are bold: those whose printed value is the best of at least two; none where neither end is better."""
    values = np.array([float(number(metric, value)) for value in comparison[metric]])
    if np.isfinite(values).sum() < 2 or metric in OWN_UNIT:
        return [False] * len(values)
    return list(values == (np.nanmin(values) if metric in LOWER_IS_BETTER else np.nanmax(values)))


def interval(row: dict, metric: str) -> str:
    """`[low, high]` of a row, or nothing where no resample had the slices that it takes."""
    ends = [row[f"{metric}_low"], row[f"{metric}_high"]]
    return "[{}, {}]".format(*(number(metric, end) for end in ends)) if np.isfinite(ends).all() else ""


def notes(comparison: pd.DataFrame) -> list[str]:
    """What the numbers are, sentence by sentence: what they are taken over, and what is not there and why."""
    first, metrics = comparison.iloc[0], shown(comparison)
    sentences = [
        f"Test split: {first['subjects']} subjects, {first['slices']} slices, {first['diseased']} of them diseased.",
        "Mean [95 % interval, bootstrap over subjects].",
    ]
    if first["subjects"] < FEW:
        sentences.append(
            "Of so few subjects such an interval is too narrow: on normal data it covers the truth in 75 % of cases "
            "with 3, in 84 % with 5."
        )
    if any(metric in metrics for metric in NEEDS_MASKS):
        sentences.append(
            f"Dice and AUROC: over the {first['scored']} scored slices (diseased, above the smallest lesion area)."
        )
    else:
        sentences.append("The data set has no masks of its lesions, so there are neither Dice nor AUROC over pixels.")
    return [
        *sentences,
        "Image AUROC: diseased against healthy slices by the mean of the map.",
        "Healthy mean map: in the unit of each method's own map, so only the ratio to diseased slices compares methods "
        "(lower is better).",
    ]


def markdown(comparison: pd.DataFrame) -> str:
    """The headline of the comparison as a Markdown table with its notes."""
    return (
        "\n".join([*markdown_table(comparison, TITLES, ["method", "setting", "chosen_on"]), "", *notes(comparison)])
        + "\n"
    )


def markdown_table(table: pd.DataFrame, titles: dict[str, str], names: list[str]) -> list[str]:
    """The lines of a Markdown table: a row a method.

    Args:
        table: a row a method, with the columns `names`, and <metric>, <metric>_low, <metric>_high of every metric.
        titles: metric -> its head; metrics without any value are left out.
        names: the text columns before the metrics.
    """
    metrics = shown(table, titles)
    header = [*(name.replace("_", " ") for name in names), *(titles[metric] for metric in metrics)]
    rules = ["---"] * len(names) + ["---:"] * len(metrics)
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(rules) + " |"]
    bold = {metric: best(table, metric) for metric in metrics}
    for index, row in enumerate(table.to_dict("records")):
        cells = [row[name] for name in names]
        for metric in metrics:
            value = number(metric, row[metric]) if np.isfinite(row[metric]) else "-"
            value = f"**{value}**" if bold[metric][index] else value
            cells.append(f"{value} {interval(row, metric)}".strip())
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def latex(comparison: pd.DataFrame) -> str:
    """The headline as a LaTeX `tabular`, to \\input into a table: two lines a method, the intervals below the means.

    It needs the package booktabs and nothing else.
    """
    lines = [f"% {note}" for note in notes(comparison)]
    lines.append(r"% Needs \usepackage{booktabs}; wider than a column of text: \input it on a landscape page.")
    return "\n".join([*lines, *latex_table(comparison, TITLES)]) + "\n"


def latex_table(table: pd.DataFrame, titles: dict[str, str]) -> list[str]:
    """The lines of a `tabular` of what `markdown_table` takes; its text columns are method and setting."""
    metrics = shown(table, titles)
    heads = [escape(titles[metric]).replace(" (", r" \\ (").replace(", ", r", \\ ") for metric in metrics]
    heads = [rf"\shortstack{{{head[0].upper()}{head[1:]}}}" for head in heads]
    bold = {metric: best(table, metric) for metric in metrics}
    lines = [
        rf"\begin{{tabular}}{{ll{'c' * len(metrics)}}}",
        r"\toprule",
        " & ".join(["Method", "Setting", *heads]) + r" \\",
        r"\midrule",
    ]
    for index, row in enumerate(table.to_dict("records")):
        means, ends = [escape(row["method"]), rf"\texttt{{{escape(row['setting'])}}}"], ["", ""]
        for metric in metrics:
            value = number(metric, row[metric]) if np.isfinite(row[metric]) else "--"
            means.append(rf"\textbf{{{value}}}" if bold[metric][index] else value)
            ends.append(rf"{{\scriptsize {escape(interval(row, metric))}}}" if interval(row, metric) else "")
        lines += [" & ".join(means) + r" \\", " & ".join(ends) + r" \\"]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped, so that it prints as it is."""
    return "".join(_LATEX.get(character, character) for character in text)
