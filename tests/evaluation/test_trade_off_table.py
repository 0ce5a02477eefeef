"""Scores of the trade-off's runs: the same as of any maps, the error as measured, refusals."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from stages import digests
from stages.errors import InputError
from stages.evaluation import trade_off_table
from stages.evaluation.scores import score_slices
from stages.evaluation.summary import summarise

ROWS = [1, 2, 5, 8]


@pytest.fixture
def folder(tmp_path, tiny_slices):
    """What the detection stage would have written of four slices: two solvers, at s = 2 and 0."""
    rng = np.random.default_rng(0)
    maps = rng.uniform(0, 0.5, (4, len(ROWS), 16, 16)).astype(np.float16)
    maps[0, [0, 2], 4:9, 5:10] += 0.4  # the lesions
    np.save(tmp_path / "maps.npy", maps)
    tiny_slices.manifest.iloc[ROWS].to_csv(tmp_path / "slices.csv", index=False)
    runs = {"solver": ["ddim", "ddim", "heun", "heun"], "stride": 5, "s": [2, 0, 2, 0]}
    runs |= {
        "denoiser_evaluations": [14, 14, 27, 27],
        "classifier_evaluations": [7, 0, 13, 0],
        "seconds": [0.4, 0.3, 1, 1],
        "reconstruction_error": [None, 0.02, None, 0.01],
    }
    pd.DataFrame(runs).to_csv(tmp_path / "runs.csv", index=False)
    digests.write(tmp_path)
    return tmp_path


@pytest.fixture
def scored(folder, tiny_store, tiny_split_list):
    """Runs the stage and returns its table."""

    def run(data=tiny_store):
        text = json.dumps({"data": {"size": 16}, "evaluation": {"lesion_pixels_at_256": 20}})
        line = ["--parameters", text, "--data", str(data), "--split-list", str(tiny_split_list)]
        trade_off_table.main(
            trade_off_table.arguments().parse_args(
                [*line, "--split", "train", "--trade-off", str(folder), "--output", str(folder / "out/trade_off.csv")]
            )
        )
        return pd.read_csv(folder / "out/trade_off.csv")

    return run


def test_scores_are_those_of_any_maps_of_these_slices(folder, tiny_slices, scored):
    table, store, maps = scored(), tiny_slices, np.load(folder / "maps.npy")
    assert table.columns.tolist() == trade_off_table.COLUMNS
    assert table["evaluations"].tolist() == [21, 14, 40, 27]
    for k, run in enumerate(maps):
        expected = summarise(score_slices(run, store.masks[ROWS], store.manifest.iloc[ROWS], 20, "x"))
        for name in trade_off_table.SCORES:
            assert table[name][k] == pytest.approx(expected[name], rel=1e-6)
    assert table["auroc"][0] > 0.9 > table["auroc"][2]


def test_the_error_is_what_the_maps_stage_measured_whatever_the_maps_are(folder, scored):
    assert scored()["reconstruction_error"].to_numpy() == pytest.approx([np.nan, 0.02, np.nan, 0.01], nan_ok=True)


def test_without_masks_the_image_auroc_remains(tmp_path, tiny_store, folder, scored):
    shutil.copytree(tiny_store, tmp_path / "bare")
    (tmp_path / "bare/masks.npy").unlink()
    digests.write(tmp_path / "bare")
    table = scored(tmp_path / "bare")
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
        with pytest.raises(InputError):
            scored()
        digests.write(folder)  # as if it had been written so
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
    slices = (folder / "slices.csv").read_text()
    (folder / "slices.csv").write_text(slices.replace("case05", "case99"))
    refused(r"slices\.csv names case99_z000, which is not in the split")
    (folder / "slices.csv").write_text(slices)
    (folder / "runs.csv").unlink()
    refused(r"runs\.csv is missing")
