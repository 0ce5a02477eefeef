"""What the slice scores of one method, setting and split in one repeat come to: every metric.

Most metrics are means of a column over some of the slices. Others are not: the image-level AUROC (are diseased slices
told from healthy ones by the mean, or the maximum, of the map alone?), which needs no mask; the ratio of the mean map
of healthy slices to that of diseased ones, which needs no common unit of the methods' maps; the Dice of whole volumes;
the share of lesions that are found; that of healthy slices that are marked; and what is pooled over all pixels, which
needs their counts (stages.evaluation.pooled). How repeats are put together says stages.evaluation.across_repeats.
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
# What a user would ask next: a threshold that no mask touched, lesions shown, false alarms, and the price.
USE_TITLES = {
    "dice_healthy_quantile": "Dice (healthy quantile)",
    "lesion_rate": "lesions found",
    "healthy_marked": "healthy slices marked",
    "seconds": "seconds an image",
    "memory_mb": "memory (MB)",
}
POOLED = ("ap", "best_dice", "ap_body")
FIELD_MEANS = {"auroc_body": ("auroc_body", "scored")}
USE_MEANS = {
    "dice_healthy_quantile": ("dice_healthy_quantile", "scored"),
    "seconds": ("seconds", "all"),
    "memory_mb": ("memory_mb", "all"),
}
METRICS = (*MEANS, "image_auroc", "mean_map_ratio")
EVERY_METRIC = (*METRICS, *FIELD_TITLES, *USE_TITLES)
# What metrics/<method>.json holds: as many numbers as fit beside its name in a line of a terminal.
FOR_DVC = ("dice_average_otsu", "auroc", "image_auroc", "lesion_rate")

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
COST = ("seconds", "memory_mb")
LOWER_IS_BETTER = ("mean_map_ratio", "healthy_marked", *COST)


def plotted(table: pd.DataFrame) -> tuple[str, ...]:
    """The metrics of Fig. 4 that a table has values of: `WITH_MASKS`, or else `WITHOUT_MASKS`."""
    return WITH_MASKS if table["dice_average_otsu"].notna().any() else WITHOUT_MASKS


def values(slices: pd.DataFrame, metric: str) -> np.ndarray:
    """What a metric that is a mean over slices averages: (N,), one a slice, nan where the slice does not count."""
    column, population = (MEANS | FIELD_MEANS | USE_MEANS)[metric]
    counts = {"scored": slices["scored"] == 1, "diseased": slices["label"] == 1, "healthy": slices["label"] == 0}
    numbers = slices[column]
    if column == "mean_map" and numbers[counts[population]].isna().any():  # no mean of slices of which some have no map
        return np.full(len(slices), np.nan)
    return (numbers if population == "all" else numbers.where(counts[population])).to_numpy(np.float64)


def marked_healthy(slices: pd.DataFrame) -> np.ndarray:
    """Whether a healthy slice has a pixel above the average Otsu threshold, which scored slices give: (N,), 1 or 0.

    nan on diseased slices, and on all where a healthy one has no map. Its mean is one minus the specificity of slices
    at the threshold of the headline's Dice, which counts no healthy slice.
    """
    healthy = slices["label"] == 0
    pixels = slices["predicted_pixels"].where(healthy).to_numpy(np.float64)
    return np.full(len(slices), np.nan) if np.isnan(pixels[healthy]).any() else np.sign(pixels)


def volume_dice(slices: pd.DataFrame, subjects: np.ndarray, count: int) -> np.ndarray:
    """3-D Dice of each subject at the average Otsu threshold, over all slices of a volume, healthy ones too: (count,).

    The mean over a subject's volumes with a lesion: two time points are two volumes. nan for subjects without any, and
    where the slices of a subject form no volume (no position); for all where a slice of a volume has no map.
    """
    rows = slices["position"].notna().to_numpy()
    if slices.loc[rows, "predicted_pixels"].isna().any():
        return np.full(count, np.nan)
    names, volumes = np.unique(slices.loc[rows, "volume"].to_numpy(str), return_inverse=True)
    sums = {
        name: np.bincount(volumes, weights=slices.loc[rows, name].to_numpy(np.float64), minlength=len(names))
        for name in ("true_positives", "predicted_pixels", "lesion_pixels")
    }
    dice = bootstrap.divide(2 * sums["true_positives"], sums["predicted_pixels"] + sums["lesion_pixels"])
    subject = np.zeros(len(names), np.int64)
    subject[volumes] = subjects[rows]
    counts = np.isfinite(dice) & (sums["lesion_pixels"] > 0)
    total = np.bincount(subject[counts], weights=dice[counts], minlength=count)
    return bootstrap.divide(total, np.bincount(subject[counts], minlength=count))


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
    if metric == "lesion_rate":
        # The mean over slices of lesions found by that of lesions: their quotient is that of the sums.
        found, lesions = (bootstrap.means(slices[name], subjects, draws) for name in ("lesions_found", "lesions"))
        return bootstrap.divide(found, lesions)
    if metric == "healthy_marked":
        return bootstrap.means(marked_healthy(slices), subjects, draws)
    return bootstrap.means(values(slices, metric), subjects, draws)


def numbered(slices: pd.DataFrame) -> tuple[int, np.ndarray]:
    """How many subjects there are, and the number (N,) of each slice's subject, in the order of their names."""
    names, subjects = np.unique(slices["subject_id"].to_numpy(str), return_inverse=True)
    return len(names), subjects


def counted(slices: pd.DataFrame) -> dict[str, int]:
    """How many slices there are, how many of them are diseased, and how many are scored."""
    return {
        "slices": len(slices),
        "diseased": int((slices["label"] == 1).sum()),
        "scored": int(slices["scored"].sum()),
    }


def summarise(slices: pd.DataFrame, pixels: pooled.PixelCounts | None = None) -> dict[str, float]:
    """The metrics of one method, setting and split in one repeat, and over how many slices; nan where none counts.

    Args:
        slices: N slice scores.
        pixels: the counts of their pixels; None where there are none, and so no pooled metrics.
    """
    count, subjects = numbered(slices)
    once = np.ones((1, count), np.int64)
    found = dict.fromkeys(POOLED, np.array([np.nan])) if pixels is None else pooled.estimates(pixels, once)
    result: dict[str, float] = dict(counted(slices))
    for metric in EVERY_METRIC:
        estimate = found[metric] if metric in POOLED else estimates(slices, metric, subjects, once)
        result[metric] = float(estimate[0])
    result["average_otsu"] = float(slices["average_otsu"].iloc[0])
    return result | {"body_share": float(slices["body_share"].mean())}
