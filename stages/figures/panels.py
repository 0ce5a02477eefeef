"""Grids of panels: grey images and anomaly maps side by side, with outlines, notes and a colour bar below."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from stages.channels import View
from stages.figures import style

GAP = 0.04  # of a panel, between two
# Behind white text: it stays legible on bright maps.
SHADE = {"facecolor": "black", "alpha": 0.5, "linewidth": 0, "pad": 0.6}


def figure(width: float, height: float) -> Figure:
    """A figure of at most so many inches, whose layout packs square panels."""
    style.use()
    result = style.plt.figure(figsize=(width, height), layout="compressed")
    # Vector formats would otherwise get one picture of all panels, at screen resolution.
    result.suppressComposite = True
    return result


class Grid:
    """A table of square panels in one Axes, whose unit is a panel: (row, column) from (0, 0) at the upper left.

    One Axes for all: the 160 panels of a supplement take 9 s to lay out and save as three files with an Axes each, 2 s
    with one for each slice.

    Args:
        axes: where it goes.
        rows: the labels at the left.
        columns: the labels above.
    """

    def __init__(self, axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
        self.axes = axes
        axes.set(xlim=(0, len(columns)), ylim=(len(rows), 0), aspect="equal", autoscale_on=False)
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.tick_params(length=0, pad=2, labelsize=style.SMALL, top=True, labeltop=True, labelbottom=False)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)

    def picture(self, row: int, column: int, pixels: np.ndarray) -> None:
        """An image (H, W) in [0, 1] in grey, or (H, W, 3) in colour."""
        self._image(row, column, pixels, cmap="gray", vmin=0, vmax=1)

    def map(self, row: int, column: int, values: np.ndarray, end: float) -> None:
        """An anomaly map (H, W), coloured from 0 to `end`."""
        self._image(row, column, values, cmap=style.MAP_COLOURS, vmin=0, vmax=end)

    def outline(self, row: int, column: int, mask: np.ndarray) -> None:
        """The outline of a mask (H, W), not 0 where it is; nothing where it is empty."""
        outline(self.axes, mask, (column, column + 1 - GAP, row + 1 - GAP, row))

    def note(self, row: int, column: int, text: str, place: str = "upper left") -> None:
        """A word in a corner of a panel: `upper left`, `lower left` or `lower right`."""
        up, side = place.split()
        x, y = (column + 1 - GAP if side == "right" else column), (row if up == "upper" else row + 1 - GAP)
        where: dict[str, Any] = {"ha": side, "va": "top" if up == "upper" else "bottom"}
        offset = (-1 if side == "right" else 1, -2 if up == "upper" else 2)
        self.axes.annotate(
            text, (x, y), offset, textcoords="offset points", color="w", fontsize=style.SMALLEST, bbox=SHADE, **where
        )

    def missing(self, row: int, column: int, columns: int = 1) -> None:
        """Grey words in the middle of so many panels that have no picture."""
        text = "no reconstruction" if columns > 1 else "no recon-\nstruction"
        place = column + (columns - GAP) / 2, row + (1 - GAP) / 2
        self.axes.text(*place, text, ha="center", va="center", color="0.4", fontsize=style.SMALLEST)

    def _image(self, row: int, column: int, pixels: np.ndarray, **look: Any) -> None:
        extent = (column, column + 1 - GAP, row + 1 - GAP, row)
        image = np.asarray(pixels, np.float32)
        if image.ndim == 3:  # of grey ones, vmin and vmax do it
            image = image.clip(0, 1)
        self.axes.imshow(image, extent=extent, aspect="equal", interpolation="nearest", **look)


def of_view(image: np.ndarray, view: View) -> np.ndarray:
    """What a picture shows of an image (C, H, W): (H, W), or (H, W, 3) in colour."""
    chosen = np.asarray(image)[list(view.channels)]
    return chosen[0] if len(chosen) == 1 else np.moveaxis(chosen, 0, -1)


def outline(axes: Axes, mask: np.ndarray, extent: tuple[float, float, float, float]) -> None:
    """The outline of a mask (H, W) over an image of this extent (left, right, bottom, top)."""
    mask = np.asarray(mask) != 0
    if mask.any() and not mask.all():
        left, right, bottom, top = extent
        down, across = ((np.arange(size) + 0.5) / size for size in mask.shape)
        x, y = left + across * (right - left), top + down * (bottom - top)
        axes.contour(x, y, mask, levels=[0.5], colors=style.OUTLINE, linewidths=0.5)


def bar(axes: Axes | Sequence[Axes], end: float | None, notes: Sequence[str] = (), **look: Any) -> None:
    """The colour bar of the maps below the panels, from 0 to `end` (None where each has its own), and notes below it.

    `look`: where it is, or its `shrink` and `aspect`.
    """
    one = axes if isinstance(axes, Axes) else axes[0]
    whole = one.figure
    scale = ScalarMappable(Normalize(0, end or 1), style.MAP_COLOURS)
    colours = whole.colorbar(scale, ax=axes, location="bottom", extend="max", **look)
    colours.outline.set(linewidth=0.4, edgecolor="black")
    colours.set_ticks([0, end or 1], labels=["0", f"{end:.3g}" if end else "end"])
    colours.ax.tick_params(length=2, width=0.4, pad=1)
    width = whole.get_figure(root=True).get_figwidth() - 1.3  # the panels are not in the middle: labels are at the left
    colours.set_label("\n".join(style.wrapped("; ".join(notes), width, style.SMALL)), fontsize=style.SMALL)


def crop(images: np.ndarray, margin: float = 1 / 32) -> tuple[slice, slice]:
    """The square window (rows, columns) of images (n, C, H, W) around all that is not 0, plus a margin of their size.

    One window for all panels, so that brains keep their relative sizes; the whole image where nothing is 0.

    >>> images = np.zeros((1, 1, 32, 32))
    >>> images[0, 0, 10:14, 5:15] = 1
    >>> crop(images)
    (slice(6, 18, None), slice(4, 16, None))
    """
    size = images.shape[-1]
    occupied = (np.asarray(images) != 0).any(axis=(0, 1))
    ends = []
    for axis in (1, 0):
        found = np.flatnonzero(occupied.any(axis=axis))
        ends.append((int(found[0]), int(found[-1]) + 1) if found.size else (0, size))
    side = min(size, max(stop - start for start, stop in ends) + 2 * round(margin * size))
    starts = [min(max((start + stop - side) // 2, 0), size - side) for start, stop in ends]
    return slice(starts[0], starts[0] + side), slice(starts[1], starts[1] + side)
