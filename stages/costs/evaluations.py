"""How often networks are evaluated: the samplers and detectors themselves are run, with stand-ins for the networks.

A stand-in takes and gives what its network does, on images of a few pixels, and counts; nothing is derived a second
time here, so a new solver or convention counts as it computes.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from stages import methods
from stages.detection import trade_off_maps
from stages.detection.detector import Batch, Detector
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.job import Pieces
from stages.detection.sampling import RoundTrip
from stages.detection.trajectory import follow
from stages.device import Processor
from stages.errors import InputError
from stages.parameters import sections

Kind = TypeVar("Kind", bound=Detector)

PIXELS = 8
"""Side of the images that the stand-ins see."""


@dataclass
class Evaluations:
    """Of one network, for one slice.

    Attributes:
        forward: passes that stop at its output.
        slope: passes that go on back to the image.
    """

    forward: int = 0
    slope: int = 0


class StandIn(nn.Module):
    """Counts the images that a network is given, and how many of them a gradient comes back to.

    Args:
        output: what the network would give, made from the image (N, C, H, W) so that it has a gradient.
    """

    def __init__(self, output: Callable[[Tensor], Any]):
        super().__init__()
        self.output = output
        self.inside = nn.Identity()
        self.counted = Evaluations()

    def get_submodule(self, target: str) -> nn.Module:
        """A part that lies between image and output, whichever is named. A gradient that ends there is not counted."""
        return self.inside if target else self

    def forward(self, x: Tensor, *_: Tensor) -> Any:
        self.counted.forward += len(x)
        return self.output(self.inside(_BackToTheImage.apply(x, self.counted)))


class _BackToTheImage(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, counted: Evaluations) -> Tensor:
        context.counted = counted
        return x.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        context.counted.forward -= len(gradient)
        context.counted.slope += len(gradient)
        return gradient, None


OUTPUTS: dict[str, Callable[[Tensor], Any]] = {
    "denoiser": lambda x: torch.cat([x, x], dim=1) * 0,  # a noise of 0 lets no sampler's image grow
    "classifier": lambda x: x.flatten(1)[:, :2],
    "vae": lambda x: (x, x.flatten(1), x.flatten(1)),
    "fixed_point_gan": lambda x: x,
    "segmenter": lambda x: x[:, 0],
    "simplex_denoiser": lambda x: x * 0,
    "patched_denoiser": lambda x: x,
}
"""Network -> its output, of the right shape."""


def of_method(parameters: dict, name: str, setting: Mapping) -> dict[str, Evaluations]:
    """Network -> its evaluations for one slice, at a setting of a method of a benchmark's merged parameters.

    The encoding is not among them; it is shared by settings (`of_latents`). Nor are models that are fitted at once,
    which take no passes that could be counted.

    Raises:
        InputError: the method needs a network that has no stand-in.
    """
    section = sections.section(parameters, "detect", name, setting)
    names = methods.networks(parameters["methods"][name], setting)
    if all(map(methods.is_fitted, names)):
        return {}
    with _standing_in(names) as networks:
        detector = _loaded(detector_class(parameters["methods"][name]), section, networks)
        image = _image(section)
        detector.detect(Batch(image, ["slice"], image if methods.encoding(parameters["methods"][name]) else None))
    return {name: network.counted for name, network in networks.items()}


def of_latents(parameters: dict, encode_class: str) -> dict[str, Evaluations]:
    """The same of encoding a slice to the largest L under a class."""
    section = sections.section(parameters, "latents", encode_class)
    with _standing_in(["denoiser"]) as networks:
        model = DiffusionModel(Sampler.of(section), torch.device("cpu"), networks["denoiser"])
        model.encode(_image(section), ["slice"], encode_class, section["levels"])
    return {name: network.counted for name, network in networks.items()}


def of_trade_off(parameters: dict) -> dict[str, Evaluations]:
    """The same of a slice in `trade_off_maps`, by all solvers and strides."""
    section = sections.section(parameters, "trade_off_maps")
    trip, image = RoundTrip.of(section), _image(section)
    scales, healthy = list(dict.fromkeys([trip.scale, 0])), torch.ones(1, dtype=torch.bool)
    difference = section["detection"]["difference"]
    work = trade_off_maps.Work(image, ["slice"], healthy, trip, scales, Pieces(1), difference)
    with _standing_in(_sampled(parameters, "trade_off_maps")) as networks:
        classifier = networks.get("classifier")
        for solver, strides in section["trade_off"]["solvers"].items():
            for stride in strides:
                detection = section["detection"] | {"solver": solver, "stride": stride}
                sampler = Sampler.of(section | {"detection": detection})
                model = DiffusionModel(sampler, image.device, networks["denoiser"], classifier)
                trade_off_maps.run(model, trade_off_maps.Meter(), work)
    return {name: network.counted for name, network in networks.items()}


def of_trajectory(parameters: dict) -> dict[str, Evaluations]:
    """The same of the slice of `trajectory`."""
    section = sections.section(parameters, "trajectory")
    with _standing_in(_sampled(parameters, "trajectory")) as networks:
        detector = _loaded(GuidedDdim, section, networks)
        follow(detector.model, _image(section), "slice", RoundTrip.of(section))
    return {name: network.counted for name, network in networks.items()}


def detector_class(method: dict) -> type[Detector]:
    """The detector in the module of a method."""
    module = importlib.import_module(methods.module(method))
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Detector)]
    (found,) = [kind for kind in kinds if kind.__module__ == module.__name__]
    return found


def _loaded(kind: type[Kind], section: dict, networks: dict[str, StandIn]) -> Kind:
    """A detector that takes the stand-ins for what it would load."""
    # The module tells a detector which file says what it needs.
    members = {"load": lambda _, name, __: networks[name], "__module__": kind.__module__}
    return type(kind.__name__, (kind,), members)(section, Processor(), {})


@contextmanager
def _standing_in(names: list[str]) -> Iterator[dict[str, StandIn]]:
    """Stand-ins of networks, and no gradients but those that are asked for."""
    for name in names:
        if name not in OUTPUTS:
            raise InputError(f"the network {name} has no stand-in that counts: add one to OUTPUTS in {__file__}")
    with torch.no_grad():
        yield {name: StandIn(OUTPUTS[name]) for name in names}


def _sampled(parameters: dict, rule: str) -> list[str]:
    name, setting = methods.sampled(parameters)[rule]
    return methods.networks(parameters["methods"][name], setting)


def _image(section: dict) -> Tensor:
    return torch.full((1, len(section["data"]["channels"]), PIXELS, PIXELS), 0.5)
