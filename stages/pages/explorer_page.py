"""The explorer's HTML file: the sources in explorer_assets/, an index of what the page says, and packed pictures."""

import base64
import gzip
import html
import json
import re
from pathlib import Path

import matplotlib
import numpy as np

from stages import command
from stages.channels import views
from stages.data.rows import Held
from stages.data.store import SliceStore
from stages.evaluation import records
from stages.evaluation.summary import USE_TITLES
from stages.figures import style
from stages.figures.results import Scale
from stages.pages import inline
from stages.pages.explorer_runs import Run, unrounded
from stages.pages.explorer_slices import Shown

ASSETS = Path(__file__).parent / "explorer_assets"
STYLES = ("page.css", "pictures.css", "narrow.css")
SCRIPTS = ("arrays.js", "numbers.js", "settings.js", "drawing.js", "view.js", "controls.js", "page.js")
# What the page's table calls a column of the slice scores; one that is not named here bears its own name.
SCORES = {
    "dice_average_otsu": "Dice (average Otsu)",
    "dice_own_otsu": "Dice (own Otsu)",
    "dice_healthy_quantile": USE_TITLES["dice_healthy_quantile"],
    "auroc": "AUROC",
    "auroc_body": "AUROC within the body",
    "mean_map": "mean of the map",
    "max_map": "maximum of the map",
    "average_otsu": "average Otsu threshold",
    "otsu": "own Otsu threshold",
    "healthy_quantile": "threshold at the quantile of healthy validation maps",
    "predicted_pixels": "pixels above the average Otsu threshold",
    "true_positives": "of these, in the mask",
    "one_finding": "score above which a finding counts: one false one a slice",
    "lesions": "lesions in the slice",
    "lesions_found": "of these, found",
    "false_findings": "false findings",
    "seconds": USE_TITLES["seconds"],
    "memory_mb": USE_TITLES["memory_mb"],
}
# Of the slice, not of the map.
_NO_SCORES = ("position", "label", "lesion_pixels", "scored", "body_share")


def page(title: str, about: str, unit: str, contents: dict, packed: dict[str, str]) -> str:
    """The HTML file. No text of the data can become markup.

    Args:
        title: the benchmark's name.
        about: which slices it shows.
        unit: what maps of the common scale are, `Scale.unit`.
        contents: from `index`.
        packed: from `blocks`.
    """
    style_sheet, script = (
        "\n".join((ASSETS / name).read_text(encoding="utf-8") for name in names) for names in (STYLES, SCRIPTS)
    )
    as_json = json.dumps(contents, allow_nan=False, separators=(",", ":"))
    parts = {
        "title": html.escape(title),
        "about": html.escape(about),
        "unit": html.escape(unit),
        "style": style_sheet,
        "style-source": inline.source(style_sheet),
        "script": script,
        "script-source": inline.source(script),
        "index": as_json.replace("<", "\\u003c"),  # </script> in a name would end the element
        "blocks": "\n".join(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in packed.items()),
    }
    template = (ASSETS / "page.html").read_text(encoding="utf-8")
    return re.sub(r"\{\{([a-z-]+)\}\}", lambda match: parts[match[1]], template)


def index(
    store: SliceStore, shown: Shown, runs: list[Run], reported: dict[str, str], scale: Scale, channels: list[str]
) -> dict:
    """Everything that the page says, as JSON; the pictures lie in blocks of their own.

    Args:
        store: of the test split.
        shown: the slices that are embedded.
        runs: every setting of every method, in the grid's order.
        reported: method -> the name of its reported setting.
        scale: the ends of the colours of the figures.
        channels: names of the store's channels.
    """
    columns = [name for name in dict.fromkeys([*SCORES, *records.NUMBERS]) if name not in _NO_SCORES]
    manifest, palette = store.manifest.iloc[shown.rows], matplotlib.colormaps[style.MAP_COLOURS]
    number_of = {row: number for number, row in enumerate(shown.rows)}
    described: dict[str, list[dict]] = {name: [] for name in reported}
    for number, run in enumerate(runs):
        rows = shown.at(run.is_of(reported))
        described[run.output.name].append({"block": f"run-{number}"} | describe(run, rows, columns))
    return {
        "height": store.images.shape[-2],
        "width": store.images.shape[-1],
        "masks": store.masks is not None,
        "planes": len(channels),
        "channels": [
            {"name": view.name, "title": style.channel_title(view.name), "planes": view.channels}
            for view in views(channels)
        ],
        "slices": [
            {"name": name, "diseased": bool(label), "pixels": int(pixels), "position": int(position)}
            for name, label, pixels, position in zip(
                *(manifest[column] for column in ("slice_id", "label", "lesion_pixels", "position")), strict=True
            )
        ],
        "chosen": len(shown.chosen),
        "volumes": [
            {"subject": store.manifest["subject_id"].iloc[rows[0]], "slices": [number_of[row] for row in rows]}
            for rows in shown.volumes
        ],
        "scores": [{"name": name, "title": SCORES.get(name, name.replace("_", " "))} for name in columns],
        "methods": [
            {"name": name, "reported": setting, "top": scale.end(name), "settings": described[name]}
            for name, setting in reported.items()
        ],
        "colours": [matplotlib.colors.to_hex(palette(shade)) for shade in range(palette.N)],
    }


def describe(run: Run, rows: list[int], columns: list[str]) -> dict:
    """What the index says of a run: its setting, its maps, and the scores of the slices that are embedded."""
    output, chosen = run.output, run.output.slices.iloc[rows]
    return {
        "name": output.setting,
        "title": run.setting.title,
        "values": dict(run.setting),
        "slices": len(rows),
        "type": output.maps.dtype.name,
        "reconstructions": output.images is not None,
        "top": _top(output.maps, rows),
        "average": _number(unrounded(chosen["average_otsu"].iloc[0], output.maps.dtype)),
        "own": [_number(unrounded(value, output.maps.dtype)) for value in chosen["otsu"]],
        "scores": {column: [_number(value) for value in chosen[column]] for column in columns},
        "means": run.means,
    }


def blocks(store: SliceStore, shown: Shown, runs: list[Run], reported: dict[str, str]) -> dict[str, str]:
    """The pictures of the slices by the names that `index` gives them: the slices, and each run's maps.

    `slices`: the inputs (n, C, H, W) uint8, then the masks (n, H, W) where there are any. `run-<number>`: the maps
    (n, H, W) as they are, then the reconstructions (k, C, H, W) uint8, less the inputs, where there are any. Of the n
    slices, a run that is not reported has the k chosen ones alone; reconstructions are of these in any case.
    """
    inputs = shades(store.images[shown.rows])
    result = {"slices": pack(inputs, *([] if store.masks is None else [store.masks[shown.rows]]))}
    for number, run in enumerate(command.progress("explorer", len(runs), unit="setting", over=runs)):
        arrays = [run.output.maps[shown.at(run.is_of(reported))]]
        if run.output.images is not None:
            # A reconstruction is near its input: the difference, modulo 256, packs a fifth smaller.
            arrays.append(shades(run.output.images[shown.chosen]) - inputs[: len(shown.chosen)])
        result[f"run-{number}"] = pack(*arrays)
    return result


def pack(*arrays: np.ndarray) -> str:
    """Arrays, one after the other, as gzip in base64: equal arrays give equal text.

    Of numbers of several bytes, all first bytes come first, then all second ones: that packs a sixth smaller.
    """
    parts = []
    for array in arrays:
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        parts.append(little.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T.tobytes())
    return base64.b64encode(gzip.compress(b"".join(parts), 9, mtime=0)).decode()


def shades(images: np.ndarray) -> np.ndarray:
    """Images as uint8, their range [0, 1] in 256 shades; what lies beyond is cut off."""
    return np.rint(np.clip(np.asarray(images, np.float32), 0, 1) * 255).astype(np.uint8)


def _top(maps: np.ndarray | Held, rows: list[int]) -> float:
    """The end of the colours: one percentile of all maps together would lie below small lesions."""
    top = max(float(np.percentile(np.asarray(maps[row], np.float64), 99.5)) for row in rows)
    return top if top > 0 else 1.0


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
