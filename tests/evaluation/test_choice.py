import pandas as pd
import pytest

from stages.errors import InputError
from stages.evaluation.choice import choose_setting

GRID = [{"L": [250, 500], "s": [0, 100]}]
NAMES = ["L250_s0", "L250_s100", "L500_s0", "L500_s100"]


def table(validation, test, auroc=(0.5,) * 4, method="diffusion"):
    rows = []
    for split, dice in (("validation", validation), ("test", test)):
        rows += [
            {"method": method, "setting": name, "split": split, "dice_average_otsu": d, "auroc": a}
            for name, d, a in zip(NAMES, dice, auroc, strict=True)
        ]
    return pd.DataFrame(rows)


def choose(scores, setting="validation"):
    return choose_setting("diffusion", {"grid": GRID, "setting": setting}, scores)


def test_validation_chooses_whatever_test_says():
    scores = table(validation=[0.1, 0.2, 0.7, 0.3], test=[0.9, 0.8, 0.0, 0.95])
    assert choose(scores) == ("L500_s0", "validation")
    assert choose(table([0.1, 0.2, 0.7, 0.3], [0, 0, 1, 0])) == ("L500_s0", "validation")


def test_other_methods_do_not_vote():
    scores = pd.concat([table([0, 0, 0, 1], [0] * 4, method="vae"), table([0, 1, 0, 0], [0] * 4)])
    assert choose(scores)[0] == "L250_s100"


def test_ties_go_to_auroc_then_to_the_first():
    assert choose(table([0.5] * 4, [0] * 4, auroc=[0.6, 0.8, 0.9, 0.7]))[0] == "L500_s0"
    assert choose(table([0.4, 0.5, 0.5, 0.5], [0] * 4, auroc=[0.99, 0.8, 0.8, 0.7]))[0] == "L250_s100"


def test_a_fixed_setting_needs_no_validation_subjects():
    scores = table([0] * 4, [0] * 4)
    assert choose(scores[scores["split"] == "test"], {"s": 100, "L": 500}) == ("L500_s100", "params.yaml")


def test_what_cannot_be_chosen_is_named():
    scores = table([0] * 4, [0] * 4)
    with pytest.raises(InputError, match=r"methods\.diffusion\.setting .*validation subjects"):
        choose(scores[scores["split"] == "test"])
    with pytest.raises(InputError, match=r"methods\.diffusion\.setting .*not in methods\.diffusion\.grid"):
        choose(scores, {"L": 500, "s": 7})
