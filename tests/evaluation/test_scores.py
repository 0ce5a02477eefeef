import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stages.errors import InputError
from stages.evaluation import metrics, records, scores


def manifest_of(masks, labels=None):
    pixels = masks.sum((1, 2)).astype(int)
    names = [f"a_z{n:03d}" for n in range(len(masks))]
    return pd.DataFrame({"slice_id": names, "subject_id": "a", "label": (pixels > 0) * 1, "lesion_pixels": pixels})


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


def test_rows_match_the_manifest_and_swapped_masks_are_noticed():
    masks = np.zeros((2, 32, 32), np.uint8)
    masks[0, :4, :4], masks[1, :6, :6] = 1, 1
    maps = masks.astype(np.float16)
    frame = scores.score_slices(maps, masks, manifest_of(masks), 20, "maps.npy")
    assert frame["slice_id"].tolist() == ["a_z000", "a_z001"]
    assert scores.score_slices(maps[::-1], masks, manifest_of(masks), 20, "m")["dice_own_otsu"].max() < 1
    with pytest.raises(InputError, match=r"a_z000.*extract the data again"):
        scores.score_slices(maps, masks[::-1], manifest_of(masks), 20, "maps.npy")


def test_scoring_twice_gives_the_same_bytes_and_reads_back(benchmark):
    benchmark.score("diffusion", "L10_s0.5")
    benchmark.score("diffusion", "L10_s0.5", output=benchmark.root / "again")
    first = benchmark.root / "scores/diffusion/L10_s0.5/test.csv"
    assert first.read_bytes() == (benchmark.root / "again/test.csv").read_bytes()
    assert sorted(path.name for path in first.parent.iterdir()) == ["test.csv", "validation.csv"]
    frame = records.read_slice_scores(first)
    assert frame["subject_id"].unique().tolist() == ["007", "NA", "T3"], "names are not guessed to be numbers"
    maps = np.load(benchmark.root / "maps/diffusion/L10_s0.5/test/maps.npy").astype(float)
    masks = np.load(benchmark.root / "data/test/masks.npy")
    for n in (5, 8, 17):
        assert frame.at[n, "auroc"] == pytest.approx(metrics.auroc(maps[n], masks[n]), rel=1e-7)
        assert frame.at[n, "otsu"] == pytest.approx(metrics.otsu(maps[n]), rel=1e-7)


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


def test_data_of_another_size_are_refused(benchmark):
    benchmark.parameters["data"]["size"] = 64
    with pytest.raises(InputError, match=r"data\.size says 64"):
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
