"""Which setting of a method is reported: fixed by params.yaml, or chosen on the validation subjects. Never on test."""

import pandas as pd

from stages.errors import InputError
from stages.methods import settings

FIXED = "params.yaml"
BY_DICE = "validation (Dice)"
BY_IMAGE_AUROC = "validation (image AUROC)"


def choose_setting(method: str, parameters: dict, scores: pd.DataFrame) -> tuple[str, str]:
    """The setting of one method that is reported, and what chose it.

    Args:
        method: its name in params.yaml.
        parameters: its part of params.yaml: `grid`, and `setting`, which is a setting of the grid ({L: 500, s: 100})
            or the word `validation`: the highest Dice at the average Otsu threshold on the validation subjects, then
            the higher AUROC, then the earlier in the grid. Where the validation split has no masks, and so neither of
            the two: the highest image-level AUROC, then the earlier in the grid.
        scores: a row a method, setting and split, with dice_average_otsu, auroc and image_auroc. Of its rows, only
            those of this method on the validation split are looked at.

    Returns:
        The setting's name, and one of `FIXED`, `BY_DICE` and `BY_IMAGE_AUROC`.

    Raises:
        InputError: the fixed setting is not in the grid, or there is nothing to choose on.
    """
    names = [setting.name for setting in settings(parameters)]
    wanted = parameters["setting"]
    if wanted != "validation":
        # The order of keys is the grid's: {s: 100, L: 500} is the same setting.
        for name, setting in zip(names, settings(parameters), strict=True):
            if setting == wanted:
                return name, FIXED
        raise InputError(f"methods.{method}.setting {wanted} is not in methods.{method}.grid: add it or choose another")
    rows = scores[(scores["method"] == method) & (scores["split"] == "validation")].set_index("setting")
    if len(rows) == 0:
        raise InputError(
            f"methods.{method}.setting is chosen on validation subjects but there are none: raise "
            "data.split.validation or name a setting"
        )
    by_dice = rows["dice_average_otsu"].notna().any()
    criteria = ["dice_average_otsu", "auroc"] if by_dice else ["image_auroc"]
    if rows[criteria[0]].isna().any():
        raise InputError(
            f"methods.{method}.setting cannot be chosen on the validation subjects: without masks it takes both "
            "healthy and diseased slices; raise data.split.validation or name a setting"
        )
    # max keeps the first of equals: what the criteria do not settle goes to the earlier in the grid.
    best = max(names, key=lambda name: tuple(rows.loc[name, criteria]))
    return best, BY_DICE if by_dice else BY_IMAGE_AUROC
