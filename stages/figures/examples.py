"""What a method does to single test slices, like the paper's Fig. 3: input, reconstructions, anomaly maps, mask.

Writes two figures, `examples` (diseased slices) and `healthy` (healthy slices, whose maps should be dark), each as PNG,
SVG and PDF, for every method at the setting that comparison.csv reports. Maps of different methods have different
units, so each method has a scale of its own, the same in both figures, whose end is printed. Slices are not picked by
eye: they stand at even quantiles of the lesion's area among the scored test slices (of the manifest's order where there
are no masks), from different subjects as far as there are enough; healthy ones at even quantiles of the position in the
volume.
"""

import argparse
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from stages import command
from stages.data.store import SliceStore, open_array, open_store
from stages.errors import InputError
from stages.evaluation import metrics, records
from stages.evaluation.scores import open_maps
from stages.figures import style

PANEL = 0.78  # inches, the least side of a panel
BLOCK = 3.0, 8.0  # inches, width and height up to which a slice's panels grow
PAGE = 8.2  # inches, for slices side by side, of which there are two at least
GAP = 0.14  # inches between slices
TITLES = {"examples": "Diseased test slices", "healthy": "Healthy test slices"}
SCALE_NOTE = (
    "anomaly maps: each method on its own scale, from 0 to the value at its name (99.5th percentile of the brightest "
    "of its maps in both figures, diseased and healthy)"
)
MASK_NOTE = "outlined: the mask; Dice: at the average Otsu threshold of the test split"
MEAN_NOTE = "mean: over all pixels of the map"


@dataclass(frozen=True)
class Method:
    """One method's output on the test split, memory-mapped.

    Attributes:
        name: in params.yaml.
        setting: the one that is reported.
        maps: (N, H, W).
        images: reconstructions (N, C, H, W), or None where the method wrote none.
        threshold: its average Otsu threshold on the test split; nan where there are no masks.
    """

    name: str
    setting: str
    maps: np.ndarray
    images: np.ndarray | None
    threshold: float


def choose_slices(values: np.ndarray, subjects: np.ndarray, count: int) -> list[int]:
    """Up to `count` different slices, at even quantiles of `values` (N,), ascending; the same ones every time.

    The i-th aims at the quantile (i + 1/2) / count. Among the slices of those subjects (N,) that were taken least often
    so far it takes the one with the nearest value, on equal terms the first.
    """
    values, left = np.asarray(values, np.float64), np.ones(len(values), bool)
    taken = dict.fromkeys(subjects, 0)
    chosen = []
    for i in range(min(count, len(values))):
        target = np.quantile(values, (i + 0.5) / min(count, len(values)))
        used = np.array([taken[subject] for subject in subjects])
        candidates = np.flatnonzero(left & (used == used[left].min()))
        best = candidates[np.argmin(np.abs(values[candidates] - target))]
        left[best] = False
        taken[subjects[best]] += 1
        chosen.append(int(best))
    return sorted(chosen, key=lambda n: (values[n], n))


def diseased_slices(store: SliceStore, lesion_pixels_at_256: float, count: int) -> list[int]:
    """Rows of scored slices, from small to large lesions; without masks, of any diseased slices in their order."""
    manifest, eligible = store.manifest, store.manifest["label"].to_numpy() == 1
    if store.masks is not None:
        size = store.images.shape[-1]
        eligible = metrics.is_scored(manifest["label"], manifest["lesion_pixels"], lesion_pixels_at_256, size)
    return _choose_rows(manifest, eligible, "lesion_pixels", count)


def healthy_slices(store: SliceStore, count: int) -> list[int]:
    """Rows of healthy slices, by ascending position in the volume; where that is the same for all, in their order."""
    return _choose_rows(store.manifest, store.manifest["label"].to_numpy() == 0, "position", count)


def _choose_rows(manifest: pd.DataFrame, eligible: np.ndarray, column: str, count: int) -> list[int]:
    rows = np.flatnonzero(eligible)
    # Of equals, the earlier in the manifest ranks first: a column without any information leaves the manifest's order.
    ranks = manifest[column].iloc[rows].rank(method="first").to_numpy()
    chosen = choose_slices(ranks, manifest["subject_id"].to_numpy()[rows], count)
    return [int(rows[n]) for n in chosen]


def map_range(method: Method, rows: list[int]) -> float:
    """The upper end of a method's colour scale: the largest of its maps' 99.5th percentiles in the given slices.

    A percentile over all slices at once would fall below small lesions where many healthy slices are shown.
    """
    top = max(float(np.percentile(np.asarray(method.maps[row], np.float64), 99.5)) for row in rows)
    return top if top > 0 else 1.0


def crop(images: np.ndarray, margin: float = 1 / 16) -> tuple[slice, slice]:
    """The square window (rows, columns) of images (n, C, H, W) around all that is not 0, plus a margin of their size.

    One window for all panels, so that brains keep their relative sizes; the whole image where nothing is 0.
    """
    size = images.shape[-1]
    occupied = np.asarray(images != 0).any(axis=(0, 1))
    ends = []
    for axis in (1, 0):
        found = np.flatnonzero(occupied.any(axis=axis))
        ends.append((found[0], found[-1] + 1) if found.size else (0, size))
    side = min(size, max(stop - start for start, stop in ends) + 2 * round(margin * size))
    starts = [min(max((start + stop - side) // 2, 0), size - side) for start, stop in ends]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)


def draw(
    store: SliceStore,
    methods: list[Method],
    rows: list[int],
    channels: list[str],
    tops: list[float],
    window: tuple[slice, slice],
    name: str,
) -> Figure:
    """A block for each slice: the input's channels and the mask, below it each method's reconstruction and map.

    Args:
        store: of the test split.
        methods: what to show, from top to bottom.
        rows: the slices, row numbers of the store.
        channels: names of the store's C channels.
        tops: upper end of each method's colour scale; the lower one is 0.
        window: the part of each slice that is shown, from `crop`.
        name: `examples` or `healthy`.
    """
    style.use()
    block_width, block_height = len(channels) + 1, len(methods) + 1
    size = max(PANEL, min(BLOCK[0] / block_width, BLOCK[1] / block_height))
    across = min(len(rows), max(2, int(PAGE / (block_width * size))))
    down = -(-len(rows) // across)
    labels = ["input", *(_row_label(method, top) for method, top in zip(methods, tops, strict=True))]
    titles = [_slice_title(store, row, int(block_width * size / 0.052)) for row in rows]
    longest = max(len(line) for label in labels for line in label.splitlines())
    left, right, head, bar_width = 0.15 + 0.057 * longest, 0.1, 0.2, 0.5  # inches
    between = 0.18 + 0.12 * max(len(title.splitlines()) for title in titles)
    width = left + right + across * block_width * size + (across - 1) * GAP
    masks = store.masks is not None and name == "examples"
    note = f"{SCALE_NOTE}; {MASK_NOTE if masks else MEAN_NOTE}"
    note = textwrap.wrap(note, int((width - left - right - bar_width - 0.25) / 0.045))
    foot = max(0.45, 0.15 + 0.1 * len(note))
    height = head + foot + down * (block_height * size + between)
    figure = plt.figure(figsize=(width, height))
    figure.text(left / width, 1 - 0.08 / height, TITLES[name], va="top", fontsize=9, weight="bold")
    for index, row in enumerate(rows):
        x = left + (index % across) * (block_width * size + GAP)
        y = height - head - between - (index // across) * (block_height * size + between)
        grid = [
            [_panel(figure, x + column * size, y - line * size, size) for column in range(block_width)]
            for line in range(block_height)
        ]
        grid[0][0].set_title(titles[index], loc="left", pad=3)
        _draw_input(grid[0], store, row, channels, window)
        for method, top, line in zip(methods, tops, grid[1:], strict=True):
            _draw_method(line, store, method, row, top, window)
        _note(grid[1][-1], "map")
        if index % across == 0:
            for label, line in zip(labels, grid, strict=True):
                line[0].text(-0.06, 0.5, label, transform=line[0].transAxes, ha="right", va="center")
    bar = figure.add_axes([left / width, (foot - 0.19) / height, bar_width / width, 0.09 / height])
    scale = ScalarMappable(Normalize(0, 1), style.MAP_COLOURS)
    bar = figure.colorbar(scale, cax=bar, orientation="horizontal", extend="max")
    bar.outline.set_linewidth(0.4)
    bar.set_ticks([0, 1], labels=["0", "end"])
    bar.ax.tick_params(length=2, width=0.4, pad=1)
    figure.text((left + bar_width + 0.25) / width, (foot - 0.09) / height, "\n".join(note), va="top", fontsize=6)
    return figure


def _draw_input(line: list[Axes], store: SliceStore, row: int, channels: list[str], window: tuple) -> None:
    """The input's channels, and the mask where there is one."""
    for axes, channel, pixels in zip(line, channels, store.images[row], strict=False):
        _grey(axes, pixels[window])
        _note(axes, style.channel_title(channel))
    if store.masks is not None:
        _grey(line[-1], store.masks[row][window] != 0)
        _note(line[-1], "mask")


def _draw_method(
    line: list[Axes], store: SliceStore, method: Method, row: int, top: float, window: tuple[slice, slice]
) -> None:
    """A method's reconstruction, channel by channel, and its map."""
    *sequences, last = line
    if method.images is None:
        text = "no\nrecon-\nstruction" if len(sequences) == 1 else "no reconstruction"
        # In the middle of all these panels; the last one is drawn over the others.
        style_of_text = {"ha": "center", "va": "center", "color": "0.4"}
        sequences[-1].text(1 - len(sequences) / 2, 0.5, text, transform=sequences[-1].transAxes, **style_of_text)
    else:
        for c, axes in enumerate(sequences):
            _grey(axes, method.images[row, c][window])
    # The map's own pixels against the threshold, all of them, whatever the window shows.
    anomaly_map = np.asarray(method.maps[row], np.float64)
    last.imshow(anomaly_map[window], cmap=style.MAP_COLOURS, vmin=0, vmax=top, interpolation="nearest")
    if store.masks is not None and np.any(store.masks[row]):
        mask = np.asarray(store.masks[row]) != 0
        last.contour(mask[window], levels=[0.5], colors=style.OUTLINE, linewidths=0.5)
        _note(last, f"Dice {metrics.dice(anomaly_map > method.threshold, mask):.2f}", below=True)
    else:
        _note(last, f"mean {anomaly_map.mean():.3g}", below=True)


def _slice_title(store: SliceStore, row: int, characters: int) -> str:
    """The slice's name and class, and its lesion's area where there are masks, on lines of so many characters."""
    values = store.manifest.iloc[row]
    kind = "diseased" if values["label"] else "healthy"
    if values["label"] and store.masks is not None:
        kind = f"lesion {values['lesion_pixels']} pixels"
    one = f"{values['slice_id']}, {kind}"
    return one if len(one) <= characters else "\n".join([*textwrap.wrap(values["slice_id"], characters), kind])


def _row_label(method: Method, top: float) -> str:
    setting = textwrap.wrap(style.setting_title(method.setting), 16)
    return "\n".join([*textwrap.wrap(method.name, 16), *setting, f"map: 0 to {top:.3g}"])


def _panel(figure: Figure, x: float, y: float, size: float) -> Axes:
    """Empty axes of one panel, its upper left corner at (x, y) inches; a thin gap to the next one."""
    width, height = figure.get_size_inches()
    side = size - 0.03
    axes = figure.add_axes([x / width, (y - side) / height, side / width, side / height], xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def _grey(axes: Axes, pixels: np.ndarray) -> None:
    axes.imshow(np.asarray(pixels, np.float32), cmap="gray", vmin=0, vmax=1, interpolation="nearest")


def _note(axes: Axes, text: str, below: bool = False) -> None:
    x, y, across, down = (0.97, 0.03, "right", "bottom") if below else (0.03, 0.97, "left", "top")
    shade = {"facecolor": "black", "alpha": 0.5, "linewidth": 0, "pad": 0.6}  # white text stays legible on bright maps
    axes.text(x, y, text, transform=axes.transAxes, ha=across, va=down, color="white", fontsize=5.5, bbox=shade)


def open_methods(names: list[str], maps: Path, comparison: Path, store: SliceStore) -> list[Method]:
    """The reported setting of each method, as comparison.csv names it, with its maps and reconstructions.

    Raises:
        InputError: comparison.csv does not list a method, or its files are missing or of another shape.
    """
    table = records.read_csv(comparison, ["method", "setting"], ["average_otsu"]).set_index("method")
    methods = []
    for name in names:
        if name not in table.index:
            raise InputError(f"{comparison} does not list method {name!r}: tabulate again")
        setting = table.at[name, "setting"]
        folder = maps / name / setting / store.folder.name
        images = folder / "images.npy"
        methods.append(
            Method(
                name,
                setting,
                open_maps(folder / "maps.npy", store),
                open_array(images, shape=store.images.shape) if images.exists() else None,
                table.at[name, "average_otsu"],
            )
        )
    return methods


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice stores; `test` is shown")
    parser.add_argument("--maps", type=Path, required=True, help="folder of <method>/<setting>/test/{maps,images}.npy")
    parser.add_argument("--comparison", type=Path, required=True, help="comparison.csv, which names the settings")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figures")
    return parser


def main(options: argparse.Namespace) -> None:
    """Choose the slices, draw both figures, save them."""
    parameters = options.parameters
    store = open_store(options.data / "test")
    methods = open_methods(list(parameters["methods"]), options.maps, options.comparison, store)
    channels = parameters["data"]["channels"]
    if len(channels) != store.images.shape[1]:
        raise InputError(
            f"{store.folder / 'images.npy'} has {store.images.shape[1]} channels where data.channels names "
            f"{len(channels)}: extract the data again"
        )
    threshold = parameters["evaluation"]["lesion_pixels_at_256"]
    counts = parameters["figures"]
    diseased = diseased_slices(store, threshold, counts["diseased_slices"])
    healthy = healthy_slices(store, counts["healthy_slices"])
    if not diseased or not healthy:
        kind = "healthy" if diseased else "diseased" if store.masks is None else "scored diseased"
        raise InputError(f"{store.folder} has no {kind} slice to show: give the test split more subjects")
    # One scale a method for both figures: on it, a healthy slice's map should be dark.
    tops = [map_range(method, diseased + healthy) for method in methods]
    window = crop(store.images[diseased + healthy])
    for name, rows in (("examples", diseased), ("healthy", healthy)):
        style.save(draw(store, methods, rows, channels, tops, window, name), options.output, name)


if __name__ == "__main__":
    command.run(main, arguments())
