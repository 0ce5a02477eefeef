"""The methods side by side on the same test slices: a row a method, a panel a metric, mean and 95 % interval.

Shows comparison.csv: every method at the setting that is reported, and every headline metric that has any value.
"""

import argparse

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages import command
from stages.evaluation.summary import HIGHER_IS_BETTER, LOWER_IS_BETTER, NEEDS_MASKS, TITLES
from stages.evaluation.typeset import shown
from stages.figures import results, style
from stages.figures.lines import reported_title

LABELS = 1.3  # inches, the widest label of a row
DECADES = 30  # beyond this ratio of largest to smallest, mean maps in different units need a logarithmic axis


def draw(methods: dict, comparison: pd.DataFrame) -> Figure:
    """The figure.

    Args:
        methods: name -> grid, as in params.yaml, from top to bottom.
        comparison: comparison.csv by method: its reported settings, every metric and its interval, and `seeds`.
    """
    style.use()
    metrics = shown(comparison)
    titles = {name: reported_title(method, comparison.at[name, "settings"]) for name, method in methods.items()}
    labels = [
        "\n".join(line for part in item for line in style.wrapped(part, LABELS, style.SMALL)) for item in titles.items()
    ]
    lines = [1 + label.count("\n") for label in labels]
    table = comparison.loc[list(methods)].assign(label=labels)
    figure, panels = plt.subplots(
        1,
        len(metrics),
        figsize=(min(style.PAGE[0], 1.5 + 1.2 * len(metrics)), 0.9 + 0.15 * (len(methods) + sum(lines))),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    colours = dict(zip(labels, style.method_colours(methods).values(), strict=True))
    for axes, metric in zip(panels[0], metrics, strict=True):
        look = {"hue": "label", "palette": colours, "legend": False, "markersize": 3.5, "linewidth": 1.2}
        sns.pointplot(y="label", x=metric, order=labels, ax=axes, **look, **style.intervals(table, metric))
        for place in np.flatnonzero(table[metric].isna()):
            axes.text(0.5, place, "-", transform=axes.get_yaxis_transform(), ha="center", va="center")
        direction = "higher is better" if metric in HIGHER_IS_BETTER else "lower is better"
        if metric not in HIGHER_IS_BETTER + LOWER_IS_BETTER:
            direction = "each map's own unit"
        axes.set(title=TITLES[metric].replace(" (", "\n(").replace(", ", ",\n"), ylabel="")
        axes.set_xlabel(direction, fontsize=style.SMALL)
        axes.grid(visible=True, axis="both")
        _scale(axes, metric, table[[metric, f"{metric}_low", f"{metric}_high"]].to_numpy())
    sns.despine(figure, left=True, bottom=True)
    note = results.interval_note(comparison)
    if not any(metric in metrics for metric in NEEDS_MASKS):
        note += "; no masks in this data set: neither Dice nor AUROC over pixels"
    figure.supxlabel(note)
    return figure


def _scale(axes: Axes, metric: str, drawn: np.ndarray) -> None:
    """From 0 on, or for AUROC from chance or below up to 1; logarithmic where units are orders of magnitude apart."""
    drawn = drawn[np.isfinite(drawn)]
    if "auroc" in metric:
        lowest = min(0.5, drawn.min())
        axes.set_xlim(lowest - 0.05 * (1 - lowest), 1 + 0.05 * (1 - lowest))
    elif metric == "healthy_mean_map" and drawn.min() > 0 and drawn.max() > DECADES * drawn.min():
        axes.set_xscale("log")
        return
    else:
        low_end, high_end = min(0.0, drawn.min()), max(drawn.max(), 1e-6)
        axes.set_xlim(low_end - 0.05 * (high_end - low_end), high_end + 0.05 * (high_end - low_end))
    axes.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))


def arguments() -> argparse.ArgumentParser:
    return results.table_parser(__doc__, "comparison.csv")


def main(options: argparse.Namespace) -> None:
    """Draw what comparison.csv says of the methods of params.yaml."""
    methods = options.parameters["methods"]
    comparison = results.open_comparison(options.table, list(methods), list(TITLES), ["seeds"])
    style.save(draw(methods, comparison), options.output, "comparison")


if __name__ == "__main__":
    command.run(main, arguments())
