"""What every method does to single test slices: input, reconstructions and anomaly maps, like the paper's Fig. 2, 3, 7.

Writes one figure, named by --figure: figure-2-methods and supplement-3-diseased for data sets of one
channel, figure-3-methods, supplement-1-diseased and supplement-2-healthy for those of several, figure-7-healthy for
both; each as PNG, SVG and PDF, with every method at the setting that comparison.csv reports.

Slices are chosen by rule (stages.figures.selection), and the supplement shows others than the figures of the paper.
Maps that are the summed absolute difference of input and reconstruction share one colour scale, which the colour bar
names, in all of these figures: its end is the median of the methods' ends, and a method's end the 99.5th percentile of
its maps over 16 diseased slices that are kept. Other maps have units and scales of their own.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from stages import command
from stages.channels import View, views
from stages.data.store import SliceStore
from stages.errors import InputError
from stages.figures import panels, results, selection, style
from stages.figures.panels import Grid
from stages.figures.results import Method, Scale
from stages.methods import setting

DISEASED, HEALTHY = "diseased", "healthy"
ONE_CHANNEL = {"figure-2-methods": DISEASED, "figure-7-healthy": HEALTHY, "supplement-3-diseased": DISEASED}
SEVERAL_CHANNELS = {
    "figure-3-methods": DISEASED,
    "figure-7-healthy": HEALTHY,
    "supplement-1-diseased": DISEASED,
    "supplement-2-healthy": HEALTHY,
}
FIGURES = tuple(dict.fromkeys([*ONE_CHANNEL, *SEVERAL_CHANNELS]))

LARGE = 0.9  # inches, the largest side of a panel
LABELS = 1.1  # inches, the widest label of a row
UNIT = "one scale for all methods that have both"
OWN = "maps of another unit: on the scale that stands at the name"
MASK = "outlined: the mask; Dice: at the average Otsu threshold"
MEAN = "mean: over all pixels of the map"


@dataclass(frozen=True)
class Content:
    """What a figure shows.

    Attributes:
        store: the test split.
        methods: in the order of params.yaml.
        titles: of their settings, `Setting.title`.
        channels: names of the store's C channels.
        scale: the maps' colour scales.
        rows: the slices, row numbers of the store.
        window: the part of each slice that is shown, from `crop`.
        kind: `diseased` or `healthy`.
        repeat: which repeat they are of, `results.repeat_shown`.
    """

    store: SliceStore
    methods: list[Method]
    titles: list[str]
    channels: list[str]
    scale: Scale
    rows: list[int]
    window: tuple[slice, slice]
    kind: str
    repeat: str = ""

    @property
    def masked(self) -> bool:
        """Whether a mask is shown."""
        return self.store.masks is not None and self.kind == DISEASED

    @property
    def notes(self) -> list[str]:
        """What the foot says."""
        notes = [f"colour bar: {self.scale.unit}, {UNIT}"] if self.scale.common else []
        notes += [OWN] if self.scale.own else []
        return [*notes, *self.own_notes]

    @property
    def own_notes(self) -> list[str]:
        """What the foot says beside the maps' scales."""
        return [MASK if self.masked else MEAN, *([self.repeat] if self.repeat else [])]

    @property
    def room(self) -> float:
        """Inches that the foot needs beyond what every figure has."""
        return 0.15 if self.repeat else 0.0

    def caption(self, row: int, width: float) -> str:
        """The slice's name and class, and its lesion's area where there are masks, on lines of so many inches."""
        values = self.store.manifest.iloc[row]
        kind = f"lesion {values['lesion_pixels']} pixels" if self.masked else self.kind
        return "\n".join(style.wrapped(f"{values['slice_id']}, {kind}", width))

    def labels(self, width: float) -> list[str]:
        """Each method's name, setting and, where its unit is its own, scale, on lines of so many inches."""
        found = []
        for method, title in zip(self.methods, self.titles, strict=True):
            own = [f"map: 0 to {self.scale.own[method.name]:.3g}"] if method.name in self.scale.own else []
            found.append("\n".join(line for part in [method.name, title, *own] for line in _lines(part, width)))
        return found

    @property
    def views(self) -> list[View]:
        """The pictures of each image."""
        return views(self.channels)

    def image(self, row: int, view: View, method: Method | None = None) -> np.ndarray:
        """A picture, (H, W) or (H, W, 3), of the input, or of a method that has reconstructions."""
        images = self.store.images if method is None or method.images is None else method.images
        return panels.of_view(images[row], view)[self.window]

    def mask(self, row: int) -> np.ndarray:
        """The lesion (H, W), bool; only where there are masks."""
        return np.asarray(self.store.masks)[row][self.window] != 0


def _lines(text: str, width: float) -> list[str]:
    return style.wrapped(text, width, style.SMALL)


def draw(content: Content) -> Figure:
    """The figure: methods in columns where an image is one picture, in rows where it is several."""
    if not content.rows:
        return style.sentence(f"All {content.kind} slices of the test split that can be shown are in the main figures.")
    return _columns(content) if len(content.views) == 1 else _rows(content)


def _columns(content: Content) -> Figure:
    """Fig. 2: a column a method; per slice a row of reconstructions and a row of maps, the mask below the input."""
    columns, down = len(content.methods) + 1, len(content.rows)
    side = min(LARGE, style.PAGE[0] / (columns + 0.5), (style.PAGE[1] - content.room) / (2.5 * down + 2))
    labels = ["input", *content.labels(0.85 * side)]
    figure = panels.figure(max((columns + 0.5) * side, 4 * LARGE), (2.5 * down + 2) * side + content.room)
    blocks = figure.subplots(down, squeeze=False)[:, 0]
    for axes, row in zip(blocks, content.rows, strict=True):
        # Written upwards, so a small panel has no room for the word.
        name = "reconstruction" if style.text_width("reconstruction", style.SMALL) < side else "recon-\nstruction"
        grid = Grid(axes, [name, "map"], labels if axes is blocks[0] else [""] * columns)
        for label in axes.get_yticklabels():
            label.set(rotation=90, va="center")
        axes.set_title(content.caption(row, columns * side), loc="left")
        (view,) = content.views
        grid.picture(0, 0, content.image(row, view))
        if content.masked:
            grid.picture(1, 0, content.mask(row))
            grid.note(1, 0, "mask")
        for column, method in enumerate(content.methods, start=1):
            if method.images is None:
                grid.missing(0, column)
            else:
                grid.picture(0, column, content.image(row, view, method))
            draw_map(grid, 1, column, content, method, row)
    _finish(figure, list(blocks), content)
    return figure


def _rows(content: Content) -> Figure:
    """Fig. 3: a block a slice; its first row the input's pictures and the mask, below it a row a method."""
    views, across = content.views, min(len(content.rows), 2)
    count = len(views)
    lines, down = len(content.methods) + 1, -(-len(content.rows) // across)
    labels = ["input", *content.labels(LABELS)]
    wide, high = (
        (style.PAGE[0] - LABELS) / (across * (count + 1)),
        (style.PAGE[1] - content.room) / (down * (lines + 0.5) + 1),
    )
    # No lower than the lines of the labels are.
    side = max(min(LARGE, wide, high), 1.3 * style.SMALL / 72 * max(label.count("\n") + 1 for label in labels))
    width = max(LABELS + across * (count + 1) * side, 5 * LARGE)
    figure = panels.figure(width, (down * (lines + 0.5) + 1) * side + content.room)
    blocks = figure.subplots(down, across, squeeze=False).ravel()
    for axes in blocks[len(content.rows) :]:
        axes.remove()
    for number, (axes, row) in enumerate(zip(blocks, content.rows, strict=False)):
        grid = Grid(axes, [""] * lines if number % across else labels, [""] * (count + 1))
        axes.set_title(content.caption(row, (count + 1) * side), loc="left")
        draw_input(grid, content, row)
        for line, method in enumerate(content.methods, start=1):
            if method.images is None:
                grid.missing(line, 0, count)
            else:
                for column, view in enumerate(views):
                    grid.picture(line, column, content.image(row, view, method))
            draw_map(grid, line, count, content, method, row)
        grid.note(1, count, "map")
    _finish(figure, list(blocks[: len(content.rows)]), content)
    return figure


def _finish(figure: Figure, blocks: list, content: Content) -> None:
    figure.suptitle(f"{content.kind.capitalize()} test slices")
    panels.bar(blocks, content.scale.common, content.notes, shrink=0.3, aspect=18)


def draw_input(grid: Grid, content: Content, row: int) -> None:
    """The input's pictures side by side in the first row, and the mask beside them where one is shown."""
    for column, view in enumerate(content.views):
        grid.picture(0, column, content.image(row, view))
        grid.note(0, column, style.channel_title(view.name))
    if content.masked:
        grid.picture(0, len(content.views), content.mask(row))
        grid.note(0, len(content.views), "mask")


def draw_map(grid: Grid, line: int, column: int, content: Content, method: Method, row: int) -> None:
    """One map with the mask's outline and its Dice; where no mask is shown, with its mean."""
    grid.map(line, column, method.maps[row][content.window], content.scale.end(method.name))
    if content.masked:
        mask = content.mask(row)
        grid.outline(line, column, mask)
        # The word stands where it hides less of the lesion.
        low, middle = mask[-mask.shape[0] // 4 :], mask.shape[1] // 2
        side = "left" if low[:, middle:].sum() > low[:, :middle].sum() else "right"
        grid.note(line, column, f"Dice {method.slices['dice_average_otsu'].iloc[row]:.2f}", f"lower {side}")
    else:
        grid.note(line, column, f"mean {method.slices['mean_map'].iloc[row]:.3f}", "lower right")


def choose(figure: str, shown: list[Method], counts: dict, seed: int) -> list[int]:
    """The slices of a figure, row numbers of the store; none where a supplement finds no others than the main figure.

    Args:
        figure: one of `FIGURES`.
        shown: the methods, of whose kept slices it chooses.
        counts: `figures` of params.yaml: diseased_slices or healthy_slices, and supplement_slices for a supplement.
        seed: of the draws.

    Raises:
        InputError: no healthy, or no diseased, slice can be shown.
    """
    kind = {**ONE_CHANNEL, **SEVERAL_CHANNELS}[figure]
    rule: Callable[..., list[int]] = selection.diseased_slices if kind == DISEASED else selection.healthy_slices
    slices, kept = shown[0].slices, results.kept(shown)
    rows = rule(slices, kept, counts[f"{kind}_slices"], seed)
    if not rows:
        raise InputError(f"the test split has no {kind} slice to show: give it more subjects")
    return rule(slices, kept, counts["supplement_slices"], seed, rows) if figure.startswith("supplement") else rows


def arguments() -> argparse.ArgumentParser:
    parser = results.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True, help="which one to draw")
    return parser


def main(options: argparse.Namespace) -> None:
    """Draw one figure of the slices that the rule chooses, every method at its reported setting."""
    parameters, figure = options.parameters, options.figure
    channels, counts, methods = parameters["data"]["channels"], parameters["figures"], parameters["methods"]
    possible = ONE_CHANNEL if len(views(channels)) == 1 else SEVERAL_CHANNELS
    if figure not in possible:
        raise InputError(
            f"--figure {figure} is not for data.channels {', '.join(channels)}: these have {', '.join(possible)}"
        )
    store = results.open_split(options.data, options.split_list, channels)
    shown = results.open_reported(options.comparison, list(methods), options.maps, options.scores, store)
    rows = choose(figure, shown, counts, parameters["seed"])
    scale = results.common_scale(shown, store, parameters)
    titles = [setting(methods[method.name], method.setting).title for method in shown]
    window = panels.crop(store.images[rows])
    repeat = results.repeat_shown(parameters)
    content = Content(store, shown, titles, channels, scale, rows, window, possible[figure], repeat)
    style.save(draw(content), options.output, figure)


if __name__ == "__main__":
    command.run(main, arguments())
