"""What the slice scores of one method, setting and split come to: every metric and its interval over subjects.

Most metrics are means of a column over some of the slices. Others are not: the image-level AUROC (are diseased slices
told from healthy ones by the mean, or the maximum, of the map alone?), which needs no mask; the ratio of the mean map
of healthy slices to that of diseased ones, which needs no common unit of the methods' maps; the Dice of whole volumes;
and what is pooled over all pixels, which needs their counts (stages.evaluation.pooled).
"""

import numpy as np
import pandas as pd

from stages.evaluation import bootstrap, pooled

# Metric -> the column of the slice scores, and the slices over which its mean is taken.
MEANS = {
    "dice_average_otsu": ("dice_average_otsu", "scored"),
    "dice_own_otsu": ("dice_own_otsu", "scored"),
    "auroc": ("auroc", "scored"),
    "dice_average_otsu_all": ("dice_average_otsu", "diseased"),
    "dice_own_otsu_all": ("dice_own_otsu", "diseased"),
    "auroc_all": ("auroc", "diseased"),
    "healthy_mean_map": ("mean_map", "healthy"),
    "diseased_mean_map": ("mean_map", "diseased"),
}
# The field's metrics beyond the paper's, in the order of the comparison, as they are printed; higher is better.
FIELD_TITLES = {
    "ap": "pixel AP",
    "best_dice": "best achievable Dice (pooled)",
    "dice_3d": "3-D Dice (average Otsu)",
    "auroc_body": "AUROC (body)",
    "ap_body": "pixel AP (body)",
    "image_auroc_max": "image AUROC (maximum)",
}
POOLED = ("ap", "best_dice", "ap_body")
FIELD_MEANS = {"auroc_body": ("auroc_body", "scored")}
METRICS = (*MEANS, "image_auroc", "mean_map_ratio")
EVERY_METRIC = (*METRICS, *FIELD_TITLES)

# The headline of the comparison, in its order, as they are printed.
TITLES = {
    "dice_average_otsu": "Dice (average Otsu)",
    "dice_own_otsu": "Dice (own Otsu)",
    "auroc": "AUROC",
    "image_auroc": "image AUROC",
    "healthy_mean_map": "healthy mean map",
    "mean_map_ratio": "mean map, healthy / diseased",
}
NEEDS_MASKS = ("dice_average_otsu", "dice_own_otsu", "auroc")
# Those of the paper's Fig. 4, and what takes their place where the data set has no masks.
WITH_MASKS, WITHOUT_MASKS = ("dice_average_otsu", "auroc"), ("image_auroc",)
# In the unit of a method's own map, so neither end is better.
OWN_UNIT = ("healthy_mean_map", "diseased_mean_map")
HIGHER_IS_BETTER = ("dice_average_otsu", "dice_own_otsu", "auroc", "image_auroc")
LOWER_IS_BETTER = ("mean_map_ratio",)


def plotted(table: pd.DataFrame) -> tuple[str, ...]:
    """The metrics of Fig. 4 that a table has values of: `WITH_MASKS`, or else `WITHOUT_MASKS`."""
    return WITH_MASKS if table["dice_average_otsu"].notna().any() else WITHOUT_MASKS


def values(slices: pd.DataFrame, metric: str) -> np.ndarray:
    """What a metric of `MEANS` or `FIELD_MEANS` averages: (N,), one a slice, nan where the slice does not count."""
    column, population = (MEANS | FIELD_MEANS)[metric]
    chosen = {"scored": slices["scored"] == 1, "diseased": slices["label"] == 1, "healthy": slices["label"] == 0}
    return slices[column].where(chosen[population]).to_numpy(np.float64)


def volume_dice(slices: pd.DataFrame, subjects: np.ndarray, count: int) -> np.ndarray:
    """3-D Dice of each subject at the average Otsu threshold, over all its slices, healthy ones included: (count,).

    nan for subjects without a lesion, and where the slices of a subject form no volume (no position).
    """
    rows = slices["position"].notna().to_numpy()
    sums = {
        name: np.bincount(subjects[rows], weights=slices.loc[rows, name].to_numpy(np.float64), minlength=count)
        for name in ("true_positives", "predicted_pixels", "lesion_pixels")
    }
    dice = bootstrap.divide(2 * sums["true_positives"], sums["predicted_pixels"] + sums["lesion_pixels"])
    return np.where(sums["lesion_pixels"] > 0, dice, np.nan)


def estimates(slices: pd.DataFrame, metric: str, subjects: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """A metric in each resample of subjects: (B,), nan where a resample lacks the slices that it needs.

    Args:
        slices: N slice scores.
        metric: one of `EVERY_METRIC`, but none of `POOLED`.
        subjects: (N,) the number of each slice's subject.
        draws: (B, S) from `bootstrap.resample_subjects`; a row of ones is the split itself.
    """
    if metric in ("image_auroc", "image_auroc_max"):
        column = "mean_map" if metric == "image_auroc" else "max_map"
        return bootstrap.aurocs(slices[column], slices["label"] == 1, subjects, draws)
    if metric == "mean_map_ratio":
        healthy, diseased = (
            bootstrap.means(values(slices, name), subjects, draws) for name in ("healthy_mean_map", "diseased_mean_map")
        )
        # A map that is negative somewhere has no zero to which a ratio could refer.
        return np.where(healthy >= 0, bootstrap.divide(healthy, diseased), np.nan)
    if metric == "dice_3d":
        count = draws.shape[1]
        return bootstrap.means(volume_dice(slices, subjects, count), np.arange(count), draws)
    return bootstrap.means(values(slices, metric), subjects, draws)


def numbered(slices: pd.DataFrame) -> tuple[int, np.ndarray]:
    """How many subjects there are, and the number (N,) of each slice's subject, in the order of their names."""
    names, subjects = np.unique(slices["subject_id"].to_numpy(str), return_inverse=True)
    return len(names), subjects


def every_estimate(slices: pd.DataFrame, draws: np.ndarray, pixels: pooled.PixelCounts | None) -> dict[str, np.ndarray]:
    """Every metric in each resample of subjects: (B,) each; the pooled ones are nan without the pixels' counts."""
    _, subjects = numbered(slices)
    found = {name: np.full(len(draws), np.nan) for name in POOLED}
    if pixels is not None:
        found = pooled.estimates(pixels, draws)
    return {
        metric: found[metric] if metric in POOLED else estimates(slices, metric, subjects, draws)
        for metric in EVERY_METRIC
    }


def summarise(slices: pd.DataFrame, pixels: pooled.PixelCounts | None = None) -> dict[str, float]:
    """The metrics of one method, setting and split, and over how many slices; nan where no slice counts.

    Args:
        slices: N slice scores.
        pixels: the counts of their pixels; None where there are none, and so no pooled metrics.
    """
    result: dict[str, float] = {"slices": len(slices), "diseased": int((slices["label"] == 1).sum())}
    result["scored"] = int(slices["scored"].sum())
    found = every_estimate(slices, np.ones((1, numbered(slices)[0]), np.int64), pixels)
    result |= {metric: float(found[metric][0]) for metric in EVERY_METRIC}
    result["average_otsu"] = float(slices["average_otsu"].iloc[0])
    return result | {"body_share": float(slices["body_share"].mean())}


def intervals(
    slices: pd.DataFrame, resamples: int, seed: int, pixels: pooled.PixelCounts | None = None
) -> dict[str, float]:
    """95 % bootstrap interval over subjects of each metric, as <metric>_low and <metric>_high; `subjects`: how many.

    The average Otsu threshold stays that of the whole split: an interval is about these maps at this threshold. The
    same subjects are drawn for every metric and, on the same slices, for every method.
    """
    count, _ = numbered(slices)
    result: dict[str, float] = {"subjects": count}
    for metric, found in every_estimate(slices, bootstrap.resample_subjects(count, resamples, seed), pixels).items():
        result[f"{metric}_low"], result[f"{metric}_high"] = bootstrap.ends(found)
    return result
