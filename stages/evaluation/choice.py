"""Which setting of a method is reported: fixed by params.yaml, or chosen on the validation subjects. Never on test.

The method is trained on image labels, so the reported choice sees no more than they: the setting that tells diseased
from healthy validation slices best. What pixel masks would have chosen stands beside it.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.errors import InputError
from stages.methods import settings

FIXED = "params.yaml"
BY_LABELS = "image labels of validation subjects"


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
        by_repeat: a row a fold, seed, method, setting and split, with image_auroc, mean_map_ratio, dice_average_otsu
            and auroc. Of its rows, only those of this method on the validation split are looked at.

    Raises:
        InputError: the validation split of a fold has slices of one class only.
    """
    grid, wanted = settings(parameters), parameters["setting"]
    folds = by_repeat["fold"].unique().tolist()
    if wanted != "validation":
        name = grid[grid.index(wanted)].name  # {s: 100, L: 500} is the grid's L500_s100
        return Choice(dict.fromkeys(folds, name), FIXED)
    rows = by_repeat[(by_repeat["method"] == method) & (by_repeat["split"] == "validation")]
    metrics = ["image_auroc", "mean_map_ratio", "dice_average_otsu", "auroc"]
    means = rows.groupby(["fold", "setting"])[metrics].mean()
    names = [setting.name for setting in grid]
    of_fold = {fold: means.reindex(pd.MultiIndex.from_product([[fold], names])).loc[fold] for fold in folds}
    labels = {fold: best_by_labels(method, table) for fold, table in of_fold.items()}
    masks = {fold: best_by_masks(table) for fold, table in of_fold.items()}
    known = {fold: name for fold, name in masks.items() if name is not None}
    return Choice(labels, BY_LABELS, known if len(known) == len(folds) else None)


def best_by_labels(method: str, means: pd.DataFrame) -> str:
    """The highest image-level AUROC, then the lower ratio of mean maps (healthy to diseased), then the earlier.

    Args:
        method: its name, for messages.
        means: a row a setting, in the order of the grid, by name.

    Raises:
        InputError: a setting has no image-level AUROC.
    """
    if means["image_auroc"].isna().any():
        raise InputError(
            f"methods.{method}.setting cannot be chosen on the validation subjects: it takes both healthy and diseased "
            "slices; raise data.split.validation or name a setting"
        )
    return _first_highest(means["image_auroc"], -means["mean_map_ratio"])


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
