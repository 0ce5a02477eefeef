"""The methods side by side on the same test slices: a row a method, a panel a metric, mean and 95 % interval.

Shows comparison.csv: every method at the setting that is reported, and every headline metric that has any value.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages import command
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.summary import HIGHER_IS_BETTER, LOWER_IS_BETTER, METRICS, NEEDS_MASKS, TITLES
from stages.evaluation.typeset import shown
from stages.figures import style

ROW, PANEL, NARROW = 0.3, 1.15, 0.9  # inches: the height of a method, the most and the least width of a metric
DECADES = 30  # beyond this ratio of largest to smallest, mean maps in different units need a logarithmic axis


def draw(methods: list[str], comparison: pd.DataFrame) -> Figure:
    """The figure.

    Args:
        methods: their names, from top to bottom.
        comparison: a row a method, from `read`.
    """
    style.use()
    table, metrics, colours = comparison.set_index("method"), shown(comparison), style.method_colours(methods)
    labels = ["\n".join([name, style.setting_title(table.at[name, "setting"])]).strip() for name in methods]
    names = 0.3 + max(style.text_width(line, 6) for label in labels for line in label.splitlines())
    panel = max(NARROW, min(PANEL, (style.PAGE[0] - names) / len(metrics)))
    figure, grid = plt.subplots(
        1,
        len(metrics),
        figsize=(names + panel * len(metrics), 0.85 + ROW * len(methods)),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, metric in zip(grid[0], metrics, strict=True):
        _draw_metric(axes, metric, table.loc[methods], [colours[name] for name in methods])
    grid[0, 0].set_yticks(range(len(methods)), labels)
    grid[0, 0].set_ylim(len(methods) - 0.4, -0.6)
    note = "mean and 95 % interval (bootstrap over subjects)"
    if not any(metric in metrics for metric in NEEDS_MASKS):
        note += "; no masks in this data set: neither Dice nor AUROC over pixels"
    figure.supxlabel(note, fontsize=6)
    return figure


def _draw_metric(axes: Axes, metric: str, table: pd.DataFrame, colours: list[str]) -> None:
    means, low, high = (table[column].to_numpy() for column in (metric, f"{metric}_low", f"{metric}_high"))
    for place, colour in enumerate(colours):
        if np.isfinite([low[place], high[place]]).all():
            axes.plot([low[place], high[place]], [place, place], color=colour, linewidth=1.2, solid_capstyle="butt")
        axes.plot(means[place], place, marker="o", color=colour, markersize=3.5)
        if not np.isfinite(means[place]):
            axes.text(0.5, place, "-", transform=axes.get_yaxis_transform(), ha="center", va="center")
    direction = "higher is better" if metric in HIGHER_IS_BETTER else "lower is better"
    if metric not in HIGHER_IS_BETTER + LOWER_IS_BETTER:
        direction = "each map's own unit"
    axes.set_title(TITLES[metric].replace(" (", "\n(").replace(", ", ",\n"))
    axes.set_xlabel(direction, fontsize=6)
    axes.grid(axis="x", linewidth=0.4, alpha=0.4)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for place in range(len(colours)):
        axes.axhline(place, color="0.9", linewidth=0.5, zorder=0)
    _scale(axes, metric, means, low, high)


def _scale(axes: Axes, metric: str, means: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """From 0 on, or for AUROC from chance or below up to 1; logarithmic where units are orders of magnitude apart."""
    drawn = np.concatenate([means, low, high])
    drawn = drawn[np.isfinite(drawn)]
    if "auroc" in metric:
        lowest = min(0.5, drawn.min())
        axes.set_xlim(lowest - 0.03 * (1 - lowest), 1 + 0.03 * (1 - lowest))
    elif metric == "healthy_mean_map" and drawn.min() > 0 and drawn.max() > DECADES * drawn.min():
        axes.set_xscale("log")
        return
    else:
        low_end, high_end = min(0.0, drawn.min()), max(drawn.max(), 1e-6)
        axes.set_xlim(low_end - 0.03 * (high_end - low_end), high_end + 0.05 * (high_end - low_end))
    axes.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))


def read(path: Path, methods: list[str]) -> pd.DataFrame:
    """comparison.csv, with a row for each method.

    Raises:
        InputError: it is missing or damaged, does not list a method, or holds no metric at all.
    """
    numbers = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
    table = records.read_csv(path, ["method", "setting"], numbers)
    for name in methods:
        if (table["method"] == name).sum() != 1:
            raise InputError(f"{path} does not list method {name!r} once: tabulate again")
    if not shown(table):
        raise InputError(f"{path} holds no value of any metric: score and tabulate again")
    return table


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv of the tables")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return parser


def main(options: argparse.Namespace) -> None:
    """Read, draw, save."""
    methods = list(options.parameters["methods"])
    style.save(draw(methods, read(options.comparison, methods)), options.output, "comparison")


if __name__ == "__main__":
    command.run(main, arguments())
