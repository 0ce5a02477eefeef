import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from stages.evaluation import across_repeats, bootstrap, summary
from stages.repeats import Repeat


def slice_scores(**columns):
    base = {
        "slice_id": ["a", "b", "c", "d"],
        "subject_id": ["s1", "s1", "s2", "s2"],
        "label": [0, 1, 1, 1],
        "lesion_pixels": [0, 1, 50, 60],
        "otsu": [0.1, 0.2, 0.3, 0.5],
        "average_otsu": [0.4] * 4,
        "dice_average_otsu": [None, 0.0, 0.6, 0.8],
        "dice_own_otsu": [None, 0.1, 0.5, 0.6],
        "auroc": [None, 0.5, 0.9, 1.0],
        "auroc_body": [None, 0.4, 0.7, 0.8],
        "position": [1, 2, 1, 2],
        "true_positives": [0, 1, 30, 40],
        "predicted_pixels": [4, 5, 50, 40],
        "mean_map": [0.01, 9, 9, 9],
        "max_map": [5, 4, 6, 7],
        "body_share": [0.2, 0.4, 0.3, 0.3],
        "scored": [0, 0, 1, 1],
        "volume": ["v1", "v1", "v2", "v2"],
        "dice_healthy_quantile": [None, 0.1, 0.4, 0.5],
        "lesions": [0, 1, 2, 3],
        "lesions_found": [0, 0, 2, 1],
        "seconds": [0.5] * 4,
        "memory_mb": [800] * 4,
    }
    scores = ("dice_average_otsu", "dice_own_otsu", "dice_healthy_quantile", "auroc", "auroc_body")
    return pd.DataFrame(base | columns).astype(dict.fromkeys(scores, float))


def intervals(frame, resamples, seed):
    """What one repeat alone is described by."""
    return across_repeats.describe({Repeat(1, 0): across_repeats.Run(frame)}, resamples, seed)


def many(label, mean_map):
    """Slices of ten subjects of which only the label and the mean of the map matter."""
    label = np.asarray(label, int)
    frame = pd.DataFrame({"subject_id": [f"s{n % 10}" for n in range(len(label))], "label": label, "scored": label})
    no_volumes = dict.fromkeys(("position", "true_positives", "predicted_pixels", "lesion_pixels"), np.nan)
    columns = ["dice_average_otsu", "dice_own_otsu", "dice_healthy_quantile", "auroc", "auroc_body", "average_otsu"]
    columns += ["body_share", "seconds", "memory_mb", "lesions", "lesions_found"]
    frame = frame.assign(mean_map=mean_map, max_map=np.asarray(mean_map) + 1, volume=frame["subject_id"])
    return frame.assign(**no_volumes, **dict.fromkeys(columns, 0.5))


def test_each_metric_averages_over_its_own_slices():
    s1, s2 = 2 * 1 / (4 + 5 + 1), 2 * 70 / (90 + 110)
    assert summary.summarise(slice_scores()) == pytest.approx(
        {
            "slices": 4,
            "diseased": 3,
            "scored": 2,
            "dice_average_otsu": 0.7,
            "dice_own_otsu": 0.55,
            "auroc": 0.95,
            "dice_average_otsu_all": 1.4 / 3,
            "dice_own_otsu_all": 0.4,
            "auroc_all": 0.8,
            "healthy_mean_map": 0.01,
            "diseased_mean_map": 9,
            "image_auroc": 1,
            "mean_map_ratio": 0.01 / 9,
            "ap": np.nan,
            "best_dice": np.nan,
            "dice_3d": (s1 + s2) / 2,
            "auroc_body": 0.75,
            "ap_body": np.nan,
            "image_auroc_max": 2 / 3,
            "dice_healthy_quantile": 0.45,
            "lesion_rate": 3 / 6,
            "healthy_marked": 1,
            "seconds": 0.5,
            "memory_mb": 800,
            "average_otsu": 0.4,
            "body_share": 0.3,
        },
        nan_ok=True,
    )


@pytest.mark.parametrize("decimals", [1, 9])  # with ties and without
def test_the_image_auroc_is_scikit_learns(decimals):
    rng = np.random.default_rng(decimals)
    label = rng.random(300) < 0.6
    frame = many(label, mean_map=np.round(rng.uniform(size=300) + 0.2 * label, decimals))
    expected = roc_auc_score(frame["label"], frame["mean_map"])
    assert 0.5 < expected < 0.95
    assert summary.summarise(frame)["image_auroc"] == pytest.approx(expected, abs=1e-12)
    ends = intervals(frame, 200, seed=0)
    assert ends["image_auroc_low"] < expected < ends["image_auroc_high"]


def test_the_interval_of_the_ratio_is_that_of_the_plain_loop():
    rng = np.random.default_rng(1)
    label = rng.random(120) < 0.5
    frame = many(label, mean_map=rng.uniform(size=120) + label)
    ends = intervals(frame, 100, seed=2)
    names, draws = np.unique(frame["subject_id"]), bootstrap.resample_subjects(10, 100, seed=2)
    ratios = []
    for draw in draws:
        resample = pd.concat([frame[frame["subject_id"] == name] for name in np.repeat(names, draw)])
        means = resample.groupby("label")["mean_map"].mean()
        ratios.append(means[0] / means[1])
    expected = tuple(np.quantile(ratios, [0.025, 0.975]))
    assert (ends["mean_map_ratio_low"], ends["mean_map_ratio_high"]) == pytest.approx(expected)


def test_the_ratio_forgets_the_unit_and_needs_maps_with_a_zero():
    frame = slice_scores(mean_map=[0.5, 1.0, 2.0, 3.0])
    assert summary.summarise(frame)["mean_map_ratio"] == 0.25
    other = summary.summarise(frame.assign(mean_map=frame["mean_map"] * 1000))
    assert (other["mean_map_ratio"], other["healthy_mean_map"]) == (0.25, 500)
    for below_zero in ([-0.5, 1, 2, 3], [0.5, -1, -2, -3], [0, 0, 0, 0]):
        assert np.isnan(summary.summarise(slice_scores(mean_map=below_zero))["mean_map_ratio"])


def test_without_masks_two_metrics_of_the_headline_remain():
    nothing = [None] * 4
    frame = slice_scores(
        **dict.fromkeys(("dice_average_otsu", "dice_own_otsu", "dice_healthy_quantile"), nothing),
        **dict.fromkeys(("auroc", "auroc_body"), nothing),
        **dict.fromkeys(("average_otsu", "true_positives", "predicted_pixels", "lesions", "lesions_found"), np.nan),
        lesion_pixels=0,
        scored=0,
    )
    found = summary.summarise(frame)
    assert [name for name in summary.TITLES if np.isnan(found[name])] == list(summary.NEEDS_MASKS)
    assert [name for name in summary.FIELD_TITLES if np.isfinite(found[name])] == ["image_auroc_max"]
    assert [name for name in summary.USE_TITLES if np.isfinite(found[name])] == ["seconds", "memory_mb"]
    ends = intervals(frame, 20, seed=0)
    assert np.isnan([ends["auroc_low"], ends["auroc_high"]]).all()


def test_a_split_of_one_class_has_no_image_auroc():
    assert np.isnan(summary.summarise(slice_scores(label=[1, 1, 1, 1]))["image_auroc"])


def test_one_subject_has_intervals_without_width():
    frame = slice_scores(subject_id=["s1"] * 4, volume="v1")
    ends, found = intervals(frame, 50, seed=0), summary.summarise(frame)
    assert ends["subjects"] == 1
    assert found["dice_3d"] == 2 * 71 / (99 + 111)
    for metric in set(summary.EVERY_METRIC) - set(summary.POOLED):
        assert ends[f"{metric}_low"] == pytest.approx(found[metric])
        assert ends[f"{metric}_high"] == pytest.approx(found[metric])


def test_healthy_slices_and_subjects_count_in_three_dimensions():
    frame = slice_scores(label=[0, 0, 1, 1], lesion_pixels=[0, 0, 50, 60], true_positives=[0, 0, 30, 40])
    assert summary.summarise(frame)["dice_3d"] == pytest.approx(0.7), "a subject without a lesion has no Dice"
    more = frame.assign(label=[0, 0, 0, 1], lesion_pixels=[0, 0, 0, 60], true_positives=[0, 0, 0, 40])
    assert summary.summarise(more)["dice_3d"] == pytest.approx(2 * 40 / (90 + 60)), "false positives beside the lesion"


def test_the_interval_in_three_dimensions_is_that_of_the_plain_loop():
    rng = np.random.default_rng(3)
    label = rng.random(60) < 0.4
    lesion = np.where(label, rng.integers(5, 50, 60), 0)
    frame = many(label, mean_map=1.0).assign(position=np.arange(60), lesion_pixels=lesion)
    frame = frame.assign(true_positives=lesion // 2, predicted_pixels=lesion // 2 + rng.integers(0, 9, 60))
    sums = frame.groupby("subject_id")[["true_positives", "predicted_pixels", "lesion_pixels"]].sum()
    dice = (2 * sums["true_positives"] / (sums["predicted_pixels"] + sums["lesion_pixels"])).to_numpy()
    assert (sums["lesion_pixels"] > 0).all()
    estimates = [np.repeat(dice, draw).mean() for draw in bootstrap.resample_subjects(10, 100, seed=2)]
    ends = intervals(frame, 100, seed=2)
    assert (ends["dice_3d_low"], ends["dice_3d_high"]) == pytest.approx(tuple(np.quantile(estimates, [0.025, 0.975])))


def test_slices_that_form_no_volume_have_no_dice_in_three_dimensions():
    assert np.isnan(summary.summarise(slice_scores(position=np.nan))["dice_3d"])


def test_time_points_of_one_patient_are_two_volumes():
    frame = slice_scores(subject_id=["s1"] * 4, label=[0, 1, 1, 1])
    of_volumes = [2 * 1 / (4 + 5 + 1), 2 * 70 / (90 + 110)]
    assert summary.summarise(frame)["dice_3d"] == pytest.approx(np.mean(of_volumes))
    three = pd.concat([frame, slice_scores(subject_id=["s2"] * 4, volume="v3")])
    expected = np.mean([np.mean(of_volumes), 2 * 71 / (99 + 111)])
    assert summary.summarise(three)["dice_3d"] == pytest.approx(expected), "a subject counts once"
    healed = frame.assign(lesion_pixels=[0, 0, 50, 60], true_positives=[0, 0, 30, 40])
    assert summary.summarise(healed)["dice_3d"] == pytest.approx(0.7), "a volume without a lesion has no Dice"


def test_the_interval_of_the_lesion_rate_is_that_of_the_plain_loop():
    rng = np.random.default_rng(7)
    lesions = rng.integers(0, 4, 60)
    found = rng.binomial(lesions, 0.5)
    frame = many(lesions > 0, mean_map=1.0).assign(lesions=lesions, lesions_found=found)
    sums = frame.groupby("subject_id")[["lesions_found", "lesions"]].sum()
    draws = bootstrap.resample_subjects(10, 100, seed=2) @ sums.to_numpy()
    ends = intervals(frame, 100, seed=2)
    assert ends["lesion_rate"] == found.sum() / lesions.sum()
    expected = tuple(np.quantile(draws[:, 0] / draws[:, 1], [0.025, 0.975]))
    assert (ends["lesion_rate_low"], ends["lesion_rate_high"]) == pytest.approx(expected)


def test_healthy_slices_are_marked_by_any_pixel_above_the_average_threshold():
    frame = slice_scores(label=[0, 0, 0, 1], predicted_pixels=[0, 7, 1, 40])
    assert summary.summarise(frame)["healthy_marked"] == 2 / 3
    assert summary.summarise(frame.assign(predicted_pixels=[0, 0, 0, 40]))["healthy_marked"] == 0
    assert np.isnan(summary.summarise(frame.assign(label=1))["healthy_marked"]), "no healthy slice"
    without_map = frame.assign(predicted_pixels=[np.nan, 7, 1, 40])
    assert np.isnan(summary.summarise(without_map)["healthy_marked"]), "a share of some of them would be another share"
    without_lesion_map = frame.assign(predicted_pixels=[0, 7, 1, np.nan])
    assert summary.summarise(without_lesion_map)["healthy_marked"] == 2 / 3


def test_the_interval_of_marked_healthy_slices_is_that_of_the_plain_loop():
    rng = np.random.default_rng(11)
    frame = many(rng.random(60) < 0.4, mean_map=1.0).assign(predicted_pixels=rng.integers(0, 3, 60))
    sums = (
        frame[frame["label"] == 0].groupby("subject_id")["predicted_pixels"].agg([lambda one: (one > 0).sum(), "size"])
    )
    draws = bootstrap.resample_subjects(10, 100, seed=2) @ sums.to_numpy()
    ends = intervals(frame, 100, seed=2)
    expected = tuple(np.quantile(draws[:, 0] / draws[:, 1], [0.025, 0.975]))
    assert (ends["healthy_marked_low"], ends["healthy_marked_high"]) == pytest.approx(expected)
