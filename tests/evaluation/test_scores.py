import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from stages.data.store import open_store
from stages.errors import InputError
from stages.evaluation import metrics, records, scores


def manifest_of(masks, labels=None):
    pixels = masks.sum((1, 2)).astype(int)
    names = [f"a_z{n:03d}" for n in range(len(masks))]
    frame = pd.DataFrame({"slice_id": names, "subject_id": "a", "position": range(len(masks)), "source": "a"})
    return frame.assign(label=(pixels > 0) * 1, lesion_pixels=pixels)


def two_level_maps(masks, low, high):
    """Maps that are `high` on the lesion and `low` beside it, a pair of values a slice."""
    return np.where(masks > 0, np.asarray(high)[:, None, None], np.asarray(low)[:, None, None]).astype(np.float16)


def test_average_threshold_sees_scored_slices_only():
    masks = np.zeros((4, 32, 32), np.uint8)
    masks[1, 4:8, 4:8] = masks[2, 4:8, 4:8] = 1
    masks[3, 0, 0] = 1  # diseased, too small to be scored
    rng = np.random.default_rng(0)
    maps = (rng.uniform(0, 0.2, masks.shape) + masks * 0.6).astype(np.float16)
    maps[0] *= 40  # a healthy slice and a slice that is not scored would both raise the average
    maps[3] *= 40
    frame = scores.score_slices(maps, masks, manifest_of(masks), 20, "maps.npy")
    assert frame["scored"].tolist() == [0, 1, 1, 0]
    expected = (metrics.otsu(maps[1]) + metrics.otsu(maps[2])) / 2
    assert frame["average_otsu"].unique() == pytest.approx(expected)
    assert frame.loc[1:2, "dice_average_otsu"].tolist() == [1, 1]
    # Diseased slices that are not scored have their own scores, at the same threshold.
    assert frame.at[3, "dice_average_otsu"] == metrics.dice(maps[3] > expected, masks[3])
    assert frame.loc[0, ["dice_average_otsu", "dice_own_otsu", "auroc"]].isna().all()
    assert frame.at[0, "mean_map"] == pytest.approx(maps[0].astype(float).mean())


def test_own_and_average_threshold_differ_where_slices_do():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[:, 4:8, 4:8] = 1
    maps = two_level_maps(masks, low=[0.0, 0.5], high=[0.25, 2.0])
    frame = scores.score_slices(maps, masks, manifest_of(masks), 20, "maps.npy")
    assert frame["dice_own_otsu"].tolist() == [1, 1]
    assert frame["auroc"].tolist() == [1, 1]
    average = frame["average_otsu"].iloc[0]
    assert 0.25 <= average < 0.5, "the case that the test is about"
    # The faint lesion lies below the average threshold, and so do not the second slice's surroundings.
    assert frame["dice_average_otsu"].tolist() == [0, pytest.approx(2 * 16 / (16 + 32 * 32))]


def test_a_constant_map_scores_zero_and_no_scored_slice_leaves_dice_empty():
    masks = np.zeros((1, 32, 32), np.uint8)
    masks[0, 4:8, 4:8] = 1
    frame = scores.score_slices(np.ones((1, 32, 32), np.float16), masks, manifest_of(masks), 20, "maps.npy")
    assert frame[["dice_own_otsu", "dice_average_otsu", "auroc"]].iloc[0].tolist() == [0, 0, 0.5]
    frame = scores.score_slices(np.ones((1, 32, 32), np.float16), masks, manifest_of(masks), 1e6, "maps.npy")
    assert frame[["dice_average_otsu", "average_otsu"]].isna().all(axis=None)


def test_rows_match_the_manifest():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, :4, :4], masks[1, :6, :6] = 1, 1
    maps = masks.astype(np.float16)
    frame = scores.score_slices(maps, masks, manifest_of(masks), 20, "maps.npy")
    assert frame["slice_id"].tolist() == ["a_z000", "a_z001"]
    assert scores.score_slices(maps[::-1], masks, manifest_of(masks), 20, "m")["dice_own_otsu"].max() < 1


def test_what_is_written_reads_back_equal(benchmark, unmasked):
    for one in (benchmark, unmasked):
        one.score("guided-ddim", "L10_s0.5")
        store, split = open_store(one.root / "data/test"), "guided-ddim/L10_s0.5/test"
        maps = np.load(one.root / "maps" / split / "maps.npy")
        bodies = metrics.bodies(store.images)
        written = scores.score_slices(maps, store.masks, store.manifest, 20, "maps.npy", bodies)
        path = one.root / "scores" / f"{split}.csv"
        read = records.read_slice_scores(path)
        pd.testing.assert_frame_equal(read, written, rtol=5e-8, atol=0)  # eight digits
        records.write_csv(one.root / "again.csv", read)
        assert (one.root / "again.csv").read_bytes() == path.read_bytes()


def test_scoring_twice_gives_the_same_bytes(benchmark):
    benchmark.score("guided-ddim", "L10_s0.5")
    benchmark.score("guided-ddim", "L10_s0.5", output=benchmark.root / "again")
    first = benchmark.root / "scores/guided-ddim/L10_s0.5/test.csv"
    assert sorted(path.name for path in first.parent.iterdir()) == [
        "test.csv",
        "test_pixels.npz",
        "validation.csv",
        "validation_pixels.npz",
    ]
    for name in ("test.csv", "test_pixels.npz"):
        assert (first.parent / name).read_bytes() == (benchmark.root / "again" / name).read_bytes()
    frame = records.read_slice_scores(first)
    assert frame["subject_id"].unique().tolist() == ["007", "NA", "T3"], "names are not guessed to be numbers"
    maps = np.load(benchmark.root / "maps/guided-ddim/L10_s0.5/test/maps.npy").astype(float)
    masks = np.load(benchmark.root / "data/test/masks.npy")
    for n in (5, 8, 17):
        assert frame.at[n, "auroc"] == pytest.approx(metrics.auroc(maps[n], masks[n]), rel=1e-7)
        assert frame.at[n, "otsu"] == pytest.approx(metrics.otsu(maps[n]), rel=1e-7)
        assert frame.at[n, "max_map"] == pytest.approx(maps[n].max(), rel=1e-7)
        prediction = maps[n] > frame.at[n, "average_otsu"]
        assert frame.at[n, "predicted_pixels"] == prediction.sum()
        assert frame.at[n, "true_positives"] == (prediction & (masks[n] > 0)).sum()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_refused_with_file_and_slice_and_nothing_is_written(benchmark, value):
    path = benchmark.root / "maps/ready-made/default/test/maps.npy"
    maps = np.load(path)
    maps[4, 3, 3] = value
    np.save(path, maps)
    with pytest.raises(InputError, match=r"test/maps\.npy .*'007_z004'"):
        benchmark.score("ready-made", "default")
    assert not (benchmark.root / "scores").exists()


def test_wrong_maps_are_refused_with_their_file(benchmark):
    path = benchmark.root / "maps/ready-made/default/test/maps.npy"
    maps = np.load(path)
    for wrong in (maps[:-1], maps[:, :-1], maps[:, None], (maps > 1)):
        np.save(path, wrong)
        with pytest.raises(InputError, match=r"default/test/maps\.npy"):
            benchmark.score("ready-made", "default")
    path.unlink()
    with pytest.raises(InputError, match=r"default/test/maps\.npy"):
        benchmark.score("ready-made", "default")


def test_without_masks_the_means_of_the_maps_are_what_there_is(benchmark, unmasked):
    benchmark.score("ready-made", "default")
    unmasked.score("ready-made", "default")
    masked = records.read_slice_scores(benchmark.root / "scores/ready-made/default/test.csv")
    frame = records.read_slice_scores(unmasked.root / "scores/ready-made/default/test.csv")
    for column in ("slice_id", "subject_id", "label", "mean_map", "otsu"):
        assert frame[column].tolist() == masked[column].tolist(), column
    assert (frame["scored"] == 0).all()
    assert frame[["dice_average_otsu", "dice_own_otsu", "auroc", "average_otsu"]].isna().all(axis=None)
    assert masked["scored"].any(), "the case that the test is about"
    assert frame["max_map"].tolist() == masked["max_map"].tolist()
    assert frame[["auroc_body", "true_positives", "predicted_pixels"]].isna().all(axis=None)


def test_the_body_is_what_any_channel_shows_with_its_holes_filled():
    image = np.zeros((2, 32, 32), np.float16)
    image[0, 4:20, 4:20], image[1, 10:28, 4:20] = 0.5, 0.1
    image[:, 8:10, 8:10] = 0  # a ventricle
    expected = np.zeros((32, 32), bool)
    expected[4:28, 4:20] = True
    assert (metrics.body(image) == expected).all()
    assert not metrics.body(np.zeros((1, 8, 8))).any()


def test_auroc_within_the_body_is_scikit_learns_and_forgets_the_background():
    rng = np.random.default_rng(0)
    images, masks = np.zeros((2, 1, 32, 32)), np.zeros((2, 32, 32), np.uint8)
    images[:, 0, 8:24, 8:24], masks[1, 12:16, 12:16] = 0.5, 1
    maps = (images[:, 0] * rng.uniform(0.5, 1, masks.shape) + 0.1 * masks).astype(np.float16)
    with_body = scores.score_slices(maps, masks, manifest_of(masks), 20, "maps.npy", metrics.bodies(images))
    inside = images[1, 0] > 0
    expected = roc_auc_score(masks[1][inside], maps[1][inside])
    assert with_body.at[1, "auroc_body"] == pytest.approx(expected, abs=1e-12)
    assert with_body.at[1, "auroc"] > expected + 0.1, "the case that the metric is about"
    assert with_body["body_share"].tolist() == [0.25, 0.25]
    without = scores.score_slices(maps, masks, manifest_of(masks), 20, "maps.npy")
    assert without[["auroc_body", "body_share"]].isna().all(axis=None)
    others = [column for column in records.COLUMNS if column not in ("auroc_body", "body_share")]
    pd.testing.assert_frame_equal(without[others], with_body[others])


def test_a_position_is_a_place_in_a_volume():
    masks = np.zeros((4, 8, 8), np.uint8)
    manifest = manifest_of(masks).assign(position=[3, 4, 1, 2], source=["v", "v", "a.jpg", "b.jpg"])
    frame = scores.score_slices(masks.astype(np.float16), masks, manifest, 20, "maps.npy")
    assert frame["position"].tolist()[:2] == [3, 4]
    assert frame["position"].isna().tolist() == [False, False, True, True]


def test_counts_of_earlier_masks_do_not_stay(unmasked):
    left = unmasked.root / "scores/ready-made/default"
    left.mkdir(parents=True)
    (left / "test_pixels.npz").write_bytes(b"of the same data with masks")
    unmasked.score("ready-made", "default")
    assert sorted(path.name for path in left.iterdir()) == ["test.csv", "validation.csv"]


def test_without_masks_counted_lesion_pixels_do_not_make_a_slice_scored():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, :8, :8] = 1
    frame = scores.score_slices(masks.astype(np.float16), None, manifest_of(masks), 20, "maps.npy")
    assert frame["scored"].tolist() == [0, 0]
    assert frame["average_otsu"].isna().all()


def test_the_command_says_one_sentence_and_exits_with_1(benchmark):
    folder = benchmark.root / "maps/ready-made/default"
    (folder / "test/maps.npy").write_bytes(b"not an array")
    command = [sys.executable, "-m", "stages.evaluation.scores", "--parameters", json.dumps(benchmark.parameters)]
    command += ["--data", benchmark.root / "data", "--maps", folder, "--splits", "validation", "test"]
    done = subprocess.run([*command, "--output", benchmark.root / "scores"], capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert str(folder / "test/maps.npy") in line
