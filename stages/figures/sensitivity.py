"""How scores depend on the settings of the methods: figure-4-sensitivity, settings or heatmap, named by --figure.

All show Dice and AUROC, or where the data set has no masks, the image-level AUROC; the reported setting, which
comparison.csv names, or each that a fold chose, is ringed or framed. Dice is that at the average Otsu threshold, but in
figure-4-sensitivity.

figure-4-sensitivity, like the paper's Fig. 4: the method that figures.method names, on the test subjects: a line with
markers for each noise level L, over the gradient scale s on a logarithmic axis with a place for 0; the reported setting
has its 95 % interval; where folds chose several, what they come to is a thin line. Dice is that at each slice's own
Otsu threshold, as the published values were computed; that at the average Otsu threshold is faint beside it. Every
other method is a thin line at its reported setting, named at the right. Where figures.published names a data set, what
the paper reports on it is drawn dashed, in the colour and with the marker of its L. A method without s is drawn over
the guidance weight w, or whatever number its grid has.

settings: every method whose grid has numbers, a column each, over s, w, another number or L; a marker for each value of
the other keys; test subjects solid, validation subjects faint. Methods without numbers are dashed lines in all columns.

heatmap: see stages.figures.heatmap.

Without the workflow: `--benchmark NAME` in place of `--parameters` draws of the methods of NAME those that the tables
list, such as tables from the records of a run that is not finished.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages import command
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.sensitivity import COLUMNS
from stages.evaluation.summary import TITLES, WITH_MASKS, WITHOUT_MASKS, plotted
from stages.figures import heatmap, lines, published, results, style
from stages.methods import Setting, settings
from stages.parameters import reading, sections

FIGURES = {
    "figure-4-sensitivity": "sensitivity_figure_4",
    "settings": "sensitivity_settings",
    "heatmap": "sensitivity_heatmap",
}
"""The figures, and the rules that draw them."""
PAPER = {"dice_own_otsu": "dice", "auroc": "auroc"}  # Fig. 4's metrics, and their columns in the published table
BESIDE = {"dice_own_otsu": "dice_average_otsu"}  # and what is drawn faint beside one of them
PAPER_COLUMNS = ["dataset", "method", "L", "s", "dice", "auroc"]
FAINT: dict[str, Any] = {"alpha": 0.35, "linewidth": 0.9, "markerfacecolor": "white"}
PALE: dict[str, Any] = {"alpha": 0.45, "linewidth": 0.8, "markersize": 2.6}
PUBLISHED: dict[str, Any] = {"linewidth": 0.7, "markersize": 2.6, "markerfacecolor": "white"}
DASHES = (4, 2)
POINTS: dict[str, Any] = style.POINTS | {"legend": False}
Flat = tuple[float, str, dict[str, Any]]
"""A horizontal line: its score, its name on lines, and its look."""
LINE = 1.25 * style.SMALL / 72  # inches from one line of text to the next


def draw_figure_4(
    methods: dict, name: str, scores: pd.DataFrame, comparison: pd.DataFrame, paper: pd.DataFrame | None
) -> Figure:
    """Fig. 4.

    Args:
        methods: name -> detector and grid, as in params.yaml.
        name: the one whose lines are drawn.
        scores: scores.csv.
        comparison: comparison.csv by method: its reported setting, its scores there and their intervals.
        paper: the published values of a data set; None where none are drawn.
    """
    style.use()
    key = lines.axis_key(methods[name], ("s", "w"))
    metrics = tuple(PAPER) if plotted(scores) == WITH_MASKS else WITHOUT_MASKS
    if paper is None or key != "s" or metrics == WITHOUT_MASKS:
        paper = pd.DataFrame(columns=PAPER_COLUMNS)

    # What is drawn: our lines, the published ones, and a look for each noise level of both.
    own = lines.points(methods, {name: key} if key else {}, scores).query("split == 'test'")
    ours = {one.without(key) for one in settings(methods[name]) if key in one} if key else set()
    theirs = paper.dropna(subset="L").assign(line=lambda rows: [Setting({"L": level}).title for level in rows["L"]])
    titles = lines.in_order(ours | {Setting({"L": level}) for level in theirs["L"]})
    palette = dict(zip(titles, style.tints(style.method_colours(methods)[name], len(titles)), strict=True))
    look: dict[str, Any] = {"hue": "line", "style": "line", "palette": palette, "markers": lines.markers(titles)}
    look |= POINTS

    flat = {metric: _flat(methods, None if own.empty else name, metric, comparison, paper) for metric in metrics}

    names = [text for _, text, _ in flat[metrics[0]]]
    high = max(2.6, 0.4 + len(names) * max((text.count("\n") + 1 for text in names), default=0) * LINE)
    figure, grid = plt.subplots(
        len(metrics), squeeze=False, sharex=True, figsize=(style.PAGE[0], high * len(metrics)), layout="constrained"
    )
    panels = list(grid[:, 0])
    for axes, metric in zip(panels, metrics, strict=True):
        if len(own):
            sns.lineplot(own, x="x", y=metric, ax=axes, dashes=False, zorder=3, **look)
        if len(own) and metric in BESIDE:
            sns.lineplot(own, x="x", y=BESIDE[metric], ax=axes, dashes=False, zorder=1.5, **look, **PALE)
        if len(theirs):
            dashes = dict.fromkeys(titles, DASHES)
            sns.lineplot(theirs, x="s", y=PAPER[metric], ax=axes, dashes=dashes, zorder=2, **look, **PUBLISHED)
        _interval(axes, own, comparison.loc[name], metric)
        lines.scale_axis(axes, key, sorted({*own["x"], *theirs["s"]}))
        axes.set_ylabel("Dice" if metric in BESIDE else TITLES[metric])
        _flat_lines(axes, flat[metric])
    if metrics == WITHOUT_MASKS:
        figure.supxlabel(style.NO_MASKS)
    dataset = str(paper["dataset"].iloc[0]) if len(paper) else None
    chosen = comparison.at[name, "settings"]
    _legend_4(figure, palette, lines.in_order(ours), chosen, dataset, masked=metrics != WITHOUT_MASKS)
    figure.draw_without_rendering()  # the layout is settled
    for axes in panels:
        _move_apart(axes)
        lines.thin_labels(axes)
    return figure


def _interval(axes: Axes, own: pd.DataFrame, reported: pd.Series, metric: str) -> None:
    """The reported setting's ring and its interval; rings alone where folds chose several: what is reported, and its
    interval, is then of no single setting.
    """
    single = len(reported["settings"]) == 1
    for row in own[own["setting"].isin(reported["settings"])].to_dict("records"):
        ends = [[row[metric] - reported[f"{metric}_low"]], [reported[f"{metric}_high"] - row[metric]]]
        axes.errorbar([row["x"]], [row[metric]], yerr=ends if single else None, zorder=4, elinewidth=0.8, **style.RING)


def _flat(methods: dict, without: str | None, metric: str, comparison: pd.DataFrame, paper: pd.DataFrame) -> list[Flat]:
    """What has no place on the horizontal axis: all methods but one, that one where folds chose several settings of it,
    and what is published of methods without L.
    """
    looks, found = style.method_looks(methods), []

    def add(score: float, name: str, **look: Any) -> None:
        found.append((score, "\n".join(style.wrapped(name, 1.8, style.SMALL)), look))

    for other, method in methods.items():
        score = comparison.at[other, metric]
        chosen = comparison.at[other, "settings"]
        if (other != without or len(chosen) > 1) and np.isfinite(score):
            title = lines.reported_title(method, chosen)
            add(score, ", ".join(filter(None, [other, title])), linewidth=0.9, **looks[other])
    for row in paper[paper["L"].isna()].to_dict("records"):
        ours = [other for other, method in methods.items() if method.get("detector") == row["method"]]
        look = {"color": looks[ours[0]]["color"] if ours else "0.4", "linewidth": 0.7, "linestyle": (0, DASHES)}
        add(row[PAPER[metric]], f"{row['method'].replace('_', '-')}, published", **look)
    return found


def _flat_lines(axes: Axes, flat: list[Flat]) -> None:
    """Horizontal lines with their names at the right of the panel, each bound to its line."""
    for score, _, look in flat:
        axes.axhline(score, **look)
    axes.autoscale_view(scalex=False)  # a line within the margin has not moved it: it is to begin beyond
    axes.set_ylim(axes.get_ylim())  # names are not to move it
    across = axes.get_yaxis_transform()
    for score, name, look in flat:
        axes.annotate(
            name,
            (1, score),
            (1.03, score),
            xycoords=across,
            textcoords=across,
            va="center",
            fontsize=style.SMALL,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": look["color"],
                "linewidth": 0.5,
                "shrinkA": 0,
                "shrinkB": 0,
                "relpos": (0, 0.5),  # from the name's left end: towards its centre it would cross its neighbours
            },
        )


def _move_apart(axes: Axes) -> None:
    """Move the names apart where their lines are close."""
    texts, frame = axes.texts, axes.get_window_extent()
    heights = [text.get_window_extent().height / frame.height for text in texts]
    places = [axes.transLimits.transform((0, text.xy[1]))[1] for text in texts]  # type: ignore[attr-defined]
    for text, place in zip(texts, lines.spread(places, max(heights, default=0), 1), strict=True):
        text.set_y(axes.transLimits.inverted().transform((0, place))[1])


def _legend_4(
    figure: Figure, palette: dict[str, Any], ours: list[str], chosen: list[str], dataset: str | None, masked: bool
) -> None:
    """The legend above the panels, in as many columns as the page has room for."""
    handles = []
    for line, marker in lines.markers(list(palette)).items():
        look: dict[str, Any] = {"color": palette[line], "marker": marker, "label": line or "test subjects"}
        if line not in ours:
            look |= PUBLISHED | {"linestyle": (0, DASHES), "label": f"{line} (published only)"}
        handles.append(Line2D([], [], **look))
    if masked:
        handles.append(Line2D([], [], label="Dice: each slice's own Otsu threshold", marker="o", color="0.3"))
    if masked and ours:
        handles.append(Line2D([], [], label="Dice: average Otsu threshold", marker="o", color="0.3", **PALE))
    if ours:
        label = lines.reported_note([chosen]) + (", 95 % interval" if len(chosen) == 1 else "")
        handles.append(Line2D([], [], label=label, **style.RING))
    if dataset:
        label = f"published, {dataset} (Wolleb et al. 2022)"
        handles.append(Line2D([], [], label=label, marker="o", color="0.3", linestyle=(0, DASHES), **PUBLISHED))
    for columns in (4, 3, 2, 1):
        legend = figure.legend(handles=handles, ncols=columns, loc="outside upper left", handlelength=2.6)
        if columns == 1 or legend.get_window_extent().width <= figure.bbox.width:
            break
        legend.remove()


def draw_settings(methods: dict, scores: pd.DataFrame, comparison: pd.DataFrame) -> Figure:
    """The scores of every method over its settings; the arguments as those of `draw_figure_4`."""
    style.use()
    metrics, colours = plotted(scores), style.method_colours(methods)
    keys = {name: key for name, method in methods.items() if (key := lines.axis_key(method))}
    others = [name for name in methods if name not in keys]
    constant = {name: {"color": colours[name], "linestyle": style.LINES[1 + n % 5]} for n, name in enumerate(others)}
    table = lines.points(methods, keys, scores)
    titles = lines.in_order(
        one.without(key) for name, key in keys.items() for one in settings(methods[name]) if key in one
    )
    places = {name: sorted(set(table.loc[table["method"] == name, "x"])) for name in keys}

    # A column a method, narrower where it has a single point.
    ratios = [1 if len(found) > 1 else 0.6 for found in places.values()] or [1]
    wide = min(2.3, (style.PAGE[0] - 1.9) / sum(ratios))  # beside the columns: the labels of the axes and the legend
    figure, panels = plt.subplots(
        len(metrics),
        len(ratios),
        width_ratios=ratios,
        figsize=(1.9 + wide * sum(ratios), 0.5 + 1.7 * len(metrics)),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for metric, row in zip(metrics, panels, strict=True):
        for axes in row:
            for name, look in constant.items():
                axes.axhline(comparison.at[name, metric], linewidth=1.1, **look)
        for name, axes in zip(keys, row, strict=False):
            own = table[table["method"] == name]
            dots: dict[str, Any] = {"style": "line", "markers": lines.markers(titles), "dashes": False, **POINTS}
            dots |= {"x": "x", "y": metric, "color": colours[name], "ax": axes}
            sns.lineplot(own[own["split"] == "validation"], **dots, **FAINT)  # first: the test split lies on top
            sns.lineplot(own[own["split"] == "test"], **dots)
            ring = own[(own["split"] == "test") & own["setting"].isin(comparison.at[name, "settings"])]
            axes.plot(ring["x"], ring[metric], **style.RING)
            lines.scale_axis(axes, keys[name], places[name])
        row[0].set_ylabel(TITLES[metric])

    # Titles above, labels below, the legend beside.
    for name, axes, ratio in zip(keys, panels[0], ratios, strict=False):
        axes.set_title("\n".join(style.wrapped(name, 0.9 * wide * ratio)), color=colours[name], weight="bold")
    for axes in panels[:-1].flat:
        axes.set_xlabel("")
    if not keys:
        lines.scale_axis(panels[-1, 0], None, [])
    validated = bool((scores["split"] == "validation").any())
    figure.legend(
        handles=_settings_legend(titles, constant, comparison.loc[list(keys), "settings"], validated),
        loc="outside right upper",
    )
    if metrics == WITHOUT_MASKS:
        figure.supxlabel(style.NO_MASKS)
    figure.draw_without_rendering()  # the layout is settled
    for axes in panels[-1]:
        lines.thin_labels(axes)
    return figure


def _settings_legend(
    titles: list[str], constant: dict[str, dict[str, Any]], chosen: Iterable[Sequence[str]], validated: bool
) -> list[Line2D]:
    grey: dict[str, Any] = {"color": "0.3"}
    handles = [Line2D([], [], label=line, marker=mark, **grey) for line, mark in lines.markers(titles).items() if line]
    for name, look in constant.items():
        label = "\n".join(style.wrapped(name, 1.2, style.SMALL))
        handles.append(Line2D([], [], label=label, linewidth=1.1, **look))
    if titles:
        handles.append(Line2D([], [], label="test subjects", **grey))
        if validated:
            handles.append(Line2D([], [], label="validation subjects", **grey, **FAINT))
        handles.append(
            Line2D([], [], label="\n".join(style.wrapped(lines.reported_note(chosen), 1.2, style.SMALL)), **style.RING)
        )
    return handles


def arguments() -> argparse.ArgumentParser:
    parser = results.table_parser(__doc__, "scores.csv", required=False)
    parser.add_argument("--benchmark", metavar="NAME", help="in place of --parameters: a name in params.yaml")
    parser.add_argument("--figure", choices=FIGURES, required=True, help="which one to draw")
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv, which names the settings")
    return parser


def main(options: argparse.Namespace) -> None:
    """Draw one of the figures from the tables; InputError where these do not list what params.yaml names."""
    if (options.parameters is None) == (options.benchmark is None):
        raise InputError("sensitivity takes either --parameters or --benchmark: give one of them")
    parameters = options.parameters or _of_benchmark(options)
    methods = parameters["methods"]
    scores = results.open_scores(options.table, methods)
    comparison = results.open_comparison(options.comparison, list(methods), list(COLUMNS))
    if options.figure == "settings":
        figure = draw_settings(methods, scores, comparison)
    elif options.figure == "heatmap":
        figure = heatmap.draw(methods, scores, comparison)
    else:
        figures = parameters["figures"]
        paper = published.read(figures["published"]) if figures.get("published") else None
        figure = draw_figure_4(methods, figures["method"], scores, comparison, paper)
    style.save(figure, options.output, options.figure)


def _of_benchmark(options: argparse.Namespace) -> dict[str, Any]:
    """What the rule of the figure is handed, with those methods alone that comparison.csv lists."""
    rule = FIGURES[options.figure]
    parameters = sections.section(reading.benchmark(reading.load(reading.FILE), options.benchmark), rule)
    listed = records.read_csv(options.comparison, ["method"], [])["method"].tolist()
    methods = {name: method for name, method in parameters["methods"].items() if name in listed}
    shown = parameters.get("figures", {}).get("method")
    if not methods or shown not in (None, *methods):
        raise InputError(f"{options.comparison} lists no {shown or 'method'} of {options.benchmark}: make its tables")
    return parameters | {"methods": methods}


if __name__ == "__main__":
    command.run(main, arguments())
