import numpy as np
import pandas as pd
import pytest

from stages.figures import selection


def slices(lesion_pixels, label=None, scored=None):
    """Slice scores with the columns that the choice looks at, a subject a slice."""
    pixels = np.asarray(lesion_pixels)
    diseased = (pixels > 0).astype(int)
    return pd.DataFrame(
        {
            "subject_id": [f"s{n}" for n in range(len(pixels))],
            "label": diseased if label is None else label,
            "scored": diseased if scored is None else scored,
            "lesion_pixels": pixels,
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


def test_diseased_slices_are_kept_and_scored_ones_spread_by_area():
    areas = np.array([0, 90, 10, 50, 95, 0, 60])
    frame = slices(areas, scored=[0, 1, 1, 1, 0, 0, 1])
    kept = np.arange(6)
    assert selection.diseased_slices(frame, kept, 3, 0) == [2, 3, 1], "neither healthy, nor unscored, nor not kept"
    assert selection.diseased_slices(frame, kept, 1, 0) == [3], "the median"
    assert sorted(selection.diseased_slices(frame, kept, 5, 0, shown=[3])) == [1, 2]
    assert selection.diseased_slices(frame, np.array([0, 4]), 3, 0) == [4], "none that is kept is scored"


def test_without_masks_the_manifests_order_takes_the_place_of_the_area():
    frame = slices([0] * 6, label=[0, 1, 1, 1, 0, 0], scored=[0] * 6)
    assert selection.diseased_slices(frame, np.arange(6), 9, 0) == [1, 2, 3]
    assert selection.diseased_slices(frame, np.arange(6), 1, 0) == [2]
    assert selection.diseased_slices(slices([0] * 3, scored=[0] * 3), np.arange(3), 9, 0) == []


def test_healthy_slices_are_spread_over_the_manifests_order():
    frame = slices([0, 9] * 4 + [0])
    assert selection.healthy_slices(frame, np.arange(9), 9, 0) == [0, 2, 4, 6, 8]
    assert selection.healthy_slices(frame, np.arange(9), 1, 0) == [4]
    assert selection.healthy_slices(frame, np.array([1, 2, 3, 6]), 9, 0) == [2, 6], "kept ones alone"
