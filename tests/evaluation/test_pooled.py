import dataclasses

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve

from stages.errors import InputError
from stages.evaluation import bootstrap, metrics, pooled

SIZE = 16


def example(dtype=np.float16, seed=0, slices=8):
    """Maps, masks, images and subjects: two healthy slices, three subjects whose slices are not in one piece."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((slices, SIZE, SIZE), np.uint8)
    masks[2:, 4:8, 4:9] = 1
    images = np.zeros((slices, 2, SIZE, SIZE))
    images[:, 1, 2:14, 3:12] = 0.5
    maps = rng.gamma(1, 0.2, masks.shape) + 0.3 * masks
    maps[:, :, :3] = 0  # ties in the background
    return maps.astype(dtype), masks, images, [*"cabacbac"][:slices]


def scikit_learn(values, lesion):
    """AP, and the best Dice over the thresholds of its curve."""
    precision, recall, _ = precision_recall_curve(lesion, values)
    dice = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    return average_precision_score(lesion, values), dice.max()


def point(pixels):
    return {name: value[0] for name, value in pooled.estimates(pixels, np.ones((1, len(pixels.subjects)))).items()}


@pytest.mark.parametrize("decimals", [1, 9])  # with many ties and with few
def test_ap_and_best_dice_are_scikit_learns_on_all_pixels(decimals):
    maps, masks, images, subjects = example(np.float64)
    maps = np.round(maps, decimals).astype(np.float16)
    found = point(pooled.count_pixels(maps, masks, metrics.bodies(images), subjects))
    ap, dice = scikit_learn(maps.astype(float).ravel(), masks.ravel())
    assert found["ap"] == pytest.approx(ap, abs=1e-12)
    assert found["best_dice"] == pytest.approx(dice, abs=1e-12)
    body = np.zeros(masks.shape, bool)
    body[:, 2:14, 3:12] = True
    within, _ = scikit_learn(maps[body].astype(float), masks[body])
    assert found["ap_body"] == pytest.approx(within, abs=1e-12)
    assert within != pytest.approx(ap, abs=1e-3), "the case that the test is about"


def test_negative_values_and_both_zeros_keep_their_order():
    maps, masks, images, subjects = example()
    maps = maps - np.float16(0.4)
    maps[0, :, :3], maps[1, :, :3] = 0.0, -0.0
    found = point(pooled.count_pixels(maps, masks, metrics.bodies(images), subjects))
    ap, dice = scikit_learn(maps.astype(float).ravel(), masks.ravel())
    assert (found["ap"], found["best_dice"]) == (pytest.approx(ap, abs=1e-12), pytest.approx(dice, abs=1e-12))


@pytest.mark.parametrize("scale", [1e-12, 1, 1e12])
def test_maps_of_more_digits_are_rounded_whatever_their_unit(scale):
    maps, masks, images, subjects = example(np.float64)
    pixels = pooled.count_pixels(maps * scale, masks, metrics.bodies(images), subjects)
    found, exact = point(pixels), scikit_learn(maps.ravel(), masks.ravel())
    assert (found["ap"], found["best_dice"]) == (pytest.approx(exact[0], abs=1e-3), pytest.approx(exact[1], abs=1e-3))
    assert np.isfinite(pixels.value).all()
    assert len(np.unique(pixels.value)) > 500
    same = point(pooled.count_pixels((maps * scale).astype(np.float32), masks, metrics.bodies(images), subjects))
    assert same["ap"] == pytest.approx(found["ap"], abs=1e-3)


def test_constant_maps_have_the_prevalence_as_precision():
    maps, masks, images, subjects = example()
    for value in (0, 0.25):
        found = point(pooled.count_pixels(np.full_like(maps, value), masks, metrics.bodies(images), subjects))
        share = masks.mean()
        assert found["ap"] == pytest.approx(share)
        assert found["best_dice"] == pytest.approx(2 * share / (1 + share)), "all pixels or none"
    assert np.isnan(point(pooled.count_pixels(np.zeros(maps.shape), masks * 0, metrics.bodies(images), subjects))["ap"])


def test_resampling_subjects_is_the_plain_loop(monkeypatch):
    monkeypatch.setattr(pooled, "BATCH", 2000)  # several batches
    maps, masks, images, subjects = example()
    draws = bootstrap.resample_subjects(3, 30, seed=1)
    found = pooled.estimates(pooled.count_pixels(maps, masks, metrics.bodies(images), subjects), draws)
    names = np.array(subjects)
    for number, draw in enumerate(draws):
        rows = np.concatenate([np.flatnonzero(names == name) for name in np.repeat(["a", "b", "c"], draw)])
        ap, dice = scikit_learn(maps[rows].astype(float).ravel(), masks[rows].ravel())
        assert found["ap"][number] == pytest.approx(ap, abs=1e-12)
        assert found["best_dice"][number] == pytest.approx(dice, abs=1e-12)


def test_counts_read_back_and_are_the_same_bytes(tmp_path):
    maps, masks, images, subjects = example()
    pixels = pooled.count_pixels(maps, masks, metrics.bodies(images), subjects)
    for name in ("one.npz", "other.npz"):
        pooled.write(tmp_path / name, pixels)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "other.npz"]
    back = pooled.read(tmp_path / "one.npz")
    for field in dataclasses.fields(pixels):
        assert np.array_equal(getattr(back, field.name), getattr(pixels, field.name)), field.name
    assert back.subjects.tolist() == ["a", "b", "c"]
    assert back.lesion.sum() == masks.sum()
    assert back.lesion.sum() + back.other.sum() == masks.size
    assert (back.lesion + back.other > 0).all(), "only what occurs"


@pytest.mark.parametrize(
    "change", [{"other": lambda counts: counts[:-1]}, {"lesion": lambda counts: counts.astype(float)}]
)
def test_arrays_of_something_else_are_refused(tmp_path, change):
    maps, masks, images, subjects = example()
    pixels = pooled.count_pixels(maps, masks, metrics.bodies(images), subjects)
    changed = {name: make(getattr(pixels, name)) for name, make in change.items()}
    pooled.write(tmp_path / "test_pixels.npz", dataclasses.replace(pixels, **changed))
    with pytest.raises(InputError, match=r"test_pixels\.npz .*other types or lengths.*delete the folder"):
        pooled.read(tmp_path / "test_pixels.npz")
