"""Evaluations and operations are those of the real networks, in the real detectors."""

import importlib
from pathlib import Path

import pytest
import torch

from stages import methods
from stages.costs import evaluations
from stages.costs.evaluations import Evaluations
from stages.detection import trade_off_maps, trained, trajectory
from stages.detection.detector import Batch
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.job import Pieces
from stages.detection.sampling import RoundTrip
from stages.device import Processor
from stages.networks import build, flops
from stages.networks.unet import EncoderClassifier
from stages.parameters import sections

SLICES = 3
PEERS = {
    "gradient": {"detector": "gradient", "grid": [{"samples": [1, 3], "sigma": [0.1]}]},
    "grad-cam": {"detector": "grad_cam", "grid": [{"resolution": [8, 16]}]},
    "anofpdm": {"detector": "anofpdm", "options": {"channels": ["flair"]}, "grid": [{"L": [20], "w": [3]}]},
}
"""Methods that smoke has not."""


@pytest.fixture
def networks(smoke, monkeypatch):
    """The benchmark's networks, random, in place of trained ones; what they are asked is counted beside them."""
    result = {}
    used = methods.networks_in_use(smoke)
    for kind in flops.listed():
        if kind.PART == "network" and kind.SECTION in used:
            result[kind.SECTION] = Watched(build.network(kind, kind.SECTION, smoke))
    monkeypatch.setattr(trained, "network", lambda kind, name, *_: (result[name].network, "weights"))
    return result


class Watched:
    """Counts a real network's evaluations by hooks, and gradients where they come back to its image."""

    def __init__(self, network):
        self.network = network.eval().requires_grad_(False)
        self.images = self.gradients = 0
        network.register_forward_pre_hook(self.see)

    def see(self, _, arguments):
        self.images += len(arguments[0])
        if arguments[0].requires_grad:
            arguments[0].register_hook(self.see_gradient)

    def see_gradient(self, gradient):
        self.gradients += len(gradient)

    def each(self, slices):
        """What is counted of a slice."""
        assert self.images % slices == self.gradients % slices == 0
        return Evaluations((self.images - self.gradients) // slices, self.gradients // slices)


def images(slices=SLICES):
    return torch.rand(slices, 4, 16, 16, generator=torch.Generator().manual_seed(0))


def detect(parameters, name, setting):
    method = parameters["methods"][name]
    names = methods.networks(method, setting)
    kind = evaluations.detector_class(method)
    section = sections.section(parameters, "detect", name, setting)
    detector = kind(section, Processor(), {name: Path(name) for name in names})
    batch = Batch(images(), [f"slice{i}" for i in range(SLICES)], images() if methods.encoding(method) else None)
    with flops.Counter() as counter, torch.no_grad():
        detector.detect(batch)
    return names, counter.total


@pytest.mark.parametrize(
    "detection",
    [
        {},
        {"stride": 1},
        {"solver": "heun"},
        {"solver": "adams-bashforth"},
        {"stride": 1, "convention": "released-code"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("guided-ddim", {"L": 20, "s": 0}),
        ("guided-ddim", {"L": 10, "s": 5}),
        ("guided-ddpm", {"L": 20, "s": 2}),
        ("classifier-free", {"L": 20, "w": 2}),
        ("classifier-free", {"L": 20, "w": 1}),
        ("anofpdm", {"L": 20, "w": 3}),
    ],
    ids=str,
)
def test_a_sampler_asks_the_networks_as_often_as_it_asks_the_stand_ins(smoke, networks, name, setting, detection):
    smoke["detection"] |= detection
    smoke["methods"] |= {name: peer | {"setting": "validation"} for name, peer in PEERS.items()}
    names, operations = detect(smoke, name, setting)
    found = evaluations.of_method(smoke, name, setting)
    assert found == {one: networks[one].each(SLICES) for one in names}
    costs = {kind.SECTION: flops.of(kind, smoke) for kind in flops.listed() if kind.SECTION in found}
    each = sum(costs[one].forward * count.forward + costs[one].slope * count.slope for one, count in found.items())
    assert operations == pytest.approx(SLICES * each, rel=0.02)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_classifiers_gradient_counts_as_often_as_it_is_taken(smoke, networks, samples):
    smoke["methods"] = {"gradient": PEERS["gradient"] | {"setting": "validation"}}
    setting = {"samples": samples, "sigma": 0.1}
    _, operations = detect(smoke, "gradient", setting)
    found = evaluations.of_method(smoke, "gradient", setting)
    assert found == {"classifier": networks["classifier"].each(SLICES)} == {"classifier": Evaluations(0, samples)}
    assert operations == pytest.approx(SLICES * samples * flops.of(EncoderClassifier, smoke).slope, rel=0.02)


@pytest.mark.parametrize("resolution", [8, 16])
def test_looking_into_a_classifier_counts_as_a_pass_without_the_way_back(smoke, networks, resolution):
    smoke["methods"] = {"grad-cam": PEERS["grad-cam"] | {"setting": "validation"}}
    _, operations = detect(smoke, "grad-cam", {"resolution": resolution})
    found = evaluations.of_method(smoke, "grad-cam", {"resolution": resolution})
    assert found == {"classifier": networks["classifier"].each(SLICES)} == {"classifier": Evaluations(1, 0)}
    cost = flops.of(EncoderClassifier, smoke)
    assert SLICES * cost.forward <= operations < SLICES * cost.slope


@pytest.mark.parametrize("score", ["reconstruction", "gradient", "combined"])
def test_the_vaes_gradient_counts(smoke, networks, score):
    smoke["methods"]["vae"]["options"] = {"score": score}
    detect(smoke, "vae", {})
    assert evaluations.of_method(smoke, "vae", {}) == {"vae": networks["vae"].each(SLICES)}


def test_every_setting_of_every_benchmarks_detectors_can_be_counted(smoke, networks):
    for name, method in smoke["methods"].items():
        for setting in methods.settings(method):
            names, _ = detect(smoke, name, setting)
            assert set(evaluations.of_method(smoke, name, setting)) == set(names)


def test_encoding_is_counted_once_to_the_largest_level(smoke, networks):
    section = sections.section(smoke, "latents", "none")
    model = DiffusionModel(Sampler.of(section), torch.device("cpu"), networks["denoiser"].network)
    with torch.no_grad():
        model.encode(images(), ["slice"] * SLICES, "none", [10, 20])
    assert evaluations.of_latents(smoke, "none") == {"denoiser": networks["denoiser"].each(SLICES)}


def test_trade_off_and_trajectory_are_counted(smoke, networks):
    section, processor = sections.section(smoke, "trade_off_maps"), Processor()
    checkpoints = {name: Path(name) for name in ("denoiser", "classifier")}
    for solver, strides in smoke["trade_off"]["solvers"].items():
        for stride in strides:
            detection = section["detection"] | {"solver": solver, "stride": stride}
            model = GuidedDdim(section | {"detection": detection}, processor, checkpoints).model
            healthy = torch.ones(1, dtype=torch.bool)
            work = trade_off_maps.Work(images(1), ["slice"], healthy, RoundTrip.of(section), [5, 0], Pieces(1), "plain")
            with torch.no_grad():
                trade_off_maps.run(model, trade_off_maps.Meter(), work)
    assert evaluations.of_trade_off(smoke) == {name: networks[name].each(1) for name in checkpoints}
    before = {name: networks[name].each(1) for name in checkpoints}
    section = sections.section(smoke, "trajectory")
    with torch.no_grad():
        trajectory.follow(GuidedDdim(section, processor, checkpoints).model, images(1), "slice", RoundTrip.of(section))
    for name, found in evaluations.of_trajectory(smoke).items():
        both = networks[name].each(1)
        assert found == Evaluations(both.forward - before[name].forward, both.slope - before[name].slope)


def test_every_detector_here_has_stand_ins():
    folder = Path(evaluations.__file__).parents[1] / "detection"
    for path in folder.glob("*.py"):
        module = importlib.import_module(f"stages.detection.{path.stem}")
        assert set(getattr(module, "NETWORKS", ())) <= set(evaluations.OUTPUTS), path.name
