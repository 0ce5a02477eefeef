"""Dice and AUROC by the size of the lesion, a line a method: `lesion-size`.

Shows lesion_size.csv: the scored test slices in groups of about equally many, from small to large lesions, with every
method at the setting that is reported; mean and 95 % interval. Methods stand a little beside each other in a group.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages import command
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.lesion_size import METRICS
from stages.evaluation.summary import TITLES
from stages.figures import style

GROUP = ["group", "from_pixels", "to_pixels", "slices", "subjects"]
HEIGHT, NAMES = 2.6, 1.5  # inches: the figure's height, and the widest column of names beside the panels
SPREAD = 0.6  # of the distance of two groups, over which the methods of one of them lie


def draw(methods: list[str], table: pd.DataFrame) -> Figure:
    """The figure.

    Args:
        methods: their names.
        table: a row a method and group, from `read`; without rows, the figure says why.
    """
    style.use()
    if table.empty:
        figure = plt.figure(figsize=(style.PAGE[0], 0.5))
        text = "No slice is scored: without masks there are no lesions to group by their size."
        figure.text(0.5, 0.5, text, ha="center", va="center")
        return figure
    figure, panels = plt.subplots(1, len(METRICS), figsize=(style.PAGE[0], HEIGHT), layout="constrained")
    groups = table.drop_duplicates("group").sort_values("group")
    for axes, metric in zip(panels, METRICS, strict=True):
        _draw_metric(axes, metric, methods, table)
        axes.set_xticks(range(len(groups)), [_group_title(row) for row in groups.to_dict("records")])
        axes.set_xlim(-0.5, len(groups) - 0.5)
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.02))
        axes.set_title(TITLES[metric])
        axes.grid(axis="y", linewidth=0.4, alpha=0.4)
        axes.tick_params(axis="x", length=0)
    names = ["\n".join(style.wrapped(name, NAMES, 6)) for name in methods]
    figure.legend(panels[0].get_lines(), names, loc="outside right upper", frameon=False, handlelength=2.6)
    figure.supxlabel("lesion area; mean and 95 % interval (bootstrap over subjects)", fontsize=6)
    return figure


def _draw_metric(axes: Axes, metric: str, methods: list[str], table: pd.DataFrame) -> None:
    colours = style.method_colours(methods)
    for index, name in enumerate(methods):
        rows = table[table["method"] == name].sort_values("group")
        places = np.arange(len(rows)) + SPREAD * ((index + 0.5) / len(methods) - 0.5)
        # A line of another pattern each, so that they are told apart in grey print as well.
        pattern = {"linestyle": "-", "linewidth": 1.2} if index == 0 else style.line_style(index - 1)
        look = {"color": colours[name], "marker": style.MARKERS[index % len(style.MARKERS)]}
        axes.plot(places, rows[metric], label=name, **{"linewidth": 0.8} | look | pattern)
        axes.vlines(places, rows[f"{metric}_low"], rows[f"{metric}_high"], color=colours[name], linewidth=0.7)


def _group_title(row: dict) -> str:
    low, high = int(row["from_pixels"]), int(row["to_pixels"])
    area = f"{low} to {high}" if low < high else f"{low}"
    counts = [f"{int(row[name])} {name if row[name] != 1 else name[:-1]}" for name in ("slices", "subjects")]
    return "\n".join([f"{area} pixels", *counts])


def read(path: Path, methods: list[str]) -> pd.DataFrame:
    """lesion_size.csv; a table without rows where no slice is scored.

    Raises:
        InputError: it is missing or damaged, or does not list every method in the same groups.
    """
    numbers = [*GROUP, *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high"))]
    table = records.read_csv(path, ["method"], numbers)
    if table[GROUP].isna().any(axis=None):
        raise InputError(f"{path} has a group without its number, pixels, slices or subjects: tabulate again")
    groups = {name: rows[GROUP].sort_values("group").to_numpy() for name, rows in table.groupby("method")}
    for name in methods if len(table) else []:
        if name not in groups or not np.array_equal(groups[name], groups[methods[0]]):
            raise InputError(f"{path} does not list method {name!r} in the same groups as the others: tabulate again")
    return table


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--table", type=Path, required=True, help="lesion_size.csv of the tables")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return parser


def main(options: argparse.Namespace) -> None:
    """Read, draw, save."""
    methods = list(options.parameters["methods"])
    style.save(draw(methods, read(options.table, methods)), options.output, "lesion-size")


if __name__ == "__main__":
    command.run(main, arguments())
