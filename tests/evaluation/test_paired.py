from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata, ttest_1samp, ttest_rel, wilcoxon
from sklearn.metrics import roc_auc_score

from stages.evaluation import bootstrap, paired, summary


def slices(dice, subjects, auroc=0.9, mean_map=0.1):
    frame = pd.DataFrame({"subject_id": subjects, "dice_average_otsu": dice, "auroc": auroc, "mean_map": mean_map})
    return frame.assign(fold=0, label=1, scored=np.isfinite(frame["dice_average_otsu"]).astype(int), slice_id="x")


def methods(seed=0, subjects=6, slices_each=4, gain=0.1):
    rng = np.random.default_rng(seed)
    names = np.repeat([f"s{n}" for n in range(subjects)], slices_each)
    base = rng.uniform(0.3, 0.7, len(names))
    return {
        "worse": slices(base, names),
        "better": slices(base + gain + 0.05 * rng.normal(size=len(names)), names),
        "other": slices(rng.uniform(0.3, 0.7, len(names)), names),
    }


def alone(found):
    """One seed of each method."""
    return {name: [frame] for name, frame in found.items()}


def test_p_is_that_of_all_sign_patterns():
    differences = np.array([0.3, -0.1, 0.2, 0.25, 0.4])
    sums = [np.dot(signs, differences) for signs in product([-1, 1], repeat=5)]
    expected = np.mean(np.abs(sums) >= abs(differences.sum()) - 1e-12)
    assert paired.sign_flip(differences, seed=0) == (pytest.approx(expected), 2 / 2**5)
    assert paired.sign_flip(-differences, seed=0)[0] == pytest.approx(expected)
    assert paired.sign_flip(np.abs(differences), seed=0)[0] == 2 / 2**5, "the smallest there is"


def test_equal_magnitudes_are_the_sign_test_of_wilcoxon():
    signs = np.array([1, 1, 1, 1, 1, 1, -1, 1.0])
    ranks = np.arange(1, 9) * signs  # the sum of signed ranks is Wilcoxon's statistic
    assert paired.sign_flip(ranks, seed=0)[0] == pytest.approx(wilcoxon(ranks, method="exact").pvalue)


def test_many_subjects_are_drawn_and_agree_with_the_t_test():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 60))
    p, smallest = paired.sign_flip(one + 0.3 - other, seed=0)
    assert p == pytest.approx(ttest_rel(one + 0.3, other).pvalue, abs=0.02)
    assert smallest == 2 / (paired.FLIPS + 1)
    assert (p, smallest) == paired.sign_flip(one + 0.3 - other, seed=0), "same seed, same p"


@pytest.mark.parametrize("differences", [[], [0.5], [0.0, 0.0, 0.0]])
def test_where_nothing_can_be_shown_p_is_1(differences):
    assert paired.sign_flip(differences, seed=0)[0] == 1


def test_holm_is_the_textbooks():
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([0.6, 0.7]).tolist() == [1, 1]
    assert paired.holm([0.02]).tolist() == [0.02]


def test_every_pair_with_the_printed_difference_and_the_shared_draws():
    found = methods()
    table = paired.compare_pairs(alone(found), 200, seed=3)
    dice = table[table["metric"] == "dice_average_otsu"].set_index(["method", "other"])
    assert list(dice.index) == [("worse", "better"), ("worse", "other"), ("better", "other")]
    means = {name: summary.values(frame, "dice_average_otsu").mean() for name, frame in found.items()}
    row = dice.loc[("worse", "better")]
    assert row["difference"] == pytest.approx(means["worse"] - means["better"])
    assert (row["value"], row["other_value"]) == pytest.approx((means["worse"], means["better"]))
    draws = bootstrap.resample_subjects(6, 200, seed=3)
    by_subject = (found["worse"]["dice_average_otsu"] - found["better"]["dice_average_otsu"]).to_numpy()
    by_subject = by_subject.reshape(6, 4).mean(axis=1)
    assert (row["low"], row["high"]) == pytest.approx(tuple(np.quantile(draws @ by_subject / 6, [0.025, 0.975])))
    assert row["p"] == row["smallest_p"] == 2 / 2**6, "better in every subject"
    assert row["p_holm"] == 3 * row["p"]
    assert (row["seeds"], row["p_subjects"]) == (1, row["p"])
    assert np.isnan(row["p_seeds"]), "seeds were not tested"
    same = table[table["metric"] == "auroc"]
    assert (same[["difference", "low", "high"]] == 0).all(axis=None)
    assert (same["p"] == 1).all()


def test_subjects_without_a_scored_slice_are_no_subjects_of_the_test():
    found = {name: frame.copy() for name, frame in methods().items()}
    for frame in found.values():
        frame.loc[:3, ["dice_average_otsu", "auroc"]] = np.nan
        frame.loc[:3, "scored"] = 0
    table = paired.compare_pairs(alone(found), 50, seed=0)
    table = table[table["metric"] != "image_auroc"]
    assert (table["subjects"] == 5).all()
    assert (table["smallest_p"] == 2 / 2**5).all()


def test_flipping_a_share_is_exchanging_the_ranks_of_a_slice():
    rng = np.random.default_rng(4)
    diseased = rng.random(12) < 0.4
    one, other = rng.integers(0, 9, (2, 12)) + np.stack([diseased, 2 * diseased])  # with ties
    shares = paired.auroc_shares(one, other * 100.0, diseased)  # units do not matter
    ranks = np.array([rankdata(one), rankdata(other)])
    for _ in range(20):
        signs = rng.choice([1, -1], 12)
        first, second = np.where(signs == 1, ranks, ranks[::-1])
        difference = roc_auc_score(diseased, first) - roc_auc_score(diseased, second)
        assert signs @ shares == pytest.approx(difference, abs=1e-12)


def test_alike_methods_get_every_p_of_the_image_auroc_about_as_often():
    rng = np.random.default_rng(5)
    diseased, p = np.arange(10) < 5, []
    for _ in range(200):
        base = rng.normal(size=10) + diseased
        shares = paired.auroc_shares(base + rng.normal(size=10), base + rng.normal(size=10), diseased)
        p.append(paired.sign_flip(shares, seed=0)[0])
    assert 0.01 < np.mean(np.array(p) <= 0.1) < 0.19  # three standard errors around .1, and it may be conservative


def test_without_scored_slices_the_image_auroc_is_compared():
    rng = np.random.default_rng(2)
    names, label = [f"s{n}" for n in range(30)], rng.random(30) < 0.5
    found = {
        name: slices(np.nan, names, mean_map=rng.uniform(size=30) + gain * label).assign(label=label.astype(int))
        for name, gain in (("one", 0.1), ("other", 0.8))
    }
    (row,) = paired.compare_pairs(alone(found), 100, seed=0).to_dict("records")
    assert row["metric"] == "image_auroc"
    values = [summary.estimates(f, "image_auroc", np.arange(30), np.ones((1, 30), int))[0] for f in found.values()]
    assert row["difference"] == pytest.approx(values[0] - values[1])
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["subjects"] == 30
    assert 0 < row["p"] < 0.05
    healthy = {name: frame.assign(label=0) for name, frame in found.items()}
    assert np.isnan(paired.compare_pairs(alone(healthy), 10, seed=0)["p"]).all(), "one class"


def test_the_best_stands_first_against_each_other():
    table = paired.compare_pairs(alone(methods()), 100, seed=0)
    best = paired.best_against_others(table)
    best = best[best["metric"] == "dice_average_otsu"]
    assert best[["method", "other"]].to_numpy().tolist() == [["better", "worse"], ["better", "other"]]
    turned = table.iloc[0]
    assert best.iloc[0][["difference", "low", "high"]].tolist() == [
        -turned["difference"],
        -turned["high"],
        -turned["low"],
    ]
    assert (best["low"] <= best["difference"]).all()
    assert (best["difference"] > 0).all()


def test_one_method_has_no_pair():
    alone = paired.compare_pairs({"only": [methods()["worse"]]}, 10, seed=0)
    assert list(alone.columns) == paired.COLUMNS
    assert len(alone) == len(paired.best_against_others(alone)) == 0


def test_p_needs_both_other_subjects_and_other_seeds():
    seeds = [methods(seed) for seed in range(4)]
    found = {name: [one[name] for one in seeds] for name in ("worse", "better")}
    table = paired.compare_pairs(found, 200, seed=3)
    row = table[table["metric"] == "dice_average_otsu"].iloc[0]
    of_seeds = np.array([(one["worse"]["dice_average_otsu"] - one["better"]["dice_average_otsu"]) for one in seeds])
    assert row["difference"] == pytest.approx(of_seeds.mean())
    assert row["p_seeds"] == pytest.approx(ttest_1samp(of_seeds.mean(axis=1), 0).pvalue)
    by_subject = of_seeds.mean(axis=0).reshape(6, 4).sum(axis=1)
    assert row["p_subjects"] == pytest.approx(paired.sign_flip(by_subject, seed=3)[0])
    assert row["p"] == max(row["p_subjects"], row["p_seeds"])
    assert row["p_subjects"] > row["p_seeds"], "the case that the next one turns"
    erratic = [methods(seed, gain=gain)["better"] for seed, gain in zip(range(4), (0.5, -0.2, 0.4, -0.1), strict=True)]
    row = paired.compare_pairs(found | {"better": erratic}, 200, seed=3).iloc[0]
    assert row["p"] == row["p_seeds"] > row["p_subjects"]
    assert row["seeds"] == 4


def test_the_t_test_over_seeds_is_scipys_and_knows_methods_without_a_seed():
    values = [0.3, 0.1, 0.25]
    assert paired.t_test_over_seeds(values) == pytest.approx(ttest_1samp(values, 0).pvalue)
    assert np.isnan(paired.t_test_over_seeds([0.3]))
    assert paired.t_test_over_seeds([0.1 + 0.2, 0.3, 0.3]) == 0, "no spread but that of floats"
    assert paired.t_test_over_seeds([0.0, 0.0]) == 1


def test_the_image_auroc_is_compared_within_folds():
    rng, names = np.random.default_rng(6), [f"s{n:02d}" for n in range(24)]
    label, fold = (rng.random(24) < 0.5).astype(int), np.arange(24) // 12
    found = {
        name: slices(np.nan, names, mean_map=rng.uniform(size=24) + gain * label + unit * fold)
        for name, gain, unit in (("one", 0.1, 0), ("other", 0.5, 100))  # the second fold's maps have another unit
    }
    found = {name: frame.assign(label=label, fold=fold) for name, frame in found.items()}
    (row,) = paired.compare_pairs(alone(found), 20, seed=0).to_dict("records")
    values = {
        name: np.mean([roc_auc_score(label[fold == f], frame["mean_map"][fold == f]) for f in (0, 1)])
        for name, frame in found.items()
    }
    assert (row["value"], row["other_value"]) == pytest.approx((values["one"], values["other"]))
    shares = paired._by_slice(found["one"], found["other"], "image_auroc")
    assert shares.sum() / 2 == pytest.approx(row["difference"])
