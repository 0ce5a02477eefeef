"""Which setting of a method is reported: fixed by params.yaml, or chosen on the validation subjects. Never on test.

The method is trained on image labels, so the reported choice sees no more than they: of the settings that tell
diseased from healthy validation slices as well as the best does, within one standard error (the rule of Breiman et al.,
Classification and Regression Trees, 1984, 3.4.3), the one whose maps are least marked where nothing is. Validation
slices are few: by the highest image AUROC alone, an unguided setting won in 2 of 11 trainings of the brain phantom.
What pixel masks would have chosen stands beside it.
"""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.errors import InputError
from stages.methods import settings

FIXED = "params.yaml"
BY_LABELS = "image labels of validation subjects"
METRICS = ("slices", "diseased", "image_auroc", "mean_map_ratio", "dice_average_otsu", "auroc")
"""The columns of repeats.csv that a choice looks at, beside those that say whose row it is."""


@dataclass(frozen=True)
class Choice:
    """The settings of one method that are reported.

    Attributes:
        settings: fold -> the setting's name.
        chosen_on: `FIXED` or `BY_LABELS`.
        by_masks: fold -> what the masks of its validation subjects would have chosen; None where the setting is fixed,
            or where in some fold no validation slice is scored.
    """

    settings: dict[int, str]
    chosen_on: str
    by_masks: dict[int, str] | None = None


def choose(method: str, parameters: dict, by_repeat: pd.DataFrame) -> Choice:
    """Choose in each fold on its own validation subjects, by the mean over seeds.

    Args:
        method: its name in params.yaml.
        parameters: its part of params.yaml: `grid`, and `setting`, which is a setting of the grid ({L: 500, s: 100})
            or the word `validation`.
        by_repeat: a row a fold, seed, method, setting and split, with `METRICS`. Of its rows, only those of this
            method on the validation split are looked at.

    Raises:
        InputError: the validation split of a fold has slices of one class only.
    """
    grid, wanted = settings(parameters), parameters["setting"]
    folds = by_repeat["fold"].unique().tolist()
    if wanted != "validation":
        name = grid[grid.index(wanted)].name  # {s: 100, L: 500} is the grid's L500_s100
        return Choice(dict.fromkeys(folds, name), FIXED)
    rows = by_repeat[(by_repeat["method"] == method) & (by_repeat["split"] == "validation")]
    means = rows.groupby(["fold", "setting"])[list(METRICS)].mean()
    names = [setting.name for setting in grid]
    of_fold = {fold: means.reindex(pd.MultiIndex.from_product([[fold], names])).loc[fold] for fold in folds}
    labels = {fold: best_by_labels(method, table) for fold, table in of_fold.items()}
    masks = {fold: best_by_masks(table) for fold, table in of_fold.items()}
    known = {fold: name for fold, name in masks.items() if name is not None}
    return Choice(labels, BY_LABELS, known if len(known) == len(folds) else None)


def best_by_labels(method: str, means: pd.DataFrame) -> str:
    """The lowest ratio of mean maps (healthy to diseased) of those within one standard error of the best image AUROC.

    Args:
        method: its name, for messages.
        means: a row a setting, in the order of the grid, by name; of equals the earlier is taken.

    Raises:
        InputError: a setting has no image-level AUROC.
    """
    if means["image_auroc"].isna().any():
        raise InputError(
            f"methods.{method}.setting cannot be chosen on the validation subjects: it takes both healthy and diseased "
            "slices; raise data.split.validation or name a setting"
        )
    best = means.loc[means["image_auroc"].idxmax()]
    error = auroc_error(best["image_auroc"], best["diseased"], best["slices"] - best["diseased"])
    close = means[means["image_auroc"] >= best["image_auroc"] - error - 1e-12]
    return _first_highest(-close["mean_map_ratio"], close["image_auroc"])


def auroc_error(auroc: float, diseased: float, healthy: float) -> float:
    """The standard error of an AUROC over so many images (Hanley and McNeil, Radiology 143:29, 1982, Eq. 2).

    Images of one subject are alike, so that it is rather more; of a perfect ranking it is 0.

    >>> round(auroc_error(0.75, 12, 12), 3)
    0.102
    """
    two_diseased, two_healthy = auroc / (2 - auroc), 2 * auroc**2 / (1 + auroc)
    variance = auroc * (1 - auroc)
    variance += (diseased - 1) * (two_diseased - auroc**2) + (healthy - 1) * (two_healthy - auroc**2)
    return float(np.sqrt(max(variance, 0) / (diseased * healthy)))


def best_by_masks(means: pd.DataFrame) -> str | None:
    """The highest Dice at the average Otsu threshold, then the higher AUROC, then the earlier; None without masks."""
    if means["dice_average_otsu"].isna().all():
        return None
    return _first_highest(means["dice_average_otsu"], means["auroc"])


def _first_highest(first: pd.Series, second: pd.Series) -> str:
    """The name of the highest by two criteria, nan being lowest; what they do not settle goes to the earlier."""
    keys = [values.fillna(-np.inf) for values in (first, second)]
    return max(first.index, key=lambda name: tuple(key[name] for key in keys))


def in_words(chosen: dict[int, str]) -> str:
    """The settings of all folds as one text.

    >>> in_words({1: "L500_s20", 2: "L250_s20", 3: "L500_s20"})
    'L500_s20 (2 folds), L250_s20 (1 fold)'
    >>> in_words({1: "L500_s20", 2: "L500_s20"})
    'L500_s20'
    """
    names = list(chosen.values())
    if len(set(names)) == 1:
        return names[0]
    counts = {name: names.count(name) for name in dict.fromkeys(names)}
    return ", ".join(f"{name} ({count} fold{'s' * (count > 1)})" for name, count in counts.items())


def of_words(words: str) -> list[str]:
    """The settings that `in_words` lists, each once.

    >>> of_words("L500_s20 (2 folds), L250_s20 (1 fold)"), of_words("L500_s20")
    (['L500_s20', 'L250_s20'], ['L500_s20'])
    """
    return [re.sub(r" \(\d+ folds?\)$", "", name) for name in words.split(", ")]
