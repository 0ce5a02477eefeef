"""Encode and DDIM as stages: batches, resuming, conventions, and refusals."""

import json

import numpy as np
import pytest
import torch

from stages import digests
from stages.data.store import create_array
from stages.detection import latents
from stages.detection.detector import Detection
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.resumable import ResumableArrays
from stages.errors import InputError

LEVELS = [10, 20]


@pytest.fixture
def decoded(detected):
    """Runs DDIM on the latents."""

    def run(out="maps", level=20, scale=0.0, decode_class="healthy", classifier=None):
        checkpoints = (
            ("denoiser", "classifier") if (scale != 0 if classifier is None else classifier) else ("denoiser",)
        )
        options = {"encode_class": "none", "decode_class": decode_class}
        return detected(GuidedDdim, {"L": level, "s": scale}, options, checkpoints, out)

    return run


def test_results_do_not_depend_on_the_batch(parameters, networks, encoded, decoded):
    encoded()
    first = decoded(scale=3.0)
    parameters["detection"]["batch"] = 12
    encoded("other")
    for level in LEVELS:
        a, b = (np.load(networks / name / f"train/L{level}.npy") for name in ("latents", "other"))
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=1e-5)
    second = decoded("again", scale=3.0)
    np.testing.assert_allclose(first["maps"].astype(float), second["maps"].astype(float), atol=2e-3)


def test_map_is_the_summed_difference_in_image_units(tiny_slices, encoded, decoded):
    encoded()
    result = decoded()
    images = np.asarray(tiny_slices.images, np.float64)
    assert result["maps"].shape == (12, 16, 16)
    assert result["images"].shape == images.shape
    assert result["maps"].dtype == result["images"].dtype == np.float16
    expected = np.abs(images - result["images"].astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(result["maps"].astype(float), expected, rtol=5e-3, atol=5e-3)


def test_guidance_class_level_and_weights_each_matter(parameters, encoded, decoded):
    encoded()
    maps = [
        decoded(level=level, scale=scale, decode_class=name)["maps"].tobytes()
        for level, scale, name in [(20, 0, "healthy"), (20, 5, "healthy"), (10, 0, "healthy"), (20, 0, "diseased")]
    ]
    parameters["detection"]["weights"] = "raw"
    maps.append(decoded()["maps"].tobytes())
    assert len(set(maps)) == 5


def test_without_guidance_the_classifier_is_not_read(networks, encoded, decoded):
    encoded()
    (networks / "classifier.safetensors").unlink()
    assert np.isfinite(decoded(scale=0)["maps"]).all()


def test_released_code_noises_each_slice_by_its_name(parameters, encoded, decoded):
    parameters["detection"] |= {"convention": "released-code", "stride": 1}
    first = np.load(encoded() / "train/L20.npy")
    parameters["detection"]["batch"] = 3
    again = np.load(encoded("again") / "train/L20.npy")
    np.testing.assert_allclose(first, again, atol=1e-5)
    assert np.isfinite(decoded(scale=2.0)["maps"]).all()


def test_a_killed_job_goes_on_from_its_last_batch(encoded, decoded, killed):
    encoded()
    whole = decoded("whole", scale=2.0)
    result, starts = killed(lambda: decoded(scale=2.0))
    assert starts == [0, 5, 5, 10]
    assert result["maps"].tobytes() == whole["maps"].tobytes()
    assert result["images"].tobytes() == whole["images"].tobytes()


def test_another_setting_does_not_go_on_from_a_killed_job(encoded, decoded, monkeypatch):
    encoded()
    starts = []
    original = ResumableArrays.write

    def dies_after_one(self, **rows):
        starts.append(self.done)
        original(self, **rows)
        raise KeyboardInterrupt

    monkeypatch.setattr(ResumableArrays, "write", dies_after_one)
    for level in (20, 10, 10):
        with pytest.raises(KeyboardInterrupt):
            decoded(level=level)
    assert starts == [0, 0, 5]


def test_a_finished_split_survives_a_kill_in_the_next(parameters, data, networks, monkeypatch):
    parameters["detection"]["batch"] = 12
    options = ["--encode-class", "none", *data, "--splits", "train", "test"]
    options += ["--denoiser", str(networks / "denoiser.safetensors"), "--threads", "1"]
    options += ["--output", str(networks / "out"), "--state", str(networks / "s")]
    run = latents.arguments().parse_args(["--parameters", json.dumps(parameters | {"levels": [10]}), *options])
    calls = []
    original = latents.DiffusionModel.encode

    def dies_in_the_second_split(self, *arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(latents.DiffusionModel, "encode", dies_in_the_second_split)
    with pytest.raises(KeyboardInterrupt):
        latents.main(run)
    assert not (networks / "out").exists()
    latents.main(run)
    assert len(calls) == 3
    shapes = {path.parent.name: np.load(path).shape for path in (networks / "out").glob("*/L10.npy")}
    assert shapes == {"train": (12, 2, 16, 16), "test": (2, 2, 16, 16)}


def test_the_state_of_other_parameters_is_not_used(tmp_path):
    shapes = {"maps": ((4, 2), np.float32)}
    ResumableArrays(tmp_path / "s", shapes, {"s": 1}).write(maps=np.ones((2, 2)))
    assert ResumableArrays(tmp_path / "s", shapes, {"s": 1}).done == 2
    assert ResumableArrays(tmp_path / "s", shapes, {"s": 2}).done == 0


def test_a_tampered_or_damaged_checkpoint_is_refused(networks, encoded):
    path = networks / "denoiser.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match=r"denoiser\.safetensors was changed after it was written"):
        encoded()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"denoiser\.safetensors is not a whole safetensors file"):
        encoded()
    path.unlink()
    with pytest.raises(InputError, match=r"denoiser\.safetensors is missing"):
        encoded()
    assert not (networks / "latents").exists()


def test_another_networks_checkpoint_is_refused(parameters, encoded):
    parameters["denoiser"]["network"]["channels"] = 16
    with pytest.raises(InputError, match="correct the network's keys"):
        encoded()


def test_a_missing_classifier_and_bad_latents_are_refused(networks, encoded, decoded, detected):
    encoded()
    with pytest.raises(InputError, match="names no classifier"):
        decoded(scale=2.0, classifier=False)
    with pytest.raises(InputError, match="--latents is missing"):
        detected(GuidedDdim, {"L": 20, "s": 0}, {"decode_class": "healthy"})
    path = networks / "latents/train/L20.npy"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"L20\.npy is truncated, damaged or another file.*rm -r .*/latents\)"):
        decoded()


def test_reconstructions_that_blow_up_are_refused(networks, encoded, decoded):
    encoded()
    with create_array(networks / "latents/train/L20.npy", (12, 2, 16, 16), np.float32) as latents:
        latents[:] = np.inf
    digests.write(networks / "latents")
    with pytest.raises(InputError, match="not finite"):
        decoded()
    assert not (networks / "maps").exists()


@pytest.mark.parametrize(
    ("gives", "advice"), [("maps", r"nothing as images .* say reconstructs = False"), ("images", r"\(\)$")]
)
def test_maps_alone_are_a_result_where_the_class_says_so(encoded, decoded, monkeypatch, gives, advice):
    encoded()
    whole = GuidedDdim.detect

    def detect(self, batch):
        found = whole(self, batch)
        return Detection(found.maps) if gives == "maps" else Detection(found.maps[:, 1:], found.images)

    monkeypatch.setattr(GuidedDdim, "detect", detect)
    with pytest.raises(InputError, match=advice):
        decoded()
    if gives == "maps":
        monkeypatch.setattr(GuidedDdim, "reconstructs", False)
        assert decoded().keys() == {"maps"}


def test_gradients_are_off_for_the_detector(encoded, decoded, monkeypatch):
    encoded()
    seen = []
    original = GuidedDdim.detect

    def looks(self, batch):
        seen.append(torch.is_grad_enabled())
        return original(self, batch)

    monkeypatch.setattr(GuidedDdim, "detect", looks)
    decoded()
    assert seen == [False] * 3
