"""What every method does to single test slices: input, reconstructions and anomaly maps, like the paper's Fig. 2, 3, 7.

Writes one figure, named by --figure: figure-2-methods and supplement-3-diseased for data sets of one
channel, figure-3-methods, supplement-1-diseased and supplement-2-healthy for those of several, figure-7-healthy for
both; each as PNG, SVG and PDF, with every method at the setting that comparison.csv reports.

Slices are chosen by rule (stages.figures.selection), and the supplement shows others than the figures of the paper.
Maps that are the summed absolute difference of input and reconstruction share one colour scale, which the colour bar
names, in all of these figures: its end is the median of the methods' ends, and a method's end the 99.5th percentile of
its maps over diseased slices at 16 even quantiles. Other maps have units and scales of their own.
"""

import argparse
from dataclasses import dataclass

from matplotlib.figure import Figure

from stages import command
from stages.data.store import SliceStore
from stages.errors import InputError
from stages.figures import results, selection, style
from stages.figures.panels import LINE, THIN, Sheet, crop, foot_height
from stages.figures.results import Method, Scale

DISEASED, HEALTHY = "diseased", "healthy"
ONE_CHANNEL = {"figure-2-methods": DISEASED, "figure-7-healthy": HEALTHY, "supplement-3-diseased": DISEASED}
SEVERAL_CHANNELS = {
    "figure-3-methods": DISEASED,
    "figure-7-healthy": HEALTHY,
    "supplement-1-diseased": DISEASED,
    "supplement-2-healthy": HEALTHY,
}
FIGURES = tuple(dict.fromkeys([*ONE_CHANNEL, *SEVERAL_CHANNELS]))

SMALL, LARGE, LARGE_IN_ROWS = 0.42, 1.0, 0.75  # inches, the side of a panel
LABELS = 1.05  # inches, the widest column of labels
GAP = 0.12  # inches between slices
HEAD_AND_FOOT = 1.7  # inches that a page of columns needs for them at most
UNIT = "colour bar: summed absolute difference of input and reconstruction, one scale for all methods that have both"
OWN = "maps of another unit: on the scale that stands at the name"
MASK = "outlined: the mask; Dice: at the average Otsu threshold"
MEAN = "mean: over all pixels of the map"


@dataclass(frozen=True)
class Content:
    """What a figure shows.

    Attributes:
        store: the test split.
        methods: in the order of params.yaml.
        channels: names of the store's C channels.
        scale: the maps' colour scales.
        rows: the slices, row numbers of the store.
        window: the part of each slice that is shown, from `crop`.
        kind: `diseased` or `healthy`.
    """

    store: SliceStore
    methods: list[Method]
    channels: list[str]
    scale: Scale
    rows: list[int]
    window: tuple[slice, slice]
    kind: str

    @property
    def masked(self) -> bool:
        """Whether a mask is shown."""
        return self.store.masks is not None and self.kind == DISEASED

    @property
    def notes(self) -> list[str]:
        """What the foot says."""
        notes = [UNIT] if self.scale.common else []
        return [*notes, *([OWN] if self.scale.own else []), MASK if self.masked else MEAN]

    @property
    def title(self) -> str:
        """What the head says."""
        return f"{self.kind.capitalize()} test slices"


def draw(content: Content) -> Figure:
    """The figure: methods in columns where there is one channel, in rows where there are several."""
    if not content.rows:
        return _nothing_left(content)
    return _columns(content) if len(content.channels) == 1 else _rows(content)


def _nothing_left(content: Content) -> Figure:
    """A supplement for which a small test split has no more slices."""
    sheet = Sheet(style.PAGE[0], 0.5)
    text = f"All {content.kind} slices of the test split that can be shown are in the main figures."
    sheet.text(sheet.width / 2, 0.25, text, ha="center", va="center")
    return sheet.figure


def _columns(content: Content) -> Figure:
    """Fig. 2: a column a method; per slice a row of reconstructions and a row of maps, the mask below the input."""
    methods, rows = content.methods, content.rows
    left, head, between = 0.2, 0.28, 0.2
    wide = (style.PAGE[0] - left - 0.05) / (len(methods) + 1)
    high = ((style.PAGE[1] - HEAD_AND_FOOT) / len(rows) - between) / 2
    side = max(SMALL, min(LARGE, wide, high))
    headings = [["input"], *(_label(method, content.scale, side - 0.06) for method in methods)]
    heading = LINE * max(len(lines) for lines in headings) + 0.03
    width = max(left + (len(methods) + 1) * side, 3.6) + 0.05
    blocks = head + heading + len(rows) * (2 * side + between)
    sheet = Sheet(width, blocks + foot_height(width, content.notes))
    sheet.text(left, 0.06, content.title, fontsize=9, weight="bold")
    for column, lines in enumerate(headings):
        place = {"ha": "center", "va": "bottom", "fontsize": 6.5}
        sheet.text(left + column * side + (side - THIN) / 2, head + heading, lines, **place)
    for index, row in enumerate(rows):
        y = head + heading + between + index * (2 * side + between)
        draw_caption(sheet, left, y, width - left, content, row)
        for line, word in enumerate(("reconstruction", "map")):
            middle = y + line * side + (side - THIN) / 2
            sheet.text(left - 0.04, middle, word, rotation=90, ha="right", va="center", fontsize=6)
        sheet.grey(left, y, side, content.store.images[row, 0][content.window])
        if content.masked:
            sheet.grey(left, y + side, side, content.store.masks[row][content.window] != 0)
            sheet.note(left, y + side, side, "mask")
        for column, method in enumerate(methods, start=1):
            x = left + column * side
            if method.images is None:
                sheet.missing(x, y, side, "no reconstruction")
            else:
                sheet.grey(x, y, side, method.images[row, 0][content.window])
            draw_map(sheet, x, y + side, side, content, method, row)
    sheet.foot(blocks + 0.06, content.scale.common, content.notes)
    return sheet.figure


def _rows(content: Content) -> Figure:
    """Fig. 3: a block a slice; its first row the input's channels and the mask, below it a row a method."""
    methods, channels, rows = content.methods, content.channels, content.rows
    head, between, across, panels = 0.25, 0.2, min(len(rows), 2), len(channels) + 1
    labels = [["input"], *(_label(method, content.scale, LABELS) for method in methods)]
    left = 0.12 + max(style.text_width(line, 6.5) for lines in labels for line in lines)
    down, foot = -(-len(rows) // across), foot_height(style.PAGE[0], content.notes)
    wide = (style.PAGE[0] - left - 0.05 - (across - 1) * GAP) / (across * panels)
    high = ((style.PAGE[1] - head - foot) / down - between) / (len(methods) + 1)
    # No lower than the lines of the labels are.
    side = max(SMALL, 0.93 * LINE * max(map(len, labels)) + THIN, min(LARGE_IN_ROWS, wide, high))
    width = max(left + across * panels * side + (across - 1) * GAP + 0.05, 4.5)
    foot = foot_height(width, content.notes)
    blocks = head + down * ((len(methods) + 1) * side + between)
    sheet = Sheet(width, blocks + foot)
    sheet.text(left, 0.06, content.title, fontsize=9, weight="bold")
    for index, row in enumerate(rows):
        x = left + (index % across) * (panels * side + GAP)
        y = head + between + (index // across) * ((len(methods) + 1) * side + between)
        draw_caption(sheet, x, y, panels * side, content, row)
        if index % across == 0:
            for line, lines in enumerate(labels):
                middle = y + line * side + (side - THIN) / 2
                sheet.text(left - 0.05, middle, lines, ha="right", va="center", fontsize=6.5)
        draw_input(sheet, x, y, side, content, row)
        for line, method in enumerate(methods, start=1):
            if method.images is None:
                sheet.missing(x, y + line * side, side, "no reconstruction", columns=len(channels))
            else:
                for column in range(len(channels)):
                    pixels = method.images[row, column][content.window]
                    sheet.grey(x + column * side, y + line * side, side, pixels)
            draw_map(sheet, x + len(channels) * side, y + line * side, side, content, method, row)
        sheet.note(x + len(channels) * side, y + side, side, "map")
    sheet.foot(blocks + 0.06, content.scale.common, content.notes)
    return sheet.figure


def draw_input(sheet: Sheet, x: float, y: float, side: float, content: Content, row: int) -> None:
    """The input's channels side by side, and the mask beside them where one is shown."""
    for column, channel in enumerate(content.channels):
        sheet.grey(x + column * side, y, side, content.store.images[row, column][content.window])
        sheet.note(x + column * side, y, side, style.channel_title(channel))
    if content.masked:
        sheet.grey(x + len(content.channels) * side, y, side, content.store.masks[row][content.window] != 0)
        sheet.note(x + len(content.channels) * side, y, side, "mask")


def draw_map(sheet: Sheet, x: float, y: float, side: float, content: Content, method: Method, row: int) -> None:
    """One map with the mask's outline and its Dice; where no mask is shown, with its mean."""
    sheet.map(x, y, side, method.maps[row][content.window], content.scale.end(method.name))
    if content.masked:
        mask = content.store.masks[row][content.window] != 0
        sheet.outline(x, y, side, mask)
        # The word stands where it hides less of the lesion.
        low, middle = mask[-mask.shape[0] // 4 :], mask.shape[1] // 2
        left = low[:, middle:].sum() > low[:, :middle].sum()
        sheet.note(x, y, side, f"Dice {method.slices['dice_average_otsu'].iloc[row]:.2f}", below=True, left=left)
    else:
        sheet.note(x, y, side, f"mean {method.slices['mean_map'].iloc[row]:.3f}", below=True)


def draw_caption(sheet: Sheet, x: float, y: float, width: float, content: Content, row: int) -> None:
    """The slice's name and class above its block, and its lesion's area where there are masks."""
    values = content.store.manifest.iloc[row]
    kind = f"lesion {values['lesion_pixels']} pixels" if content.masked else content.kind
    line = f"{values['slice_id']}, {kind}"
    size = next((size for size in (7, 6.5, 6) if style.text_width(line, size) <= width), style.SMALLEST)
    sheet.text(x, y - 0.02, style.wrapped(line, width, size)[-2:], va="bottom", fontsize=size)


def _label(method: Method, scale: Scale, width: float) -> list[str]:
    """A method's name, setting and, where its unit is its own, scale, on lines of so many inches."""
    own = [f"map: 0 to {scale.own[method.name]:.3g}"] if method.name in scale.own else []
    parts = [method.name, style.setting_title(method.setting), *own]
    return [line for part in parts if part for line in style.wrapped(part, width, 6.5)]


def choose(figure: str, deciding: Method, store: SliceStore, counts: dict, seed: int) -> list[int]:
    """The slices of a figure, row numbers of the store; none where a supplement finds no others than the main figure.

    Args:
        figure: one of `FIGURES`.
        deciding: the method whose Dice spreads the diseased slices.
        store: the test split.
        counts: `figures` of params.yaml: diseased_slices or healthy_slices, and supplement_slices for a supplement.
        seed: of the draws.

    Raises:
        InputError: the split has no healthy, or no scored diseased, slice.
    """
    kind = {**ONE_CHANNEL, **SEVERAL_CHANNELS}[figure]
    rule, frame = selection.healthy_slices, store.manifest
    if kind == DISEASED:
        rule, frame = selection.diseased_slices, deciding.slices
    rows = rule(frame, counts[f"{kind}_slices"], seed)
    if not rows:
        scored = "scored " if kind == DISEASED and store.masks is not None else ""
        raise InputError(f"{store.folder} has no {scored}{kind} slice to show: give the test split more subjects")
    return rule(frame, counts["supplement_slices"], seed, rows) if figure.startswith("supplement") else rows


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = results.parser(__doc__)
    parser.add_argument("--figure", choices=FIGURES, required=True, help="which one to draw")
    return parser


def main(options: argparse.Namespace) -> None:
    """Choose the slices, draw, save."""
    parameters, figure = options.parameters, options.figure
    channels, counts = parameters["data"]["channels"], parameters["figures"]
    possible = ONE_CHANNEL if len(channels) == 1 else SEVERAL_CHANNELS
    if figure not in possible:
        raise InputError(
            f"--figure {figure} is not for data.channels {', '.join(channels)}: these have {', '.join(possible)}"
        )
    store = results.open_split(options.data, channels)
    names = list(parameters["methods"])
    methods = results.open_reported(options.comparison, names, options.maps, options.scores, store)
    deciding = methods[names.index(counts["method"])]
    rows = choose(figure, deciding, store, counts, parameters["seed"])
    scale = results.common_scale(methods, deciding.name, store, parameters["seed"])
    window = crop(store.images[rows])
    style.save(draw(Content(store, methods, channels, scale, rows, window, possible[figure])), options.output, figure)


if __name__ == "__main__":
    command.run(main, arguments())
