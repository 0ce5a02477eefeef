"""Models that are fitted at once: what `fit` is given, what is written, and what a detector gets back."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from runs import command

from stages import checkpoint, methods, split_lists
from stages.detection.detector import Detection, Detector
from stages.detection.trained import OtherParametersError
from stages.device import Processor
from stages.errors import InputError
from stages.split_lists import SplitList
from stages.training import vae
from stages.training.cli import run_fit
from stages.training.fitting import Fitted

PARAMETERS = {"seed": 3, "compile": "never", "data": {"size": 16, "channels": ["t1", "flair"]}, "licence": "phantom"}


@pytest.fixture(autouse=True)
def as_if_fitted(monkeypatch):
    """The module's names and literals are those of a network of this project."""
    monkeypatch.setattr(methods, "is_fitted", lambda network: True)


@pytest.fixture
def fitted(tiny_store, tmp_path):
    """Fits a model as the stage of a network would; returns its checkpoint."""

    def run(fit, network="vae", seed=3, repeat="fold1-seed3", store=tiny_store):
        parameters = PARAMETERS | {"seed": seed, network: {"width": 2}}
        run_fit(vae.arguments().parse_args(command(network, parameters, store, tmp_path / repeat)), network, fit)
        return tmp_path / repeat / f"{network}.safetensors"

    return run


def mean_of(images, targets, parameters):
    return Fitted({"mean": np.asarray(images, np.float32).mean(axis=0)}, {"brightest": np.asarray(images).max()})


@pytest.mark.parametrize(("network", "count"), [("vae", 6), ("classifier", 12), ("segmenter", 12)])
def test_a_fit_sees_what_its_module_learns_from(network, count, fitted, tiny_slices):
    """LEARNS_FROM is healthy, labels and masks."""
    seen = {}

    def fit(images, targets, parameters):
        seen.update(images=np.asarray(images), targets=np.asarray(targets), parameters=parameters)
        return Fitted({"one": 1})

    fitted(fit, network)
    labels = tiny_slices.manifest["label"].to_numpy()
    rows = np.flatnonzero(labels == 0) if network == "vae" else np.arange(12)
    assert len(rows) == count
    assert np.array_equal(seen["images"], tiny_slices.images[rows])
    assert np.array_equal(seen["targets"], tiny_slices.masks[:] if network == "segmenter" else labels[rows])
    assert seen["parameters"] == PARAMETERS | {network: {"width": 2}}


def test_it_leaves_what_training_leaves(fitted, tiny_slices):
    path = fitted(mean_of)
    tensors, header = checkpoint.load(path)
    healthy = tiny_slices.images[tiny_slices.manifest["label"].to_numpy() == 0]
    assert list(tensors) == ["mean"]
    assert np.array_equal(tensors["mean"].numpy(), healthy.astype(np.float32).mean(axis=0))
    assert (header["stage"], header["repeat"]) == ("train_vae", "fold1-seed3")
    assert header["parameters"] == PARAMETERS | {"vae": {"width": 2}}
    assert header["data_sha256"] == tiny_slices.content_hash()
    metrics = pd.read_csv(path.parent / "log/metrics.csv")
    assert metrics.to_dict("list") == {"slices": [6], "brightest": [pytest.approx(float(healthy.max()), rel=1e-5)]}
    card = path.with_suffix(".md").read_text()
    assert "512 fitted numbers as safetensors, in the arrays `mean` (2 x 16 x 16)." in card
    assert "library_name: safetensors\n" in card
    assert "| budget | fitted at once |" in card
    assert f"| brightest | {metrics['brightest'].item():.6g} |" in card


def test_the_seed_decides_what_libraries_draw(fitted):
    def fit(images, targets, parameters):
        return Fitted({"drawn": np.random.random(3), "own": torch.rand(2).numpy()})  # noqa: NPY002

    first, again, other = fitted(fit), fitted(fit, repeat="fold2-seed3"), fitted(fit, seed=4, repeat="fold1-seed4")
    drawn = [checkpoint.load(path)[0] for path in (first, again, other)]
    for name in ("drawn", "own"):
        assert torch.equal(drawn[0][name], drawn[1][name])
        assert not torch.equal(drawn[0][name], drawn[2][name])


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        ({"mean": np.ones(3)}, "fit of stages.training.vae gave dict: return Fitted"),
        (Fitted({}), "fit of stages.training.vae gave no array"),
        (Fitted({"a": 1, "model": object()}), "gave model as object: a checkpoint holds arrays of numbers alone"),
        (Fitted({"names": ["a", "b"]}), "gave names as list: a checkpoint holds arrays of numbers alone"),
        (Fitted({"a": np.array([1.0, np.nan])}), "gave a with a number that is not finite"),
        (Fitted({"a": 1}, {"loss": "low"}), "gave metrics that are no numbers"),
        (Fitted({"a": 1}, {"loss": np.inf}), "gave loss as inf: metrics are finite numbers"),
    ],
)
def test_what_is_no_model_is_refused(result, sentence, fitted, tmp_path):
    with pytest.raises(InputError, match=sentence):
        fitted(lambda *_: result)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_fit_without_a_slice_is_refused(fitted, tiny_store, tmp_path):
    (tmp_path / "data").symlink_to(tiny_store)
    splits = {f"case{i:02d}": "train" if i % 2 else "test" for i in range(14)}
    split_lists.write(tmp_path / "split.csv", SplitList("subject_id", splits))
    with pytest.raises(InputError, match="holds no slice that train_vae learns from"):
        fitted(mean_of, store=tmp_path / "data")


class Reading(Detector):
    def prepare(self):
        self.arrays = self.load_fitted("vae")

    def detect(self, batch):
        return Detection(batch.images[:, 0])


def test_a_detector_gets_the_arrays_back(fitted):
    def fit(images, targets, parameters):
        arrays = {"half": np.float16([1.5, -2]), "swapped": np.arange(6).reshape(2, 3).T, "big": np.ones(2, ">f8")}
        return Fitted({**arrays, "number": 3, "list": [True, False]})

    path, parameters = fitted(fit), PARAMETERS | {"vae": {"width": 2}, "options": {}, "setting": {}}
    reading = Reading(parameters, Processor(), {"vae": path})
    found = {name: (str(array.dtype), array.tolist()) for name, array in reading.arrays.items()}
    assert found == {
        "half": ("torch.float16", [1.5, -2.0]),
        "swapped": ("torch.int64", [[0, 3], [1, 4], [2, 5]]),
        "big": ("torch.float64", [1.0, 1.0]),
        "number": ("torch.int64", 3),
        "list": ("torch.bool", [True, False]),
    }
    assert reading.weights == {"vae": checkpoint.load(path)[1]["tensors_sha256"]}
    with pytest.raises(InputError, match="--networks names no vae"):
        Reading(parameters, Processor(), {})
    with pytest.raises(OtherParametersError, match=r"trained with vae\.width = 2 where this job has 3"):
        Reading(parameters | {"vae": {"width": 3}}, Processor(), {"vae": path})


def test_another_models_checkpoint_is_refused(fitted, tmp_path):
    path = fitted(mean_of, "classifier")
    parameters = json.loads(json.dumps(PARAMETERS)) | {"options": {}, "setting": {}}
    with pytest.raises(InputError, match=r"classifier\.safetensors is no vae but of train_classifier"):
        Reading(parameters, Processor(), {"vae": path})
