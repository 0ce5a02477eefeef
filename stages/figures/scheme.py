"""The method at one glance, like the paper's Fig. 1, drawn from the real images of one test slice.

Writes `figure-1-scheme` as PNG, SVG and PDF. Above, an image x is encoded to noise level L by reversed DDIM; below, the
noise is decoded by DDIM, guided by the gradient of a classifier; at the left, the anomaly map, the sum over channels of
|x - x_0|. The last channel is shown, the others small at x and x_0. Clean images are shown from 0 to 1, noisy ones from
their 0.5th to their 99.5th percentile, since the range of x_k is not that of images; gradients around 0.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from stages import command
from stages.data.store import open_array, open_store
from stages.errors import InputError
from stages.figures import panels, style
from stages.figures.trade_off_figure import SOLVER_TITLES

# Inches, from the upper left corner: sides of an image and of a gradient, left ends of the map and of level 0, from one
# level to the next, and the upper ends of the rows.
SIDE, GRADIENT = 0.86, 0.5
MAP, X_0, STEP = 0.1, 1.72, 1.06
ENCODED, DECODED, GUIDED, HEIGHT = 0.42, 1.98, 3.02, 3.62
WIDTH = 4.9  # at least, for the text
MIDDLE = (ENCODED + DECODED) / 2
ENCODING, DECODING, GUIDANCE = style.COLOURS[0], style.COLOURS[2], style.COLOURS[1]
WINDOW = 0.5, 99.5  # percentiles


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
        mask: (H, W) of the slice, or None where the data set has none.
    """

    slice_id: str
    levels: list[int]
    setting: dict
    solver: str
    encoded: np.ndarray
    decoded: np.ndarray
    gradient: np.ndarray | None
    mask: np.ndarray | None


def read(folder: Path, data: Path) -> Trajectory:
    """Read a trajectory, and the mask of its slice.

    Raises:
        InputError: a file is missing or damaged, or the slice is not in the data.
    """
    path = folder / "trajectory.json"
    try:
        note = json.loads(path.read_text(encoding="utf-8"))
        keys = ("slice_id", "split", "levels", "setting", "solver")
        slice_id, split, levels, setting, solver = (note[key] for key in keys)
        guided = setting["s"] != 0
    except FileNotFoundError:
        raise InputError(f"{path} is missing: run the rule trajectory") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error!r}): delete it and run the rule trajectory") from None
    store = open_store(data / split)
    rows = np.flatnonzero(store.manifest["slice_id"] == slice_id)
    if not rows.size:
        raise InputError(f"{path} is about slice {slice_id!r}, which {store.folder} has not: run the rule trajectory")
    shape = (len(levels), *store.images.shape[1:])
    names = ("encoded", "decoded", *(["gradient"] if guided else []))
    arrays = {name: open_array(folder / f"{name}.npy", shape, np.float32) for name in names}
    down, across = panels.crop(store.images[rows[:1]])
    arrays = {name: array[..., down, across] for name, array in arrays.items()}
    mask = None if store.masks is None else np.asarray(store.masks[rows[0], down, across])
    return Trajectory(slice_id, levels, setting, solver, mask=mask, gradient=arrays.pop("gradient", None), **arrays)


def draw(trajectory: Trajectory, channels: list[str]) -> Figure:
    """The figure.

    Args:
        trajectory: from `read`.
        channels: names of the C channels.
    """
    levels, mask = trajectory.levels, trajectory.mask
    last, right = len(levels) - 1, SIDE - panels.THIN
    end = X_0 + STEP * last  # the left end of x_L
    width = max(end + SIDE + 0.1, WIDTH)
    sheet = panels.Sheet(width, HEIGHT if trajectory.gradient is not None else HEIGHT - 0.65)

    for row, images in ((ENCODED, trajectory.encoded), (DECODED, trajectory.decoded)):
        for k in range(last):
            sheet.grey(X_0 + STEP * k, row, SIDE, _shown(images[k, -1], levels[k]))
            name = f"$x_{{{levels[k]}}}$" if levels[k] or row == DECODED else "$x$"
            sheet.text(X_0 + STEP * k, row - 0.03, name, va="bottom", fontsize=8)
        for n, channel in enumerate(channels[:-1]):
            y = row + n * SIDE / 3
            sheet.grey(X_0 - SIDE / 3 - 0.03, y, SIDE / 3, images[0, n])
            _label(sheet, X_0 - SIDE / 3 - 0.06, y + SIDE / 6, style.channel_title(channel), ha="right")
        sheet.note(X_0, row, SIDE, style.channel_title(channels[-1]))
    sheet.grey(end, MIDDLE, SIDE, _shown(trajectory.encoded[-1, -1], levels[-1]))
    sheet.text(end + SIDE - 0.03, MIDDLE - 0.03, f"$x_L$, $L = {levels[-1]}$", ha="right", va="bottom", fontsize=8)

    for k in range(1, last):  # there and back
        before, at = X_0 + STEP * (k - 1) + right + 0.02, X_0 + STEP * k - 0.02
        _arrow(sheet, (before, ENCODED + SIDE / 2), (at, ENCODED + SIDE / 2), ENCODING)
        _arrow(sheet, (at, DECODED + SIDE / 2), (before, DECODED + SIDE / 2), DECODING)
    edge, centre = X_0 + STEP * (last - 1) + right + 0.02, end + SIDE / 2
    _arrow(sheet, (edge, ENCODED + SIDE / 2), (centre, MIDDLE - 0.17), ENCODING, bend=-0.35)
    _arrow(sheet, (centre, MIDDLE + SIDE), (edge, DECODED + SIDE / 2), DECODING, bend=-0.35)

    solver = SOLVER_TITLES[trajectory.solver]
    sheet.text(X_0, 0.08, f"encoding: reversed {solver} from $x$ to noise level $L$", color=ENCODING)
    guided = trajectory.gradient is not None
    how = f", guided with gradient scale $s = {trajectory.setting['s']:g}$" if guided else ""
    sheet.text(X_0, DECODED - 0.36, f"decoding: {solver} from $x_L$ to $x_0${how}", color=DECODING)
    if guided:
        _draw_gradients(sheet, trajectory)
    _draw_map(sheet, trajectory)
    if mask is not None:
        for x, y, side in ((X_0, ENCODED, SIDE), (MAP, MIDDLE, SIDE)):
            sheet.outline(x, y, side, mask)
    return sheet.figure


def _shown(image: np.ndarray, level: int) -> np.ndarray:
    """An image (H, W) for the eye: as it is where it is clean, from percentile to percentile where it is noisy."""
    if level == 0:
        return image
    low, high = np.percentile(image, WINDOW)
    return (image - low) / max(high - low, 1e-12)


def _draw_gradients(sheet: panels.Sheet, trajectory: Trajectory) -> None:
    """The classifier's gradient at each x_k that is left by a step down, below that step."""
    last = len(trajectory.levels) - 1
    for k in range(1, last + 1):
        image = trajectory.gradient[k, -1]
        top = max(float(np.percentile(np.abs(image), WINDOW[1])), 1e-12)
        x = X_0 + STEP * k - (STEP - SIDE) / 2 - GRADIENT / 2
        look = {"cmap": "PuOr", "vmin": -top, "vmax": top, "aspect": "auto", "interpolation": "nearest"}
        sheet.axes.imshow(image, extent=(x, x + GRADIENT, GUIDED + GRADIENT, GUIDED), **look)
        middle = x + GRADIENT / 2
        _arrow(sheet, (middle, GUIDED - 0.02), (middle, DECODED + SIDE / 2 + 0.04), GUIDANCE)
    y = GUIDED + GRADIENT / 2
    _label(sheet, X_0 - 0.25, y, "gradient of the\nclassifier,", fontsize=7, color=GUIDANCE, va="bottom")
    _label(sheet, X_0 - 0.25, y + 0.02, r"$\nabla \log C(h\,|\,x_k)$", fontsize=7, color=GUIDANCE, va="top")


def _draw_map(sheet: panels.Sheet, trajectory: Trajectory) -> None:
    several = len(trajectory.encoded[0]) > 1
    difference = np.abs(trajectory.encoded[0] - trajectory.decoded[0]).sum(axis=0)
    top = max(float(np.percentile(difference, WINDOW[1])), 1e-12)
    sheet.map(MAP, MIDDLE, SIDE, difference, top)
    sheet.text(MAP, MIDDLE - 0.03, "anomaly map", va="bottom")
    sheet.text(MAP, MIDDLE + SIDE + 0.02, r"$a = \sum_c |x - x_0|$" if several else "$a = |x - x_0|$", fontsize=8)
    sheet.bar(MAP, MIDDLE + SIDE + 0.3, SIDE - 0.1, top)
    if trajectory.mask is not None:
        sheet.text(MAP, MIDDLE + SIDE + 0.6, "outlined: the mask,\nwhich no step sees", fontsize=6)
    start, stop = X_0 - (0.45 if several else 0.05), MAP + SIDE + 0.02
    _arrow(sheet, (start, ENCODED + SIDE - 0.1), (stop, MIDDLE + 0.2), "black", bend=0.2)
    _arrow(sheet, (start, DECODED + 0.1), (stop, MIDDLE + SIDE - 0.25), "black", bend=-0.2)


def _label(sheet: panels.Sheet, x: float, y: float, text: str, **look) -> None:
    sheet.text(x, y, text, **{"va": "center", "fontsize": style.SMALLEST} | look)


def _arrow(
    sheet: panels.Sheet, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0
) -> None:
    look = {"arrowstyle": "-|>", "mutation_scale": 7, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0, "color": colour}
    sheet.axes.add_patch(FancyArrowPatch(start, end, connectionstyle=f"arc3,rad={bend}", **look))


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice stores, one a split")
    parser.add_argument("--trajectory", type=Path, required=True, help="folder that stages.detection.trajectory wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return parser


def main(options: argparse.Namespace) -> None:
    """Draw and save."""
    trajectory = read(options.trajectory, options.data)
    style.save(draw(trajectory, options.parameters["data"]["channels"]), options.output, "figure-1-scheme")


if __name__ == "__main__":
    command.run(main, arguments())
