"""Scores of the trade-off's runs: the same as of any maps, the error at s = 0 in intensities, refusals."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from stages.data.store import open_store
from stages.errors import InputError
from stages.evaluation import trade_off_table
from stages.evaluation.scores import score_slices
from stages.evaluation.summary import summarise

ROWS = [1, 2, 5, 8]


@pytest.fixture
def folder(tmp_path, tiny_store):
    """What the detection stage would have written of four slices: two solvers, at s = 2 and 0."""
    rng = np.random.default_rng(0)
    maps = rng.uniform(0, 0.5, (4, len(ROWS), 16, 16)).astype(np.float16)
    maps[0, [0, 2], 4:9, 5:10] += 0.4  # the lesions
    np.save(tmp_path / "maps.npy", maps)
    open_store(tiny_store).manifest.iloc[ROWS].to_csv(tmp_path / "slices.csv", index=False)
    runs = {"solver": ["ddim", "ddim", "heun", "heun"], "stride": 5, "s": [2, 0, 2, 0]}
    runs |= {
        "denoiser_evaluations": [14, 14, 27, 27],
        "classifier_evaluations": [7, 0, 13, 0],
        "seconds": [0.4, 0.3, 1, 1],
    }
    pd.DataFrame(runs).to_csv(tmp_path / "runs.csv", index=False)
    return tmp_path


@pytest.fixture
def scored(folder, tiny_store):
    """Runs the stage and returns its table."""

    def run(data=tiny_store.parent, split="train"):
        text = json.dumps({"data": {"size": 16}, "evaluation": {"lesion_pixels_at_256": 20}})
        line = ["--parameters", text, "--data", str(data), "--split", split, "--trade-off", str(folder)]
        trade_off_table.main(
            trade_off_table.arguments().parse_args([*line, "--output", str(folder / "out/trade_off.csv")])
        )
        return pd.read_csv(folder / "out/trade_off.csv")

    return run


def test_scores_are_those_of_any_maps_of_these_slices(folder, tiny_store, scored):
    table, store, maps = scored(), open_store(tiny_store), np.load(folder / "maps.npy")
    assert table.columns.tolist() == trade_off_table.COLUMNS
    assert table["evaluations"].tolist() == [21, 14, 40, 27]
    for k, run in enumerate(maps):
        expected = summarise(score_slices(run, store.masks[ROWS], store.manifest.iloc[ROWS], 20, "x"))
        for name in trade_off_table.SCORES:
            assert table[name][k] == pytest.approx(expected[name], rel=1e-6)
    assert table["auroc"][0] > 0.9 > table["auroc"][2]


def test_the_error_is_an_intensity_a_channel_of_healthy_slices_at_scale_zero(folder, tiny_store, scored):
    table, maps = scored(), np.load(folder / "maps.npy").astype(float)
    healthy = [n for n, row in enumerate(ROWS) if row % 2 == 0]
    assert table["reconstruction_error"].isna().tolist() == [True, False, True, False]
    for k in (1, 3):
        assert table["reconstruction_error"][k] == pytest.approx(maps[k][healthy].mean() / 2, rel=1e-6)


def test_without_masks_the_image_auroc_remains(tmp_path, tiny_store, folder, scored):
    shutil.copytree(tiny_store, tmp_path / "data/bare")
    (tmp_path / "data/bare/masks.npy").unlink()
    table = scored(tmp_path / "data", "bare")
    assert table["dice_average_otsu"].isna().all()
    assert table["auroc"].isna().all()
    assert table["image_auroc"].between(0, 1).all()


def test_the_same_bytes_every_time(folder, scored):
    scored()
    first = (folder / "out/trade_off.csv").read_bytes()
    scored()
    assert (folder / "out/trade_off.csv").read_bytes() == first


def test_bad_input_is_refused(folder, scored):
    def refused(match):
        with pytest.raises(InputError, match=match):
            scored()
        assert not (folder / "out").exists()

    maps = (folder / "maps.npy").read_bytes()
    (folder / "maps.npy").write_bytes(maps[:-2])
    refused(r"maps\.npy is truncated")
    array = np.frombuffer(maps[-4 * len(ROWS) * 256 * 2 :], np.float16).reshape(4, len(ROWS), 16, 16).copy()
    np.save(folder / "maps.npy", array[:3])
    refused(r"maps\.npy has shape \(3, 4, 16, 16\)")
    array[2, 1, 0, 0] = np.nan
    np.save(folder / "maps.npy", array)
    refused(r"maps\.npy holds nan or inf")
    (folder / "maps.npy").write_bytes(maps)
    (folder / "runs.csv").unlink()
    refused(r"runs\.csv is missing")
