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
        InputError: without masks, the validation split has slices of one class only.
    """
    grid, wanted = settings(parameters), parameters["setting"]
    if wanted != "validation":
        return grid[grid.index(wanted)].name, FIXED  # {s: 100, L: 500} is the grid's L500_s100
    rows = scores[(scores["method"] == method) & (scores["split"] == "validation")].set_index("setting")
    by_dice = rows["dice_average_otsu"].notna().any()
    criteria = ["dice_average_otsu", "auroc"] if by_dice else ["image_auroc"]
    if not by_dice and rows["image_auroc"].isna().any():
        raise InputError(
            f"methods.{method}.setting cannot be chosen on the validation subjects: without masks it takes both "
            "healthy and diseased slices; raise data.split.validation or name a setting"
        )
    # max keeps the first of equals: what the criteria do not settle goes to the earlier in the grid.
    best = max(grid, key=lambda setting: tuple(rows.loc[setting.name, criteria]))
    return best.name, BY_DICE if by_dice else BY_IMAGE_AUROC
