"""What a method does to single test slices, like the paper's Fig. 3: input, reconstructions, anomaly maps, mask.

Writes two figures, `examples` (diseased slices) and `healthy` (healthy slices, whose maps should be dark on the same
scale), each as PNG, SVG and PDF, for every method at the setting that comparison.csv reports. Slices are not picked by
eye: they stand at even quantiles of the lesion's area among the scored test slices, from different subjects as far as
there are enough; healthy ones at even quantiles of the position in the volume.
"""

import argparse
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from stages import command
from stages.data.store import SliceStore, open_array, open_store
from stages.errors import InputError
from stages.evaluation import metrics, records
from stages.evaluation.scores import open_maps
from stages.figures import style

PANEL = 0.78  # inches, the side of a panel; with few channels as much more as gives a slice BLOCK inches
BLOCK = 3.0
GAP = 0.14  # inches between slices
BLOCK_COLUMNS = 2  # slices side by side
TITLES = {"examples": "Diseased test slices", "healthy": "Healthy test slices"}
MAP_NOTE = "anomaly map: absolute difference summed over channels; one scale for all methods and both figures"
NOTES = {
    "examples": f"{MAP_NOTE}; outlined: the mask; Dice: at the average Otsu threshold of the test split",
    "healthy": f"{MAP_NOTE}; mean: over all pixels of the map",
}


@dataclass(frozen=True)
class Method:
    """One method's output on the test split, memory-mapped.

    Attributes:
        name: in params.yaml.
        setting: the one that is reported.
        maps: (N, H, W).
        images: reconstructions (N, C, H, W), or None where the method wrote none.
        threshold: its average Otsu threshold on the test split.
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


def diseased_slices(manifest: pd.DataFrame, lesion_pixels_at_256: float, size: int, count: int) -> list[int]:
    """Rows of scored slices, from small to large lesions."""
    scored = metrics.is_scored(manifest["label"], manifest["lesion_pixels"], lesion_pixels_at_256, size)
    return _choose_rows(manifest, scored, "lesion_pixels", count)


def healthy_slices(manifest: pd.DataFrame, count: int) -> list[int]:
    """Rows of healthy slices, by ascending position in the volume."""
    return _choose_rows(manifest, manifest["label"].to_numpy() == 0, "position", count)


def _choose_rows(manifest: pd.DataFrame, eligible: np.ndarray, column: str, count: int) -> list[int]:
    rows = np.flatnonzero(eligible)
    chosen = choose_slices(manifest[column].to_numpy()[rows], manifest["subject_id"].to_numpy()[rows], count)
    return [int(rows[n]) for n in chosen]


def map_range(methods: list[Method], rows: list[int]) -> float:
    """The upper end of the maps' common colour scale: the 99.5th percentile over all methods and given slices."""
    shown = [np.asarray(method.maps[row], np.float64) for method in methods for row in rows]
    top = float(np.percentile(shown, 99.5)) if shown else 0.0
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
    top: float,
    window: tuple[slice, slice],
    name: str,
) -> Figure:
    """A block for each slice: the input's sequences and the mask, below it each method's reconstruction and map.

    Args:
        store: of the test split.
        methods: what to show, from top to bottom.
        rows: the slices, row numbers of the store.
        channels: names of the store's C channels.
        top: upper end of the maps' colour scale; the lower one is 0.
        window: the part of each slice that is shown, from `crop`.
        name: `examples` or `healthy`.
    """
    style.use()
    across = min(BLOCK_COLUMNS, len(rows))
    down = -(-len(rows) // across)
    block_width, block_height = len(channels) + 1, len(methods) + 1
    labels = ["input", *(_row_label(method) for method in methods)]
    longest = max(len(line) for label in labels for line in label.splitlines())
    size = max(PANEL, BLOCK / block_width)
    left, right, head, between, bar_width = 0.15 + 0.057 * longest, 0.1, 0.2, 0.3, 1.2  # inches
    width = left + right + across * block_width * size + (across - 1) * GAP
    note = textwrap.wrap(NOTES[name], int((width - left - right - bar_width - 0.1) / 0.045))
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
        image = _draw_block(grid, store, methods, row, channels, top, window)
        if index % across == 0:
            for label, line in zip(labels, grid, strict=True):
                line[0].text(-0.06, 0.5, label, transform=line[0].transAxes, ha="right", va="center")
    bar = figure.add_axes([left / width, (foot - 0.19) / height, bar_width / width, 0.09 / height])
    figure.colorbar(image, cax=bar, orientation="horizontal", extend="max").outline.set_linewidth(0.4)
    bar.tick_params(length=2, width=0.4, pad=1)
    figure.text((left + bar_width + 0.1) / width, (foot - 0.09) / height, "\n".join(note), va="top", fontsize=6)
    return figure


def _draw_block(
    grid: list[list[Axes]],
    store: SliceStore,
    methods: list[Method],
    row: int,
    channels: list[str],
    top: float,
    window: tuple[slice, slice],
) -> AxesImage:
    """Fill one slice's panels, a line for the input and one a method; returns a map for the colour bar."""
    mask = np.asarray(store.masks[row]) != 0
    grid[0][0].set_title(_slice_title(store.manifest.iloc[row]), loc="left", pad=3)
    for axes, channel, pixels in zip(grid[0], channels, store.images[row], strict=False):
        _grey(axes, pixels[window])
        _note(axes, style.sequence_title(channel))
    _grey(grid[0][-1], mask[window])
    _note(grid[0][-1], "mask")
    for method, (*sequences, last) in zip(methods, grid[1:], strict=True):
        for c, axes in enumerate(sequences):
            if method.images is None:
                axes.text(0.5, 0.5, "-", ha="center", va="center", transform=axes.transAxes)
            else:
                _grey(axes, method.images[row, c][window])
        # The map's own pixels against the threshold, all of them, whatever the window shows.
        anomaly_map = np.asarray(method.maps[row], np.float64)
        image = last.imshow(anomaly_map[window], cmap=style.MAP_COLOURS, vmin=0, vmax=top, interpolation="nearest")
        if mask.any():
            last.contour(mask[window], levels=[0.5], colors=style.OUTLINE, linewidths=0.5)
            _note(last, f"Dice {metrics.dice(anomaly_map > method.threshold, mask):.2f}", below=True)
        else:
            _note(last, f"mean {anomaly_map.mean():.3f}", below=True)
    _note(grid[1][-1], "map")
    return image


def _slice_title(row: pd.Series) -> str:
    return f"{row['slice_id']}, " + (f"lesion {row['lesion_pixels']} pixels" if row["label"] else "healthy")


def _row_label(method: Method) -> str:
    return "\n".join([*textwrap.wrap(method.name, 16), style.setting_title(method.setting)]).strip()


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
    x, y, across, down = (0.96, 0.03, "right", "bottom") if below else (0.04, 0.97, "left", "top")
    axes.text(x, y, text, transform=axes.transAxes, ha=across, va=down, color="white", fontsize=5.5)


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
    if store.masks is None:
        raise InputError(f"{store.folder} has no masks.npy: the figure shows the lesions' masks")
    methods = open_methods(list(parameters["methods"]), options.maps, options.comparison, store)
    channels = parameters["data"]["channels"]
    if len(channels) != store.images.shape[1]:
        raise InputError(
            f"{store.folder / 'images.npy'} has {store.images.shape[1]} channels where data.channels names "
            f"{len(channels)}: extract the data again"
        )
    threshold = parameters["evaluation"]["lesion_pixels_at_256"]
    counts = parameters["figures"]
    diseased = diseased_slices(store.manifest, threshold, store.images.shape[-1], counts["diseased_slices"])
    healthy = healthy_slices(store.manifest, counts["healthy_slices"])
    if not diseased or not healthy:
        raise InputError(f"{store.folder} has no {'healthy' if diseased else 'scored diseased'} slice to show")
    # One scale for both figures: on it, a healthy slice's map should be dark.
    top = map_range(methods, diseased)
    window = crop(store.images[diseased + healthy])
    for name, rows in (("examples", diseased), ("healthy", healthy)):
        style.save(draw(store, methods, rows, channels, top, window, name), options.output, name)


if __name__ == "__main__":
    command.run(main, arguments())
