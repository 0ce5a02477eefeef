"""Sheets of panels: grey images, anomaly maps with outlines, notes and a colour bar, laid out in inches."""

from collections.abc import Sequence

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from stages.figures import style

THIN = 0.03  # inches between panels
LINE = 0.115  # inches from one line of text to the next, at 7 points


class Sheet:
    """A figure of so many inches. (0, 0) is its upper left corner; x goes right, y down.

    All panels lie in one Axes: some hundred small images, of which an Axes each would take a second to make and two to
    save.
    """

    def __init__(self, width: float, height: float) -> None:
        style.use()
        self.figure: Figure = plt.figure(figsize=(width, height))
        # Vector formats would otherwise get one picture of all panels, at screen resolution.
        self.figure.suppressComposite = True
        self.width, self.height = width, height
        self.axes = self.figure.add_axes([0, 0, 1, 1], xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.axes.axis("off")

    def grey(self, x: float, y: float, side: float, pixels: np.ndarray) -> None:
        """An image (H, W) in [0, 1], in the square whose upper left corner is (x, y)."""
        self._image(x, y, side, np.asarray(pixels, np.float32), cmap="gray", vmin=0, vmax=1)

    def map(self, x: float, y: float, side: float, values: np.ndarray, end: float) -> None:
        """An anomaly map (H, W), coloured from 0 to `end`."""
        self._image(x, y, side, np.asarray(values, np.float32), cmap=style.MAP_COLOURS, vmin=0, vmax=end)

    def outline(self, x: float, y: float, side: float, mask: np.ndarray) -> None:
        """The outline of a mask (H, W), not 0 where it is; nothing where it is empty."""
        mask = np.asarray(mask) != 0
        if mask.any() and not mask.all():
            centres = (np.arange(mask.shape[0]) + 0.5) / mask.shape[0] * (side - THIN)
            self.axes.contour(x + centres, y + centres, mask, levels=[0.5], colors=style.OUTLINE, linewidths=0.5)

    def note(self, x: float, y: float, side: float, text: str, below: bool = False, left: bool = False) -> None:
        """A word in a panel: in its upper left corner, or below, in its lower right or lower left one."""
        inset, right = 0.02, below and not left
        x += side - THIN - inset if right else inset
        y += side - THIN - inset if below else inset
        place = {"ha": "right" if right else "left", "va": "bottom" if below else "top"}
        # White text stays legible on bright maps.
        shade = {"facecolor": "black", "alpha": 0.5, "linewidth": 0, "pad": 0.6}
        self.axes.text(x, y, text, color="white", fontsize=style.SMALLEST, bbox=shade, **place)

    def text(self, x: float, y: float, lines: str | Sequence[str], **look) -> None:
        """Text on one or more lines, by default to the right of and below (x, y)."""
        text = lines if isinstance(lines, str) else "\n".join(lines)
        self.axes.text(x, y, text, **({"ha": "left", "va": "top", "linespacing": 1.15} | look))

    def missing(self, x: float, y: float, side: float, text: str, columns: int = 1) -> None:
        """Grey words in the middle of so many panels that have no picture."""
        width = columns * side - THIN
        lines = style.wrapped(text, width, 6)
        self.text(x + width / 2, y + side / 2, lines, ha="center", va="center", color="0.4", fontsize=6)

    def bar(self, x: float, y: float, width: float, end: float | None) -> None:
        """The colour bar of the maps, from 0 to `end`; None where each has its own."""
        place = self.figure.add_axes(
            [x / self.width, 1 - (y + 0.09) / self.height, width / self.width, 0.09 / self.height]
        )
        scale = ScalarMappable(Normalize(0, end or 1), style.MAP_COLOURS)
        bar = self.figure.colorbar(scale, cax=place, orientation="horizontal", extend="max")
        bar.outline.set_linewidth(0.4)
        bar.set_ticks([0, end or 1], labels=["0", f"{end:.3g}" if end else "end"])
        bar.ax.tick_params(length=2, width=0.4, pad=1)

    def foot(self, y: float, end: float | None, notes: Sequence[str]) -> None:
        """The colour bar and the notes beside it, from y down; `foot_height` says how much room they take."""
        self.bar(BESIDE[0], y + 0.04, BESIDE[1], end)
        self.text(sum(BESIDE) + 0.25, y, _foot_lines(self.width, notes), fontsize=6)

    def _image(self, x: float, y: float, side: float, pixels: np.ndarray, **look) -> None:
        extent = (x, x + side - THIN, y + side - THIN, y)
        self.axes.imshow(pixels, extent=extent, aspect="auto", interpolation="nearest", **look)


BESIDE = 0.15, 0.8  # inches: where the colour bar of a foot starts, and how long it is


def _foot_lines(width: float, notes: Sequence[str]) -> list[str]:
    return style.wrapped("; ".join(notes), width - sum(BESIDE) - 0.35, 6)


def foot_height(width: float, notes: Sequence[str]) -> float:
    """Inches of a sheet's foot."""
    return max(0.4, 0.1 + 0.1 * len(_foot_lines(width, notes)))


def crop(images: np.ndarray, margin: float = 1 / 32) -> tuple[slice, slice]:
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
