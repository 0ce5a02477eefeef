import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from skimage.measure import label
from sklearn.metrics import roc_auc_score

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
        store, maps = one.store(), one.maps("guided-ddim", "L10_s0.5")
        bodies = metrics.bodies(store.images)
        threshold = scores.healthy_threshold(
            one.maps_file("guided-ddim", "L10_s0.5").parents[1], one.root / "data", one.root / "split/fold1.csv", 0.98
        )
        others = bodies, threshold, records.Cost(0.5, 800.0)
        written = scores.score_slices(maps, store.masks, store.manifest, 20, "maps.npy", *others)
        path = one.scores("guided-ddim", "L10_s0.5") / "test.csv"
        read = records.read_slice_scores(path)
        pd.testing.assert_frame_equal(read, written, rtol=5e-8, atol=0)  # eight digits
        records.write_csv(one.root / "again.csv", read)
        assert (one.root / "again.csv").read_bytes() == path.read_bytes()
        record = one.record("guided-ddim", "L10_s0.5")
        assert record.read_text().splitlines()[0] == "# identity: 0123abcd"
        both = records.read_record(record)
        assert (both.identity, list(both.slices)) == ("0123abcd", ["validation", "test"])
        pd.testing.assert_frame_equal(both.slices["test"], read, check_exact=True)
        assert records.scores_identity(path.parent) == records.record_identity(record) == "0123abcd"


def test_scoring_twice_gives_the_same_bytes(benchmark):
    benchmark.score("guided-ddim", "L10_s0.5")
    benchmark.score("guided-ddim", "L10_s0.5", output=benchmark.root / "again")
    first = benchmark.scores("guided-ddim", "L10_s0.5") / "test.csv"
    record = benchmark.record("guided-ddim", "L10_s0.5")
    assert record.read_bytes() == (benchmark.root / "again/record.csv").read_bytes()
    assert sorted(path.name for path in first.parent.iterdir()) == [
        "identity.txt",
        "test.csv",
        "test_pixels.npz",
        "validation.csv",
        "validation_pixels.npz",
    ]
    for name in ("test.csv", "test_pixels.npz"):
        assert (first.parent / name).read_bytes() == (benchmark.root / "again" / name).read_bytes()
    frame = records.read_slice_scores(first)
    assert frame["subject_id"].unique().tolist() == ["007", "NA", "T3"], "names are not guessed to be numbers"
    maps = benchmark.maps("guided-ddim", "L10_s0.5").astype(float)
    masks = np.asarray(benchmark.store().masks)
    for n in (5, 8, 17):
        assert frame.at[n, "auroc"] == pytest.approx(metrics.auroc(maps[n], masks[n]), rel=1e-7)
        assert frame.at[n, "otsu"] == pytest.approx(metrics.otsu(maps[n]), rel=1e-7)
        assert frame.at[n, "max_map"] == pytest.approx(maps[n].max(), rel=1e-7)
        prediction = maps[n] > frame.at[n, "average_otsu"]
        assert frame.at[n, "predicted_pixels"] == prediction.sum()
        assert frame.at[n, "true_positives"] == (prediction & (masks[n] > 0)).sum()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_refused_with_file_and_slice_and_nothing_is_written(benchmark, value):
    path = benchmark.maps_file("ready-made", "default")
    maps = np.load(path)
    maps[4, 3, 3] = value
    np.save(path, maps)
    with pytest.raises(InputError, match=r"test/maps\.npy .*'007_z004'"):
        benchmark.score("ready-made", "default")
    assert not (benchmark.root / "scores").exists()
    assert not (benchmark.root / "record").exists()


def test_wrong_maps_are_refused_with_their_file(benchmark):
    path = benchmark.maps_file("ready-made", "default")
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
    masked = records.read_slice_scores(benchmark.scores("ready-made", "default") / "test.csv")
    frame = records.read_slice_scores(unmasked.scores("ready-made", "default") / "test.csv")
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
    left = unmasked.scores("ready-made", "default")
    left.mkdir(parents=True)
    (left / "test_pixels.npz").write_bytes(b"of the same data with masks")
    unmasked.score("ready-made", "default")
    assert sorted(path.name for path in left.iterdir()) == ["identity.txt", "test.csv", "validation.csv"]


def test_without_masks_counted_lesion_pixels_do_not_make_a_slice_scored():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, :8, :8] = 1
    frame = scores.score_slices(masks.astype(np.float16), None, manifest_of(masks), 20, "maps.npy")
    assert frame["scored"].tolist() == [0, 0]
    assert frame["average_otsu"].isna().all()


def test_the_command_says_one_sentence_and_exits_with_1(benchmark):
    folder = benchmark.maps_file("ready-made", "default").parents[1]
    (folder / "test/maps.npy").write_bytes(b"not an array")
    command = [sys.executable, "-m", "stages.evaluation.scores", "--parameters", json.dumps(benchmark.parameters)]
    command += ["--data", benchmark.root / "data", "--split-list", benchmark.root / "split/fold1.csv"]
    command += ["--maps", folder, "--splits", "validation", "test", "--output", benchmark.root / "scores"]
    command += ["--record", benchmark.root / "record.csv", "--identity", "0123abcd"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert str(folder / "test/maps.npy") in line


def test_the_healthy_threshold_is_a_quantile_of_healthy_validation_bodies(benchmark):
    benchmark.score("guided-ddim", "L20_s0")
    frame = records.read_slice_scores(benchmark.scores("guided-ddim", "L20_s0") / "test.csv")
    store, maps = benchmark.store("validation"), benchmark.maps("guided-ddim", "L20_s0", "validation")
    healthy = store.manifest["label"].to_numpy() == 0
    inside = np.asarray(store.images)[healthy].max(axis=1) > 0
    # Random images have hardly an empty pixel and holes are filled: all but a few pixels at the rim are body.
    expected = np.quantile(maps[healthy][inside].astype(float), 0.98)
    assert frame["healthy_quantile"].unique() == pytest.approx(expected, abs=1e-3)
    test, masks = benchmark.maps("guided-ddim", "L20_s0"), np.asarray(benchmark.store().masks)
    for n in (3, 5, 17):
        expected = metrics.dice(test[n] > frame.at[n, "healthy_quantile"], masks[n])
        assert frame.at[n, "dice_healthy_quantile"] == pytest.approx(expected, rel=1e-7)
    assert frame.loc[frame["label"] == 0, "dice_healthy_quantile"].isna().all()
    benchmark.splits = ("test",)
    benchmark.score("guided-ddim", "L20_s0")
    frame = records.read_slice_scores(benchmark.scores("guided-ddim", "L20_s0") / "test.csv")
    assert frame[["healthy_quantile", "dice_healthy_quantile"]].isna().all(axis=None), "no validation, no threshold"


def test_the_healthy_threshold_knows_no_background_and_no_diseased_slice():
    maps, bodies = np.zeros((3, 4, 4)), np.zeros((3, 4, 4), bool)
    bodies[:, 1:3, 1:3] = True
    maps[:, 1:3, 1:3] = np.arange(12).reshape(3, 2, 2)
    assert metrics.healthy_threshold(maps, bodies, [0, 1, 0], 0.5) == np.median([0, 1, 2, 3, 8, 9, 10, 11])
    assert np.isnan(metrics.healthy_threshold(maps, bodies, [1, 1, 1], 0.5))


def test_lesions_are_counted_at_one_false_finding_a_slice(benchmark):
    benchmark.score("guided-ddim", "L10_s0.5")
    frame = records.read_slice_scores(benchmark.scores("guided-ddim", "L10_s0.5") / "test.csv")
    assert frame["false_findings"].sum() <= len(frame)
    assert frame["lesions"].tolist() == frame["label"].tolist(), "one square a diseased slice"
    assert (frame["lesions_found"] <= frame["lesions"]).all()
    assert frame["lesions_found"].sum() == 12, "three above the noise"
    maps, masks = benchmark.maps("guided-ddim", "L10_s0.5").astype(float), np.asarray(benchmark.store().masks)
    false = 0
    for n, (anomaly_map, mask) in enumerate(zip(maps, masks, strict=True)):
        regions = label(anomaly_map > metrics.otsu(anomaly_map), connectivity=2)
        for number in range(1, regions.max() + 1):
            highest = np.where(regions == number, anomaly_map, -1)
            above = highest.max() > frame.at[n, "one_finding"]
            false += above and not mask.ravel()[highest.argmax()]
    assert false == frame["false_findings"].sum()


def test_the_cost_is_that_of_cost_json_and_empty_without_one(benchmark):
    path = benchmark.maps_file("ready-made", "default").parents[1] / "cost.json"

    def cost():
        benchmark.score("ready-made", "default")
        frame = records.read_slice_scores(benchmark.scores("ready-made", "default") / "test.csv")
        return frame[["seconds", "memory_mb"]].drop_duplicates().to_numpy().tolist()

    assert cost() == [[0.5, 800]]
    path.unlink()
    assert np.isnan(cost()).all()
    for damaged in ("{", "[]", '{"seconds": 1}', '{"seconds": "much", "memory_mb": 1}'):
        path.write_text(damaged)
        with pytest.raises(InputError, match=r"default/cost\.json does not say seconds and memory_mb"):
            cost()


def test_a_record_says_once_what_a_split_shares(benchmark):
    benchmark.score("ready-made", "default")
    path = benchmark.record("ready-made", "default")
    before = path.read_text().splitlines()
    assert before[3].startswith("split,slice_id,")
    assert not set(records.OF_SPLIT) & set(before[3].split(","))
    cost = benchmark.maps_file("ready-made", "default").parents[1] / "cost.json"
    cost.write_text(cost.read_text().replace("0.5", "0.75"))
    benchmark.score("ready-made", "default")
    after = path.read_text().splitlines()
    changed = [line for line, old in zip(after, before, strict=True) if line != old]
    assert [line.partition(":")[0] for line in changed] == ["# validation", "# test"]
    assert (records.read_record(path).slices["test"]["seconds"] == 0.75).all()


def test_a_manifest_source_is_the_volume(benchmark):
    benchmark.score("ready-made", "default")
    frame = records.read_slice_scores(benchmark.scores("ready-made", "default") / "test.csv")
    assert frame["volume"].tolist() == benchmark.store().manifest["source"].tolist()
