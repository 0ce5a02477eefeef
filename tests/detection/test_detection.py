"""Encode and decode as stages: batches, resuming, conventions, and refusals."""

import json

import numpy as np
import pytest
import torch

from stages import checkpoint
from stages.data.store import create_array, open_store
from stages.detection import decode, encode
from stages.detection.resumable import ResumableArrays
from stages.errors import InputError
from stages.networks import build

LEVELS = [10, 20]


@pytest.fixture
def parameters(tiny_parameters):
    detection = {"convention": "paper", "stride": 5, "batch": 5, "weights": "ema", "precision": "32-true"}
    return tiny_parameters | {"detection": detection}


@pytest.fixture
def networks(parameters, tmp_path):
    """Checkpoints of random networks, raw weights unlike the averaged ones."""
    torch.manual_seed(0)
    for name in build.NETWORKS:
        tensors = {}
        for prefix in ("", "ema."):
            network = build.network(name, parameters)
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
            tensors |= {prefix + key: value for key, value in network.state_dict().items()}
        checkpoint.save(tmp_path / f"{name}.safetensors", tensors, {})
    return tmp_path


@pytest.fixture
def data(tiny_store):
    return tiny_store.parent


def run_encode(parameters, data, folder, out="latents", encode_class="none", levels=LEVELS):
    options = ["--encode-class", encode_class, "--data", str(data), "--splits", "train", "--threads", "1"]
    options += ["--ddpm", str(folder / "ddpm.safetensors"), "--output", str(folder / out), "--state", str(folder / "s")]
    json_text = json.dumps(parameters | {"levels": levels})
    encode.main(encode.arguments().parse_args(["--parameters", json_text, *options]))
    return folder / out


def run_decode(parameters, data, folder, out="maps", level=20, scale=0.0, decode_class="healthy", classifier=None):
    classifier = scale != 0 if classifier is None else classifier
    options = ["--decode-class", decode_class, "--level", str(level), "--scale", str(scale), "--data", str(data)]
    options += ["--splits", "train", "--threads", "1", "--latents", str(folder / "latents")]
    options += ["--ddpm", str(folder / "ddpm.safetensors"), "--output", str(folder / out), "--state", str(folder / "s")]
    options += ["--classifier", str(folder / "classifier.safetensors")] if classifier else []
    decode.main(decode.arguments().parse_args(["--parameters", json.dumps(parameters), *options]))
    return {name: np.load(folder / out / "train" / f"{name}.npy") for name in ("maps", "images")}


def test_results_do_not_depend_on_the_batch(parameters, data, networks):
    run_encode(parameters, data, networks)
    first = run_decode(parameters, data, networks, scale=3.0)
    parameters["detection"]["batch"] = 12
    run_encode(parameters, data, networks, "other")
    for level in LEVELS:
        a, b = (np.load(networks / name / f"train/L{level}.npy") for name in ("latents", "other"))
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=1e-5)
    second = run_decode(parameters, data, networks, "again", scale=3.0)
    np.testing.assert_allclose(first["maps"].astype(float), second["maps"].astype(float), atol=2e-3)


def test_map_is_the_summed_difference_in_image_units(parameters, data, networks):
    run_encode(parameters, data, networks)
    result = run_decode(parameters, data, networks)
    images = open_store(data / "train").images.astype(np.float64)
    assert result["maps"].shape == (12, 16, 16)
    assert result["images"].shape == images.shape
    expected = np.abs(images - result["images"].astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(result["maps"].astype(float), expected, rtol=5e-3, atol=5e-3)


def test_guidance_class_level_and_weights_each_matter(parameters, data, networks):
    run_encode(parameters, data, networks)
    maps = [
        run_decode(parameters, data, networks, level=level, scale=scale, decode_class=name)["maps"].tobytes()
        for level, scale, name in [(20, 0, "healthy"), (20, 5, "healthy"), (10, 0, "healthy"), (20, 0, "diseased")]
    ]
    parameters["detection"]["weights"] = "raw"
    maps.append(run_decode(parameters, data, networks)["maps"].tobytes())
    assert len(set(maps)) == 5


def test_released_code_noises_each_slice_by_its_name(parameters, data, networks):
    parameters["detection"] |= {"convention": "released-code", "stride": 1}
    first = np.load(run_encode(parameters, data, networks) / "train/L20.npy")
    parameters["detection"]["batch"] = 3
    again = np.load(run_encode(parameters, data, networks, "again") / "train/L20.npy")
    np.testing.assert_allclose(first, again, atol=1e-5)
    assert np.isfinite(run_decode(parameters, data, networks, scale=2.0)["maps"]).all()


def test_a_killed_job_goes_on_from_its_last_batch(parameters, data, networks, monkeypatch):
    run_encode(parameters, data, networks)
    whole = run_decode(parameters, data, networks, "whole", scale=2.0)
    written = []
    original = ResumableArrays.write

    def dies(self, **rows):
        if len(written) == 1:
            raise KeyboardInterrupt
        original(self, **rows)
        written.append(self.done)

    monkeypatch.setattr(ResumableArrays, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        run_decode(parameters, data, networks, scale=2.0)
    assert not (networks / "maps").exists()
    resumed = []

    def counts(self, **rows):
        resumed.append(self.done)
        original(self, **rows)

    monkeypatch.setattr(ResumableArrays, "write", counts)
    result = run_decode(parameters, data, networks, scale=2.0)
    assert resumed[0] == 5
    assert result["maps"].tobytes() == whole["maps"].tobytes()
    assert result["images"].tobytes() == whole["images"].tobytes()


def test_a_finished_split_survives_a_kill_in_the_next(parameters, data, networks, monkeypatch):
    (networks / "both").mkdir()
    for split in ("train", "test"):
        (networks / "both" / split).symlink_to(data / "train")
    parameters["detection"]["batch"] = 12
    options = ["--encode-class", "none", "--data", str(networks / "both"), "--splits", "train", "test"]
    options += ["--ddpm", str(networks / "ddpm.safetensors"), "--threads", "1"]
    options += ["--output", str(networks / "out"), "--state", str(networks / "s")]
    run = encode.arguments().parse_args(["--parameters", json.dumps(parameters | {"levels": [10]}), *options])
    calls = []
    original = encode.Ddim.encode

    def dies_in_the_second_split(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(encode.Ddim, "encode", dies_in_the_second_split)
    with pytest.raises(KeyboardInterrupt):
        encode.main(run)
    assert not (networks / "out").exists()
    encode.main(run)
    assert len(calls) == 3
    assert sorted(path.name for path in (networks / "out").glob("*/*")) == ["L10.npy", "L10.npy"]


def test_the_state_of_other_parameters_is_not_used(tmp_path):
    shapes = {"maps": ((4, 2), np.float32)}
    ResumableArrays(tmp_path / "s", shapes, {"s": 1}).write(maps=np.ones((2, 2)))
    assert ResumableArrays(tmp_path / "s", shapes, {"s": 1}).done == 2
    assert ResumableArrays(tmp_path / "s", shapes, {"s": 2}).done == 0


def test_a_tampered_or_damaged_checkpoint_is_refused(parameters, data, networks):
    path = networks / "ddpm.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=r"ddpm\.safetensors was changed after it was written"):
        run_encode(parameters, data, networks)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"ddpm\.safetensors is not a whole safetensors file"):
        run_encode(parameters, data, networks)
    path.unlink()
    with pytest.raises(InputError, match=r"ddpm\.safetensors is missing"):
        run_encode(parameters, data, networks)
    assert not (networks / "latents").exists()


def test_another_networks_checkpoint_is_refused(parameters, data, networks):
    parameters["ddpm"]["network"]["channels"] = 16
    with pytest.raises(InputError, match="correct the network's keys"):
        run_encode(parameters, data, networks)


def test_missing_classifier_and_truncated_latents_are_refused(parameters, data, networks):
    run_encode(parameters, data, networks)
    with pytest.raises(InputError, match="--classifier is missing"):
        run_decode(parameters, data, networks, scale=2.0, classifier=False)
    path = networks / "latents/train/L20.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"L20\.npy is truncated"):
        run_decode(parameters, data, networks)


def test_reconstructions_that_blow_up_are_refused(parameters, data, networks):
    run_encode(parameters, data, networks)
    with create_array(networks / "latents/train/L20.npy", (12, 2, 16, 16), np.float32) as latents:
        latents[:] = np.inf
    with pytest.raises(InputError, match="not finite"):
        run_decode(parameters, data, networks)
    assert not (networks / "maps").exists()
