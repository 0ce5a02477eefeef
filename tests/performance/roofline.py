"""The roofline: FLOP/s over FLOPs a byte, below what the device's arithmetic and its memory allow.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model" (Communications of the ACM, 2009).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter
from matplotlib.typing import FillStyleType

from stages.figures import style

from .measured import COPY, PRODUCT

PANEL = 3.4, 2.9  # inches
DRAWN = ("forward", "guided step", "training step, denoiser", "training step, classifier")
"""A translation and a grid consist of these."""
FILLS: dict[str, FillStyleType] = {"never": "full", "kernels": "left", "graphs": "bottom"}
"""By how networks were compiled."""


def draw(table: pd.DataFrame) -> Figure:
    """A panel for each size: the steps of both sides, by the table of `performance.csv`."""
    steps = table[table["what"].isin(DRAWN)]
    if steps.empty:
        return style.sentence("neither a forward pass nor a step was timed")
    style.use()
    sizes = list(dict.fromkeys(steps["size"]))
    figure, grid = plt.subplots(
        1, len(sizes), figsize=(PANEL[0] * len(sizes), PANEL[1]), sharey=True, squeeze=False, layout="constrained"
    )
    peaks = table[table["what"] == PRODUCT].groupby("precision", sort=False)["flops_per_second"].max()
    bandwidth = table.loc[table["what"] == COPY, "bytes_per_second"].max()
    colours = dict(zip(peaks.index, style.COLOURS, strict=False))
    ends = np.array(
        [steps["flops_per_byte"].min() / 2, max(steps["flops_per_byte"].max(), peaks.max() / bandwidth) * 3]
    )
    for axes, size in zip(grid[0], sizes, strict=True):
        for precision, peak in peaks.items():
            _roof(axes, ends, peak, bandwidth, colours[precision])
        for row in steps[steps["size"] == size].itertuples():
            fill = FILLS[row.compile] if row.side == "here" else "none"
            axes.plot(
                row.flops_per_byte,
                row.flops_per_second,
                marker=style.MARKERS[DRAWN.index(row.what)],
                color=colours[row.precision],
                fillstyle=fill,
                markerfacecoloralt="white",
                linestyle="",
                markersize=5,
            )
        axes.set(xscale="log", yscale="log", xlim=ends)
        axes.set_title(size, loc="left")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 1e9:g}"))
    grid[0, 0].set_ylabel("GFLOP/s")
    figure.supxlabel("FLOPs a byte that the operations read and write", fontsize=7)
    ways = steps.loc[steps["side"] == "here", "compile"].unique()
    figure.legend(handles=_legend(colours, peaks, bandwidth, ways), loc="outside right center")
    return figure


def _roof(axes: Axes, ends: np.ndarray, peak: float, bandwidth: float, colour: str) -> None:
    """FLOP/s that memory allows, up to those of the matrix product."""
    corners = np.array([ends[0], peak / bandwidth, ends[1]])
    axes.plot(corners, np.minimum(peak, corners * bandwidth), color=colour, linewidth=0.8)


def _legend(colours: dict[str, str], peaks: pd.Series, bandwidth: float, ways: Iterable[str]) -> list[Line2D]:
    def point(label: str, marker: str, **look: Any) -> Line2D:
        return Line2D([], [], linestyle="", color="black", marker=marker, label=label, **look)

    roofs = [
        Line2D([], [], color=colours[name], label=f"{name}: {rate / 1e9:,.0f} GFLOP/s") for name, rate in peaks.items()
    ]
    memory = Line2D([], [], linestyle="", label=f"memory: {bandwidth / 1e9:,.0f} GB/s")
    kinds = [point(what, marker) for what, marker in zip(DRAWN, style.MARKERS, strict=False)]
    compiled = [
        point(f"compiled: {way}", "o", fillstyle=FILLS[way], markerfacecoloralt="white")
        for way in ways
        if way != "never"
    ]
    return [*roofs, memory, *kinds, *compiled, point("plain reference: hollow", "o", fillstyle="none")]
