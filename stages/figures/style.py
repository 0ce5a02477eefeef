"""How every figure looks, and how it is saved: PNG, SVG and PDF, the same bytes on every run."""

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from matplotlib.transforms import Bbox

from stages import provenance
from stages.writing import replacing

FORMATS = ("png", "svg", "pdf")
# Okabe and Ito's colours, in an order whose grey values differ too: told apart by the colour-blind and in print. The
# last three, for benchmarks of many methods, are Tol's "muted" ones that are least like them.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#882255", "#999933", "#332288")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")
# Patterns of lines, told apart without colour.
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1.2, 1, 1.2, 1, 1.2)), (0, (9, 3)), (0, (2, 1)))
# Even steps of lightness, so a map reads the same in grey.
MAP_COLOURS = "inferno"
# Lines over those maps and over grey images.
OUTLINE = "#56E0FF"
# Inches of a figure that fills an A4 page between its margins; text is nowhere smaller than SMALLEST points.
PAGE = 6.9, 9.7
SMALL, SMALLEST = 6, 5.5

# The point of the reported setting is ringed.
RING: dict[str, Any] = {"marker": "o", "markersize": 8, "markerfacecolor": "none", "color": "black", "linestyle": ""}
NO_MASKS = "no masks in this data set: neither Dice nor AUROC over pixels"
# What seaborn's lineplot is not to add to the points that it is given.
POINTS: dict[str, Any] = {"estimator": None, "errorbar": None, "markeredgecolor": None}

# seaborn's white grid at the size of a paper, written out: seaborn takes a second to import, and most figures draw
# nothing by it.
_SETTINGS: dict[str, Any] = {
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": ".15",
    "text.color": ".15",
    "xtick.color": ".15",
    "ytick.color": ".15",
    "xtick.bottom": False,
    "ytick.left": False,
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "patch.linewidth": 0.8,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "figure.titleweight": "bold",
    "figure.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "0.6",
    "grid.linewidth": 0.4,
    "grid.color": "0.85",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "diffusion-anomaly-benchmark",
}
# Left out, since it would differ from run to run; and the key that holds the provenance.
_METADATA: dict[str, tuple[dict[str, Any], str]] = {
    "png": ({"Software": None}, "Description"),
    "svg": ({"Date": None}, "Description"),
    "pdf": ({"CreationDate": None}, "Subject"),
}


def use() -> None:
    """Make the house's style the current one: a white grid in the house's colours and sizes of text."""
    plt.rcdefaults()
    plt.style.use(_SETTINGS)


def save(figure: Figure, folder: Path, name: str, formats: Sequence[str] = FORMATS) -> None:
    """Write `<folder>/<name>.{png,svg,pdf}`, each whole or not at all, say where, and close the figure.

    `formats`: those to write. What the layout leaves empty at the edges is cut off. Each file holds, as JSON,
    the provenance of the job that draws it (Description; in PDF: Subject); with inputs and times it stands beside them.
    """
    figure.draw_without_rendering()
    # The layout's solver differs from run to run by 1e-13, and a name in the SVG is a hash of such numbers.
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(Bbox(axes.get_position(original=True).get_points().round(6)))
    made = provenance.current()
    files = [folder / f"{name}.{kind}" for kind in formats]
    for kind, file in zip(formats, files, strict=True):
        metadata, key = _METADATA[kind]
        if made is not None:
            metadata = metadata | {key: json.dumps(made.without_times(), sort_keys=True)}
        with replacing(file) as partial:
            figure.savefig(partial, format=kind, metadata=metadata, bbox_inches="tight", pad_inches="layout")
    provenance.note(files[0], files)
    plt.close(figure)
    print(f"{folder / name}.{', .'.join(formats)}", flush=True)


def method_colours(methods: Iterable[str]) -> dict[str, str]:
    """Each method's colour, by its place in params.yaml and so the same in every figure of a benchmark.

    >>> method_colours(["guided-ddim", "vae"])
    {'guided-ddim': '#0072B2', 'vae': '#D55E00'}
    """
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(methods)}


def method_looks(methods: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Each method's colour and pattern of a line: after the last colour they begin again, dotted and dashed.

    >>> method_looks(map(str, range(11)))["10"]
    {'color': '#0072B2', 'linestyle': '-.'}
    """
    coloured = method_colours(methods)
    patterns = {name: ("-", "-.", ":")[index // len(COLOURS) % 3] for index, name in enumerate(coloured)}
    return {name: {"color": colour, "linestyle": patterns[name]} for name, colour in coloured.items()}


def tints(colour: str, count: int) -> list[tuple[float, float, float]]:
    """`count` tints of one colour, from light to dark: told apart in grey print as well, and legible on white."""
    import seaborn as sns  # here: see `_SETTINGS`

    if count == 1:
        return list(sns.color_palette([colour]))
    light, dark = sns.light_palette(colour, 5)[2], sns.dark_palette(colour, 5)[2]
    return list(sns.blend_palette([light, colour, dark], count))


def sentence(text: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    use()
    figure = plt.figure(figsize=(PAGE[0], 0.5))
    figure.text(0.5, 0.5, text, ha="center", va="center")
    return figure


def intervals(table: pd.DataFrame, metric: str) -> dict[str, Any]:
    """What seaborn's pointplot draws means of a table and their own intervals from, instead of estimating any.

    Args:
        table: with columns `<metric>`, `<metric>_low` and `<metric>_high`.
        metric: its name.

    Returns:
        Keyword arguments: `data`, in which each row comes three times, with the mean and both ends as `metric`, and
        how to take each from these.
    """
    ends = [table.assign(**{metric: table[f"{metric}{end}"]}) for end in ("", "_low", "_high")]
    return {
        "data": pd.concat(ends, ignore_index=True),
        "estimator": lambda values: values.iloc[0],
        "errorbar": lambda values: tuple(values.iloc[1:]) if len(values) > 1 else (np.nan, np.nan),
    }


@cache
def literal(text: str) -> str:
    r"""A name as matplotlib draws it letter by letter: what stands between two dollars would else be a formula.

    >>> print(literal("$(date)"))
    \$(date)
    """
    return text.replace("$", r"\$")


def text_width(text: str, size: float = 7) -> float:
    """Inches that one line of text, without formulas, takes in the house's font at `size` points."""
    if not text.strip():
        return 0.0
    font = FontProperties(family=_SETTINGS["font.family"])
    return float(TextPath((0, 0), literal(text), size=size, prop=font).get_extents().x1) / 72


def wrapped(text: str, width: float, size: float = 7) -> list[str]:
    """A text's lines, none wider than `width` inches: broken after spaces, hyphens and underscores where that does.

    Names of methods and of slices are often single words, so that the textwrap of the standard library cuts them
    anywhere. The lines are `literal`.
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
    return [literal(line.strip()) for line in lines if line.strip()]


def channel_title(channel: str) -> str:
    """A channel's name as it is printed: T1, T1ce, T2, FLAIR, X-ray; other names as they are.

    >>> channel_title("t1ce"), channel_title("ct")
    ('T1ce', 'ct')
    """
    return {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR", "xray": "X-ray"}.get(channel, channel)
