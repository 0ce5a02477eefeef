"""Scores by the size of the lesion: small lesions are the hard ones, and a mean over all slices hides them.

The scored slices of the test split are grouped by quantiles of their lesion pixels, the same groups for every method.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from stages.evaluation import bootstrap, summary

METRICS = ("dice_average_otsu", "auroc")
COLUMNS = [
    *("method", "setting", "group", "from_pixels", "to_pixels", "slices", "subjects"),
    *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")),
]


def size_groups(lesion_pixels: ArrayLike, scored: ArrayLike, groups: int) -> NDArray[np.int64]:
    """The group of each slice: (N,), 1 for the smallest lesions, 0 where a slice is not scored.

    Args:
        lesion_pixels: (N,).
        scored: (N,) booleans.
        groups: how many, of about equally many slices. Slices of one size stay together, so that there may be fewer.
    """
    pixels, scored = np.asarray(lesion_pixels), np.asarray(scored, bool)
    result = np.zeros(len(pixels), np.int64)
    if scored.any():
        edges = np.quantile(pixels[scored], np.arange(1, groups) / groups)
        places = np.searchsorted(edges, pixels[scored], side="left")
        result[scored] = np.unique(places, return_inverse=True)[1] + 1
    return result


def by_lesion_size(
    slices: dict[str, pd.DataFrame], settings: dict[str, str], groups: int, resamples: int, seed: int
) -> pd.DataFrame:
    """A row a method and group: how many slices, their lesions from and to, Dice and AUROC with their intervals.

    Args:
        slices: method -> its slice scores, of the same slices.
        settings: method -> the name of its setting.
        groups: how many groups.
        resamples, seed: of the bootstrap over subjects; the draws are those of `summary.intervals`.

    Returns:
        Columns `COLUMNS`; no row where no slice is scored.
    """
    rows = []
    for method, frame in slices.items():
        count, subjects = summary.numbered(frame)
        draws = bootstrap.resample_subjects(count, resamples, seed)
        group = size_groups(frame["lesion_pixels"], frame["scored"] == 1, groups)
        for number in range(1, group.max() + 1):
            chosen = group == number
            pixels = frame.loc[chosen, "lesion_pixels"]
            row = {"method": method, "setting": settings[method], "group": number}
            row |= {"from_pixels": pixels.min(), "to_pixels": pixels.max(), "slices": int(chosen.sum())}
            row["subjects"] = len(np.unique(subjects[chosen]))
            for metric in METRICS:
                values = frame[metric].where(chosen).to_numpy(np.float64)
                row[metric] = bootstrap.means(values, subjects, np.ones((1, count), np.int64))[0]
                ends = bootstrap.ends(bootstrap.means(values, subjects, draws))
                row[f"{metric}_low"], row[f"{metric}_high"] = ends
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)
