"""How the scores of every method depend on its setting, on validation and on test subjects: `settings`.

Dice at the average Otsu threshold (above) and AUROC (below), a column a method; over the guidance scale s, the
guidance weight w, or the number that a method's grid has instead; a line for each value of the other keys (the noise
level L). Test subjects solid, validation subjects faint; a ring marks the setting that is reported. A method whose
grid has no numbers has no column: its test score is a dashed line in every column, as Fixed-Point GAN's in the paper.
Where the data set has no masks, the image-level AUROC takes the place of both.
"""

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from stages import command
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.choice import choose_setting
from stages.evaluation.summary import TITLES, WITH_MASKS, WITHOUT_MASKS, plotted
from stages.figures import style
from stages.methods import settings

AXIS_TITLES = {"s": "guidance scale s", "w": "guidance weight w", "L": "noise level L"}
BESIDE = 1.9  # inches: the labels of the axes and the legend
NARROW, WIDE = 0.8, 2.3  # inches, the width of a column
RING = {"marker": "o", "markersize": 8, "markerfacecolor": "none", "color": "black", "linestyle": "none"}


def axis_key(method: dict) -> str | None:
    """The key of a method's grid that a column has as its axis; None where no key holds numbers.

    s, w, another number, or L, in this order; the first that has more than one value.
    """
    found: dict[str, set] = {}
    for setting in settings(method):
        for key, value in setting.items():
            if not isinstance(value, str):
                found.setdefault(key, set()).add(value)
    order = sorted(found, key=lambda key: {"s": 0, "w": 1, "L": 3}.get(key, 2))
    return next((key for key in order if len(found[key]) > 1), order[0] if order else None)


def lines(method: dict, name: str, scores: pd.DataFrame, split: str, key: str | None = None) -> dict[str, pd.DataFrame]:
    """One method's rows of one split as lines: the other keys' values ("L = 500") -> rows with x, which ascends.

    The axis is `key`, or what `axis_key` says. Lines are in the order of the grid. Rows of settings that have not the
    key of the axis are on no line.
    """
    key, found = key or axis_key(method), {}
    rows = scores[(scores["method"] == name) & (scores["split"] == split)].set_index("setting")
    for setting in settings(method):
        if setting.name in rows.index and key in setting:
            label = setting.without(key).title
            found.setdefault(label, []).append({"x": setting[key], "setting": setting.name})
    return {
        label: pd.DataFrame(points).sort_values("x").join(rows, on="setting").reset_index(drop=True)
        for label, points in found.items()
    }


def draw(methods: dict, scores: pd.DataFrame) -> Figure:
    """The figure.

    Args:
        methods: name -> grid and setting, as in params.yaml.
        scores: the table of all methods, settings and splits.
    """
    style.use()
    metrics, colours = plotted(scores), style.method_colours(methods)
    varied = [name for name, method in methods.items() if axis_key(method)]
    constant = [name for name in methods if name not in varied]
    labels = sorted({label for name in varied for label in lines(methods[name], name, scores, "test")}, key=_by_number)
    widths = _widths([_places(methods[name]) for name in varied])
    figure, grid = plt.subplots(
        len(metrics),
        len(widths),
        width_ratios=widths,
        figsize=(BESIDE + sum(widths), 0.5 + 1.7 * len(metrics)),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for column, name in enumerate(varied or [None]):
        for line, metric in enumerate(metrics):
            axes = grid[line, column]
            if name:
                _draw_method(axes, methods[name], scores, name, metric, labels, colours[name])
            for index, other in enumerate(constant):
                score = _test_score(methods[other], scores, other, metric)
                axes.axhline(score, color=colours[other], **_dashes(index))
            axes.grid(axis="y", linewidth=0.4, alpha=0.4)
            if column == 0:
                axes.set_ylabel(TITLES[metric])
        if name:
            title = "\n".join(style.wrapped(name, 0.9 * widths[column]))  # bold letters are wider
            grid[0, column].set_title(title, color=colours[name], weight="bold")
            scale_axis(grid[-1, column], axis_key(methods[name]), _places(methods[name]), widths[column])
        else:
            grid[-1, column].set_xticks([])
    figure.legend(handles=_legend(labels, constant, colours, scores), loc="outside right upper", frameon=False)
    if metrics == WITHOUT_MASKS:
        figure.supxlabel("no masks in this data set: neither Dice nor AUROC over pixels", fontsize=6)
    return figure


def _by_number(label: str) -> list[str | float]:
    """A key to sort labels by: "L = 125" before "L = 1000"."""
    parts = re.split(r"(-?\d+(?:\.\d+)?)", label)
    return [float(part) if place % 2 else part for place, part in enumerate(parts)]


def _places(method: dict) -> list[float]:
    """Where a method's axis has points, ascending."""
    key = axis_key(method)
    return sorted({setting[key] for setting in settings(method) if key in setting})


def _widths(places: list[list[float]]) -> list[float]:
    """Inches of the columns, as wide as fits on a page; less where there is a single place on the axis."""
    shares = [1.0 if len(values) > 1 else 0.6 for values in places] or [1.0]
    unit = max(NARROW, min(WIDE, (style.PAGE[0] - BESIDE) / sum(shares)))
    return [unit * share for share in shares]


def _draw_method(
    axes: Axes, method: dict, scores: pd.DataFrame, name: str, metric: str, labels: list[str], colour: str
) -> None:
    chosen, _ = choose_setting(name, method, scores)
    # Validation first, so that the test split lies on top.
    for split, look in (("validation", {"alpha": 0.35, "linewidth": 0.9, "markerfacecolor": "white"}), ("test", {})):
        for label, line in lines(method, name, scores, split).items():
            appearance = {"color": colour, **_marker(labels.index(label)), **look}
            axes.plot(line["x"], line[metric], label=f"{split} {label}".strip(), **appearance)
            ring = line[line["setting"] == chosen]
            if split == "test" and len(ring):
                axes.plot(ring["x"], ring[metric], **RING)


def _marker(index: int) -> dict:
    return {"marker": style.MARKERS[index % len(style.MARKERS)]}


def _dashes(index: int) -> dict:
    return {"linestyle": ["--", "-.", ":"][index % 3], "linewidth": 1.1}


def _test_score(method: dict, scores: pd.DataFrame, name: str, metric: str) -> float:
    chosen, _ = choose_setting(name, method, scores)
    rows = scores[(scores["method"] == name) & (scores["split"] == "test") & (scores["setting"] == chosen)]
    return rows[metric].iloc[0]


def scale_axis(axes: Axes, key: str, places: list[float], width: float) -> None:
    """The axis of a key: logarithmic with a place for 0 for s, else linear; a tick at each place whose label fits."""
    positive = [place for place in places if place > 0]
    if key == "s" and positive and places[0] >= 0:
        axes.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
        axes.set_xlim(-0.12 * min(positive) if 0 in places else min(positive) / 1.3, max(positive) * 1.3)
    else:
        margin = 0.08 * (places[-1] - places[0]) or 1
        axes.set_xlim(places[0] - margin, places[-1] + margin)
    to_paper = axes.transScale.transform
    ticks, last = [], -np.inf
    low, high = (to_paper((end, 1))[0] for end in axes.get_xlim())
    for place in places:
        position = (to_paper((place, 1))[0] - low) / (high - low) * width
        room = 0.05 * (len(f"{place:g}") + 1)  # inches
        if position - last > room:
            ticks.append(place)
            last = position
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(FixedLocator(places) if len(places) > 1 else NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(AXIS_TITLES.get(key, key))


def _legend(labels: list[str], constant: list[str], colours: dict[str, str], scores: pd.DataFrame) -> list[Line2D]:
    grey = {"color": "0.3"}
    handles = [Line2D([], [], label=label, **grey, **_marker(i)) for i, label in enumerate(labels) if label]
    handles += [
        Line2D([], [], color=colours[name], label=name, **_dashes(index)) for index, name in enumerate(constant)
    ]
    if labels:
        handles.append(Line2D([], [], label="test subjects", **grey))
        if (scores["split"] == "validation").any():
            handles.append(Line2D([], [], alpha=0.35, linewidth=0.9, label="validation subjects", **grey))
        handles.append(Line2D([], [], label="reported setting", **RING))
    return handles


def read(path: Path, methods: dict) -> pd.DataFrame:
    """scores.csv; InputError where it does not list a setting of a method's grid once for the test split."""
    table = records.read_csv(path, ["method", "setting", "split"], [*WITH_MASKS, *WITHOUT_MASKS])
    tested = table[table["split"] == "test"].groupby(["method", "setting"]).size()
    for name, method in methods.items():
        for setting in [one.name for one in settings(method)]:
            if tested.get((name, setting), 0) != 1:
                raise InputError(f"{path} does not list {name} {setting} on test once: tabulate again")
    return table


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="scores.csv of the tables")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return parser


def main(options: argparse.Namespace) -> None:
    """Read, draw, save."""
    methods = options.parameters["methods"]
    style.save(draw(methods, read(options.scores, methods)), options.output, "settings")


if __name__ == "__main__":
    command.run(main, arguments())
