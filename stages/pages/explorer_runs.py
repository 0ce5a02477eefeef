"""What the explorer shows: every setting of every method's grid on the test split, with its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.data.store import SliceStore
from stages.errors import InputError
from stages.evaluation import metrics, records
from stages.evaluation.summary import FIELD_MEANS, MEANS
from stages.figures import results
from stages.methods import settings

_MEANS = MEANS | FIELD_MEANS


@dataclass(frozen=True)
class Run:
    """One setting of one method.

    Attributes:
        values: of the grid's keys, such as {"L": 500, "s": 20}.
        output: maps, reconstructions and slice scores on the test split.
        means: slice score -> "diseased" or "healthy" -> its mean over such slices of the split, where it is a number.
    """

    values: dict
    output: results.Method
    means: dict[str, dict[str, float]]


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
    runs = []
    for method, values in methods.items():
        for setting in settings(values):
            name = setting.name
            if (rows.index == (method, name)).sum() != 1:
                raise InputError(f"{table} does not list {method} {name} on {results.SPLIT} once: tabulate again")
            output = results.open_method(method, name, maps, scores, store)
            runs.append(Run(setting, output, _means(rows.loc[(method, name)])))
    return runs


def _means(row: pd.Series) -> dict[str, dict[str, float]]:
    """A row of scores.csv by slice score; of two means over diseased slices the first, which is the headline."""
    result = {}
    for metric, (column, population) in _MEANS.items():
        if np.isfinite(row[metric]):
            kind = "healthy" if population == "healthy" else "diseased"
            result.setdefault(column, {}).setdefault(kind, float(row[metric]))
    return result


def unrounded(threshold: float, dtype: np.dtype) -> float:
    """A threshold as it was before the score file cut it to eight digits, if it was a value of a map of this type.

    A constant map's Otsu threshold is its value: rounded to less than that, it would make every pixel positive.
    """
    with np.errstate(over="ignore"):
        near = float(np.dtype(dtype).type(threshold))
    return near if abs(near - threshold) <= 1e-7 * abs(threshold) else float(threshold)


def check(run: Run, rows: Sequence[int], store: SliceStore) -> None:
    """Refuse maps that are not those that were scored.

    Raises:
        InputError: a map of the given rows holds nan or inf, or its Dice is not that of the scores.
    """
    output = run.output
    where = f"the maps of {output.name} {output.setting}"
    for row in rows:
        anomaly_map, scores = np.asarray(output.maps[row], np.float64), output.slices.iloc[row]
        if not np.isfinite(anomaly_map).all():
            raise InputError(
                f"{where} hold nan or inf at slice {scores['slice_id']!r}: delete them and run the detection again"
            )
        if store.masks is None or scores["label"] == 0:
            continue
        for threshold, column in (("average_otsu", "dice_average_otsu"), ("otsu", "dice_own_otsu")):
            dice = metrics.dice(
                anomaly_map > unrounded(scores[threshold], output.maps.dtype), np.asarray(store.masks[row]) != 0
            )
            if not np.isclose(dice, scores[column], rtol=0, atol=1e-6, equal_nan=True):
                raise InputError(
                    f"{where} are not those that were scored: the Dice of slice {scores['slice_id']!r} is {dice:.6f} "
                    f"where {column} says {scores[column]:.6f}; score again"
                )
