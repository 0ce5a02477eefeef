"""Scores over one key of a method's grid: which key, the lines of its other keys, and the axis of such a key.

Shared by the figures that draw such lines, and the titles of the keys by the others.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from scipy.optimize import isotonic_regression

from stages.evaluation import sensitivity
from stages.figures import style
from stages.methods import Setting, setting, settings

AXIS_TITLES = {"s": "gradient scale s", "w": "guidance weight w", "L": "noise level L"}


def axis_key(method: dict, first: tuple[str, ...] = ()) -> str | None:
    """The key of a method's grid that is the horizontal axis; None where no key holds numbers.

    A key of `first` even where it has one value; or else s, w, another number, or L, in this order: the first that has
    more than one value.

    >>> axis_key({"grid": [{"L": [250, 500], "s": [20]}]}), axis_key({"grid": [{"L": [250, 500], "s": [20]}]}, ("s",))
    ('L', 's')
    """
    found: dict[str, set] = {}
    for one in settings(method):
        for key, value in one.items():
            if not isinstance(value, str):
                found.setdefault(key, set()).add(value)
    order = sorted(found, key=lambda key: {"s": 0, "w": 1, "L": 3}.get(key, 2))
    wanted = [key for key in first if key in found] + [key for key in order if len(found[key]) > 1]
    return next(iter(wanted + order), None)


def points(methods: dict, keys: dict[str, str], scores: pd.DataFrame) -> pd.DataFrame:
    """A row a setting and split: method, setting, split, the metrics, `x` of its axis and `line`, its other keys.

    Args:
        methods: name -> grid, as in params.yaml.
        keys: method -> the key of its axis; settings that have it not are on no line.
        scores: scores.csv.
    """
    places = [
        {"method": name, "setting": one.name, "x": one[key], "line": one.without(key).title}
        for name, key in keys.items()
        for one in settings(methods[name])
        if key in one
    ]
    table = pd.DataFrame(places, columns=["method", "setting", "x", "line"])
    columns = ["method", "setting", "split", *sensitivity.COLUMNS]
    return table.merge(scores[columns], on=["method", "setting"])


def reported_title(method: dict, chosen: Sequence[str]) -> str:
    """What a method was reported at: its setting, or where folds chose several, that they did.

    >>> method = {"grid": [{"L": [250, 500], "s": [20]}]}
    >>> reported_title(method, ["L500_s20"]), reported_title(method, ["L500_s20", "L250_s20"])
    ('L = 500, s = 20', 'chosen by fold')
    """
    return setting(method, chosen[0]).title if len(chosen) == 1 else "chosen by fold"


def reported_note(chosen: Iterable[Sequence[str]]) -> str:
    """What a ring or a frame marks, given each method's reported settings."""
    return "settings that folds chose" if any(len(names) > 1 for names in chosen) else "reported setting"


def in_order(found: Iterable[Setting]) -> list[str]:
    """Titles of settings by the values of their keys, each once: L = 125 before L = 1000."""
    order = sorted(set(found), key=lambda one: [(key, isinstance(value, str), value) for key, value in one.items()])
    return [one.title for one in order]


def markers(lines: list[str]) -> dict[str, str]:
    """The marker of each line."""
    return {line: style.MARKERS[index % len(style.MARKERS)] for index, line in enumerate(lines)}


def scale_axis(axes: Axes, key: str | None, places: list[float]) -> None:
    """The axis of a key, with a tick at each place: logarithmic with a place for 0 for s, else linear."""
    if key is None or not places:
        axes.set(xticks=[], xlabel="")
        return
    positive = [place for place in places if place > 0]
    if key == "s" and positive and places[0] >= 0:
        axes.set_xscale("symlog", linthresh=min(positive), linscale=0.5)
        axes.set_xlim(-0.12 * min(positive) if 0 in places else min(positive) / 1.3, max(positive) * 1.3)
    else:
        margin = 0.08 * (places[-1] - places[0]) or 1
        axes.set_xlim(places[0] - margin, places[-1] + margin)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(AXIS_TITLES.get(key, key))


def thin_labels(axes: Axes) -> None:
    """Leave out the labels of the horizontal axis that would touch one to their left, once the layout is settled."""
    last = -np.inf
    for label in axes.get_xticklabels():
        box = label.get_window_extent()
        label.set_visible(bool(box.x0 > last + 2))
        last = box.x1 if label.get_visible() else last


def spread(places: list[float], gap: float, top: float) -> np.ndarray:
    """Places between 0 and `top`, at least `gap` apart, whose squared distance from the given ones is least.

    Moved apart in the order of the given ones; closer than `gap` where there is no room for all.

    >>> spread([1.02, 1.0, 1.5], 0.1, 2).round(2).tolist()
    [1.06, 0.96, 1.5]
    """
    if not places:
        return np.empty(0)
    order = np.argsort(places, kind="stable")
    gap = min(gap, top / max(len(places) - 1, 1))
    steps = gap * np.arange(len(places))
    best = isotonic_regression(np.asarray(places, np.float64)[order] - steps).x
    result = np.empty(len(places))
    result[order] = best.clip(0, max(top - steps[-1], 0)) + steps
    return result
