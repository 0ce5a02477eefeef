"""What fewer network evaluations cost: Dice, AUROC and the round-trip error over evaluations an image.

Writes `trade-off` as PNG, SVG and PDF: a line a solver, its strides printed at its points. Scores are at the gradient
scale s, where the classifier's evaluations count too; the round-trip error, `reconstruction_error` of the table, is at
s = 0, where the reconstruction should be the image. Where the data set has no masks, the image-level AUROC takes the
place of Dice and AUROC.
"""

import argparse
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Bbox

from stages import command
from stages.evaluation import records
from stages.evaluation.summary import TITLES, plotted
from stages.figures import results, style

ERROR = "reconstruction_error"
NUMBERS = ["stride", "s", "evaluations", "dice_average_otsu", "auroc", "image_auroc", ERROR]
PANEL = 2.35, 2.45  # inches
SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))  # of a point, for its label
SOLVER_TITLES = {"ddim": "DDIM", "heun": "Heun", "adams-bashforth": "Adams-Bashforth", "o-belm": "O-BELM"}


def draw(table: pd.DataFrame, setting: dict, solvers: list[str]) -> Figure:
    """The figure.

    Args:
        table: the rows of trade_off.csv, with `solver` and `NUMBERS`.
        setting: the L and s of the scores.
        solvers: in the order of params.yaml.
    """
    style.use()
    panels = [*((metric, setting["s"]) for metric in plotted(table)), (ERROR, 0)]
    figure, grid = plt.subplots(
        1, len(panels), figsize=(PANEL[0] * len(panels), PANEL[1]), sharex=True, squeeze=False, layout="constrained"
    )
    colours = {solver: _colour(solver, solvers) for solver in solvers}
    look: dict[str, Any] = {"hue": "solver", "style": "solver", "hue_order": solvers, "style_order": solvers}
    look |= {"palette": colours, "markers": list(style.MARKERS[: len(solvers)]), "dashes": False}
    shown = []
    for axes, (metric, scale) in zip(grid[0], panels, strict=True):
        rows = table[(table["s"] == scale) & table[metric].notna()].sort_values("evaluations")
        sns.lineplot(rows, x="evaluations", y=metric, ax=axes, **look, **style.POINTS)
        axes.set_title(f"{_title(metric)}, s = {scale:g}", loc="left")
        axes.set(xlabel="", ylabel="")
        axes.margins(y=0.12)
        if axes.get_legend():
            handles, _ = axes.get_legend_handles_labels()
            axes.get_legend().remove()
        shown.append(rows)
    grid[0, -1].set_yscale("log")
    grid[0, -1].set_ylabel("mean |x - x₀| of healthy slices\n(images span [0, 1])")
    grid[0, 0].set_xscale("log")
    for axis in (grid[0, -1].yaxis, *(axes.xaxis for axes in grid[0])):
        _ticks(axis)
    titles = [SOLVER_TITLES[solver] for solver in solvers]
    figure.legend(handles, titles, loc="outside upper right", ncols=len(titles))
    figure.supxlabel(
        f"network evaluations per image, encoding to L = {setting['L']} and decoding\n"
        "(at the points: the stride, noise levels a step)",
        fontsize=7,
    )
    figure.draw_without_rendering()  # the layout is settled; labels then take no room of it
    for axes, (metric, _), rows in zip(grid[0], panels, shown, strict=True):
        _label_strides(axes, rows, metric, solvers)
    return figure


def _title(metric: str) -> str:
    title = "round-trip error" if metric == ERROR else TITLES[metric]
    return title[0].upper() + title[1:]


def _colour(solver: str, solvers: list[str]) -> str:
    return style.COLOURS[solvers.index(solver) % len(style.COLOURS)]


def _label_strides(axes: Axes, rows: pd.DataFrame, metric: str, solvers: list[str]) -> None:
    """Print the stride beside each point, where it covers neither another point nor another label."""
    points = axes.transData.transform(rows[["evaluations", metric]].to_numpy(np.float64))
    half = 0.5 * plt.rcParams["lines.markersize"] * axes.figure.dpi / 72
    taken = [Bbox([point - half, point + half]) for point in points]
    for n, (solver, stride) in enumerate(zip(rows["solver"], rows["stride"], strict=True)):
        for across, up in SIDES:
            label = axes.annotate(
                f"{stride:g}",
                rows[["evaluations", metric]].iloc[n],
                xytext=(4 * across, 4 * up),
                textcoords="offset points",
                ha=("right", "center", "left")[across + 1],
                va=("top", "center", "bottom")[up + 1],
                color=_colour(solver, solvers),
                fontsize=style.SMALLEST,
                in_layout=False,
                path_effects=[withStroke(linewidth=1.2, foreground="white")],
            )
            box = label.get_window_extent()
            if box.count_overlaps(taken) == 0:
                taken.append(box)
                break
            label.remove()


def _ticks(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 times the powers of ten, fewer or more on a long or short one."""
    ends = axis.get_view_interval()
    low, high = np.floor(np.log10(ends)).astype(int)
    apart = 1 + (high - low) // 6  # powers of ten from tick to tick, where O-BELM's error is one of rounding
    for digits in ((1,),) if high - low > 3 else ((1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        found = [digit * 10.0**power for power in range(low, high + 1, apart) for digit in digits]
        found = [tick for tick in found if ends[0] <= tick <= ends[1]]
        if len(found) > 2:
            break
    axis.set_major_locator(FixedLocator(found))
    axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axis.set_minor_locator(NullLocator())


def arguments() -> argparse.ArgumentParser:
    return results.table_parser(__doc__, "trade_off.csv")


def main(options: argparse.Namespace) -> None:
    """Draw what trade_off.csv says of the solvers of params.yaml."""
    trade_off = options.parameters["trade_off"]
    table = records.read_csv(options.table, ["solver"], NUMBERS)
    figure = draw(table, trade_off["setting"], list(trade_off["solvers"]))
    style.save(figure, options.output, "trade-off")


if __name__ == "__main__":
    command.run(main, arguments())
