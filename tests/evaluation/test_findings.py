import numpy as np
import pytest
from skimage.measure import label

from stages.evaluation import findings


def brute_force(anomaly_map, threshold, mask):
    """Region by region, pixel by pixel."""
    regions, lesions = label(anomaly_map > threshold, connectivity=2), label(mask, connectivity=2)
    found = []
    for number in range(1, regions.max() + 1):
        pixels = np.argwhere(regions == number)
        values = [anomaly_map[tuple(pixel)] for pixel in pixels]
        found.append((max(values), lesions[tuple(pixels[int(np.argmax(values))])]))
    return sorted(found), lesions.max()


@pytest.mark.parametrize("decimals", [1, 9])  # with ties and without
def test_findings_are_those_of_a_plain_loop(decimals):
    rng = np.random.default_rng(decimals)
    for _ in range(5):
        anomaly_map = np.round(rng.uniform(size=(24, 24)), decimals)
        mask = rng.random((24, 24)) < 0.15
        found = findings.find(anomaly_map, 0.7, mask)
        expected, lesions = brute_force(anomaly_map, 0.7, mask)
        assert sorted(zip(found.score.tolist(), found.lesion.tolist(), strict=True)) == expected
        assert found.lesions == lesions
        assert 0 < np.count_nonzero(found.lesion) < len(found.lesion)


def test_diagonal_neighbours_are_one_and_the_highest_pixel_decides():
    anomaly_map, mask = np.zeros((8, 8)), np.zeros((8, 8), bool)
    anomaly_map[1, 1], anomaly_map[2, 2], mask[1, 1] = 3, 2, True
    found = findings.find(anomaly_map, 1, mask)
    assert (found.score.tolist(), found.lesion.tolist(), found.lesions) == ([3], [1], 1)
    anomaly_map[2, 2] = 4  # the finding still covers the lesion, but points beside it
    assert findings.find(anomaly_map, 1, mask).lesion.tolist() == [0]


def test_a_lesion_hit_twice_is_found_once_and_neither_is_false():
    mask = np.ones((3, 9), bool)
    anomaly_map = np.zeros((3, 9))
    anomaly_map[1, 1] = anomaly_map[1, 7] = 5
    assert findings.find(anomaly_map, 1, mask).count(above=1) == (1, 0)


def test_a_constant_map_finds_nothing():
    found = findings.find(np.full((4, 4), 0.5), 0.5, np.eye(4))
    assert found.count(above=0.5) == (0, 0)
    assert found.lesions == 1


@pytest.mark.parametrize("slices", [3, 10, 40])
def test_the_threshold_is_the_lowest_at_which_false_findings_are_few_enough(slices):
    rng = np.random.default_rng(slices)
    found = [
        findings.Findings(np.round(rng.uniform(1, 2, 4), 1), rng.integers(0, 2, 4) * (n % 2), 1) for n in range(slices)
    ]
    chosen = findings.one_finding(found, lowest=0.5)
    assert sum(one.count(chosen)[1] for one in found) <= slices
    scores = np.unique(np.concatenate([one.score for one in found]))
    lower = scores[scores < chosen]
    assert len(lower), "the case that the test is about"
    assert sum(one.count(lower.max())[1] for one in found) > slices


def test_where_all_findings_are_few_enough_all_count():
    found = [findings.Findings(np.array([2.0]), np.array([0]), 0), findings.Findings(np.array([0.7]), np.array([1]), 1)]
    assert findings.one_finding(found, lowest=0.5) == 0.5
    assert [one.count(0.5) for one in found] == [(0, 1), (1, 0)]
