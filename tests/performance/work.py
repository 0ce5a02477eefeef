"""What is timed: the stages' own networks, samplers and training steps, on random images of a benchmark's size.

Beside each stands a plain reference, which does what the authors' code does: eager float32 with tensors as PyTorch lays
them out, one image at a time in detection, encoded anew for each setting of the grid.
"""

import copy
import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, Self

import torch
from torch import Tensor, nn

from stages import methods
from stages.costs import training as training_costs
from stages.detection import trained
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.device import Processor, full_float32
from stages.diffusion.ddim import ladder
from stages.diffusion.noise_schedule import timestep
from stages.errors import InputError
from stages.methods import Setting
from stages.networks import build, flops
from stages.networks.compiled import Compile, compile_forward
from stages.networks.unet import EncoderClassifier, UNet
from stages.parameters import reading
from stages.training.loop import Players
from stages.training.section import Training

from .timing import Stretch, Work

DETECTION = ("forward", "guided step", "translation", "grid")
TRAINED = ("denoiser", "classifier")
WHAT = (*DETECTION, *(f"training step, {name}" for name in TRAINED))


@dataclass(frozen=True)
class Size:
    """The sizes of a benchmark.

    Attributes:
        name: in params.yaml.
        parameters: merged.
        method: the proposed one.
        setting: of it, the one whose way to noise and back Fig. 1 shows.
    """

    name: str
    parameters: dict
    method: dict
    setting: Setting

    @classmethod
    def of(cls, config: dict, name: str) -> Self:
        """Of a benchmark of a loaded params.yaml.

        Raises:
            InputError: there is none of that name, or its figures show no method that decodes by guided DDIM.
        """
        parameters = reading.benchmark(config, name)
        found = methods.sampled(parameters).get("trajectory")
        if found is None or parameters["detection"]["convention"] != "paper":
            raise InputError(
                f"--sizes: {name} cannot be timed, since figures.method does not decode by guided_ddim under the "
                "convention paper: name another benchmark of params.yaml"
            )
        return cls(name, parameters, parameters["methods"][found[0]], found[1])

    @property
    def settings(self) -> list[Setting]:
        """The grid of the method."""
        return methods.settings(self.method)

    def images(self, batch: int, where: torch.device) -> Tensor:
        """Random images (N, C, H, W) in [0, 1]."""
        data = self.parameters["data"]
        return torch.rand(batch, len(data["channels"]), data["size"], data["size"], device=where)

    def batch(self, what: str) -> int:
        """How many images the stages take at once."""
        if what in DETECTION:
            return self.parameters["detection"]["batch"]
        return self.parameters[trained_by(what)]["training"]["batch"]


def trained_by(what: str) -> str:
    """The network of a training step.

    >>> trained_by("training step, denoiser")
    'denoiser'
    """
    return what.rpartition(", ")[2]


def here(size: Size, what: str, processor: Processor, how: Compile) -> Callable[[int], Work]:
    """The stages' own way, in the run's precision, by networks that are compiled as `how` says: batch -> work."""
    if what in DETECTION:

        @contextmanager
        def context() -> Iterator[None]:
            with torch.no_grad(), processor.autocast():
                yield

        def place(network: nn.Module) -> nn.Module:
            trained.placed(network, processor.device)
            compile_forward(network, how, processor.device)
            return network

        model = _model(size, processor.device, place)
        return lambda batch: _detection(size, what, model, batch, context)
    name = trained_by(what)
    training = replace(Training.of(size.parameters, name), accumulate=1)
    players = Players(_objective(size, name, processor.device), training, processor, how)
    generator = torch.Generator(processor.device).manual_seed(0)

    def step(images: Tensor, labels: Tensor) -> None:
        players.step(0, [(images, labels)], training.learning_rate, generator)

    return lambda batch: _training(size, step, batch, processor.device, torch.channels_last, nullcontext)


def plain(size: Size, what: str, where: torch.device) -> Callable[[int], Work]:
    """The plain reference: batch -> work, in which detection takes one image all the same."""
    if what in DETECTION:

        @contextmanager
        def context() -> Iterator[None]:
            with torch.no_grad(), full_float32():
                yield

        model = _model(size, where, lambda network: as_built(network).to(where).eval().requires_grad_(False))
        return lambda _: _detection(size, what, model, 1, context, again=True)
    name = trained_by(what)
    objective, section = _objective(size, name, where), size.parameters[name]["training"]
    network = as_built(objective.network).to(where)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.AdamW(network.parameters(), section["learning_rate"], weight_decay=section["weight_decay"])
    generator = torch.Generator(where).manual_seed(0)

    def step(images: Tensor, labels: Tensor) -> None:
        objective.loss("network", {"network": network}, images, labels, generator)["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for averaged, current in zip(average.parameters(), network.parameters(), strict=True):
                averaged.mul_(section["ema"]).add_(current, alpha=1 - section["ema"])

    return lambda batch: _training(size, step, batch, where, torch.contiguous_format, full_float32)


def operations(size: Size, what: str, again: bool = False) -> float:
    """FLOPs for each image of a batch, counted on the meta device; in detection each stretch by its first step."""
    if what not in DETECTION:
        labels = torch.arange(2).numpy()  # one of each class; it is the share of an image that is asked for
        found = training_costs.of(size.parameters, trained_by(what), labels)
        return found.flops / found.evaluations
    meta = torch.device("meta")
    with meta:
        model = _model(size, meta, lambda network: network.requires_grad_(False))
    work = _detection(size, what, model, 1, torch.no_grad, again)
    with work.context():
        return sum(flops.counted(partial(stretch.run, 1)) * stretch.steps for stretch in work.stretches)


def as_built(network: nn.Module) -> nn.Module:
    """A network whose images and normalisation are PyTorch's own, without what the stages do to be fast."""
    for module in network.modules():
        if isinstance(module, nn.GroupNorm):
            module.forward = partial(nn.GroupNorm.forward, module)  # type: ignore[method-assign]
    network.register_forward_pre_hook(lambda _, given: (given[0].contiguous(), *given[1:]))
    return network


def _model(size: Size, where: torch.device, place: Callable[[nn.Module], nn.Module]) -> DiffusionModel:
    networks = [place(_drawn(build.network(kind, kind.SECTION, size.parameters))) for kind in (UNet, EncoderClassifier)]
    return DiffusionModel(Sampler.of(size.parameters), where, *networks)


def _objective(size: Size, name: str, where: torch.device) -> Any:
    objective = importlib.import_module(f"stages.training.{name}").objective(size.parameters, where)
    _drawn(objective.network)
    return objective


def _drawn(network: nn.Module) -> nn.Module:
    """With random weights where a new network has zeros, since a card that multiplies zeros takes less power."""
    for parameter in network.parameters():
        if parameter.ndim > 1 and not (parameter.is_meta or parameter.any()):
            nn.init.normal_(parameter, std=0.02)
    return network


def _detection(
    size: Size,
    what: str,
    model: DiffusionModel,
    batch: int,
    context: Callable[[], AbstractContextManager],
    again: bool = False,
) -> Work:
    """A part of detection on `batch` images; `again`: they are encoded for each setting of the grid."""
    images = size.images(batch, model.device)
    latents = torch.randn_like(images)
    options, stride = size.method["options"], model.sampler.stride
    unguided, guided = ([one for one in size.settings if (one["s"] > 0) == found] for found in (False, True))
    level = size.setting["L"]

    def forward() -> Iterator[Tensor]:
        yield model.epsilon(options["decode_class"])(latents, timestep(level, batch, model.device))

    def encode(levels: list[int]) -> Stretch:
        epsilon, x_0 = model.epsilon(options["encode_class"]), model.to_range(images)
        paths = lambda: (model.solver.encode(epsilon, x_0, L, model.schedule, stride) for L in levels)  # noqa: E731
        return Stretch(lambda: chain.from_iterable(paths()), sum(len(ladder(L, stride)) - 1 for L in levels))

    def decode(settings: list[Setting]) -> Stretch:
        epsilon = model.epsilon(options["decode_class"])
        paths = lambda: (model.decode_path(epsilon, latents, one["L"], one["s"]) for one in settings)  # noqa: E731
        steps = sum(len(ladder(one["L"], stride)) - 1 for one in settings)
        return Stretch(lambda: chain.from_iterable(paths()), steps)

    levels = [one["L"] for one in size.settings]
    stretches = {
        "forward": [Stretch(forward)],
        "guided step": [Stretch(decode([size.setting]).path)],
        "translation": [encode([level]), decode([size.setting])],
        "grid": [encode(levels if again else [max(levels)]), *map(decode, filter(None, (unguided, guided)))],
    }[what]
    images_made = batch * len(size.settings) if what == "grid" else batch
    return Work(tuple(stretches), batch, images_made, context, model.device)


def _training(
    size: Size,
    step: Callable[[Tensor, Tensor], None],
    batch: int,
    where: torch.device,
    layout: torch.memory_format,
    context: Callable[[], AbstractContextManager],
) -> Work:
    """One step on `batch` images that lie on the device."""
    low, high = size.parameters["intensity"]
    images = (low + (high - low) * size.images(batch, where)).contiguous(memory_format=layout)
    labels = torch.arange(batch, device=where) % 2

    def path() -> Iterator[None]:
        yield step(images, labels)

    return Work((Stretch(path),), batch, batch, context, where)
