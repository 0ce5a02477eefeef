"""How every figure looks, and how it is saved: PNG, SVG and PDF, the same bytes on every run."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from stages.data.store import replacing

FORMATS = ("png", "svg", "pdf")
# Okabe and Ito's colours, in an order whose grey values differ too: told apart by the colour-blind and in print. The
# last three, for benchmarks of many methods, are Tol's "muted" ones that are least like them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#332288")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Even steps of lightness, so a map reads the same in grey.
MAP_COLOURS = "inferno"
# Lines over those maps and over grey images.
OUTLINE = "#56E0FF"
# Inches of a figure that fills an A4 page between its margins; text is nowhere smaller than SMALLEST points.
PAGE = 6.9, 9.7
SMALLEST = 5.5

_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 6,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "diffusion-anomaly-benchmark",
}
# What would differ from run to run.
_METADATA = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


def use() -> None:
    """Make the house's style the current one."""
    plt.rcdefaults()
    plt.rcParams.update(_SETTINGS)


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `<folder>/<name>.{png,svg,pdf}`, each whole or not at all, and close the figure."""
    for kind in FORMATS:
        with replacing(folder / f"{name}.{kind}") as partial:
            figure.savefig(partial, format=kind, metadata=_METADATA[kind])
    plt.close(figure)


def method_colours(methods: Iterable[str]) -> dict[str, str]:
    """Each method's colour, by its place in params.yaml and so the same in every figure of a benchmark."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(methods)}


def tints(colour: str, count: int) -> list[tuple[float, float, float]]:
    """`count` tints of one colour, from light to dark: told apart in grey print as well, and legible on white."""
    rgb, black, white = np.array(to_rgb(colour)), np.zeros(3), np.ones(3)
    shares = np.linspace(0.5, -0.45, count) if count > 1 else [0.0] * count
    return [tuple(rgb + abs(share) * ((white if share > 0 else black) - rgb)) for share in shares]


def line_style(index: int) -> dict:
    """The look of the n-th of several lines without markers: told apart without colour."""
    return {"linestyle": ["--", "-.", ":", (0, (6, 1.2, 1, 1.2, 1, 1.2)), (0, (9, 3)), (0, (2, 1))][index % 6]}


@cache
def text_width(text: str, size: float = 7) -> float:
    """Inches that one line of text takes in the house's font at `size` points."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=_SETTINGS["font.family"])
    return float(TextPath((0, 0), text, size=size, prop=font).get_extents().x1) / 72


def wrapped(text: str, width: float, size: float = 7) -> list[str]:
    """A text's lines, none wider than `width` inches: broken after spaces, hyphens and underscores where that does.

    Names of methods and of slices are often single words, so that the textwrap of the standard library cuts them
    anywhere.
    """
    lines = [""]
    for piece in re.findall(r"[^\s_-]*[\s_-]+|[^\s_-]+", text):
        if text_width((lines[-1] + piece).rstrip(), size) <= width:
            lines[-1] += piece
            continue
        while len(piece) > 1 and text_width(piece.rstrip(), size) > width:
            fits = next((n for n in range(len(piece) - 1, 1, -1) if text_width(piece[:n], size) <= width), 1)
            lines.append(piece[:fits])
            piece = piece[fits:]
        lines.append(piece)
    return [line.strip() for line in lines if line.strip()]


def channel_title(channel: str) -> str:
    """A channel's name as it is printed: T1, T1ce, T2, FLAIR, X-ray; other names as they are."""
    return {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR", "xray": "X-ray"}.get(channel, channel)


def setting_title(setting: str) -> str:
    """A setting's name as it is printed; `default`, the only one of its method, is nothing.

    `L500_s100` is `L = 500, s = 100`, `view-equalised` is `view = equalised`, `k-5` is `k = -5`.
    """
    if setting == "default":
        return ""
    return ", ".join(re.sub(r"^([A-Za-z]+)(?:-(?=[a-z])|(?=[-.\d]))", r"\1 = ", part) for part in setting.split("_"))
