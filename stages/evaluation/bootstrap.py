"""Confidence intervals over subjects: slices of one subject are alike, so subjects are what is resampled."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def resample_subjects(subjects: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each subject is drawn in each resample: (resamples, subjects), every row summing to `subjects`."""
    rng = np.random.default_rng([seed, 0])
    return rng.multinomial(subjects, np.full(subjects, 1 / subjects), size=resamples)


def interval(
    values: ArrayLike, subjects: ArrayLike, draws: NDArray[np.int64], level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over slices, subjects drawn with replacement (Efron, 1979).

    A resample's mean is taken over all slices of its subjects, so a subject with more slices weighs more, as it does
    in the mean itself. Resamples without any slice are left out.

    Args:
        values: (N,), one a slice; nan where the slice does not count.
        subjects: (N,) integers, the subject of each slice, numbered as in `draws`.
        draws: (B, S) from `resample_subjects`; sharing them between methods pairs their resamples.
        level: the interval's coverage.

    Returns:
        Lower and upper end; nan where no slice counts.
    """
    values, subjects = np.asarray(values, np.float64), np.asarray(subjects)
    counts = np.isfinite(values)
    sums = np.bincount(subjects[counts], weights=values[counts], minlength=draws.shape[1])
    slices = np.bincount(subjects[counts], minlength=draws.shape[1])
    total = draws @ slices
    means = (draws @ sums)[total > 0] / total[total > 0]
    if not means.size:
        return float("nan"), float("nan")
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
