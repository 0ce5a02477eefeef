"""What the explorer shows: every setting of every method's grid on the test split, with its scores."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike

from stages.data.store import SliceStore
from stages.evaluation import records
from stages.evaluation.summary import FIELD_MEANS, MEANS, USE_MEANS
from stages.figures import results
from stages.methods import Setting, settings

_MEANS = MEANS | FIELD_MEANS | USE_MEANS
_KINDS = {"healthy": ("healthy",), "all": ("healthy", "diseased")}
"""Of the slices that a mean is over; all others are diseased."""


@dataclass(frozen=True)
class Run:
    """One setting of one method.

    Attributes:
        setting: a point of the method's grid.
        output: maps, reconstructions and slice scores on the test split.
        means: slice score -> "diseased" or "healthy" -> its mean over such slices of the split, where it is a number.
    """

    setting: Setting
    output: results.Method
    means: dict[str, dict[str, float]]

    def is_of(self, reported: dict[str, str]) -> bool:
        """Whether it is at its method's reported setting; `reported`: method -> setting."""
        return reported[self.output.name] == self.output.setting


def open_runs(methods: dict, store: SliceStore, maps: Path, scores: Path, table: Path) -> list[Run]:
    """Every setting of every method, in the order of the grids.

    Args:
        methods: name -> grid, as in params.yaml.
        store: of the test split.
        maps: folder of <method>/<setting>/test/{maps,images}.npy.
        scores: folder of <method>/<setting>/test.csv.
        table: scores.csv, which has the means.

    Raises:
        InputError: a file is missing, damaged or of another shape, or scores other slices.
    """
    rows = records.read_csv(table, ["method", "setting", "split"], list(_MEANS))
    rows = rows[rows["split"] == results.SPLIT].set_index(["method", "setting"])
    return [
        Run(
            setting,
            results.open_method(method, setting.name, maps, scores, store),
            _means(rows.loc[(method, setting.name)]),
        )
        for method, values in methods.items()
        for setting in settings(values)
    ]


def _means(row: pd.Series) -> dict[str, dict[str, float]]:
    """A row of scores.csv by slice score; of two means over diseased slices the first, which is the headline."""
    result: dict[str, dict[str, float]] = {}
    for metric, (column, population) in _MEANS.items():
        if np.isfinite(row[metric]):
            for kind in _KINDS.get(population, ("diseased",)):
                result.setdefault(column, {}).setdefault(kind, float(row[metric]))
    return result


def unrounded(threshold: float, dtype: DTypeLike) -> float:
    """A threshold as it was before the score file cut it to eight digits, if it was a value of a map of this type.

    A constant map's Otsu threshold is its value: rounded to less than that, it would make every pixel positive.

    >>> unrounded(0.70019531, np.float16), unrounded(0.123456, np.float16)
    (0.7001953125, 0.123456)
    """
    with np.errstate(over="ignore"):
        near = float(np.array(threshold).astype(dtype))
    return near if abs(near - threshold) <= 1e-7 * abs(threshold) else float(threshold)
