"""Scores by the size of the lesion: small lesions are the hard ones, and a mean over all slices hides them.

The scored slices of the test split, of all folds together, are grouped by quantiles of their lesion pixels, the same
groups for every method and seed.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from stages.evaluation import across_repeats, bootstrap, summary

METRICS = ("dice_average_otsu", "auroc")
COLUMNS = [
    *("method", "setting", "group", "from_pixels", "to_pixels", "slices", "subjects", "seeds"),
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
    slices: dict[str, list[pd.DataFrame]], settings: dict[str, str], groups: int, resamples: int, seed: int
) -> pd.DataFrame:
    """A row a method and group: how many slices, their lesions from and to, Dice and AUROC with their intervals.

    Args:
        slices: method -> its slice scores, a table a seed (`across_repeats.pooled_over_folds`), of the same slices.
        settings: method -> the name of its setting, or of its settings.
        groups: how many groups.
        resamples, seed: of the bootstrap over subjects and seeds; the draws are those of `across_repeats.describe`.

    Returns:
        Columns `COLUMNS`; no row where no slice is scored.
    """
    rows = []
    for method, frames in slices.items():
        first = frames[0]
        count, subjects = summary.numbered(first)
        draws, of_seeds = across_repeats.drawn(count, len(frames), resamples, seed)
        group = size_groups(first["lesion_pixels"], first["scored"] == 1, groups)
        for number in range(1, group.max() + 1):
            chosen = group == number
            pixels = first.loc[chosen, "lesion_pixels"]
            row = {"method": method, "setting": settings[method], "group": number}
            row |= {"from_pixels": pixels.min(), "to_pixels": pixels.max(), "slices": int(chosen.sum())}
            row |= {"subjects": len(np.unique(subjects[chosen])), "seeds": len(frames)}
            for metric in METRICS:
                values = [frame[metric].where(chosen).to_numpy(np.float64) for frame in frames]
                found = np.stack([bootstrap.means(of_seed, subjects, draws) for of_seed in values])
                means = bootstrap.over_seeds(found, of_seeds)
                row[metric] = means[0]
                row[f"{metric}_low"], row[f"{metric}_high"] = bootstrap.ends(means[1:])
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)
