import numpy as np
import pandas as pd
import pytest

from stages.evaluation import bootstrap, lesion_size


def frame(pixels, scored=1, seed=0):
    rng = np.random.default_rng(seed)
    result = pd.DataFrame({"subject_id": [f"s{n % 4}" for n in range(len(pixels))], "lesion_pixels": pixels})
    return result.assign(scored=scored, dice_average_otsu=rng.uniform(size=len(pixels)), auroc=rng.uniform(size=12))


def test_groups_are_of_equal_number_and_ascending():
    pixels = np.random.default_rng(0).permutation(np.arange(10, 130, 10))
    groups = lesion_size.size_groups(pixels, np.ones(12), 3)
    assert np.bincount(groups).tolist() == [0, 4, 4, 4]
    assert [pixels[groups == n].max() for n in (1, 2, 3)] == [40, 80, 120]
    assert [pixels[groups == n].min() for n in (1, 2, 3)] == [10, 50, 90]


def test_slices_that_are_not_scored_are_in_no_group_and_move_no_border():
    pixels = np.array([1, 2, 3, 4, 5, 6, 9000, 8000, 7000])
    scored = pixels < 100
    assert lesion_size.size_groups(pixels, scored, 3).tolist() == [1, 1, 2, 2, 3, 3, 0, 0, 0]
    assert not lesion_size.size_groups(pixels, scored * 0, 3).any()


def test_equal_sizes_stay_together_so_that_there_are_fewer_groups():
    assert lesion_size.size_groups([7] * 5, np.ones(5), 3).tolist() == [1] * 5
    assert lesion_size.size_groups([7, 7, 7, 7, 9], np.ones(5), 3).tolist() == [1, 1, 1, 1, 2]
    assert lesion_size.size_groups([7, 9], np.ones(2), 5).tolist() == [1, 2]
    assert lesion_size.size_groups([7, 9], np.ones(2), 1).tolist() == [1, 1]


def test_the_table_has_the_means_and_the_intervals_of_the_plain_loop():
    scores = {"one": [frame(np.arange(12))], "other": [frame(np.arange(12), seed=1)]}
    table = lesion_size.by_lesion_size(scores, {"one": "L5", "other": "default"}, 3, 100, seed=2)
    assert list(table.columns) == lesion_size.COLUMNS
    assert table[["method", "setting", "group", "from_pixels", "to_pixels", "slices"]].to_numpy().tolist() == [
        *[["one", "L5", n + 1, 4 * n, 4 * n + 3, 4] for n in range(3)],
        *[["other", "default", n + 1, 4 * n, 4 * n + 3, 4] for n in range(3)],
    ]
    assert (table["subjects"] == 4).all()
    row, values = table.iloc[4], scores["other"][0]["dice_average_otsu"].to_numpy()[4:8]
    assert row["dice_average_otsu"] == pytest.approx(values.mean())
    means = bootstrap.resample_subjects(4, 100, seed=2) @ values / 4
    assert (row["dice_average_otsu_low"], row["dice_average_otsu_high"]) == pytest.approx(
        tuple(np.quantile(means, [0.025, 0.975]))
    )


def test_without_scored_slices_the_table_is_its_head():
    table = lesion_size.by_lesion_size({"one": [frame(np.zeros(12, int), scored=0)]}, {"one": "default"}, 3, 10, seed=0)
    assert len(table) == 0
    assert list(table.columns) == lesion_size.COLUMNS


def test_seeds_are_averaged_and_resampled_with_the_subjects():
    seeds = [frame(np.arange(12), seed=seed) for seed in (1, 2, 3)]
    table = lesion_size.by_lesion_size({"one": seeds}, {"one": "L5"}, 1, 100, seed=2)
    assert table["seeds"].tolist() == [3]
    values = np.stack([one["auroc"].to_numpy() for one in seeds])
    assert table["auroc"].item() == pytest.approx(values.mean())
    subjects, of_seeds = bootstrap.resample_subjects(4, 100, seed=2), bootstrap.resample_seeds(3, 100, seed=2)
    means = [
        np.mean([values[number, np.arange(12) % 4 == s].mean() for number in np.repeat(range(3), times) for s in drawn])
        for times, drawn in zip(of_seeds, (np.repeat(range(4), draw) for draw in subjects), strict=True)
    ]
    expected = tuple(np.quantile(means, [0.025, 0.975]))
    assert (table["auroc_low"].item(), table["auroc_high"].item()) == pytest.approx(expected)
