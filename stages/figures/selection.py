"""Which slices the figures show: chosen by rule, never by eye, and the same ones on every run.

Diseased slices stand at even quantiles of the Dice that one method (`figures.method`) reaches at its reported setting,
over the scored test slices; where there are no masks, at even quantiles of the mean of its maps over the diseased
slices. Healthy slices stand at even quantiles of their position in the volume. A supplement takes other slices by the
same rule.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

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


def diseased_slices(slices: pd.DataFrame, count: int, seed: int, shown: Sequence[int] = ()) -> list[int]:
    """Rows of scored slices from low to high Dice; where nothing is scored, of diseased ones from dark to bright maps.

    Args:
        slices: the slice scores of the method that chooses, a row a slice of the split.
        count: how many are wanted; there can be fewer.
        seed: of the draws among equals.
        shown: rows that are not to be chosen again.
    """
    scored = slices["scored"].to_numpy() == 1
    if scored.any():
        return _rows(slices, scored, slices["dice_average_otsu"], count, seed, shown)
    return _rows(slices, slices["label"].to_numpy() == 1, slices["mean_map"], count, seed, shown)


def healthy_slices(manifest: pd.DataFrame, count: int, seed: int, shown: Sequence[int] = ()) -> list[int]:
    """Rows of healthy slices, by ascending position in the volume; drawn where no volume holds several, as radiographs.

    There the position is the number of a view.
    """
    volumes = manifest.groupby("source")["position"].nunique().max() > 1
    positions = manifest["position"] if volumes else manifest["position"] * 0
    return _rows(manifest, manifest["label"].to_numpy() == 0, positions, count, seed, shown)


def _rows(
    frame: pd.DataFrame, eligible: np.ndarray, values: pd.Series, count: int, seed: int, shown: Sequence[int]
) -> list[int]:
    rows = np.flatnonzero(eligible)
    before = np.flatnonzero(np.isin(rows, list(shown)))
    subjects = frame["subject_id"].to_numpy(str)[rows]
    chosen = at_quantiles(values.to_numpy(np.float64)[rows], subjects, count, seed, before.tolist())
    return [int(rows[n]) for n in chosen]
