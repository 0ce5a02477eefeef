"""One slice over the settings of one method, like the paper's Fig. 5 (guidance scale s) and Fig. 6 (noise level L).

Writes figure-5-scales or figure-6-levels, named by --figure, as PNG, SVG and PDF: a column a setting, ascending; below
each other the reconstruction of every channel and the anomaly map, with the Dice of the slice. All else stays as in the
setting that comparison.csv reports, unless the grid has more values of the axis elsewhere: Fig. 6 takes the s of which
it has the most noise levels, Fig. 5 the L of which it has the most scales. The slice is the one of median Dice. Maps
share one colour scale, whose end is the 99.5th percentile of the reported setting's maps over diseased slices at 16
even quantiles: of this method alone, so not that of Fig. 2, 3 and 7.
"""

import argparse

from matplotlib.figure import Figure

from stages import command
from stages.errors import InputError
from stages.figures import results, selection, style
from stages.figures.examples import Content, draw_caption, draw_map
from stages.figures.panels import LINE, THIN, Sheet, crop, foot_height
from stages.figures.results import Scale
from stages.figures.settings import AXIS_TITLES
from stages.methods import settings

FIGURES = {"figure-5-scales": ("s", "w"), "figure-6-levels": ("L",)}
"""Each figure's axis: the first of these keys that the reported setting has."""

SMALL, LARGE = 0.45, 1.0  # inches, the side of a panel


def columns(method: dict, reported: dict, keys: tuple[str, ...]) -> tuple[str | None, list[dict]]:
    """The key that varies and the settings that are shown, ascending.

    Those of the grid that differ from the reported setting in this key alone, unless other values of the other keys
    have more of them: then those of which the grid has most, the first such. (None, [reported]) without the key.

    Args:
        method: its part of params.yaml.
        reported: its reported setting.
        keys: which one may vary, the first that the reported setting has.
    """
    key = next((key for key in keys if key in reported), None)
    if key is None:
        return None, [reported]
    groups: dict[tuple, list[dict]] = {}
    for setting in settings(method):
        if key in setting:
            groups.setdefault(_others(setting, key), []).append(setting)
    group = max([groups[_others(reported, key)], *groups.values()], key=len)  # of equals the first
    return key, sorted(group, key=lambda setting: setting[key])


def _others(setting: dict, key: str) -> tuple:
    return tuple(sorted((name, value) for name, value in setting.items() if name != key))


def draw(content: Content, key: str | None, shown: list[dict], reported: dict) -> Figure:
    """The figure.

    Args:
        content: the slice, its scale, and as `methods` the method at every setting that is shown.
        key: what varies.
        shown: the settings, in the order of `content.methods`.
        reported: the setting that is reported.
    """
    (row,), lines = content.rows, [*map(style.channel_title, content.channels), "map"]
    left = 0.12 + max(map(style.text_width, lines))
    side = max(SMALL, min(LARGE, (style.PAGE[0] - left - 0.05) / (len(shown) + 1)))
    width = max(left + (len(shown) + 1) * side + 0.05, 4.5)
    notes, head = [_unit(content.scale), *content.notes[-1:]], 0.42 + LINE + 0.05
    if reported in shown and len(shown) > 1:
        notes.append("bold: the setting that is reported")
    elif reported not in shown:
        notes.append(f"the reported setting is {reported.title}: the grid has fewer {key} there")
    blocks = head + len(lines) * side
    sheet = Sheet(width, blocks + foot_height(width, notes))
    sheet.text(left, 0.06, _title(content.methods[0].name, key, shown), fontsize=9, weight="bold")
    draw_caption(sheet, left, 0.4, width - left, content, row)
    for line, label in enumerate(lines):
        sheet.text(left - 0.05, head + line * side + (side - THIN) / 2, label, ha="right", va="center")
    headings = ["input", *(f"{key} = {setting[key]:g}" if key else "reported" for setting in shown)]
    for column, heading in enumerate(headings):
        bold = "bold" if column and len(shown) > 1 and shown[column - 1] == reported else "normal"
        x = left + column * side + (side - THIN) / 2
        sheet.text(x, head - 0.05, heading, ha="center", va="baseline", weight=bold, fontsize=6.5)
    for line in range(len(content.channels)):
        sheet.grey(left, head + line * side, side, content.store.images[row, line][content.window])
    last = head + len(content.channels) * side
    if content.masked:
        sheet.grey(left, last, side, content.store.masks[row][content.window] != 0)
        sheet.note(left, last, side, "mask")
    for column, method in enumerate(content.methods, start=1):
        x = left + column * side
        for line in range(len(content.channels)):
            if method.images is None:
                sheet.missing(x, head + line * side, side, "no reconstruction")
            else:
                sheet.grey(x, head + line * side, side, method.images[row, line][content.window])
        draw_map(sheet, x, last, side, content, method, row)
    sheet.foot(blocks + 0.06, content.scale.common or next(iter(content.scale.own.values())), notes)
    return sheet.figure


def _unit(scale: Scale) -> str:
    if scale.common is None:
        return "colour bar: the maps, in the unit of this method"
    return "colour bar: summed absolute difference of input and reconstruction"


def _title(name: str, key: str | None, shown: list[dict]) -> str:
    if key is None:
        return f"{name}, which has no such key in its grid"
    others = shown[0].without(key).title
    return f"{', '.join(filter(None, [name, others]))}: over the {AXIS_TITLES[key]}"


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = results.parser(__doc__)
    parser.add_argument("--figure", choices=tuple(FIGURES), required=True, help="which one to draw")
    return parser


def main(options: argparse.Namespace) -> None:
    """Choose the slice and the settings, draw, save."""
    parameters, figure = options.parameters, options.figure
    name, seed, channels = parameters["figures"]["method"], parameters["seed"], parameters["data"]["channels"]
    method = parameters["methods"][name]
    store = results.open_split(options.data, channels)
    reported_name = results.reported(options.comparison, [name])[name]
    reported = next((setting for setting in settings(method) if setting.name == reported_name), None)
    if reported is None:
        raise InputError(
            f"{options.comparison} reports {reported_name}, which methods.{name}.grid has not: tabulate again"
        )
    deciding = results.open_method(name, reported_name, options.maps, options.scores, store)
    rows = selection.diseased_slices(deciding.slices, 1, seed)
    if not rows:
        raise InputError(f"{store.folder} has no diseased slice to show: give the test split more subjects")
    scale = results.common_scale([deciding], name, store, seed)
    key, shown = columns(method, reported, FIGURES[figure])
    methods = [results.open_method(name, each.name, options.maps, options.scores, store) for each in shown]
    content = Content(store, methods, channels, scale, rows, crop(store.images[rows]), "diseased")
    style.save(draw(content, key, shown, reported), options.output, figure)


if __name__ == "__main__":
    command.run(main, arguments())
