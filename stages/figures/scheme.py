"""The method at one glance, like the paper's Fig. 1, drawn from the real images of one test slice.

Writes `figure-1-scheme` as PNG, SVG and PDF. Above, an image x is encoded to noise level L by reversed DDIM; below, the
noise is decoded by DDIM, guided by the gradient of a classifier; at the left, the anomaly map, the sum over channels of
|x - x_0|, both scaled to [0, 1] first where detection.difference is min-max. The last channel is shown, the others
small at x and x_0. Clean images are shown from 0 to 1, noisy ones from their 0.5th to their 99.5th percentile, since
the range of x_k is not that of images; gradients around 0.
"""

import argparse
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import ConnectionPatch

from stages import command
from stages.channels import View, views
from stages.data.store import open_split, open_written
from stages.detection.difference import anomaly_map
from stages.errors import InputError
from stages.figures import panels, style
from stages.figures.trade_off_figure import SOLVER_TITLES
from stages.regular_files import read_regular

GAP = 3  # points between an arrow and an image
PANEL, HEADLINE = 1.0, 0.3  # inches from one image to the next, and of a row with a line of text
WIDTH = 5.2  # inches at least, for these lines
ENCODING, DECODING, GUIDANCE = style.COLOURS[0], style.COLOURS[2], style.COLOURS[1]
WINDOW = 0.5, 99.5  # percentiles
SUM = r"\sum_c "
FORMULAS = {"plain": ("|x - x_0|", ""), "min-max": (r"|\hat x - \hat x_0|", "\nhat: scaled to [0, 1]")}
SIDE = 0.4  # of an image's width, beside it: the other channels
NOTE: dict[str, Any] = {"color": "white", "fontsize": style.SMALLEST, "bbox": panels.SHADE, "va": "top"}
NOTE |= {"xycoords": "axes fraction", "textcoords": "offset points"}


@dataclass(frozen=True)
class Trajectory:
    """What `stages.detection.trajectory` wrote, cropped to the body.

    Attributes:
        slice_id: of the slice.
        levels: K noise levels, ascending from 0 to L.
        setting: L and s.
        solver: its name in params.yaml.
        encoded, decoded: (K, C, H, W).
        gradient: (K, C, H, W); None at s = 0.
        map: the anomaly map (H, W), part of that of the whole images.
        difference: how it compares them, `detection.difference`.
        mask: (H, W) of the slice, or None where the data set has none.
    """

    slice_id: str
    levels: list[int]
    setting: dict
    solver: str
    encoded: np.ndarray
    decoded: np.ndarray
    gradient: np.ndarray | None
    map: np.ndarray
    difference: str
    mask: np.ndarray | None


def read(folder: Path, data: Path, split_list: Path, difference: str) -> Trajectory:
    """Read a trajectory and the mask of its slice, and make its anomaly map.

    Args:
        folder: that `stages.detection.trajectory` wrote.
        data: folder of the slice store.
        split_list: the split list that the trajectory's slice was chosen by.
        difference: how the map compares image and reconstruction, a name of `DIFFERENCES`.

    Raises:
        InputError: a file is missing or damaged, or the slice is not in the data.
    """
    path = folder / "trajectory.json"
    try:
        note = json.loads(read_regular(path, 2**16))
        keys = ("slice_id", "split", "levels", "setting", "solver")
        slice_id, split, levels, setting, solver = (note[key] for key in keys)
        ascending = all(type(level) is int for level in levels) and levels == sorted({0, *levels}) and len(levels) > 1
        named = isinstance(slice_id, str) and isinstance(split, str) and solver in SOLVER_TITLES
        if not (ascending and named and math.isfinite(setting["s"])):
            raise ValueError("no such slice, levels, setting and solver can be")
        guided = setting["s"] != 0
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run the rule trajectory") from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error!r}): delete {folder} and run Snakemake again") from None
    store = open_split(data, split_list, split)
    rows = np.flatnonzero(store.manifest["slice_id"] == slice_id)
    if not rows.size:
        raise InputError(
            f"{path} is about slice {slice_id!r}, which {split_list} has not in {split}: run the rule trajectory"
        )
    shape = (len(levels), *store.images.shape[1:])
    names = ("encoded", "decoded", *(["gradient"] if guided else []))
    arrays = {name: open_written(folder, f"{name}.npy", shape, np.float32) for name in names}
    # Before the cut, which would change the extremes that min-max scales by.
    whole = anomaly_map(arrays["encoded"][:1], arrays["decoded"][:1], difference)[0]
    down, across = panels.crop(store.images[rows[:1]])
    arrays = {name: array[..., down, across] for name, array in arrays.items()}
    mask = None if store.masks is None else np.asarray(store.masks[rows[0], down, across])
    return Trajectory(
        slice_id,
        levels,
        setting,
        solver,
        arrays["encoded"],
        arrays["decoded"],
        arrays.get("gradient"),
        whole[down, across],
        difference,
        mask,
    )


def draw(trajectory: Trajectory, channels: list[str]) -> Figure:
    """The figure: three rows (encoded, decoded, gradients) of K - 1 noise levels, between the map and x_L.

    Args:
        trajectory: from `read`.
        channels: names of the C channels.
    """
    style.use()
    levels, guided = trajectory.levels, trajectory.gradient is not None
    *others, view = views(channels)
    last = len(levels) - 1
    rows = [HEADLINE, 1, HEADLINE, 1, *([0.7] if guided else [])]
    size = max(PANEL * (last + 3), WIDTH), PANEL * (sum(rows) + 0.5)
    figure = plt.figure(figsize=size, layout=ConstrainedLayoutEngine(wspace=0.12, hspace=0.02))
    grid = figure.add_gridspec(len(rows), last + 2, height_ratios=rows)
    lines = [[_image(figure.add_subplot(grid[row, 1 + k])) for k in range(last)] for row in (1, 3)]
    middle = _image(figure.add_subplot(grid[1:4, -1]))
    for line, images in zip(lines, (trajectory.encoded, trajectory.decoded), strict=True):
        for axes, image, level in zip(line, images, levels, strict=False):
            axes.imshow(_shown(panels.of_view(image, view), level), cmap="gray", vmin=0, vmax=1)
            axes.set_title(f"$x_{{{level}}}$" if level or line is lines[1] else "$x$", loc="left", fontsize=8)
        line[0].annotate(style.channel_title(view.name), (0, 1), (2, -2), **NOTE)
        if others:
            beside = panels.Grid(line[0].inset_axes((-SIDE, 0, SIDE, 1)), [""] * len(others), [""])
            for n, other in enumerate(others):
                beside.picture(n, 0, panels.of_view(images[0], other))
                beside.note(n, 0, style.channel_title(other.name))
    middle.imshow(_shown(panels.of_view(trajectory.encoded[-1], view), levels[-1]), cmap="gray", vmin=0, vmax=1)
    middle.set_title(f"$x_L$, $L = {levels[-1]}$", fontsize=8)
    encoded, decoded = lines
    for k in range(last - 1):  # there and back
        _arrow(encoded[k], RIGHT, encoded[k + 1], LEFT, ENCODING)
        _arrow(decoded[k + 1], LEFT, decoded[k], RIGHT, DECODING)
    _arrow(encoded[-1], RIGHT, middle, ABOVE, ENCODING, "arc3,rad=-0.35")
    _arrow(middle, BOTTOM, decoded[-1], RIGHT, DECODING, "arc3,rad=-0.35")
    solver, scale = SOLVER_TITLES[trajectory.solver], trajectory.setting["s"]
    how = f", guided with gradient scale $s = {scale:g}$" if guided else ""
    _headline(figure.add_subplot(grid[0, 1:-1]), f"encoding: reversed {solver} from $x$ to noise level $L$", ENCODING)
    _headline(figure.add_subplot(grid[2, 1:-1]), f"decoding: {solver} from $x_L$ to $x_0${how}", DECODING)
    if guided:
        _draw_gradients(figure, grid, decoded, trajectory, view)
    _draw_map(figure.add_subplot(grid[:, 0]), encoded[0], decoded[0], trajectory, bool(others))
    if trajectory.mask is not None:
        _outline(encoded[0], trajectory.mask)
    return figure


# Places of an image, in its widths and heights from the lower left corner; the last, above its title.
LEFT, RIGHT, BOTTOM, ABOVE = (0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1.25)


def _image(axes: Axes) -> Axes:
    """An Axes for an image, with neither ticks nor a frame."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return axes


def _outline(axes: Axes, mask: np.ndarray) -> None:
    panels.outline(axes, mask, axes.images[0].get_extent())


def _headline(axes: Axes, text: str, colour: str) -> None:
    """A line of text above a row of images."""
    _image(axes).text(0, 0, text, color=colour, va="bottom", in_layout=False)


def _arrow(
    start: Axes, out: tuple[float, float], end: Axes, to: tuple[float, float], colour: str, how: str = "arc3"
) -> None:
    """An arrow from a place of one image to a place of another, in their widths and heights."""
    look: dict[str, Any] = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 1, "color": colour}
    look |= {"shrinkA": GAP, "shrinkB": GAP}
    look |= {"coordsA": "axes fraction", "coordsB": "axes fraction", "axesA": start, "axesB": end}
    patch = ConnectionPatch(out, to, connectionstyle=how, **look)
    patch.set_in_layout(False)
    start.figure.add_artist(patch)


def _shown(image: np.ndarray, level: int) -> np.ndarray:
    """A picture for the eye: as it is where it is clean, from percentile to percentile where it is noisy."""
    low, high = (0, 1) if level == 0 else np.percentile(image, WINDOW)
    shown = (image - low) / max(high - low, 1e-12)
    return shown if shown.ndim == 2 else shown.clip(0, 1)  # of grey ones, vmin and vmax do it


def _end(values: np.ndarray) -> float:
    return max(float(np.percentile(np.abs(values), WINDOW[1])), 1e-12)


def _draw_gradients(figure: Figure, grid: GridSpec, images: list[Axes], trajectory: Trajectory, view: View) -> None:
    """The classifier's gradient at each x_k that is left by a step down, below it, with an arrow to that step."""
    assert trajectory.gradient is not None
    for k, image in enumerate(images, start=1):
        gradient = trajectory.gradient[k, list(view.channels)].sum(axis=0)
        axes, top = _image(figure.add_subplot(grid[4, 1 + k])), _end(gradient)
        axes.imshow(gradient, cmap="PuOr", vmin=-top, vmax=top)
        _arrow(axes, LEFT, image, (1.25, 0.45), GUIDANCE, "angle,angleA=180,angleB=90")
    words = _image(figure.add_subplot(grid[4, 1]))
    text = "gradient of the\nclassifier,\n" + r"$\nabla \log C(h\,|\,x_k)$"
    words.annotate(text, RIGHT, xycoords="axes fraction", ha="right", va="center", color=GUIDANCE)


def _draw_map(axes: Axes, image: Axes, reconstruction: Axes, trajectory: Trajectory, beside: bool) -> None:
    """The anomaly map with its colour bar, and what it is made of; `beside`: other pictures are beside the images."""
    several = len(trajectory.encoded[0]) > 1
    top = _end(trajectory.map)
    _image(axes).imshow(trajectory.map, cmap=style.MAP_COLOURS, vmin=0, vmax=top)
    terms, note = FORMULAS[trajectory.difference]
    axes.set_title(f"anomaly map\n$a = {SUM if several else ''}{terms}${note}", loc="left")
    panels.bar(axes, top, cax=axes.inset_axes((0, -0.35, 0.9, 0.08)))
    if trajectory.mask is not None:
        _outline(axes, trajectory.mask)
        axes.set_xlabel("outlined: the mask,\nwhich no step sees", fontsize=style.SMALL)
    side = -SIDE if beside else 0
    _arrow(image, (side, 0.5), axes, (1, 1), "black", "arc3,rad=0.2")
    _arrow(reconstruction, (side, 0), axes, (1, 0), "black", "arc3,rad=-0.2")


def arguments() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice store")
    parser.add_argument("--split-list", type=Path, required=True, help="split list of the trajectory's repeat")
    parser.add_argument("--trajectory", type=Path, required=True, help="folder that stages.detection.trajectory wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return parser


def main(options: argparse.Namespace) -> None:
    """Draw the trajectory that the rule of that name sampled."""
    channels, difference = options.parameters["data"]["channels"], options.parameters["detection"]["difference"]
    trajectory = read(options.trajectory, options.data, options.split_list, difference)
    style.save(draw(trajectory, channels), options.output, "figure-1-scheme")


if __name__ == "__main__":
    command.run(main, arguments())
