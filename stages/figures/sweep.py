"""One slice over the settings of one method, like the paper's Fig. 5 (gradient scale s) and Fig. 6 (noise level L).

Writes figure-5-scales or figure-6-levels, named by --figure, as PNG, SVG and PDF: a column a setting, ascending; below
each other the reconstruction of every channel and the anomaly map, with the Dice of the slice. All else stays as in the
setting that comparison.csv reports, unless the grid has more values of the axis elsewhere: Fig. 6 takes the s of which
it has the most noise levels, Fig. 5 the L of which it has the most scales. The slice is the one of median lesion
area (stages.figures.selection). Maps share one colour scale, whose end is the 99.5th percentile of the reported
setting's maps over 16 diseased slices that are kept: of this method alone, so not that of Fig. 2, 3 and 7.
"""

import argparse

from matplotlib.figure import Figure

from stages import command
from stages.errors import InputError
from stages.figures import panels, results, selection, style
from stages.figures.examples import LARGE, Content, draw_map
from stages.figures.lines import AXIS_TITLES
from stages.figures.results import Scale
from stages.methods import Setting, setting, settings

FIGURES = {"figure-5-scales": ("s", "w"), "figure-6-levels": ("L",)}
"""Each figure's axis: the first of these keys that the reported setting has."""


def columns(method: dict, reported: Setting, keys: tuple[str, ...]) -> tuple[str | None, list[Setting]]:
    """The key that varies and the settings that are shown, ascending.

    Those of the grid that differ from the reported setting in this key alone, unless other values of the other keys
    have more of them: then those of which the grid has most, the first such. (None, [reported]) without the key.

    >>> method = {"grid": [{"L": [250, 500], "s": [100, 0]}]}
    >>> columns(method, Setting({"L": 500, "s": 100}), ("s", "w"))
    ('s', [{'L': 500, 's': 0}, {'L': 500, 's': 100}])

    Args:
        method: its part of params.yaml.
        reported: its reported setting.
        keys: which one may vary, the first that the reported setting has.
    """
    key = next((key for key in keys if key in reported), None)
    if key is None:
        return None, [reported]
    groups: dict[Setting, list[Setting]] = {}
    for one in settings(method):
        if key in one:
            groups.setdefault(one.without(key), []).append(one)
    group = max([groups[reported.without(key)], *groups.values()], key=len)  # of equals the first
    return key, sorted(group, key=lambda one: one[key])


def draw(content: Content, key: str | None, shown: list[Setting], reported: Setting) -> Figure:
    """The figure.

    Args:
        content: the slice, its scale, and as `methods` the method at every setting that is shown.
        key: what varies.
        shown: the settings, in the order of `content.methods`.
        reported: the setting that is reported.
    """
    (row,), last = content.rows, len(content.views)
    notes = [_unit(content.scale), *content.own_notes]
    if reported in shown and len(shown) > 1:
        notes.append("bold: the setting that is reported")
    elif reported not in shown:
        notes.append(f"the reported setting is {reported.title}: the grid has fewer {key} there")
    side = min(LARGE, style.PAGE[0] / (len(shown) + 1.5))
    width = max((len(shown) + 1.5) * side, 5 * LARGE)
    figure = panels.figure(width, (last + 1) * side + 2 * LARGE + content.room)
    headings = ["input", *(f"{key} = {one[key]:g}" if key else "reported" for one in shown)]
    grid = panels.Grid(
        figure.subplots(), [*(style.channel_title(view.name) for view in content.views), "map"], headings
    )
    for heading, one in zip(grid.axes.get_xticklabels()[1:], shown, strict=True):
        heading.set_fontweight("bold" if one == reported and len(shown) > 1 else "normal")
    grid.axes.set_title(content.caption(row, width - LARGE), loc="left")
    figure.suptitle("\n".join(style.wrapped(_title(content.methods[0].name, key, shown), 0.75 * width, 9)))
    for line, view in enumerate(content.views):
        grid.picture(line, 0, content.image(row, view))
    if content.masked:
        grid.picture(last, 0, content.mask(row))
        grid.note(last, 0, "mask")
    for column, method in enumerate(content.methods, start=1):
        for line, view in enumerate(content.views):
            if method.images is None:
                grid.missing(line, column)
            else:
                grid.picture(line, column, content.image(row, view, method))
        draw_map(grid, last, column, content, method, row)
    panels.bar(grid.axes, content.scale.end(content.methods[0].name), notes, shrink=0.4, aspect=18)
    return figure


def _unit(scale: Scale) -> str:
    if scale.common is None:
        return "colour bar: the maps, in the unit of this method"
    return f"colour bar: {scale.unit}"


def _title(name: str, key: str | None, shown: list[Setting]) -> str:
    if key is None:
        return f"{name}, which has no such key in its grid"
    others = shown[0].without(key).title
    return f"{', '.join(filter(None, [name, others]))}: over the {AXIS_TITLES[key]}"


def arguments() -> argparse.ArgumentParser:
    parser = results.parser(__doc__)
    parser.add_argument("--figure", choices=tuple(FIGURES), required=True, help="which one to draw")
    return parser


def main(options: argparse.Namespace) -> None:
    """Draw the slice of median lesion area over the settings that differ in one key."""
    parameters, figure = options.parameters, options.figure
    name, seed, channels = parameters["figures"]["method"], parameters["seed"], parameters["data"]["channels"]
    method, folders = parameters["methods"][name], (options.maps, options.scores)
    store = results.open_split(options.data, options.split_list, channels)
    reported = setting(method, results.reported(options.comparison, [name])[name])
    deciding = results.open_method(name, reported.name, *folders, store)
    key, shown = columns(method, reported, FIGURES[figure])
    drawn = [results.open_method(name, one.name, *folders, store) for one in shown]
    rows = selection.diseased_slices(deciding.slices, results.kept(drawn), 1, seed)
    if not rows:
        raise InputError("the test split has no diseased slice to show: give it more subjects")
    content = Content(
        store,
        drawn,
        [one.title for one in shown],
        channels,
        results.common_scale([deciding], store, parameters),
        rows,
        panels.crop(store.images[rows]),
        "diseased",
        results.repeat_shown(parameters),
    )
    style.save(draw(content, key, shown, reported), options.output, figure)


if __name__ == "__main__":
    command.run(main, arguments())
