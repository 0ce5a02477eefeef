"""The trade-off's stage: what it counts, that its maps are the method's own, resuming, and refusals."""

import json

import numpy as np
import pandas as pd
import pytest

from stages.data.store import StoreWriter, open_store
from stages.detection import trade_off_maps
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.sampling import choose_slices
from stages.errors import InputError

OPTIONS = {"encode_class": "none", "decode_class": "healthy"}


@pytest.fixture
def traded(parameters, data, networks):
    """Runs the stage on the tiny store and returns its maps and the tables of its runs and slices."""

    def run(solvers, scale=2.0, out="trade_off", slices=4, checkpoints=("denoiser", "classifier"), options=OPTIONS):
        detection = {key: value for key, value in parameters["detection"].items() if key not in ("solver", "stride")}
        extra = {"options": options, "setting": {"L": 20, "s": scale}, "detection": detection}
        text = json.dumps(parameters | extra | {"trade_off": {"slices": slices, "solvers": solvers}})
        line = ["--parameters", text, *data, "--split", "train", "--threads", "1", "--networks"]
        line += [f"{name}={networks / f'{name}.safetensors'}" for name in checkpoints]
        line += ["--output", str(networks / out), "--state", str(networks / "s")]
        trade_off_maps.main(trade_off_maps.arguments().parse_args(line))
        tables = [pd.read_csv(networks / out / f"{name}.csv") for name in ("runs", "slices")]
        return np.load(networks / out / "maps.npy"), *tables

    return run


@pytest.mark.parametrize("batch", [3, 5])
def test_evaluations_are_counted_at_the_networks(parameters, networks, traded, batch):
    parameters["detection"]["batch"] = batch
    maps, runs, slices = traded({"ddim": [5, 10], "heun": [10], "adams-bashforth": [5]})
    assert sorted(path.name for path in (networks / "trade_off").iterdir()) == [
        "digests.json",
        "maps.npy",
        "runs.csv",
        "slices.csv",
    ]
    assert maps.shape == (8, 4, 16, 16)
    assert maps.dtype == np.float16
    named = list(zip(runs["solver"], runs["stride"], runs["s"], strict=True))
    assert named[:4] == [("ddim", 5, 2), ("ddim", 5, 0), ("ddim", 10, 2), ("ddim", 10, 0)]
    # The ladders to 20 are 0 1 2 4 5 10 15 20 and 0 1 2 4 8 10 20: 7 and 6 steps.
    assert runs["denoiser_evaluations"].tolist() == [14, 14, 12, 12, 23, 23, 14, 14]
    assert runs["classifier_evaluations"].tolist() == [7, 0, 6, 0, 11, 0, 7, 0]
    assert (runs["seconds"] > 0).all()
    assert sorted(slices["label"]) == [0, 0, 1, 1]


def test_the_error_is_an_intensity_of_healthy_slices_at_scale_zero_whatever_maps_compare(parameters, traded):
    maps, runs, slices = traded({"ddim": [5], "heun": [10]}, out="plain")
    error, healthy = runs["reconstruction_error"], slices["label"] == 0
    assert error.isna().tolist() == [True, False, True, False]
    for k in (1, 3):
        assert error[k] == pytest.approx(maps[k][healthy].astype(float).mean() / 2, rel=1e-3), "of two channels"
    parameters["detection"]["difference"] = "min-max"
    others, again, _ = traded({"ddim": [5], "heun": [10]}, out="min-max")
    assert (others[1] != maps[1]).any(), "the case that the test is about"
    pd.testing.assert_series_equal(again["reconstruction_error"], error)


def test_o_belm_returns_the_image_where_both_ways_see_one_class(traded):
    same = {"encode_class": "none", "decode_class": "none"}
    _, runs, _ = traded({"ddim": [5], "o-belm": [5, 10]}, options=same)
    error = runs["reconstruction_error"].dropna().tolist()
    assert error[0] > 2e-5
    assert max(error[1:]) < 1e-6
    # To L = 20 at stride 5: seven steps up; down, epsilon at 15, 10 and 5, and what guides at 20, too.
    assert runs["denoiser_evaluations"].tolist()[2:] == [10, 10, 7, 7]
    assert runs["classifier_evaluations"].tolist()[2:] == [4, 0, 2, 0]


def test_a_batch_that_is_halved_counts_what_was_made(traded, request):
    solvers = {"ddim": [10], "heun": [10]}
    whole, runs, _ = traded(solvers, out="whole")
    seen = request.getfixturevalue("small_card")
    maps, again, _ = traded(solvers)
    assert seen.count(4) > 1, "it failed on its way, after passes that were made again"
    np.testing.assert_allclose(maps.astype(float), whole.astype(float), rtol=2e-3, atol=1e-4)
    columns = ["denoiser_evaluations", "classifier_evaluations"]
    pd.testing.assert_frame_equal(again[columns], runs[columns])


@pytest.mark.parametrize("difference", ["plain", "min-max"])
def test_maps_are_those_of_the_method(parameters, difference, tiny_slices, traded, encoded, detected):
    parameters["detection"]["difference"] = difference
    maps, runs, slices = traded({"ddim": [5], "adams-bashforth": [5]})
    encoded()
    manifest = tiny_slices.manifest
    rows = [manifest.index[manifest["slice_id"] == name][0] for name in slices["slice_id"]]
    for n, (scale, names) in enumerate(((2.0, ("denoiser", "classifier")), (0, ("denoiser",)))):
        expected = detected(GuidedDdim, {"L": 20, "s": scale}, OPTIONS, names, f"maps{n}")["maps"][rows]
        np.testing.assert_allclose(maps[n].astype(float), expected.astype(float), rtol=5e-3, atol=2e-3)
        assert (maps[n] != maps[n + 2]).any()
    assert len({run.tobytes() for run in maps}) == len(runs) == 4


def test_at_scale_zero_no_classifier_is_needed_and_nothing_is_decoded_twice(traded):
    maps, runs, _ = traded({"ddim": [10], "heun": [10]}, scale=0, checkpoints=("denoiser",))
    assert len(maps) == len(runs) == 2
    assert (runs["classifier_evaluations"] == 0).all()


def test_a_killed_job_goes_on_from_its_last_run(traded, killed):
    solvers = {"ddim": [5], "heun": [5], "adams-bashforth": [5]}
    whole, _, _ = traded(solvers, out="whole")
    (maps, runs, _), starts = killed(lambda: traded(solvers), "trade_off")
    assert starts == [0, 2, 2, 4]
    assert maps.tobytes() == whole.tobytes()
    assert runs["denoiser_evaluations"].tolist() == [14, 14, 27, 27, 14, 14]
    assert (runs["seconds"] > 0).all()


def test_maps_that_are_not_finite_and_missing_checkpoints_are_refused(networks, traded):
    with pytest.raises(InputError, match=r"adams-bashforth at stride 5, L = 20 and s = 1e\+30 gave maps that are not"):
        traded({"adams-bashforth": [5]}, scale=1e30)
    with pytest.raises(InputError, match="names no classifier"):
        traded({"ddim": [5]}, checkpoints=("denoiser",))
    assert not (networks / "trade_off").exists()


@pytest.fixture
def store(tmp_path):
    """Writes a store of slices with so many lesion pixels each, in this order."""

    def write(lesion_pixels, masks=True):
        with StoreWriter(tmp_path / "split", channels=1, size=8, masks=masks) as writer:
            for n, pixels in enumerate(lesion_pixels):
                mask = np.zeros((1, 8, 8))
                mask.reshape(-1)[:pixels] = 1
                row = {"slice_id": f"a{n}", "subject_id": "a", "position": n, "label": int(pixels > 0)}
                row |= {"lesion_pixels": pixels if masks else 0, "source": "x", "affine": "[]"}
                writer.append(np.zeros((1, 1, 8, 8)), mask if masks else None, [row])
        return open_store(tmp_path / "split")

    return write


def test_slices_stand_at_even_quantiles(store):
    areas = [0, 9, 0, 1, 0, 5, 0, 7, 0, 3, 0, 8]
    with_masks = store(areas)
    assert choose_slices(with_masks, 1, 1) == [7]  # 1 3 5 7 8 9: the upper median
    assert [areas[row] for row in choose_slices(with_masks, 1, 3)] == [9, 7, 3]
    assert choose_slices(with_masks, 0, 2) == [2, 8]
    assert choose_slices(with_masks, 0, 99) == [0, 2, 4, 6, 8, 10]
    without = store(areas, masks=False)
    assert choose_slices(without, 1, 3) == [3, 7, 11]  # 1 3 5 7 9 11 in the manifest's order
    with pytest.raises(InputError, match="has no healthy slice"):
        choose_slices(store([3, 4]), 0, 1)
