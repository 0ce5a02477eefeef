"""Confidence intervals over subjects and seeds: slices of one subject are alike, so subjects are what is resampled.

Another seed would have trained other networks, so seeds are resampled beside the subjects, crossed: every seed of a
resample sees its same subjects (Owen, The pigeonhole bootstrap, Annals of Applied Statistics 1, 2007).

Draw the subjects once, estimate in every resample, take the percentiles (Efron, 1979): `ends(means(..., draws))`.
Estimates of one resample belong together, so that a ratio of two of them has an interval too.

Of few subjects the interval is too narrow: of the mean of normal data the one called 95 % covers the truth in 75 % of
cases with 3 subjects, 84 % with 5, 90 % with 10 and 94 % with 40 (simulated).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.evaluation.metrics import auroc

FEW = 10
"""With fewer subjects than these, a table says that its intervals are too narrow."""


def resample_subjects(subjects: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each subject is drawn in each resample: (resamples, subjects), every row summing to `subjects`."""
    rng = np.random.default_rng([seed, 0])
    return rng.multinomial(subjects, np.full(subjects, 1 / subjects), size=resamples)


def resample_seeds(seeds: int, resamples: int, seed: int) -> NDArray[np.int64]:
    """How often each seed of the networks is drawn in each resample: (resamples, seeds), all ones with one seed."""
    rng = np.random.default_rng([seed, 2])
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)


def over_seeds(estimates: NDArray[np.float64], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over the seeds (J, B) of each resample's estimates, weighted by its draws (B, J): (B,).

    Seeds without an estimate are left out; nan where no drawn one has any.
    """
    weights = np.where(np.isfinite(estimates), draws.T, 0)
    return divide((weights * np.nan_to_num(estimates)).sum(axis=0), weights.sum(axis=0))


def means(values: ArrayLike, subjects: ArrayLike, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean over slices in each resample: (B,).

    It is taken over all slices of the resample's subjects, so a subject with more slices weighs more, as it does in the
    mean itself.

    Args:
        values: (N,), one a slice; nan where the slice does not count.
        subjects: (N,) integers, the subject of each slice, numbered as in `draws`.
        draws: (B, S) from `resample_subjects`; sharing them between methods pairs their resamples.

    Returns:
        nan where no slice of a resample counts.
    """
    values, subjects = np.asarray(values, np.float64), np.asarray(subjects)
    counts = np.isfinite(values)
    sums = np.bincount(subjects[counts], weights=values[counts], minlength=draws.shape[1])
    slices = np.bincount(subjects[counts], minlength=draws.shape[1])
    return divide(draws @ sums, draws @ slices)


def aurocs(
    values: ArrayLike, diseased: ArrayLike, subjects: ArrayLike, draws: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The AUROC over slices in each resample: (B,), exact, a slice counting as often as its subject was drawn.

    Args:
        values: (N,), one a slice; high should mean diseased; nan where a slice has none.
        diseased: (N,) booleans.
        subjects, draws: as for `means`.

    Returns:
        nan where a resample has slices of one class only, and everywhere where a slice has no value.
    """
    values, diseased, subjects = np.asarray(values, np.float64), np.asarray(diseased, bool), np.asarray(subjects)
    if np.isnan(values).any():
        return np.full(len(draws), np.nan)
    # 1,000 resamples of 1,787 slices: 0.1 s, against 2.8 s for scikit-learn's roc_auc_score with weights.
    times = draws[:, subjects]
    return np.array([auroc(np.repeat(values, count), np.repeat(diseased, count)) for count in times])


def divide(numerator: NDArray, denominator: NDArray) -> NDArray[np.float64]:
    """The quotient, nan wherever the denominator is not above 0.

    >>> divide(np.array([1, 1]), np.array([4, 0]))
    array([0.25,  nan])
    """
    numerator, denominator = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)


def ends(estimates: NDArray[np.float64], level: float = 0.95) -> tuple[float, float]:
    """Lower and upper end of the percentile interval of estimates (B,); nan ones are left out, nan where none is left.

    `level` is the interval's coverage.
    """
    found = estimates[np.isfinite(estimates)]
    if not found.size:
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
