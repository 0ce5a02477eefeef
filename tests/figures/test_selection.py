import numpy as np
import pandas as pd
import pytest

from stages.figures import selection


def slices(dice, label=None, scored=None, subjects=None):
    """Slice scores with the columns that the choice looks at."""
    count = len(dice)
    return pd.DataFrame(
        {
            "subject_id": [f"s{n}" for n in range(count)] if subjects is None else subjects,
            "label": np.ones(count, int) if label is None else label,
            "scored": np.ones(count, int) if scored is None else scored,
            "dice_average_otsu": dice,
            "mean_map": np.arange(count)[::-1] / 10,
        }
    )


def test_slices_stand_at_even_quantiles():
    values = np.arange(1000)[::-1]
    subjects = np.array([f"s{n}" for n in range(1000)])
    chosen = selection.at_quantiles(values, subjects, 4, seed=0)
    # The quantiles 1/8, 3/8, 5/8, 7/8; one hundredth of the range counts as equally near.
    assert values[chosen] == pytest.approx([125, 375, 625, 875], abs=11)


def test_subjects_differ_as_far_as_there_are_enough_and_no_slice_comes_twice():
    subjects = np.repeat(["A", "B", "C"], 5)
    values = np.tile(np.arange(5.0), 3)
    assert len(set(subjects[selection.at_quantiles(values, subjects, 3, 0)])) == 3
    five = selection.at_quantiles(values, subjects, 5, 0)
    assert len(set(five)) == 5
    assert sorted(np.unique(subjects[five], return_counts=True)[1]) == [1, 2, 2]
    assert sorted(selection.at_quantiles(values, subjects, 99, 0)) == list(range(15))
    assert selection.at_quantiles(np.array([]), np.array([]), 3, 0) == []
    assert selection.at_quantiles(values, subjects, 0, 0) == []


def test_a_draw_decides_among_equals_and_is_the_seeds():
    values, subjects = np.zeros(50), np.array([f"s{n}" for n in range(50)])
    draws = [tuple(selection.at_quantiles(values, subjects, 3, seed)) for seed in range(20)]
    assert len(set(draws)) > 10, "not always the first of equals"
    assert draws == [tuple(selection.at_quantiles(values, subjects, 3, seed)) for seed in range(20)]
    # Near-equals too: .502 and .5 are one to this choice, .6 is not.
    values = np.array([0.0, 0.5, 0.502, 0.6, 1.0])
    assert {selection.at_quantiles(values, subjects[:5], 1, seed)[0] for seed in range(30)} == {1, 2}


def test_the_supplement_takes_the_next_ones_from_other_subjects_first():
    subjects = np.repeat([f"s{n}" for n in range(6)], 4)
    values = np.random.default_rng(0).uniform(size=24)
    main = selection.at_quantiles(values, subjects, 2, 0)
    further = selection.at_quantiles(values, subjects, 4, 0, shown=main)
    assert not set(main) & set(further)
    assert len(set(subjects[main]) | set(subjects[further])) == 6
    everything = selection.at_quantiles(values, subjects, 99, 0, shown=main)
    assert sorted(main + everything) == list(range(24))
    assert selection.at_quantiles(values[:2], subjects[:2], 3, 0, shown=[0, 1]) == []


def test_diseased_slices_are_scored_ones_spread_by_dice():
    dice = np.array([np.nan, 0.9, 0.1, 0.5, 0.95, np.nan])
    frame = slices(dice, label=[0, 1, 1, 1, 1, 0], scored=[0, 1, 1, 1, 0, 0])
    assert selection.diseased_slices(frame, 3, 0) == [2, 3, 1], "from low to high Dice; neither healthy nor unscored"
    assert selection.diseased_slices(frame, 1, 0) == [3], "the median"
    assert sorted(selection.diseased_slices(frame, 5, 0, shown=[3])) == [1, 2]


def test_without_masks_the_mean_of_the_map_takes_the_place_of_dice():
    frame = slices([np.nan] * 6, label=[0, 1, 1, 1, 0, 0], scored=[0] * 6)
    assert selection.diseased_slices(frame, 9, 0) == [3, 2, 1], "from dark to bright; the first maps are the brightest"
    assert selection.diseased_slices(slices([np.nan] * 3, label=[0] * 3, scored=[0] * 3), 9, 0) == []


def test_healthy_slices_are_spread_by_position_and_drawn_where_there_is_none():
    manifest = pd.DataFrame({"subject_id": [f"s{n}" for n in range(9)], "label": [0, 1] * 4 + [0], "source": "volume"})
    chosen = selection.healthy_slices(manifest.assign(position=np.arange(9) * 10), 9, 0)
    assert chosen == [0, 2, 4, 6, 8]
    assert selection.healthy_slices(manifest.assign(position=np.arange(9)), 1, 0) == [4]
    for position in (1, [1, 2] * 4 + [1]):  # radiographs: a file each, the number of the view
        views = manifest.assign(position=position, source=[f"view{n}.jpg" for n in range(9)])
        assert {selection.healthy_slices(views, 1, seed)[0] for seed in range(40)} == {0, 2, 4, 6, 8}
