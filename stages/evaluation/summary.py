"""What the slice scores of one method, setting and split come to: every metric and its interval over subjects.

Most metrics are means of a column over some of the slices. Two are not: the image-level AUROC (are diseased slices told
from healthy ones by the mean of the map alone?), which needs no mask, and the ratio of the mean map of healthy slices
to that of diseased ones, which needs no common unit of the methods' maps.
"""

import numpy as np
import pandas as pd

from stages.evaluation import bootstrap

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
METRICS = (*MEANS, "image_auroc", "mean_map_ratio")

# Those of the comparison, in its order, as they are printed.
TITLES = {
    "dice_average_otsu": "Dice (average Otsu)",
    "dice_own_otsu": "Dice (own Otsu)",
    "auroc": "AUROC",
    "image_auroc": "image AUROC",
    "healthy_mean_map": "healthy mean map",
    "mean_map_ratio": "mean map, healthy / diseased",
}
NEEDS_MASKS = ("dice_average_otsu", "dice_own_otsu", "auroc")
# The healthy mean map is in neither: its unit is that of a method's own map.
HIGHER_IS_BETTER = ("dice_average_otsu", "dice_own_otsu", "auroc", "image_auroc")
LOWER_IS_BETTER = ("mean_map_ratio",)


def values(slices: pd.DataFrame, metric: str) -> np.ndarray:
    """What a metric of `MEANS` averages: (N,), one a slice, nan where the slice is not among those that count."""
    column, population = MEANS[metric]
    chosen = {"scored": slices["scored"] == 1, "diseased": slices["label"] == 1, "healthy": slices["label"] == 0}
    return slices[column].where(chosen[population]).to_numpy(np.float64)


def estimates(slices: pd.DataFrame, metric: str, subjects: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """A metric in each resample of subjects: (B,), nan where a resample lacks the slices that it needs.

    Args:
        slices: N slice scores.
        metric: one of `METRICS`.
        subjects: (N,) the number of each slice's subject.
        draws: (B, S) from `bootstrap.resample_subjects`; a row of ones is the split itself.
    """
    if metric == "image_auroc":
        return bootstrap.aurocs(slices["mean_map"], slices["label"] == 1, subjects, draws)
    if metric == "mean_map_ratio":
        healthy, diseased = (
            bootstrap.means(values(slices, name), subjects, draws) for name in ("healthy_mean_map", "diseased_mean_map")
        )
        # A map that is negative somewhere has no zero to which a ratio could refer.
        return np.where(healthy >= 0, bootstrap.divide(healthy, diseased), np.nan)
    return bootstrap.means(values(slices, metric), subjects, draws)


def summarise(slices: pd.DataFrame) -> dict[str, float]:
    """The metrics of one method, setting and split, and over how many slices; nan where no slice counts."""
    everyone = np.zeros(len(slices), np.int64), np.ones((1, 1), np.int64)
    result = {"slices": len(slices), "diseased": int((slices["label"] == 1).sum())}
    result["scored"] = int(slices["scored"].sum())
    for metric in METRICS:
        result[metric] = float(estimates(slices, metric, *everyone)[0])
    return result | {"average_otsu": float(slices["average_otsu"].iloc[0])}


def intervals(slices: pd.DataFrame, resamples: int, seed: int) -> dict[str, float]:
    """95 % bootstrap interval over subjects of each metric, as <metric>_low and <metric>_high; `subjects`: how many.

    The average Otsu threshold stays that of the whole split: an interval is about these maps at this threshold. The
    same subjects are drawn for every metric and, on the same slices, for every method.
    """
    names, subjects = np.unique(slices["subject_id"].to_numpy(str), return_inverse=True)
    draws = bootstrap.resample_subjects(len(names), resamples, seed)
    result = {"subjects": len(names)}
    for metric in METRICS:
        ends = bootstrap.ends(estimates(slices, metric, subjects, draws))
        result[f"{metric}_low"], result[f"{metric}_high"] = ends
    return result
