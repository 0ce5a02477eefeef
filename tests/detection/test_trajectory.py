"""The trajectory of Fig. 1: real images of the same encoding and decoding that the method's stages run."""

import json

import numpy as np
import pytest
import torch

from stages.detection import trajectory
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.trajectory import shown_levels
from stages.device import Processor
from stages.errors import InputError

OPTIONS = {"encode_class": "none", "decode_class": "healthy"}


@pytest.fixture
def followed(parameters, data, networks):
    """Runs the stage and returns its note and its arrays."""

    def run(scale=2.0, level=20, checkpoints=("denoiser", "classifier")):
        text = json.dumps(parameters | {"options": OPTIONS, "setting": {"L": level, "s": scale}})
        line = ["--parameters", text, *data, "--split", "train", "--threads", "1", "--networks"]
        line += [f"{name}={networks / f'{name}.safetensors'}" for name in checkpoints]
        line += ["--output", str(networks / "way"), "--state", str(networks / "s")]
        trajectory.main(trajectory.arguments().parse_args(line))
        note = json.loads((networks / "way/trajectory.json").read_text())
        return note, {path.stem: np.load(path) for path in (networks / "way").glob("*.npy")}

    return run


@pytest.mark.parametrize("solver", ["ddim", "heun", "adams-bashforth"])
def test_ends_are_those_of_the_method(parameters, tiny_slices, networks, encoded, detected, followed, solver):
    parameters["detection"]["solver"] = solver
    note, arrays = followed()
    assert note == {
        "slice_id": "case07_z000",  # the fourth of six diseased slices of one area
        "split": "train",
        "levels": [0, 5, 10, 15, 20],
        "setting": {"L": 20, "s": 2.0},
        "solver": solver,
    }
    assert {name: array.shape for name, array in arrays.items()} == dict.fromkeys(
        ("encoded", "decoded", "gradient"), (5, 2, 16, 16)
    )
    assert all(array.dtype == np.float32 for array in arrays.values())
    images = tiny_slices.images
    np.testing.assert_allclose(arrays["encoded"][0], images[7], atol=1e-6)
    latents = np.load(encoded() / "train/L20.npy")[7]
    np.testing.assert_allclose(arrays["encoded"][-1], (latents + 1) / 2, atol=1e-5)
    np.testing.assert_array_equal(arrays["decoded"][-1], arrays["encoded"][-1])
    maps = detected(GuidedDdim, {"L": 20, "s": 2.0}, OPTIONS, ("denoiser", "classifier"))
    np.testing.assert_allclose(arrays["decoded"][0], maps["images"][7].astype(float), rtol=5e-3, atol=5e-3)


def test_gradients_are_the_classifiers_at_the_decoded_images(parameters, networks, followed):
    _, arrays = followed()
    model = GuidedDdim(
        parameters | {"options": OPTIONS, "setting": {"L": 20, "s": 2.0}},
        Processor(),
        {name: networks / f"{name}.safetensors" for name in ("denoiser", "classifier")},
    ).model
    x = torch.from_numpy(2 * arrays["decoded"][2:3] - 1).requires_grad_(True)
    model.log_probability()(x, torch.tensor([9])).backward()
    np.testing.assert_allclose(arrays["gradient"][2], x.grad[0], rtol=1e-3, atol=1e-6)


def test_without_guidance_there_is_no_gradient(followed):
    _, arrays = followed(scale=0, checkpoints=("denoiser",))
    assert sorted(arrays) == ["decoded", "encoded"]


def test_the_released_code_has_a_trajectory_too(parameters, followed):
    parameters["detection"] |= {"convention": "released-code", "stride": 1}
    note, arrays = followed()
    assert note["levels"] == [0, 5, 10, 15, 20]
    assert all(np.isfinite(array).all() for array in arrays.values())
    assert len({array.tobytes() for array in (*arrays["encoded"], *arrays["decoded"])}) == 9


def test_levels_are_about_evenly_spaced():
    assert shown_levels(range(501)) == [0, 125, 250, 375, 500]
    assert shown_levels([0, 1, 2, 4, 8, 16, 32, *range(50, 501, 50)]) == [0, 100, 250, 350, 500]
    assert shown_levels([0, 1, 2]) == [0, 1, 2]


def test_images_that_are_not_finite_are_refused(networks, followed):
    with pytest.raises(InputError, match=r"case07_z000 at L = 20, s = 1e\+30 gave images that are not finite"):
        followed(scale=1e30)
    assert not (networks / "way").exists()


def test_a_card_too_small_for_the_slice_is_one_sentence(networks, followed, monkeypatch):
    def no_memory(*_):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(GuidedDdim, "prepare", lambda self: None)
    monkeypatch.setattr(GuidedDdim, "model", None, raising=False)
    monkeypatch.setattr(trajectory, "follow", no_memory)
    with pytest.raises(InputError, match="has not the memory for one slice"):
        followed()
    assert not (networks / "way").exists()
