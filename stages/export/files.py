"""Files of anomaly maps: what they are called, and how a map or an image becomes a PNG."""

import re
from collections import Counter
from itertools import takewhile
from pathlib import Path

import numpy as np
from PIL import Image

from stages.data.brats_called import case_name
from stages.writing import replacing

GREY_LEVELS = 65535


def file_names(names: list[str]) -> list[str]:
    """Names of files for slices or volumes, each once: what is no letter, digit, dot, dash or _ becomes _."""
    plain = [re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_" for name in names]
    times = Counter(name.lower() for name in plain)  # some file systems do not tell upper from lower case
    found = []
    for n, name in enumerate(plain):
        own = name if times[name.lower()] == 1 else f"{name}_{n:04d}"
        while own != name and own.lower() in times:  # another's: x_0001 beside two called x
            own += "_"
        times[own.lower()] += own != name
        found.append(own)
    return found


def case_names(sources: list[str]) -> list[str]:
    """What volumes are called: as cases are by their path, and where two are alike all that tells them apart.

    >>> case_names(["HGG/case1", "sub-1/ses-2/anat"]), case_names(["x/a/t1.nii.gz", "x/b/t1.nii.gz", "x/b/t2.nii"])
    (['case1', 'sub-1_ses-2'], ['a/t1', 'b/t1', 't2'])
    """
    paths = [source.removesuffix(".gz").removesuffix(".nii").split("/") for source in sources]
    names = [case_name(path) for path in paths]
    folders = zip(*(path[:-1] for path in paths), strict=False)
    common = len(list(takewhile(lambda alike: len(set(alike)) == 1, folders)))
    return [
        name if names.count(name) == 1 else "/".join(path[common:]) for name, path in zip(names, paths, strict=True)
    ]


def write_map_png(stem: Path, values: np.ndarray, end: float, largest: float) -> None:
    """Write <stem>_map.png and <stem>_values.png of a map (H, W).

    Args:
        stem: of their names.
        values: of the map; below 0 they become 0.
        end: the value of the brightest colour.
        largest: the value of white in <stem>_values.png.
    """
    from matplotlib import colormaps  # here: half a second of imports that no volume needs

    from stages.figures import style

    share, grey = (np.clip(values.astype(np.float64) / top, 0, 1) for top in (end, largest))
    palette = colormaps[style.MAP_COLOURS](np.arange(256), bytes=True)[:, :3]
    write_png(stem, "map", palette[np.round(255 * share).astype(np.uint8)])
    write_png(stem, "values", np.round(GREY_LEVELS * grey).astype(np.uint16))


def write_png(stem: Path, kind: str, pixels: np.ndarray) -> None:
    """Write <stem>_<kind>.png, with no date in it, the same bytes every time.

    `pixels`: (H, W) uint8 or uint16 in grey, (H, W, 3) uint8 in colour.
    """
    with replacing(stem.with_name(f"{stem.name}_{kind}.png")) as partial:
        Image.fromarray(pixels).save(partial, "png")
