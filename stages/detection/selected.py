"""Which slices of a split get a map at a setting, and of which of them the reconstruction is kept: before any is made.

Diseased slices always get a map, healthy ones where something needs them (`kept.healthy`): elsewhere they would be
two fifths of the work for nothing. Reconstructions are kept of a fixed number of test slices, which figures and
explorer choose from: two diseased ones to a healthy one, at even quantiles of the lesion's area. They have a map at
every setting. No draw decides, so that all repeats, methods and settings keep the same ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.data.store import DISEASED, HEALTHY

SHOWN = "test"
"""The split of which single slices are shown."""


@dataclass(frozen=True)
class Selection:
    """Rows of a split's manifest, ascending.

    Attributes:
        maps: (n,) of which there are maps.
        images: (k,) those of them whose reconstructions are kept.
    """

    maps: np.ndarray
    images: np.ndarray


def select(manifest: pd.DataFrame, split: str, kept: Mapping) -> Selection:
    """What a method makes of a split at a setting.

    Args:
        manifest: of the split, with label and lesion_pixels.
        split: its name.
        kept: of the job's part of params.yaml: `healthy`, whether all healthy slices get a map; `reconstructions`, how
            many test slices keep theirs, None: all.
    """
    mapped, shown = np.ones(len(manifest), bool), np.zeros(len(manifest), bool)
    if not kept["healthy"]:
        mapped &= manifest["label"].to_numpy() == DISEASED
    if split == SHOWN:
        count = len(manifest) if kept["reconstructions"] is None else kept["reconstructions"]
        shown[_two_to_one(manifest, count)] = True
    return Selection(np.flatnonzero(mapped | shown), np.flatnonzero(shown))


def _two_to_one(manifest: pd.DataFrame, count: int) -> np.ndarray:
    labels = manifest["label"].to_numpy()
    rows = {label: np.flatnonzero(labels == label) for label in (DISEASED, HEALTHY)}
    counts = two_to_one(len(rows[DISEASED]), len(rows[HEALTHY]), count)
    return np.concatenate([at_quantiles(manifest, rows[label], n) for label, n in zip(rows, counts, strict=True)])


def two_to_one(diseased: int, healthy: int, count: int) -> tuple[int, int]:
    """How many diseased and healthy slices make `count` of those that there are: two to one, where both suffice.

    >>> two_to_one(99, 99, 24), two_to_one(99, 3, 24), two_to_one(5, 3, 24)
    ((16, 8), (21, 3), (5, 3))
    """
    wanted = min(diseased, max(count - (count + 1) // 3, count - healthy))
    return wanted, min(healthy, count - wanted)


def at_quantiles(manifest: pd.DataFrame, rows: np.ndarray, count: int) -> np.ndarray:
    """Up to `count` of the rows (n,), ascending, at even quantiles of the lesion's area; one is the median.

    Of the manifest's order where the area is the same for all: on healthy slices, and where there are no masks.
    """
    count = min(count, len(rows))
    by_area = rows[np.argsort(manifest["lesion_pixels"].to_numpy()[rows], kind="stable")]
    return np.sort(by_area[((np.arange(count) + 0.5) * len(rows) / max(count, 1)).astype(int)])
