"""What every detector owes the workflow, for each module of stages/detection that defines one.

A new method is tested by dropping its file in. What its literals (stages/methods.py) leave open - the value of an
option or of a number in its grid, the section of a network of its own - is taken from params.yaml. As in a job, each
detector is handed the keys of params.yaml that its literals name and no others; its networks have a few random weights,
what it has fitted is fitted to random images.
"""

import ast
import importlib
import inspect
import json
import runpy
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from stages import checkpoint, detection, digests, imports, methods
from stages.data.store import create_array
from stages.detection.detector import Batch, Detection, Detector
from stages.detection.difference import DIFFERENCES, anomaly_map
from stages.detection.diffusion_model import CLASSES
from stages.device import Processor
from stages.errors import InputError
from stages.parameters import reading, sections
from stages.parameters.by_schema import value_at

PARAMS = Path(__file__).parents[2] / "params.yaml"
NUMBERS = {"L": (20, 10), "s": (2, 3), "w": (2, 3), "samples": (2, 3), "sigma": (0.1, 0.2), "resolution": (8, 16)}
"""Two values of those keys of a grid that the tiny networks bear; others have params.yaml's."""
CHANGES: dict[str, tuple[dict, dict]] = {
    "detection.convention": ({"stride": 1}, {"stride": 1, "convention": "released-code"}),
    "detection.stride": ({"stride": 5}, {"stride": 10}),
    "detection.solver": ({"solver": "ddim"}, {"solver": "heun"}),
    "detection.difference": ({"difference": "plain"}, {"difference": "min-max"}),
}
"""Key of PARAMETERS -> two sections `detection` that differ in it alone."""


def modules() -> list[str]:
    """Names of the modules with a subclass of Detector, found by reading, not importing."""
    found = []
    for path in sorted(Path(detection.__path__[0]).glob("*.py")):
        classes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
        if any(ast.unparse(base).split(".")[-1] == "Detector" for one in classes for base in one.bases):
            found.append(path.stem)
    return found


@dataclass
class Method:
    """A detector and what it may be told; remembers what its networks were used for."""

    name: str
    parameters: dict[str, Any]
    entry: dict[str, Any]
    grid: dict[str, tuple]
    loaded: list[str] = field(default_factory=list)
    told: set[int] = field(default_factory=set)

    @property
    def setting(self) -> dict[str, Any]:
        """The first value of every key of the grid."""
        return {key: values[0] for key, values in self.grid.items()}

    @property
    def numbers(self) -> list[str]:
        """The keys of the grid that say how strong the guidance is."""
        return [key for key in self.grid if key in ("s", "w")]

    def section(self, setting: dict, options: dict | None = None, sampling: dict | None = None) -> dict[str, Any]:
        """What rule `detect` would hand to the method: the keys that its literals name."""
        entry = self.entry | {"options": self.entry["options"] if options is None else options}
        parts = {"detection": self.parameters["detection"] | (sampling or {}), "methods": {"tested": entry}}
        parts |= {"repeats": {"folds": 1, "seeds": [self.parameters["seed"]]}}
        return sections.section(self.parameters | parts, "detect", "tested", setting)

    def make(self, setting: dict | None = None, without: str = "", **changes: dict) -> Detector:
        """The detector with the networks that its literals ask for at a setting, but for one."""
        setting = self.setting if setting is None else setting
        module = importlib.import_module(f"stages.detection.{self.name}")
        (kind,) = (
            one
            for one in vars(module).values()
            if inspect.isclass(one) and issubclass(one, Detector) and one.__module__ == module.__name__
        )
        named = {name: Path(name) for name in methods.networks(self.entry, setting) if name != without}
        return kind(self.section(setting, **changes), Processor(), named)

    def detect(self, setting: dict | None = None, rows: list[int] | slice = slice(None), **changes: dict) -> Detection:
        """What a fresh detector makes of some of the slices."""
        return self.see(self.make(setting, **changes), rows)

    def see(self, detector: Detector, rows: list[int] | slice = slice(None)) -> Detection:
        """What a detector makes of some of the slices."""
        with torch.no_grad():
            return detector.detect(self.batch(rows))

    def batch(self, rows: list[int] | slice = slice(None)) -> Batch:
        """Slices between 0 and 1, the ends included, and noisy images for methods that ask for them."""
        generator = torch.Generator().manual_seed(1)
        images = torch.rand(6, 2, 16, 16, generator=generator)
        images[:, :, :4], images[:, :, 8:10] = 0, 1
        noisy = 0.9 * (2 * images - 1) + 0.4 * torch.randn(images.shape, generator=generator)
        names = np.array([f"slice{n}" for n in range(6)])[rows].tolist()
        return Batch(images[rows], names, noisy[rows] if methods.encoding(self.entry) else None)


@pytest.fixture(scope="module")
def benchmarks() -> list[dict[str, Any]]:
    """The parameters of every benchmark of params.yaml."""
    config = reading.read(PARAMS)
    return [reading.benchmark(config, name) for name in config["benchmarks"]]


@pytest.fixture(params=modules())
def method(request, parameters, benchmarks, monkeypatch) -> Method:
    """Each detector in turn, with random weights in place of checkpoints."""
    parameters |= {"vae": {"network": {"widths": [4, 8], "latent": 6}}}
    parameters |= {"fixed_point_gan": {"network": {"channels": 4, "residual_blocks": 1}}}
    noise, unet = {"octaves": 3, "persistence": 0.8, "frequency": 16}, parameters["denoiser"]["network"]
    parameters |= {"segmenter": {"network": {"widths": [4, 8]}}}
    parameters |= {"simplex_denoiser": {"network": unet, "noise": noise}}
    parameters |= {"patched_denoiser": {"network": unet, "noise": noise, "patches": 2}}
    found = Method(request.param, parameters, *entry_and_grid(request.param, parameters, benchmarks))
    for network in imports.names(methods.module(found.entry), "NETWORKS"):
        if network not in parameters:
            named = [one[network] for one in benchmarks if network in one]
            parameters[network] = named[0] if named else pytest.fail(f"params.yaml has no section {network}")

    def load_into(network: nn.Module, path: Path, weights: str) -> dict[str, str]:
        with torch.random.fork_rng():  # a detector that draws from the global generator is to be caught
            torch.manual_seed(0)
            for weight in network.parameters():
                nn.init.normal_(weight, std=0.1)
        if path.stem == "denoiser":
            network.register_forward_pre_hook(lambda _, inputs: found.told.update(inputs[2].tolist()))
        found.loaded.append(path.stem)
        return {"tensors_sha256": path.stem}

    def load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
        images, targets = np.random.default_rng(0).random((12, 2, 16, 16)).astype(np.float16), np.arange(12) % 2
        if methods.learns_from(parameters, path.stem) == "masks":
            targets = (images[:, 0] > 0.5).astype(np.uint8)
        fitted = importlib.import_module(methods.training_module(path.stem)).fit(images, targets, parameters)
        found.loaded.append(path.stem)
        arrays = {name: torch.from_numpy(np.array(value)) for name, value in fitted.arrays.items()}
        return arrays, {"stage": f"train_{path.stem}", "tensors_sha256": path.stem}

    monkeypatch.setattr(checkpoint, "load_into", load_into)
    monkeypatch.setattr(checkpoint, "load", load)
    return found


def entry_and_grid(name: str, parameters: dict, benchmarks: list[dict]) -> tuple[dict[str, Any], dict[str, tuple]]:
    """An entry of params.yaml for a detector, and the values of every key of its grid."""
    entries = [one for values in benchmarks for one in values["methods"].values() if one.get("detector") == name]
    written: dict[str, Any] = {"options": {}, "grid": [{}]} | (entries[0] if entries else {})
    options, block = written["options"], written["grid"][0]
    known, asked = methods.options({"detector": name}), methods.grid({"detector": name})
    known = dict.fromkeys(options, ()) if known is None else known
    asked = dict.fromkeys(block, ()) if asked is None else asked
    try:
        told = {key: listed(words, parameters)[0] if words else options[key] for key, words in known.items()}
        grid = {key: words or NUMBERS.get(key) or block[key] for key, words in asked.items()}
    except KeyError as key:
        pytest.fail(f"{name} is told {key}, of which neither its literals nor an entry of params.yaml gives a value")
    return {"detector": name, "options": told, "grid": [{}], "setting": "validation"}, grid


def listed(words: tuple[str, ...] | str, parameters: dict) -> list:
    """The words that an option takes, or those of the key of params.yaml that lists them, or lists of these."""
    if not isinstance(words, str):
        return list(words)
    found = value_at(parameters, tuple(words.removesuffix("[]").split(".")))
    return [[word] for word in found] if words.endswith("[]") else list(found)


def differ(first: Detection, second: Detection) -> bool:
    return not torch.equal(first.maps, second.maps)


# --- what comes out --------------------------------------------------------------------------------------------------


def test_the_methods_of_this_project_are_found():
    found = {"guided_ddim", "guided_ddpm", "classifier_free", "fixed_point_gan", "intensity", "vae"}
    assert found | {"gradient", "grad_cam", "anofpdm"} <= set(modules())


def test_maps_are_finite_and_at_least_zero(method):
    maps = method.detect().maps
    assert maps.shape == (6, 16, 16)
    assert maps.is_floating_point()
    assert maps.isfinite().all()
    assert maps.min() >= 0
    assert maps.max() > 0


def test_reconstructions_are_in_the_images_range(method):
    detector = method.make()
    images = method.see(detector).images
    assert (images is not None) == detector.reconstructs
    if images is not None:
        assert images.shape == (6, 2, 16, 16)
        assert images.is_floating_point()
        # Nothing clips them to [0, 1], and random networks leave noise: means over 4 x 4 pixels, and half a range more.
        # Black is -1 where the range is the networks'.
        means = functional.avg_pool2d(images, 4)
        assert means.min() > -0.5
        assert means.max() < 1.5


@pytest.mark.parametrize("rows", [[0], [4, 5], [5, 3, 0, 4, 1, 2]], ids=["alone", "two", "another order"])
def test_a_slice_is_seen_alone(method, rows):
    """Whatever shares its batch; but for float32 rounding (6e-8), which the samplers' steps carry on."""
    detector = method.make()
    together, apart = method.see(detector), method.see(detector, rows)
    torch.testing.assert_close(apart.maps, together.maps[rows], rtol=1e-4, atol=1e-5)
    if together.images is not None:
        torch.testing.assert_close(apart.images, together.images[rows], rtol=1e-4, atol=1e-5)


def test_the_same_slices_give_the_same_bits(method):
    detector, batch = method.make(), method.batch()
    with torch.no_grad():
        first = detector.detect(batch)
    assert torch.equal(batch.images, method.batch().images), "the batch itself was changed"
    for again in (method.see(detector), method.detect()):
        assert torch.equal(first.maps, again.maps)
        assert first.images is None or torch.equal(first.images, again.images)


# --- what the literals say --------------------------------------------------------------------------------------------


def test_networks_are_those_that_are_used_and_trained(method):
    detector = method.make()
    assert sorted(method.loaded) == sorted(imports.names(methods.module(method.entry), "NETWORKS"))
    assert sorted(detector.weights) == sorted(method.loaded)
    assert all(methods.trainer(name) for name in method.loaded)


def test_a_network_is_asked_for_where_it_is_needed_and_nowhere_else(method):
    unused = methods.literal(method.entry, "UNUSED_AT_ZERO", {})
    for network, key in unused.items():
        with pytest.raises(InputError, match=f"--networks names no {network}"):
            method.make(without=network)
        method.loaded.clear()
        assert method.detect(method.setting | {key: 0}).maps.isfinite().all()
        assert network not in method.loaded
    for key in method.numbers:
        assert differ(method.detect(method.setting | {key: 0}), method.detect())


def test_every_word_and_every_key_of_the_grid_matters(method):
    for key, values in method.grid.items():
        found = [method.detect(method.setting | {key: value}).maps for value in values]
        assert len({maps.numpy().tobytes() for maps in found}) == len(values), key


def test_every_word_of_an_option_is_taken(method):
    for key, words in (methods.options(method.entry) or {}).items():
        found = [
            method.detect(options=method.entry["options"] | {key: word}) for word in listed(words, method.parameters)
        ]
        assert all(one.maps.isfinite().all() for one in found)
        if key != "encode_class":  # of the latents, which are given here
            assert len({one.maps.numpy().tobytes() for one in found}) == len(found), key


def test_every_key_of_parameters_changes_the_maps(method):
    for key in set(methods.parameters_of(method.entry)) & set(CHANGES):
        first, second = (method.detect(sampling=sampling) for sampling in CHANGES[key])
        assert differ(first, second), f"{key} brings a rerun and changes nothing"


def test_the_map_is_the_difference_that_is_asked_for(method):
    if "detection.difference" not in methods.parameters_of(method.entry):
        return
    images, named = (
        method.batch().images,
        method.entry["options"].get("channels", method.parameters["data"]["channels"]),
    )
    some = [method.parameters["data"]["channels"].index(name) for name in named]
    for difference in DIFFERENCES:
        found = method.detect(sampling={"difference": difference})
        assert torch.equal(found.maps, anomaly_map(images[:, some], found.images[:, some], difference))


def test_the_denoiser_is_told_the_classes_that_are_named(method):
    method.detect()
    names = {*methods.literal(method.entry, "TOLD_CLASSES", ())}
    names |= {word for key, word in method.entry["options"].items() if key == "decode_class"}
    if "denoiser" in method.loaded:
        assert method.told == {CLASSES[name] for name in names}


# --- the program ------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
def test_the_module_is_the_program_of_its_job(method, data, tmp_path, monkeypatch):
    module, shape = methods.module(method.entry), (12, 2, 16, 16)
    line = ["--parameters", json.dumps(method.section(method.setting)), *data, "--splits", "train"]
    line += ["--networks", *(f"{name}={name}" for name in methods.networks(method.entry, method.setting))]
    if methods.encoding(method.entry):
        with create_array(tmp_path / f"latents/train/L{method.setting['L']}.npy", shape, np.float32) as latents:
            latents[:] = np.random.default_rng(0).normal(size=shape)
        note = {"seconds": 100, "memory_mb": 1, "device": "CPU", "level": 2 * method.setting["L"]}
        digests.write(tmp_path / "latents")
        (tmp_path / "latents/cost.json").write_text(json.dumps(note))
        line += ["--latents", str(tmp_path / "latents")]
    line += ["--output", str(tmp_path / "out"), "--state", str(tmp_path / "state"), "--threads", "1"]
    monkeypatch.setattr(sys, "argv", [module, *line])
    runpy.run_module(module, run_name="__main__", alter_sys=True)
    written = {path.stem: np.load(path) for path in (tmp_path / "out/train").glob("*.npy")}
    expected = {"maps": (12, 16, 16)} | ({"images": (0, *shape[1:])} if method.make().reconstructs else {})
    assert {name: array.shape for name, array in written.items()} == expected
    assert all(array.dtype == np.float16 for array in written.values())
    cost = json.loads((tmp_path / "out/cost.json").read_text())
    assert cost["seconds"] > (50 if methods.encoding(method.entry) else 0)
    assert cost["memory_mb"] > 10
