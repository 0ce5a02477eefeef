import numpy as np
import pandas as pd
import pytest

from stages.errors import InputError
from stages.evaluation.choice import choose_setting

GRID = [{"L": [250, 500], "s": [0, 100]}]
NAMES = ["L250_s0", "L250_s100", "L500_s0", "L500_s100"]


def table(validation, test, auroc=(0.5,) * 4, method="guided-ddim", image=(0.5,) * 4):
    rows = []
    for split, dice in (("validation", validation), ("test", test)):
        rows += [
            {"method": method, "setting": name, "split": split, "dice_average_otsu": d, "auroc": a, "image_auroc": i}
            for name, d, a, i in zip(NAMES, dice, auroc, image, strict=True)
        ]
    return pd.DataFrame(rows)


def choose(scores, setting="validation"):
    return choose_setting("guided-ddim", {"grid": GRID, "setting": setting}, scores)


def test_validation_chooses_whatever_test_says():
    scores = table(validation=[0.1, 0.2, 0.7, 0.3], test=[0.9, 0.8, 0.0, 0.95])
    assert choose(scores) == ("L500_s0", "validation (Dice)")
    assert choose(table([0.1, 0.2, 0.7, 0.3], [0, 0, 1, 0])) == ("L500_s0", "validation (Dice)")


def test_other_methods_do_not_vote():
    scores = pd.concat([table([0, 0, 0, 1], [0] * 4, method="vae"), table([0, 1, 0, 0], [0] * 4)])
    assert choose(scores)[0] == "L250_s100"


def test_ties_go_to_auroc_then_to_the_first():
    assert choose(table([0.5] * 4, [0] * 4, auroc=[0.6, 0.8, 0.9, 0.7]))[0] == "L500_s0"
    assert choose(table([0.4, 0.5, 0.5, 0.5], [0] * 4, auroc=[0.99, 0.8, 0.8, 0.7]))[0] == "L250_s100"


def test_with_masks_the_image_level_has_no_vote():
    assert choose(table([0.4, 0.5, 0.5, 0.5], [0] * 4, image=[1, 0, 0, 1]))[0] == "L250_s100"


def test_without_masks_the_image_level_auroc_chooses():
    none = [np.nan] * 4
    scores = table(none, none, auroc=none, image=[0.6, 0.7, 0.9, 0.9])
    assert choose(scores) == ("L500_s0", "validation (image AUROC)")
    with pytest.raises(InputError, match=r"methods\.guided-ddim\.setting .*both healthy and diseased slices"):
        choose(table(none, none, auroc=none, image=none))


def test_words_are_settings_too():
    scores = pd.DataFrame({"method": "m", "split": "validation", "setting": ["view-plain", "view-equalised"]})
    scores = scores.assign(dice_average_otsu=[0.1, 0.2], auroc=0.5, image_auroc=0.5)
    parameters = {"grid": [{"view": ["plain", "equalised"]}], "setting": "validation"}
    assert choose_setting("m", parameters, scores)[0] == "view-equalised"
    assert choose_setting("m", parameters | {"setting": {"view": "plain"}}, scores)[0] == "view-plain"


def test_a_fixed_setting_needs_no_validation_subjects():
    scores = table([0] * 4, [0] * 4)
    assert choose(scores[scores["split"] == "test"], {"s": 100, "L": 500}) == ("L500_s100", "params.yaml")
