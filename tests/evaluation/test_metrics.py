import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from stages.evaluation import metrics


def test_dice_counts_the_overlap_twice():
    prediction, mask = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    prediction[0, :3], mask[0, 1:], mask[1, 0] = True, True, True
    assert metrics.dice(prediction, mask) == 2 * 2 / (3 + 4)
    assert metrics.dice(mask, mask) == 1
    assert metrics.dice(~mask, mask) == 0
    assert np.isnan(metrics.dice(np.zeros((2, 2)), np.zeros((2, 2))))
    with pytest.raises(ValueError, match="shape"):
        metrics.dice(prediction, mask[None])


def test_otsu_separates_two_classes_and_a_constant_map_has_no_positive_pixel():
    anomaly_map = np.where(np.arange(100).reshape(10, 10) < 80, 0.1, 0.9)
    threshold = metrics.otsu(anomaly_map)
    assert 0.1 <= threshold < 0.9
    assert np.count_nonzero(anomaly_map > threshold) == 20
    for value in (0.0, 0.25):
        constant = np.full((8, 8), value, np.float16)
        assert metrics.otsu(constant) == value
        assert not (constant > metrics.otsu(constant)).any()


def test_average_otsu_is_that_of_scored_slices_alone():
    assert metrics.average_otsu([0.1, 0.5, 0.9], [1, 0, 1]) == pytest.approx(0.5)
    assert metrics.average_otsu([0.1, 0.5, 0.9], [0, 1, 1]) == pytest.approx(0.7)
    assert np.isnan(metrics.average_otsu([0.1], [0]))


@pytest.mark.parametrize("size", [16, 64])
@pytest.mark.parametrize("ties", ["none", "some", "most"])
def test_auroc_is_scikit_learns(size, ties):
    rng = np.random.default_rng(size)
    mask = rng.random((size, size)) < 0.1
    anomaly_map = rng.gamma(0.5, 1, mask.shape) + 0.3 * mask
    if ties == "some":
        anomaly_map = anomaly_map.astype(np.float16)
        anomaly_map[:, : size // 3] = 0  # background
    elif ties == "most":
        anomaly_map = np.round(anomaly_map)
    expected = roc_auc_score(mask.ravel(), anomaly_map.ravel())
    assert metrics.auroc(anomaly_map, mask) == pytest.approx(expected, abs=1e-12)


def test_auroc_has_the_right_sign_and_ends():
    mask = np.zeros((6, 6), bool)
    mask[2:4, 2:4] = True
    assert metrics.auroc(mask.astype(float), mask) == 1
    assert metrics.auroc(-mask.astype(float), mask) == 0
    assert metrics.auroc(np.ones((6, 6)), mask) == 0.5
    assert np.isnan(metrics.auroc(np.ones((6, 6)), np.zeros((6, 6))))
    assert np.isnan(metrics.auroc(np.ones((6, 6)), np.ones((6, 6))))


@pytest.mark.parametrize(("size", "smallest_scored"), [(256, 21), (128, 6), (64, 2), (32, 2), (8, 2)])
def test_the_lesion_filter_scales_with_the_area(size, smallest_scored):
    pixels = np.arange(40)
    scored = metrics.is_scored(np.ones(40, int), pixels, 20, size)
    assert pixels[scored].min() == smallest_scored
    assert not metrics.is_scored(np.zeros(40, int), pixels, 20, size).any()


def test_a_printed_threshold_is_the_next_of_eight_digits():
    rng = np.random.default_rng(0)
    values = rng.normal(size=300) * 10.0 ** rng.integers(-9, 9, 300)
    for value in [*values, 0.0, 1.0, -1.0]:
        found = metrics.printed_above(value)
        assert float(f"{found:.8g}") == found >= value
        assert found - value <= 1e-7 * abs(value)


def test_a_printed_quantile_counts_the_pixels_that_the_quantile_counts():
    rng = np.random.default_rng(1)
    maps = rng.uniform(size=(4, 32, 32)).astype(np.float16)  # values that eight digits do not hold, each several times
    for quantile in (0.5, 0.9, 0.98):
        threshold = metrics.healthy_threshold(maps, np.ones(maps.shape, bool), np.zeros(4), quantile)
        exact = np.quantile(maps.astype(np.float64), quantile)
        assert (maps > threshold).sum() == (maps > exact).sum()
        assert float(f"{threshold:.8g}") == threshold
