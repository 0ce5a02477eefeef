"""Which slices the explorer shows: chosen like those of the figures, and whole volumes that some of these are of."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.detection.selected import two_to_one
from stages.figures import selection


@dataclass(frozen=True)
class Shown:
    """Rows of the test split.

    Attributes:
        chosen: slices that are shown at every setting, diseased ones first.
        volumes: the rows of each volume that is shown whole, in the order of their positions.
    """

    chosen: list[int]
    volumes: list[list[int]]

    @property
    def rows(self) -> list[int]:
        """The chosen slices, then what else is in the volumes."""
        return list(dict.fromkeys([*self.chosen, *(row for volume in self.volumes for row in volume)]))

    def at(self, reported: bool) -> list[int]:
        """The slices that have a map at a setting: at one that is not reported the chosen ones, which come first."""
        return self.rows if reported else self.chosen


def choose_slices(slices: pd.DataFrame, kept: np.ndarray, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Rows of diseased and of healthy slices, two to one, `count` in all where there are so many of either.

    Args:
        slices: N slice scores of any method.
        kept: the rows that can be shown.
        count: how many in all.
        seed: of the draws among slices on equal terms.
    """
    diseased, healthy = two_to_one(
        len(selection.diseased_slices(slices, kept, count, seed)),
        len(selection.healthy_slices(slices, kept, count, seed)),
        count,
    )
    return (
        selection.diseased_slices(slices, kept, diseased, seed),
        selection.healthy_slices(slices, kept, healthy, seed),
    )


def choose_volumes(slices: pd.DataFrame, chosen: Sequence[int], mapped: np.ndarray, count: int) -> list[list[int]]:
    """The rows of up to `count` volumes by position, in even steps of the volumes that the chosen slices are of.

    Args:
        slices: N slice scores of any method; a slice without a position is of no volume.
        chosen: rows, in the order of which volumes are taken.
        mapped: the rows that have a map at every reported setting; others are left out of their volume.
        count: how many volumes are wanted; a single slice is none.
    """
    positions = slices["position"].to_numpy(np.float64)
    mapped = mapped[np.isfinite(positions[mapped])]
    names = slices["volume"].to_numpy(str)
    of = {
        name: sorted(mapped[names[mapped] == name].tolist(), key=lambda row: positions[row])
        for name in dict.fromkeys(names[list(chosen)].tolist())
    }
    volumes = [rows for rows in of.values() if len(rows) > 1]
    count = min(count, len(volumes))
    return [volumes[(2 * i + 1) * len(volumes) // (2 * count)] for i in range(count)]
