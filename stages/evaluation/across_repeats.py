"""One method over all repeats: test subjects pooled over the folds, means over the seeds, intervals over both.

Means over slices and Dice by subject take the slices of all folds together, each scored by the networks that had not
seen it. What ranks slices or pixels, or divides maps by maps (`WITHIN_FOLD`), is computed within each fold and averaged
over the folds: networks that were trained apart give maps without a common unit, so that their ranks do not mix.

An interval draws subjects and seeds (stages.evaluation.bootstrap): in each resample the metric is computed for every
seed on the same subjects, and averaged over the seeds as often as they were drawn. With one fold and one seed all of
this is the plain estimate with its bootstrap over subjects.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.evaluation import bootstrap, summary
from stages.evaluation.pooled import PixelCounts
from stages.evaluation.pooled import estimates as pooled_estimates
from stages.repeats import Repeat

WITHIN_FOLD = ("image_auroc", "image_auroc_max", "mean_map_ratio", *summary.POOLED)


@dataclass(frozen=True)
class Run:
    """What one method scored on one split in one repeat.

    Attributes:
        slices: the slice scores.
        pixels: reads the counts of their pixels, which are too large to keep; None where there are none.
    """

    slices: pd.DataFrame
    pixels: Callable[[], PixelCounts | None] = lambda: None


Runs = dict[Repeat, Run]
"""One method on one split: a run for every fold with every seed, all seeds of a fold on the same slices."""


def of_seeds(runs: Runs) -> list[list[Run]]:
    """The runs of each seed, in the order of the seeds; those of a seed in the order of the folds."""
    folds, seeds = sorted({repeat.fold for repeat in runs}), dict.fromkeys(repeat.seed for repeat in runs)
    return [[runs[Repeat(fold, seed)] for fold in folds] for seed in seeds]


def pooled_over_folds(runs: Runs) -> list[pd.DataFrame]:
    """The slice scores of each seed, folds below each other, with a column `fold` (0, 1, ...).

    A volume that is scored in two folds, as one of validation may be, is two volumes.
    """
    return [
        pd.concat([_of_fold(run.slices, number) for number, run in enumerate(folds)], ignore_index=True)
        for folds in of_seeds(runs)
    ]


def _of_fold(slices: pd.DataFrame, number: int) -> pd.DataFrame:
    return slices.assign(fold=number, volume=f"{number}/" + slices["volume"])


def estimates(slices: pd.DataFrame, metric: str, draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """A metric, but none of `summary.POOLED`, of one seed in each resample of subjects: (B,).

    Args:
        slices: of one seed, from `pooled_over_folds`.
        metric: one of `summary.EVERY_METRIC`.
        draws: (B, S) from `bootstrap.resample_subjects`, of the S subjects of all folds.
    """
    _, subjects = summary.numbered(slices)
    if metric not in WITHIN_FOLD:
        return summary.estimates(slices, metric, subjects, draws)
    folds = [slices["fold"].to_numpy() == number for number in slices["fold"].unique()]
    return over_folds([summary.estimates(slices[rows], metric, subjects[rows], draws) for rows in folds])


def over_folds(found: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The mean over folds of their estimates (B,), over those that have one."""
    stacked = np.stack(found)
    return bootstrap.divide(np.nan_to_num(stacked).sum(axis=0), np.isfinite(stacked).sum(axis=0))


def folds_left_out(by_repeat: pd.DataFrame) -> dict[str, list[int]]:
    """Metric -> the folds that its mean over folds leaves out: they have no value of it, while others have one.

    Args:
        by_repeat: a row a fold and seed of one method, setting and split, with `fold` and the columns of
            `summary.summarise`.
    """
    found = {}
    for metric in WITHIN_FOLD:
        known = by_repeat.groupby("fold")[metric].apply(lambda values: values.notna().all())
        if known.any() and not known.all():
            found[metric] = sorted(known.index[~known].tolist())
    return found


def every_estimate(runs: Runs, draws: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Every metric of every seed in each resample of subjects: (J, B) each; the pooled ones nan without counts."""
    frames = pooled_over_folds(runs)
    names = np.unique(frames[0]["subject_id"].to_numpy(str))
    found = {
        metric: np.stack([estimates(frame, metric, draws) for frame in frames])
        for metric in summary.EVERY_METRIC
        if metric not in summary.POOLED
    }
    pixels = [_pooled_over_pixels(folds, names, draws) for folds in of_seeds(runs)]
    return found | {metric: np.stack([one[metric] for one in pixels]) for metric in summary.POOLED}


def _pooled_over_pixels(
    folds: list[Run], names: NDArray[np.str_], draws: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """`summary.POOLED` of one seed, averaged over its folds: (B,) each."""
    found: dict[str, list[NDArray[np.float64]]] = {metric: [] for metric in summary.POOLED}
    for run in folds:
        counts = run.pixels()
        own = {} if counts is None else pooled_estimates(counts, draws[:, np.searchsorted(names, counts.subjects)])
        for metric, several in found.items():
            several.append(own.get(metric, np.full(len(draws), np.nan)))
    return {metric: over_folds(several) for metric, several in found.items()}


def summarise(runs: Runs, by_repeat: dict[Repeat, dict[str, float]]) -> dict[str, float]:
    """The columns of `summary.summarise` over all repeats.

    Args:
        runs: of one method, setting and split.
        by_repeat: what `summary.summarise` says of each of them, so that no count of pixels is read twice.
    """
    frames, of_one = pooled_over_folds(runs), {repeat: by_repeat[repeat] for repeat in runs}
    once = np.ones((1, summary.numbered(frames[0])[0]), np.int64)
    one_fold = len({repeat.fold for repeat in runs}) == 1
    seeds = list(dict.fromkeys(repeat.seed for repeat in runs))
    result: dict[str, float] = dict(summary.counted(frames[0]))
    for metric in summary.EVERY_METRIC:
        if one_fold or metric in WITHIN_FOLD:
            several = [
                over_folds([np.array([found[metric]]) for repeat, found in of_one.items() if repeat.seed == seed])
                for seed in seeds
            ]
        else:
            several = [estimates(frame, metric, once) for frame in frames]
        result[metric] = float(over_folds(several)[0])
    for name in ("average_otsu", "body_share"):
        result[name] = float(np.mean([found[name] for found in of_one.values()]))
    return result


def describe(runs: Runs, resamples: int, seed: int) -> dict[str, float]:
    """Every metric with its 95 % interval over subjects and seeds, its spread over seeds, and over how much it is.

    The thresholds stay those of the whole split and repeat: an interval is about these maps at these thresholds. The
    same subjects and seeds are drawn for every metric and, on the same slices, for every method.

    Returns:
        <metric>, <metric>_low, <metric>_high, <metric>_seed_sd (nan with one seed) of `summary.EVERY_METRIC`;
        subjects, folds, seeds; slices, diseased, scored; average_otsu and body_share, means over the repeats.
    """
    frames = pooled_over_folds(runs)
    count, _ = summary.numbered(frames[0])
    draws, of_seed = drawn(count, len(frames), resamples, seed)
    result: dict[str, float] = {}
    for metric, found in every_estimate(runs, draws).items():
        mean = bootstrap.over_seeds(found, of_seed)
        result[metric] = float(mean[0])
        result[f"{metric}_low"], result[f"{metric}_high"] = bootstrap.ends(mean[1:])
        result[f"{metric}_seed_sd"] = spread(found[:, 0])
    result |= {"subjects": count, "folds": frames[0]["fold"].nunique(), "seeds": len(frames)}
    result |= summary.counted(frames[0])
    for name in ("average_otsu", "body_share"):
        result[name] = float(np.mean([run.slices[name].mean() for run in runs.values()]))
    return result


def drawn(subjects: int, seeds: int, resamples: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draws of subjects (1 + B, S) and of seeds (1 + B, J); the first row, of ones, is the split and the seeds."""
    draws = (bootstrap.resample_subjects(subjects, resamples, seed), bootstrap.resample_seeds(seeds, resamples, seed))
    of_subjects, of_seeds = (np.concatenate([np.ones((1, some.shape[1]), np.int64), some]) for some in draws)
    return of_subjects, of_seeds


def spread(values: NDArray[np.float64]) -> float:
    """The standard deviation over seeds (J,), with J - 1; nan with fewer than two values.

    >>> spread(np.array([1.0, 3.0])) == 2**0.5, spread(np.array([1.0]))
    (True, nan)
    """
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else float("nan")
