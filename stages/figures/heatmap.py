"""Scores over both numbers of a grid, as numbers and colours: a row of panels a method, s or w down and L across.

For every method whose grid has two numbers, as in tables/sensitivity.csv: a panel a metric and a cell a setting, on the
test subjects; the reported setting, or each that a fold chose, is framed. A metric has one colour scale for all
methods. Settings that the grid has not are hatched; the paper beside a small grid is empty.
"""

from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stages.evaluation.sensitivity import axes as grid_axes
from stages.evaluation.sensitivity import over_grid
from stages.evaluation.summary import TITLES, WITH_MASKS, plotted
from stages.figures import lines, style
from stages.methods import settings

CELL = 0.42, 0.22  # inches at least, of a number with three digits and some room
FRAME: dict[str, Any] = {"fill": False, "edgecolor": style.COLOURS[1], "linewidth": 2, "clip_on": False}
MISSING: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.8", "hatch": "////", "linewidth": 0, "zorder": 0}


def draw(methods: dict, scores: pd.DataFrame, comparison: pd.DataFrame) -> Figure:
    """The figure; where no grid has two numbers, a sentence that says so.

    Args:
        methods: name -> grid, as in params.yaml.
        scores: scores.csv.
        comparison: comparison.csv by method, which names the reported settings.
    """
    table = over_grid(methods, scores, comparison["settings"].to_dict())
    if table.empty:
        return style.sentence("No method has a grid of two numbers.")
    style.use()
    metrics, colours = plotted(table), style.method_colours(methods)
    blocks = []  # title, colour, keys and rows of each row of panels
    for name, method in methods.items():
        if keys := grid_axes(method):
            further = {one.name: one.without(keys[0]).without(keys[1]).title for one in settings(method)}
            own = table[table["method"] == name]
            for rest, block in own.groupby(own["setting"].map(further)):
                blocks.append((", ".join(filter(None, [name, rest])), colours[name], keys, block))
    down, across = ([block[keys[n]].nunique() for _, _, keys, block in blocks] for n in (0, 1))
    room = min(max(CELL[0] * max(across), 2.6), style.PAGE[0] / len(metrics) - 0.4)
    figure, panels = plt.subplots(
        len(blocks),
        len(metrics),
        figsize=((room + 0.4) * len(metrics), CELL[1] * sum(down) + 0.5 * len(blocks)),
        height_ratios=down,
        squeeze=False,
        layout="constrained",
    )
    decimals, missing = 3 if room / max(across) > 0.8 * CELL[0] else 2, False
    for row, (title, colour, keys, block) in zip(panels, blocks, strict=True):
        for axes, metric in zip(row, metrics, strict=True):
            ends = {"vmin": table[metric].min(), "vmax": table[metric].max()}
            missing |= _cells(axes, keys, block, metric, decimals, **ends)
            axes.set_xlim(0, max(across))  # cells of one size
            title_lines = style.wrapped(f"{title}: {TITLES[metric]}", room)
            axes.set_title("\n".join(title_lines), loc="left", color=colour, weight="bold")
    note = f"test subjects; framed: {lines.reported_note(comparison.loc[table['method'].unique(), 'settings'])}" + (
        "; hatched: not in the grid" if missing else ""
    )
    figure.supxlabel(note if metrics == WITH_MASKS else f"{note}\n{style.NO_MASKS}")
    return figure


def _cells(axes: Axes, keys: tuple[str, str], block: pd.DataFrame, metric: str, decimals: int, **ends: float) -> bool:
    """One method's cells of one metric, both keys ascending; whether the grid lacks any of them."""
    values, reported = (block.pivot(index=keys[0], columns=keys[1], values=what) for what in (metric, "reported"))
    down, across = ([f"{value:g}" for value in found] for found in (values.index, values.columns))
    sns.heatmap(
        values.to_numpy(),
        ax=axes,
        annot=True,
        fmt=f".{decimals}f",
        annot_kws={"fontsize": style.SMALL},
        cmap="cividis",
        cbar=False,
        linewidths=1,
        xticklabels=[f"{keys[1]} = {value}" if n == 0 else value for n, value in enumerate(across)],
        yticklabels=[f"{keys[0]} = {value}" for value in down],
        **ends,
    )
    axes.add_patch(Rectangle((0, 0), len(across), len(down), **MISSING))
    for y, x in np.argwhere(reported.to_numpy() == 1):
        axes.add_patch(Rectangle((x, y), 1, 1, **FRAME))
    axes.tick_params(axis="both", labelrotation=0)
    axes.grid(visible=False)
    return values.size > len(block)
