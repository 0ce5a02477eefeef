"""Dice and AUROC over the guidance scale s for each noise level L, like the paper's Fig. 4: figure-4-sensitivity.

Shows the method that figures.method names on the test subjects: a line with markers for each L, over s on a
logarithmic axis with a place for 0; a ring marks the setting that is reported, with its 95 % interval. Every other
method is a thin line at its reported setting, named at the right. Where figures.published names a data set, what the
paper reports on it is drawn dashed, in the same colour and with the same marker for the same L. A method without s is
drawn over the guidance weight w, or whatever number its grid has. Where the data set has no masks, the image-level
AUROC takes the place of both, and nothing published is drawn.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.optimize import isotonic_regression

from stages import command
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.summary import TITLES, WITH_MASKS, WITHOUT_MASKS, plotted
from stages.figures import published, style
from stages.figures.settings import RING, axis_key, lines, scale_axis
from stages.figures.settings import read as read_scores
from stages.methods import settings

PAPER = {"dice_average_otsu": "dice", "auroc": "auroc"}  # a metric's column in the published table
PANEL, LEFT, RIGHT, GAP = 2.2, 0.5, 2.1, 0.14  # inches: a panel's height, its margins (the right one at most), between
NAME = 0.105  # inches from one method's name to the next
LEAD = 0.18  # inches from a panel to the names beside it


def draw(
    methods: dict, name: str, scores: pd.DataFrame, comparison: pd.DataFrame, paper: pd.DataFrame | None
) -> Figure:
    """The figure.

    Args:
        methods: name -> detector and grid, as in params.yaml.
        name: the one whose lines are drawn.
        scores: scores.csv.
        comparison: comparison.csv by method: its reported setting and its scores there.
        paper: the published values of a data set; None where none are drawn.
    """
    style.use()
    key = _guidance(methods[name])
    metrics = plotted(scores)
    paper = paper if key == "s" and metrics == WITH_MASKS else None
    shown = lines(methods[name], name, scores, "test", key)
    looks = _looks(style.method_colours(methods)[name], shown, paper)
    names = {metric: _names(methods, name if shown else None, metric, comparison, paper) for metric in metrics}
    right = min(RIGHT, LEAD + 0.12 + max((style.text_width(row[1], 6) for row in names[metrics[0]]), default=0))
    legend = _legend(looks, shown, paper)
    columns = _legend_columns([handle.get_label() for handle in legend])
    top, bottom, width = 0.12 + 0.13 * -(-len(legend) // columns), 0.4, style.PAGE[0] - LEFT - right
    height = top + len(metrics) * (PANEL + GAP) - GAP + bottom
    figure = plt.figure(figsize=(style.PAGE[0], height))
    for index, metric in enumerate(metrics):
        low = (height - top - index * (PANEL + GAP) - PANEL) / height
        axes = figure.add_axes([LEFT / style.PAGE[0], low, width / style.PAGE[0], PANEL / height])
        _draw_lines(axes, metric, shown, looks, comparison.loc[name])
        if paper is not None:
            _draw_published(axes, PAPER[metric], looks, paper)
        for score, _, look in names[metric]:
            axes.axhline(score, **look)
        axes.set_ylabel(TITLES[metric])
        axes.grid(axis="y", linewidth=0.4, alpha=0.4)
        places = sorted({place for line in shown.values() for place in line["x"]} | _published_places(paper))
        if places:
            scale_axis(axes, key, places, width)
        else:
            axes.set_xticks([])
        if metric != metrics[-1]:
            axes.set_xlabel("")
            axes.tick_params(axis="x", labelbottom=False)
        _write_names(axes, names[metric], width)
    if metrics == WITHOUT_MASKS:
        axes.set_xlabel(f"{axes.get_xlabel()}\nno masks in this data set: neither Dice nor AUROC over pixels".strip())
    place = {"loc": "upper left", "bbox_to_anchor": ((LEFT - 0.06) / style.PAGE[0], 1)}
    figure.legend(handles=legend, ncols=columns, frameon=False, **_SPACING, **place)
    return figure


_SPACING = {"columnspacing": 1.5, "handlelength": 2.6}


def _legend_columns(labels: list[str]) -> int:
    """Into how many columns, four at most, the legend goes on a page: matplotlib fills one after the other."""
    size = plt.rcParams["legend.fontsize"]
    beside = (_SPACING["columnspacing"] + _SPACING["handlelength"] + plt.rcParams["legend.handletextpad"]) * size / 72
    for count in (4, 3, 2):
        # The first ones are the longer ones where the labels do not fill all columns.
        parts = np.array_split(np.asarray(labels), count)
        widest = [max((style.text_width(label, size) for label in part), default=0) for part in parts]
        if sum(widest) + count * beside <= style.PAGE[0] - LEFT:
            return count
    return 1


def _guidance(method: dict) -> str | None:
    """The key of the horizontal axis: s or w even where the grid has one value of it, or else what axis_key says."""
    keys = {key for setting in settings(method) for key in setting}
    return next((key for key in ("s", "w") if key in keys), axis_key(method))


def _looks(colour: str, shown: dict[str, pd.DataFrame], paper: pd.DataFrame | None) -> dict[str, dict]:
    """Label -> colour and marker: tints of the method's colour, the darker the higher the noise level."""
    labels = list(shown)
    if paper is not None:
        labels += [f"L = {level:g}" for level in paper["L"].dropna().unique()]
    # Numbers by their value, not by their digits; anything else stays as the grid has it.
    labels = sorted(
        dict.fromkeys(labels), key=lambda label: [float(word) for word in label.split() if _is_number(word)]
    )
    return {
        label: {"color": tint, "marker": style.MARKERS[index % len(style.MARKERS)]}
        for index, (label, tint) in enumerate(zip(labels, style.tints(colour, len(labels)), strict=True))
    }


def _is_number(word: str) -> bool:
    return word.replace(".", "", 1).lstrip("-").isdigit()


def _draw_lines(axes: Axes, metric: str, shown: dict, looks: dict[str, dict], reported: pd.Series) -> None:
    """A line for each noise level; the reported setting with its interval."""
    for label, line in shown.items():
        axes.plot(line["x"], line[metric], label=label, zorder=3, **looks[label])
        chosen = line[line["setting"] == reported["setting"]]
        if len(chosen):
            ends = reported[f"{metric}_low"], reported[f"{metric}_high"]
            if np.isfinite(ends).all():
                # A line, not vlines: the limits of the axis are to hold it.
                axes.plot([*chosen["x"]] * 2, ends, color="black", linewidth=0.8, zorder=2)
            axes.plot(chosen["x"], chosen[metric], zorder=4, **RING)


def _draw_published(axes: Axes, column: str, looks: dict[str, dict], paper: pd.DataFrame) -> None:
    for level, rows in paper.dropna(subset="L").groupby("L"):
        rows = rows.sort_values("s")
        look = looks[f"L = {level:g}"] | _PUBLISHED
        axes.plot(rows["s"], rows[column], label=f"published L = {level:g}", zorder=2, **look)


_PUBLISHED = {"linestyle": (0, (4, 2)), "linewidth": 0.7, "markersize": 2.6, "markerfacecolor": "white"}


def _published_places(paper: pd.DataFrame | None) -> set[float]:
    return set() if paper is None else set(paper["s"].dropna())


def _names(
    methods: dict, without: str | None, metric: str, comparison: pd.DataFrame, paper: pd.DataFrame | None
) -> list[tuple[float, str, dict]]:
    """What is a horizontal line: its score, its name and its look; published ones dashed."""
    colours, found = style.method_colours(methods), []
    for other in methods:
        score = comparison.at[other, metric]
        if other != without and np.isfinite(score):
            label = ", ".join(filter(None, [other, style.setting_title(comparison.at[other, "setting"])]))
            label = label if style.text_width(label, 6) < RIGHT - LEAD - 0.12 else other
            found.append((score, label, {"color": colours[other], "linewidth": 0.9}))
    if paper is not None:
        for _, row in paper[paper["L"].isna()].iterrows():
            ours = [other for other, method in methods.items() if method.get("detector") == row["method"]]
            look = {"color": colours[ours[0]] if ours else "0.4", "linewidth": 0.7, "linestyle": (0, (4, 2))}
            label = f"{row['method'].replace('_', '-')}, published"
            found.append((row[PAPER[metric]], label, look))
    return found


def _write_names(axes: Axes, names: list[tuple[float, str, dict]], width: float) -> None:
    """The names at the right of a panel of so many inches, moved apart where their lines are close."""
    # A horizontal line that lies within the margin has not moved the axis: the margin is to begin beyond it.
    axes.relim()
    axes.autoscale_view(scalex=False)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)  # what follows is not to move it
    heights = [(score - low) / (high - low) * PANEL for score, _, _ in names]
    for (score, label, look), y in zip(names, spread(heights, NAME, PANEL), strict=True):
        ends = [1, 1 + (LEAD - 0.03) / width], [score, low + y / PANEL * (high - low)]
        lead = {"color": look["color"], "linewidth": 0.5, "clip_on": False}
        axes.add_line(Line2D(*ends, transform=axes.get_yaxis_transform(), **lead))
        place = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 6}
        axes.text(1 + LEAD / width, ends[1][1], label, color="0.15", **place)


def spread(places: list[float], gap: float, top: float) -> np.ndarray:
    """Places between 0 and `top`, at least `gap` apart, whose squared distance from the given ones is least.

    Moved apart in the order of the given ones; closer than `gap` where there is no room for all.
    """
    if not places:
        return np.empty(0)
    order = np.argsort(places, kind="stable")
    gap = min(gap, top / max(len(places) - 1, 1))
    steps = gap * np.arange(len(places))
    moved = (
        isotonic_regression(np.asarray(places, np.float64)[order] - steps).x.clip(0, max(top - steps[-1], 0)) + steps
    )
    result = np.empty(len(places))
    result[order] = moved
    return result


def _legend(looks: dict[str, dict], shown: dict, paper: pd.DataFrame | None) -> list[Line2D]:
    handles = [
        Line2D([], [], label=label or "test subjects", **look)
        if label in shown
        else Line2D([], [], label=f"{label} (published only)", **(look | _PUBLISHED))
        for label, look in looks.items()
    ]
    if shown:
        handles.append(Line2D([], [], label="reported setting, 95 % interval", **RING))
    if paper is not None:
        label = f"published, {paper['dataset'].iloc[0]} (Wolleb et al. 2022)"
        handles.append(Line2D([], [], label=label, marker="o", color="0.3", **_PUBLISHED))
    return handles


def read(path: Path, methods: dict) -> pd.DataFrame:
    """comparison.csv by method; InputError where it does not list a method once."""
    columns = [f"{metric}{end}" for metric in (*WITH_MASKS, *WITHOUT_MASKS) for end in ("", "_low", "_high")]
    table = records.read_csv(path, ["method", "setting"], columns)
    for name in methods:
        if (table["method"] == name).sum() != 1:
            raise InputError(f"{path} does not list method {name!r} once: tabulate again")
    return table.set_index("method")


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--table", type=Path, required=True, help="scores.csv of the tables")
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv, which names the settings")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return parser


def main(options: argparse.Namespace) -> None:
    """Read, draw, save."""
    methods, figures = options.parameters["methods"], options.parameters["figures"]
    dataset = figures.get("published")
    paper = published.read(dataset) if dataset else None
    scores, comparison = read_scores(options.table, methods), read(options.comparison, methods)
    style.save(draw(methods, figures["method"], scores, comparison, paper), options.output, "figure-4-sensitivity")


if __name__ == "__main__":
    command.run(main, arguments())
