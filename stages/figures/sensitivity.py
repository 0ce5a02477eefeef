"""How the scores depend on the guidance scale s and the noise level L, like the paper's Fig. 4.

Dice at the average Otsu threshold (above) and AUROC (below) over s, a column a method, a line an L; test subjects
solid, validation subjects faint; a ring marks the setting that is reported. A method without s has no column: its test
score is a dashed line in every column, as Fixed-Point GAN's in the paper.
"""

import argparse
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from stages import command
from stages.evaluation import records
from stages.evaluation.choice import choose_setting
from stages.figures import style
from stages.parameters import settings

METRICS = {"dice_average_otsu": "Dice (average Otsu)", "auroc": "AUROC"}
RING = {"marker": "o", "markersize": 8, "markerfacecolor": "none", "color": "black", "linestyle": "none"}


def lines(scores: pd.DataFrame, method: str, split: str) -> dict[float, pd.DataFrame]:
    """The rows of one method and split as lines over ascending s: L -> rows; {} where the method has no s."""
    rows = scores[(scores["method"] == method) & (scores["split"] == split) & scores["s"].notna()]
    # A method that has no noise levels still has a line; nan would drop out of a group.
    return {level: line.sort_values("s") for level, line in rows.groupby(rows["L"].fillna(0), sort=True)}


def draw(methods: dict, scores: pd.DataFrame) -> Figure:
    """The figure.

    Args:
        methods: name -> grid and setting, as in params.yaml.
        scores: the table of all methods, settings and splits, with columns L and s.
    """
    style.use()
    guided = [name for name, method in methods.items() if any("s" in setting for setting in settings(method))]
    constant = [name for name in methods if name not in guided]
    levels = sorted({level for name in guided for level in lines(scores, name, "test")})
    # A method with a single s is a column of points: it needs less room.
    widths = [2.3 if len({setting.get("s") for setting in settings(methods[name])}) > 1 else 1.0 for name in guided]
    widths = widths or [2.3]
    figure, grid = plt.subplots(
        len(METRICS),
        len(widths),
        width_ratios=widths,
        figsize=(0.6 + sum(widths) + 1.2, 3.9),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, name in enumerate(guided or [None]):
        for line, (metric, title) in enumerate(METRICS.items()):
            axes = grid[line, column]
            if name:
                _draw_method(axes, methods[name], scores, name, metric, levels)
            for index, other in enumerate(constant):
                axes.axhline(_test_score(methods[other], scores, other, metric), color="0.35", **_dashes(index))
            axes.grid(axis="y", linewidth=0.4, alpha=0.4)
            if column == 0:
                axes.set_ylabel(title)
        if name:
            grid[0, column].set_title(textwrap.fill(name, int(16 * widths[column])))
            _scale_axis(grid[-1, column], sorted(scores.loc[scores["method"] == name, "s"].dropna().unique()))
            grid[-1, column].set_xlabel("guidance scale s")
    figure.legend(handles=_legend(levels, constant, scores), loc="outside right upper", frameon=False)
    return figure


def _draw_method(axes: Axes, method: dict, scores: pd.DataFrame, name: str, metric: str, levels: list[float]) -> None:
    chosen, _ = choose_setting(name, method, scores)
    # Validation first, so that the test split lies on top.
    for split, look in (("validation", {"alpha": 0.35, "linewidth": 0.9}), ("test", {})):
        for level, line in lines(scores, name, split).items():
            appearance = _appearance(levels.index(level))
            axes.plot(line["s"], line[metric], label=f"{split} {level:g}", **(appearance | look))
            ring = line[line["setting"] == chosen]
            if split == "test" and len(ring):
                axes.plot(ring["s"], ring[metric], **RING)


def _appearance(index: int) -> dict:
    number = index % len(style.COLOURS)
    return {"color": style.COLOURS[number], "marker": style.MARKERS[number]}


def _dashes(index: int) -> dict:
    return {"linestyle": ["--", "-.", ":"][index % 3], "linewidth": 1.0}


def _test_score(method: dict, scores: pd.DataFrame, name: str, metric: str) -> float:
    chosen, _ = choose_setting(name, method, scores)
    rows = scores[(scores["method"] == name) & (scores["split"] == "test") & (scores["setting"] == chosen)]
    return rows[metric].iloc[0]


def _scale_axis(axes: Axes, scales: list[float]) -> None:
    """A logarithmic axis of s on which 0 has its place, with a tick at each s as long as the labels fit."""
    positive = [scale for scale in scales if scale > 0]
    if positive:
        axes.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
        axes.set_xlim(-0.12 * min(positive) if 0 in scales else min(positive) / 1.3, max(positive) * 1.3)
    else:
        axes.set_xlim(-1, 1)
    place = axes.transScale.transform
    ticks, labelled = [], -np.inf
    low, high = (place((end, 1))[0] for end in axes.get_xlim())
    for scale in scales:
        position = (place((scale, 1))[0] - low) / (high - low)
        if position - labelled > 0.085:
            ticks.append(scale)
            labelled = position
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(FixedLocator(scales) if positive else NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(levels: list[float], constant: list[str], scores: pd.DataFrame) -> list[Line2D]:
    handles = [
        Line2D([], [], label=f"L = {level:g}" if level else "one level", **_appearance(index))
        for index, level in enumerate(levels)
    ]
    handles += [Line2D([], [], color="0.35", label=name, **_dashes(index)) for index, name in enumerate(constant)]
    if levels:
        handles.append(Line2D([], [], color="0.2", label="test subjects"))
        if (scores["split"] == "validation").any():
            handles.append(Line2D([], [], color="0.2", alpha=0.35, linewidth=0.9, label="validation subjects"))
        handles.append(Line2D([], [], label="reported setting", **RING))
    return handles


def read(path: Path) -> pd.DataFrame:
    """scores.csv with L and s as numbers; a grid that names neither has columns of nan."""
    scores = records.read_csv(path, ["method", "setting", "split"], list(METRICS))
    for key in ("L", "s"):
        scores[key] = pd.to_numeric(scores[key]) if key in scores else np.nan
    return scores


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="scores.csv of the tables")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return parser


def main(options: argparse.Namespace) -> None:
    """Read, draw, save."""
    style.save(draw(options.parameters["methods"], read(options.scores)), options.output, "sensitivity")


if __name__ == "__main__":
    command.run(main, arguments())
