"""Which slices get a map, and which keep their reconstruction."""

import numpy as np
import pandas as pd
import pytest

from stages.detection.selected import at_quantiles, select

EVERYWHERE = {"healthy": True, "reconstructions": 6}
DISEASED_ALONE = {"healthy": False, "reconstructions": 6}


def manifest(lesion_pixels, label=None):
    pixels = np.array(lesion_pixels)
    return pd.DataFrame({"label": (pixels > 0).astype(int) if label is None else label, "lesion_pixels": pixels})


@pytest.fixture
def split():
    """Thirty slices, of which the odd ones are diseased, the later the more."""
    return manifest([n if n % 2 else 0 for n in range(30)])


def test_healthy_slices_get_maps_where_they_are_needed(split):
    whole = select(split, "test", EVERYWHERE)
    part = select(split, "test", DISEASED_ALONE)
    assert whole.maps.tolist() == list(range(30))
    # 15 diseased, four of them shown: the 2nd, 6th, 10th and 14th by area; of 15 healthy ones the 4th and 12th.
    assert part.images.tolist() == [3, 6, 11, 19, 22, 27] == whole.images.tolist()
    assert part.maps.tolist() == sorted([*range(1, 30, 2), 6, 22])


def test_of_other_splits_nothing_is_shown(split):
    for kept in (EVERYWHERE, DISEASED_ALONE, DISEASED_ALONE | {"reconstructions": None}):
        assert select(split, "validation", kept).images.size == 0
    assert select(split, "validation", DISEASED_ALONE).maps.tolist() == list(range(1, 30, 2))


def test_all_reconstructions_can_be_kept_and_then_every_slice_has_a_map(split):
    found = select(split, "test", DISEASED_ALONE | {"reconstructions": None})
    assert found.maps.tolist() == found.images.tolist() == list(range(30))
    assert select(split, "test", DISEASED_ALONE | {"reconstructions": 99}).images.tolist() == list(range(30))


def test_the_other_class_takes_the_place_of_slices_that_are_not_there():
    few = select(manifest([0, 5] + [0] * 20), "test", EVERYWHERE)
    assert len(few.images) == 6
    assert 1 in few.images
    assert select(manifest([0] * 9), "test", DISEASED_ALONE).images.tolist() == [0, 2, 3, 5, 6, 8]
    assert select(manifest([4] * 9), "test", EVERYWHERE).images.tolist() == [0, 2, 3, 5, 6, 8]


def test_areas_decide_and_without_masks_the_manifests_order():
    areas = [9, 1, 5, 7, 3, 8]
    assert [areas[row] for row in at_quantiles(manifest(areas), np.arange(6), 3)] == [9, 7, 3]
    assert at_quantiles(manifest([0] * 6, label=1), np.arange(6), 3).tolist() == [1, 3, 5]
    assert at_quantiles(manifest(areas), np.array([], int), 3).tolist() == []


def test_the_same_slices_are_kept_every_time_in_ascending_order(split):
    shuffled = split.sample(frac=1, random_state=0).reset_index(drop=True)
    first, second = (select(shuffled, "test", DISEASED_ALONE) for _ in range(2))
    assert first.maps.tolist() == second.maps.tolist() == sorted(first.maps.tolist())
    assert set(first.images) <= set(first.maps)
    assert (np.diff(first.images) > 0).all()
