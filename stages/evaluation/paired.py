"""Paired comparisons of methods: they saw the same slices, so their differences say more than two intervals do.

For every pair of methods: the difference of the metric as it is printed, a bootstrap interval (the same subjects drawn
for both), and the two-sided p of a sign-flip permutation test: were the methods alike, either could have been called
the first, subject by subject. A subject's slices are flipped together. All sign patterns are tried where there are at
most `FLIPS` of them (up to 13 subjects), else so many at random. Holm's procedure (1979) adjusts p over the pairs.

Where there are several seeds, what is flipped is the difference of a subject's means over the seeds (`p_subjects`), and
a one-sample t-test asks whether the difference of the whole split stands out from its spread over the seeds
(`p_seeds`). `p` is the larger of both, an intersection-union test (Berger, Technometrics 24, 1982): a ranking has to
hold for other subjects and for other seeds. With one seed p is `p_subjects`, and seeds were not tested.

The image-level AUROC, no mean over slices, is tested by exchanging the methods' ranks of a slice (Bandos, Rockette and
Gur, Statistics in Medicine 24, 2005); its difference turns out to be a sum over slices whose signs are flipped.
"""

from collections.abc import Collection
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import permutation_test, rankdata, ttest_1samp

from stages.evaluation import across_repeats, bootstrap, summary

FLIPS = 9_999
TESTED = (*summary.WITH_MASKS, *summary.WITHOUT_MASKS)
COLUMNS = [
    *("metric", "method", "other", "value", "other_value", "difference", "low", "high"),
    *("subjects", "seeds", "p_subjects", "p_seeds", "p", "smallest_p", "p_holm"),
]


def sign_flip(differences: ArrayLike, seed: int) -> tuple[float, float]:
    """Two-sided p of a sum of differences (S,), one a subject, under random signs, and the smallest p there can be.

    Exact where 2 ** S is at most `FLIPS`. The smallest is that of subjects that all agree: 2 / 2 ** S.
    """
    differences = np.asarray(differences, np.float64)
    if len(differences) < 2:
        return 1.0, 1.0  # one subject: either sign is as extreme
    exact = 2 ** len(differences) <= FLIPS
    found = permutation_test(
        (differences,),
        lambda values, axis: values.sum(axis=axis),
        permutation_type="samples",
        n_resamples=2 ** len(differences) if exact else FLIPS,
        batch=1000,
        rng=np.random.default_rng([seed, 1]),
    )
    return float(found.pvalue), 2 / (2 ** len(differences) if exact else FLIPS + 1)


def t_test_over_seeds(differences: ArrayLike) -> float:
    """Two-sided p that differences (J,), one a seed, have the mean 0; nan with fewer than two.

    Equal ones, as of methods that have no seed, stand out from no spread at all: p is 0, or 1 where they are 0.
    """
    differences = np.asarray(differences, np.float64)
    if len(differences) < 2:
        return float("nan")
    if np.ptp(differences) <= 1e-12 * np.abs(differences).max():
        return float(not differences.any())
    return float(ttest_1samp(differences, 0).pvalue)


def auroc_shares(one: ArrayLike, other: ArrayLike, diseased: ArrayLike) -> NDArray[np.float64]:
    """What each slice (N,) adds to the difference of two image-level AUROCs; its sign flipped, of exchanged ranks.

    Let K_ab be the share of pairs that are in the right order when the diseased slice has its rank by method a and the
    healthy one by method b, and s = 1, or -1 where a slice's two ranks are exchanged. The difference of the AUROCs is
    then the mean over pairs of s_diseased (K_11 - K_22 + K_12 - K_21) / 2 + s_healthy (K_11 - K_22 - K_12 + K_21) / 2,
    which is linear in the signs.

    Args:
        one, other: (N,) the methods' scores; only their order counts.
        diseased: (N,) booleans.
    """
    diseased = np.asarray(diseased, bool)
    ranks = rankdata(one), rankdata(other)

    def right(a: int, b: int) -> NDArray[np.float64]:
        return (1 + np.sign(ranks[a][diseased][:, None] - ranks[b][~diseased])) / 2

    same, crossed = right(0, 0) - right(1, 1), right(0, 1) - right(1, 0)
    shares = np.empty(len(diseased))
    shares[diseased] = (same + crossed).sum(axis=1) / (2 * same.size)
    shares[~diseased] = (same - crossed).sum(axis=0) / (2 * same.size)
    return shares


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """p-values (M,) adjusted for being M: the k-th smallest times M - k + 1, never below a smaller one, at most 1.

    >>> holm([0.01, 0.04, 0.03, 0.005]).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def compare_pairs(slices: dict[str, list[pd.DataFrame]], resamples: int, seed: int) -> pd.DataFrame:
    """A row a metric and pair of methods, in their order.

    Args:
        slices: method -> its slice scores, a table a seed (`across_repeats.pooled_over_folds`), of the same slices in
            the same order.
        resamples: of the bootstrap.
        seed: of the bootstrap and of the random signs.

    Returns:
        Columns `COLUMNS`: the difference is `method` minus `other`; `subjects` are those with a slice that counts.
        The metrics `TESTED`; where no slice is scored, image_auroc alone, p being nan if all slices are of one class.
    """
    first, *further = next(iter(slices.values()))
    count, subjects = summary.numbered(first)
    draws, of_seeds = across_repeats.drawn(count, 1 + len(further), resamples, seed)
    rows = []
    for metric in TESTED if first["scored"].any() else summary.WITHOUT_MASKS:
        by_seed = {
            name: np.stack([across_repeats.estimates(frame, metric, draws) for frame in frames])
            for name, frames in slices.items()
        }
        found = {name: bootstrap.over_seeds(estimates, of_seeds) for name, estimates in by_seed.items()}
        block: list[dict[str, Any]] = []
        for one, other in combinations(slices, 2):
            difference = found[one] - found[other]
            row: dict[str, Any] = {"metric": metric, "method": one, "other": other}
            row |= {"value": found[one][0], "other_value": found[other][0], "difference": difference[0]}
            row["low"], row["high"] = bootstrap.ends(difference[1:])
            row |= {"subjects": count, "seeds": 1 + len(further), "p_subjects": np.nan, "smallest_p": np.nan}
            row["p_seeds"] = t_test_over_seeds(by_seed[one][:, 0] - by_seed[other][:, 0])
            pairs = zip(slices[one], slices[other], strict=True)
            by_slice = np.mean([_by_slice(frame, beside, metric) for frame, beside in pairs], axis=0)
            counts = np.isfinite(by_slice)
            if counts.any():
                sums = np.bincount(subjects[counts], weights=by_slice[counts], minlength=count)
                sums = sums[np.unique(subjects[counts])]
                row["subjects"] = len(sums)
                # Over the same slices whatever the signs, so the sum tests the difference that is printed.
                row["p_subjects"], row["smallest_p"] = sign_flip(sums, seed)
            row["p"] = row["p_subjects"] if not further else np.maximum(row["p_subjects"], row["p_seeds"])
            block.append(row)
        for row, adjusted in zip(block, holm([row["p"] for row in block]), strict=True):
            row["p_holm"] = adjusted
        rows += block
    return pd.DataFrame(rows, columns=COLUMNS)


def _by_slice(one: pd.DataFrame, other: pd.DataFrame, metric: str) -> NDArray[np.float64]:
    """What each slice (N,) adds to the difference of two methods, up to a factor; nan where it does not count.

    The image-level AUROC is a mean over folds, and within one of them a sum over its slices.
    """
    if metric != "image_auroc":
        return summary.values(one, metric) - summary.values(other, metric)
    result = np.full(len(one), np.nan)
    for _, rows in one.groupby("fold").indices.items():
        diseased = one["label"].to_numpy()[rows] == 1
        first, second = (frame["mean_map"].to_numpy()[rows] for frame in (one, other))
        if diseased.any() and not diseased.all() and np.isfinite([first, second]).all():
            result[rows] = auroc_shares(first, second, diseased)
    return result


def best_against_others(pairs: pd.DataFrame, bounds: Collection[str] = ()) -> pd.DataFrame:
    """The rows of each metric's best method, turned so that it is the first: a row a metric and other method.

    `bounds` are methods that cannot be the best: upper bounds.
    """
    rows = []
    for _, block in pairs.groupby("metric", sort=False):
        values = dict(zip(block["method"], block["value"], strict=True))
        values |= dict(zip(block["other"], block["other_value"], strict=True))
        known = {name: value for name, value in values.items() if np.isfinite(value) and name not in bounds}
        if not known:
            continue
        best = max(known, key=lambda name: known[name])
        for row in block.to_dict("records"):
            if row["other"] == best:
                row |= {"method": best, "other": row["method"]}
                row |= {"value": row["other_value"], "other_value": row["value"], "difference": -row["difference"]}
                row |= {"low": -row["high"], "high": -row["low"]}
            if row["method"] == best:
                rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)
