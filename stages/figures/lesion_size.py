"""Dice and AUROC by the size of the lesion, a line a method: `lesion-size`.

Shows lesion_size.csv: the scored test slices in groups of about equally many, from small to large lesions, with every
method at the setting that is reported; mean and 95 % interval. Methods stand a little beside each other in a group.
"""

import argparse

import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from stages import command
from stages.evaluation import records
from stages.evaluation.lesion_size import METRICS
from stages.evaluation.summary import TITLES
from stages.figures import results, style

GROUP = ["group", "from_pixels", "to_pixels", "slices", "subjects"]
SPREAD = 0.6  # of the distance of two groups, over which the methods of one of them lie


def draw(methods: list[str], table: pd.DataFrame) -> Figure:
    """The figure.

    Args:
        methods: their names.
        table: lesion_size.csv, a row a method and group; without rows, the figure says why.
    """
    if table.empty:
        return style.sentence("No slice is scored: without masks there are no lesions to group by their size.")
    style.use()
    table = table.sort_values("group")
    room = 2.0 / table["group"].nunique()  # inches of a panel
    table = table.assign(title=[_group_title(row, room) for row in table.to_dict("records")])
    figure, panels = plt.subplots(1, len(METRICS), figsize=(style.PAGE[0], 2.6), layout="constrained")
    for axes, metric in zip(panels, METRICS, strict=True):
        sns.pointplot(
            x="title",
            y=metric,
            hue="method",
            hue_order=methods,
            palette=style.method_colours(methods),
            # A line of another pattern each, so that they are told apart in grey print as well.
            markers=[style.MARKERS[n % len(style.MARKERS)] for n in range(len(methods))],
            linestyles=[style.LINES[n % len(style.LINES)] for n in range(len(methods))],
            dodge=SPREAD * (1 - 1 / len(methods)) or False,
            linewidth=0.9,
            markersize=3.5,
            err_kws={"linewidth": 0.7, "linestyle": "-"},
            ax=axes,
            **style.intervals(table, metric),
        )
        axes.set(title=TITLES[metric], xlabel="", ylabel="")
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.02))
        handles, _ = axes.get_legend_handles_labels()
        axes.get_legend().remove()
    names = ["\n".join(style.wrapped(name, 1.5, style.SMALL)) for name in methods]
    figure.legend(handles, names, loc="outside right upper", handlelength=2.6)
    figure.supxlabel(f"lesion area; {results.interval_note(table)}")
    return figure


def _group_title(row: dict, width: float) -> str:
    """The group's area and counts, on lines of so many inches."""
    low, high = int(row["from_pixels"]), int(row["to_pixels"])
    area = f"{low} to {high}" if low < high else f"{low}"
    counts = [f"{int(row[name])} {name if row[name] != 1 else name[:-1]}" for name in ("slices", "subjects")]
    return "\n".join(line for part in (area, "pixels", *counts) for line in style.wrapped(part, width, style.SMALL))


def arguments() -> argparse.ArgumentParser:
    return results.table_parser(__doc__, "lesion_size.csv")


def main(options: argparse.Namespace) -> None:
    """Draw what lesion_size.csv says of the methods of params.yaml."""
    numbers = [*GROUP, "seeds", *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high"))]
    table = records.read_csv(options.table, ["method"], numbers)
    style.save(draw(list(options.parameters["methods"]), table), options.output, "lesion-size")


if __name__ == "__main__":
    command.run(main, arguments())
