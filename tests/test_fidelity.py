"""The gate lets float32 pass and refuses 8-bit arithmetic."""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from performance import fidelity
from performance.fidelity import Found, judge
from torch import nn

from stages import checkpoint
from stages.errors import InputError
from stages.networks import build
from stages.networks.unet import EncoderClassifier, UNet
from stages.parameters import reading


@pytest.fixture
def results(tiny_store, tiny_split_list, tiny_parameters, tmp_path, monkeypatch):
    """A folder as the benchmark `tiny` leaves it, with networks of random weights, beside a params.yaml."""
    folder = tmp_path / "results/tiny"
    (folder / "split").mkdir(parents=True)
    (folder / "data").symlink_to(tiny_store)
    splits = tiny_split_list.read_text().replace(",test", ",unused").replace(",train", ",test")
    (folder / "split/fold1.csv").write_text(splits)
    torch.manual_seed(0)
    for name, kind in {"denoiser": UNet, "classifier": EncoderClassifier}.items():
        network = build.network(kind, name, tiny_parameters)
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.05)
        checkpoint.save(folder / f"checkpoints/fold1-seed0/{name}.safetensors", network.state_dict(), {})
    detection = {"convention": "paper", "solver": "ddim", "stride": 5, "batch": 5}
    detection |= {"weights": "raw", "precision": "32-true", "difference": "plain"}
    method = {
        "detector": "guided_ddim",
        "options": {"encode_class": "healthy", "decode_class": "healthy"},
        "grid": [{"L": [10, 20], "s": [5]}],
        "setting": {"L": 20, "s": 5},
    }
    parameters = tiny_parameters | {
        "seed": 0,
        "repeats": {"folds": 1, "seeds": [0]},
        "detection": detection,
        "methods": {"guided-ddim": method},
        "figures": {"method": "guided-ddim"},
        "evaluation": {"lesion_pixels_at_256": 20},
    }
    monkeypatch.setattr(reading, "load", lambda file: {"paper": parameters})
    monkeypatch.setattr(reading, "benchmark", lambda config, name: parameters)
    monkeypatch.setattr(fidelity, "ENOUGH", 6)  # of the twelve slices, these are diseased
    return argparse.Namespace(folder=folder, parameters=parameters, output=tmp_path / "fidelity.csv")


def run(results):
    line = ["tiny", "--results", str(results.folder.parent), "--output", str(results.output), "--threads", "1"]
    fidelity.main(fidelity.arguments().parse_args(line))


@pytest.mark.parametrize(("kind", "holds"), [(torch.float32, True), (torch.float8_e4m3fn, False)])
def test_eight_bits_are_refused_and_float32_is_not(results, monkeypatch, capsys, kind, holds):
    asked, convolution, leased = [], nn.Conv2d.forward, fidelity.leased

    def lease(threads, precision):
        asked.append(precision)
        return leased(threads, "32-true")

    def rounded(layer, x):
        y = convolution(layer, x)
        return y if asked[-1] == "32-true" else y.to(kind).to(y.dtype)

    monkeypatch.setattr(fidelity, "leased", lease)
    monkeypatch.setattr(nn.Conv2d, "forward", rounded)
    monkeypatch.setattr(fidelity, "computed", lambda precision: precision)
    results.parameters["detection"]["precision"] = "bf16-mixed"
    if holds:
        run(results)
    else:
        with pytest.raises(InputError, match=r"tiny: \w+ differs by .* in bf16-mixed, more than .*"):
            run(results)
    assert asked == ["32-true", "16-mixed", "bf16-mixed"]
    table = pd.read_csv(results.output)
    assert table["quantity"].unique().tolist() == list(fidelity.LIMITS)
    assert table["precision"].value_counts().to_dict() == {"16-mixed": 5, "bf16-mixed": 5}
    assert (table["slices"] == 12).all()
    assert table["holds"].all() == holds
    if holds:
        assert (table["difference"] == table["quantity"].map({"round_trip": 1}).fillna(0)).all()
    assert "round_trip" in capsys.readouterr().out


def found(store, **changes) -> Found:
    """Maps that find the square, but for some of its pixels."""
    maps = np.asarray(store.masks, np.float64) + np.random.default_rng(0).uniform(0.5, 1.9, store.masks.shape)
    return replace(Found(maps.astype(np.float16), 0.02, 1.0), **changes)


def test_differences_are_what_they_are_called(tiny_slices):
    reference = found(tiny_slices)
    maps = reference.maps.copy()
    maps[0, 0, 0] += 4
    other = found(tiny_slices, maps=maps, error=0.03)
    rows = {row["quantity"]: row for row in judge(reference, other, tiny_slices, 20)}
    mean = reference.maps.astype(np.float64).mean()
    added = float(maps[0, 0, 0]) - float(reference.maps[0, 0, 0])
    assert rows["map"]["difference"] == pytest.approx(added / maps.size / mean)
    assert rows["round_trip"]["difference"] == pytest.approx(1.5)
    assert rows["map"]["holds"] == (rows["map"]["difference"] <= 0.01)
    for name in fidelity.SCORES:
        assert rows[name]["difference"] == 0, "a healthy slice is not scored"
        assert rows[name]["limit"] is None, "nor are twelve slices enough"


def test_scores_are_means_over_scored_slices(tiny_slices, monkeypatch):
    monkeypatch.setattr(fidelity, "ENOUGH", 6)
    reference, lesion = found(tiny_slices), np.asarray(tiny_slices.masks) == 1
    perfect = found(tiny_slices, maps=lesion.astype(np.float16))
    rows = {row["quantity"]: row for row in judge(perfect, reference, tiny_slices, 20)}
    for name in fidelity.SCORES:
        assert rows[name]["float32"] == 1
        assert rows[name]["difference"] == pytest.approx(1 - rows[name]["reduced"])
        assert not rows[name]["holds"]


def test_what_is_not_finite_does_not_hold():
    assert not fidelity._row("auroc", 0.9, float("nan"), float("nan"))["holds"]


def test_only_the_precision_that_is_used_is_refused():
    row = fidelity.Row("a", "CPU", "bf16-mixed", 1, "map", 1.0, 1.0, 0.02, 0.01, False, 1.0)
    fidelity.refuse([row], "16-mixed")
    with pytest.raises(InputError, match=r"a: map differs by 0.02 in bf16-mixed, more than 0.01"):
        fidelity.refuse([row], "bf16-mixed")


def test_a_method_without_latents_is_no_case_for_the_gate(results):
    results.parameters["methods"]["guided-ddim"]["detector"] = "vae"
    with pytest.raises(InputError, match=r"benchmarks.tiny.figures.method names guided-ddim, of detector vae"):
        fidelity.compare("tiny", results.parameters, results.folder, [], 1)
