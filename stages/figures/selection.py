"""Which slices the figures show: chosen by rule, never by eye, and the same ones on every run.

They are among the test slices whose reconstructions are kept, which are known before anything is detected
(stages.detection.selected). Diseased slices stand at even quantiles of the lesion's area, over those of them that are
scored; where there are no masks, in even steps of the manifest's order. So do healthy slices. A supplement takes other
slices by the same rule.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.data.store import DISEASED, HEALTHY

NEAR = 0.01
"""Values that are farther from a quantile by no more than this share of the values' range count as equally near."""


def at_quantiles(
    values: np.ndarray, subjects: np.ndarray, count: int, seed: int, shown: Sequence[int] = ()
) -> list[int]:
    """Up to `count` indices of (N,) values, at even quantiles of them, by ascending value.

    The i-th aims at the quantile (i + 1/2) / count of all values. Among the slices of those subjects that were taken
    least often so far, it takes one of the nearest; which of equally near ones, a draw decides.

    Args:
        values: (N,), finite.
        subjects: (N,) whose slice it is.
        count: how many are wanted.
        seed: of the draws.
        shown: indices that another figure shows: not chosen, and counted as taken from their subjects.
    """
    values, left = np.asarray(values, np.float64), np.ones(len(values), bool)
    left[list(shown)] = False
    _, subjects = np.unique(np.asarray(subjects), return_inverse=True)
    taken = np.bincount(subjects[list(shown)], minlength=subjects.max(initial=-1) + 1)
    count = min(count, int(left.sum()))
    random, tolerance = np.random.default_rng(seed), NEAR * np.ptp(values) if len(values) else 0.0
    chosen = []
    for i in range(count):
        candidates = np.flatnonzero(left & (taken[subjects] == taken[subjects][left].min()))
        distances = np.abs(values[candidates] - np.quantile(values, (i + 0.5) / count))
        best = int(random.choice(candidates[distances <= distances.min() + tolerance]))
        left[best] = False
        taken[subjects[best]] += 1
        chosen.append(best)
    return sorted(chosen, key=lambda n: (values[n], n))


def diseased_slices(
    slices: pd.DataFrame, kept: np.ndarray, count: int, seed: int, shown: Sequence[int] = ()
) -> list[int]:
    """Rows of scored slices from small to large lesions; where none of the kept ones is scored, of diseased ones.

    Args:
        slices: the slice scores of any method, a row a slice of the split.
        kept: the rows that can be shown, ascending.
        count: how many are wanted; there can be fewer.
        seed: of the draws among equals.
        shown: rows that are not to be chosen again.
    """
    diseased = kept[slices["label"].to_numpy()[kept] == DISEASED]
    scored = diseased[slices["scored"].to_numpy()[diseased] == 1]
    return _spread(slices, scored if scored.size else diseased, count, seed, shown)


def healthy_slices(
    slices: pd.DataFrame, kept: np.ndarray, count: int, seed: int, shown: Sequence[int] = ()
) -> list[int]:
    """Rows of healthy slices likewise, in the manifest's order."""
    return _spread(slices, kept[slices["label"].to_numpy()[kept] == HEALTHY], count, seed, shown)


def _spread(slices: pd.DataFrame, rows: np.ndarray, count: int, seed: int, shown: Sequence[int]) -> list[int]:
    areas = slices["lesion_pixels"].to_numpy()[rows]
    before = np.flatnonzero(np.isin(rows, list(shown))).tolist()
    subjects = slices["subject_id"].to_numpy(str)[rows]
    values = areas if areas.any() else np.arange(len(rows))
    return [int(rows[n]) for n in at_quantiles(values, subjects, count, seed, before)]
