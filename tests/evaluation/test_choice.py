import numpy as np
import pandas as pd
import pytest

from stages.errors import InputError
from stages.evaluation import choice

GRID = [{"L": [250, 500], "s": [0, 100]}]
NAMES = ["L250_s0", "L250_s100", "L500_s0", "L500_s100"]


HALF = (0.5,) * 4


def table(image=HALF, ratio=HALF, dice=HALF, auroc=HALF, method="guided-ddim", split="validation", fold=1, seed=0):
    many = {"slices": 20_000, "diseased": 10_000}  # so that a standard error is nothing
    rows = many | {"fold": fold, "seed": seed, "method": method, "setting": NAMES, "split": split}
    return pd.DataFrame(
        rows | {"image_auroc": image, "mean_map_ratio": ratio, "dice_average_otsu": dice, "auroc": auroc}
    )


def choose(*tables, setting="validation"):
    return choice.choose("guided-ddim", {"grid": GRID, "setting": setting}, pd.concat(tables))


def test_labels_of_validation_choose_whatever_masks_and_test_say():
    validation = table(image=[0.1, 0.2, 0.7, 0.3], dice=[0.9, 0.8, 0.0, 0.95])
    test = table(image=[0.9, 0.8, 0.0, 0.95], dice=[1, 0, 0, 0], split="test")
    found = choose(validation, test)
    assert found.settings == {1: "L500_s0"}
    assert found.chosen_on == "image labels of validation subjects"
    assert found.by_masks == {1: "L500_s100"}


def test_other_methods_do_not_vote():
    found = choose(table(image=[0, 0, 0, 1], dice=[0, 0, 0, 1], method="vae"), table([0, 1, 0, 0], dice=[1, 0, 0, 0]))
    assert (found.settings, found.by_masks) == ({1: "L250_s100"}, {1: "L250_s0"})


def test_ties_go_to_the_lower_ratio_then_to_the_first():
    assert choose(table(HALF, ratio=[0.6, 0.8, 0.3, 0.7])).settings[1] == "L500_s0"
    assert choose(table([0.4, 0.5, 0.5, 0.5], ratio=[0.1, 0.3, 0.3, 0.7])).settings[1] == "L250_s100"
    assert choose(table(HALF, ratio=[np.nan, 0.8, np.nan, 0.7])).settings[1] == "L500_s100", "a ratio that is none"


def test_within_one_standard_error_the_lower_ratio_wins():
    few = {"slices": 24, "diseased": 12}
    image, ratio = [0.75, 0.65, 0.64, 0.70], [0.9, 0.4, 0.3, 0.5]
    error = choice.auroc_error(0.75, 12, 12)
    assert 0.10 < error < 0.11
    assert choose(table(image, ratio).assign(**few)).settings[1] == "L250_s100", "0.64 is further away than that"
    assert choose(table(image, ratio)).settings[1] == "L250_s0", "of many slices the difference is real"


@pytest.mark.parametrize(("auroc", "diseased", "healthy"), [(0.6, 30, 50), (0.8, 20, 20), (0.95, 80, 10)])
def test_the_standard_error_is_that_of_simulated_rankings(auroc, diseased, healthy):
    # Scores that are exponentially distributed, for which the formula was made: AUROC = rate / (1 + rate).
    rng, rate = np.random.default_rng(0), auroc / (1 - auroc)
    sick, well = rng.exponential(rate, (4000, diseased)), rng.exponential(1, (4000, healthy))
    found = np.array([(one[:, None] > other).mean() for one, other in zip(sick, well, strict=True)])
    assert found.mean() == pytest.approx(auroc, abs=0.01)
    assert choice.auroc_error(auroc, diseased, healthy) == pytest.approx(found.std(), rel=0.05)


def test_a_perfect_ranking_has_no_error():
    assert choice.auroc_error(1, 5, 5) == 0
    few = {"slices": 10, "diseased": 5}
    assert choose(table([1, 0.99, 0.9, 1], ratio=[0.9, 0.1, 0.1, 0.8]).assign(**few)).settings[1] == "L500_s100"


def test_ties_of_masks_go_to_auroc_then_to_the_first():
    assert choose(table(dice=HALF, auroc=[0.6, 0.8, 0.9, 0.7])).by_masks[1] == "L500_s0"
    assert choose(table(dice=[0.4, 0.5, 0.5, 0.5], auroc=[0.99, 0.8, 0.8, 0.7])).by_masks[1] == "L250_s100"


def test_each_fold_chooses_for_itself_by_the_mean_over_seeds():
    found = choose(
        table(image=[0.9, 0.8, 0.1, 0.1], dice=[0.1, 0.2, 0.6, 0.1]),
        table(image=[0.2, 0.8, 0.1, 0.1], dice=[0.9, 0.2, 0.5, 0.1], seed=1),
        table(image=[0.1, 0.1, 0.1, 0.9], fold=2),
        table(image=[0.1, 0.1, 0.3, 0.9], fold=2, seed=1),
    )
    assert found.settings == {1: "L250_s100", 2: "L500_s100"}
    assert found.by_masks == {1: "L500_s0", 2: "L250_s0"}
    assert choice.in_words(found.settings) == "L250_s100 (1 fold), L500_s100 (1 fold)"


def test_without_masks_nothing_is_chosen_by_them():
    none = [np.nan] * 4
    found = choose(table([0.6, 0.7, 0.9, 0.8], dice=none, auroc=none))
    assert (found.settings, found.by_masks) == ({1: "L500_s0"}, None)
    in_one_fold = choose(table(), table(dice=none, auroc=none, fold=2))
    assert in_one_fold.by_masks is None, "a mean over folds needs them in each"


def test_validation_slices_of_one_class_are_refused():
    for tables in ([table(image=[np.nan] * 4)], [table(), table(split="test", fold=2)]):
        with pytest.raises(InputError, match=r"methods\.guided-ddim\.setting .*both healthy and diseased slices"):
            choose(*tables)


def test_words_are_settings_too():
    scores = pd.DataFrame({"method": "m", "split": "validation", "setting": ["view-plain", "view-equalised"]})
    scores = scores.assign(
        slices=20, diseased=10, fold=1, dice_average_otsu=0.5, auroc=0.5, image_auroc=[0.1, 0.2], mean_map_ratio=0.5
    )
    parameters = {"grid": [{"view": ["plain", "equalised"]}], "setting": "validation"}
    assert choice.choose("m", parameters, scores).settings == {1: "view-equalised"}
    fixed = parameters | {"setting": {"view": "plain"}}
    assert choice.choose("m", fixed, scores).settings == {1: "view-plain"}


def test_a_fixed_setting_needs_no_validation_subjects():
    found = choose(table(split="test"), table(split="test", fold=2), setting={"s": 100, "L": 500})
    assert found == choice.Choice({1: "L500_s100", 2: "L500_s100"}, "params.yaml")
