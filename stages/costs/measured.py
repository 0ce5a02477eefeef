"""How long networks take on this very device: every kind of pass that a benchmark makes is timed, and hours follow.

A pass is made as the stages make it: in their precision, layout and kernels, by networks of the benchmark's own sizes
with random weights, on random images. What a device sustains (hardware.py) depends on a network's width, an image's
size and the batch, by a factor of 5 on one CPU; a measured pass does not ask why.
"""

import importlib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from itertools import count
from statistics import median

import torch
from torch import Tensor

from stages.costs.passes import Pass
from stages.costs.work import Work
from stages.detection import trained
from stages.detection.job import Pieces
from stages.device import Processor, leased
from stages.networks import build, flops
from stages.networks.compiled import Compile, compile_forward
from stages.networks.unet import NO_CLASS
from stages.training.loop import Players
from stages.training.objective import Objective
from stages.training.section import Training

SECONDS = 6.0
"""For the repetitions of one kind of pass, where one image does not take longer."""
REPETITIONS = 3


Run = Callable[[int], object]
"""Makes a pass on so many images."""


def measure(parameters: dict, passes: Collection[Pass], threads: int) -> dict[Pass, float]:
    """Seconds an image of each kind of pass of a benchmark's merged `parameters`, on a device that is leased here."""
    found: dict[Pass, float] = {}
    for precision in dict.fromkeys(one.precision for one in passes):
        with leased(threads, precision) as processor:
            found |= {one: of(parameters, one, processor) for one in passes if one.precision == precision}
    return found


def of(parameters: dict, one: Pass, processor: Processor) -> float:
    """Seconds an image of a kind of pass, in the precision of `processor`."""
    torch.compiler.reset()  # kernels that were made before would have these made for any size
    return (_training if one.kind == "training" else _inference)(parameters, one, processor)


def seconds(an_image: Mapping[Pass, float], part: Work) -> float:
    """What a part of the benchmark takes, by the seconds an image of its passes."""
    return sum(images * an_image[one] for one, images in part.passes.items())


def an_image(make: Callable[[Compile], Run], how: Compile, most: int, device: torch.device) -> float:
    """Seconds an image: the median of `REPETITIONS` at the largest batch, up to `most`, that `SECONDS` allow.

    Args:
        make: a way of compiling -> what is timed.
        how: the way. The batch is found without kernels, which would be made for each that is tried.
        most: images at a time; a card whose memory does not allow them halves their number, as a job does.
        device: where it computes.
    """

    def timed(run: Run, batch: int) -> float:
        started = time.perf_counter()
        run(batch)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    run, pieces = make("never"), Pieces(most)
    timed(run, 1)
    pieces.most = _batch(most, timed(run, 1))
    run = make(how)
    list(pieces.of(range(pieces.most), lambda piece: timed(run, len(piece))))  # not timed: kernels are made
    return median(timed(run, pieces.most) for _ in range(REPETITIONS)) / pieces.most


def _batch(most: int, seconds: float) -> int:
    """The largest power of 2 below `most`, or `most`, of images that take `seconds` each.

    >>> _batch(24, seconds=0.001), _batch(24, seconds=0.2), _batch(24, seconds=60)
    (24, 8, 1)
    """
    sizes = [*(2**power for power in range(most.bit_length()) if 2**power < most), most]
    return max((size for size in sizes if size * seconds * REPETITIONS <= SECONDS), default=1)


def _inference(parameters: dict, one: Pass, processor: Processor) -> float:
    """Of a network as detection uses it."""
    (kind,) = [kind for kind in flops.listed() if one.network == kind.SECTION and kind.PART == "network"]

    def make(how: Compile) -> Run:
        network = trained.placed(build.network(kind, one.network, parameters), processor.device)
        compile_forward(network, how, processor.device)

        def run(batch: int) -> None:
            image = _images(parameters, batch, processor.device).requires_grad_(one.kind == "slope")
            t = torch.zeros(batch, dtype=torch.long, device=processor.device)
            inputs = {"timestep": t, "class": torch.full_like(t, NO_CLASS)}
            with processor.autocast(), torch.set_grad_enabled(one.kind == "slope"):
                made = network(image, *[inputs[name] for name in kind.INPUTS])
                if one.kind == "slope":
                    torch.autograd.grad([tensor.sum() for tensor in _tensors(made)], image)

        return run

    return an_image(make, parameters["compile"], parameters["detection"]["batch"], processor.device)


def _training(parameters: dict, one: Pass, processor: Processor) -> float:
    """Of an iteration of the loop."""
    training = replace(Training.of(parameters, one.network), accumulate=1)
    module = importlib.import_module(f"stages.training.{one.network}")
    generator = torch.Generator(processor.device).manual_seed(0)

    def make(how: Compile) -> Run:
        objective: Objective = module.objective(parameters, processor.device)
        players = Players(objective, training, processor, how)
        iteration = next(i for i in count() if tuple(objective.turns(i)) == one.turns)

        def run(batch: int) -> None:
            images = _images(parameters, batch, processor.device)
            pixels = images.shape[2:] if training.learns_from == "masks" else ()
            targets = (torch.arange(batch, device=processor.device) % 2).reshape(-1, *[1] * len(pixels))
            batches = [(images, targets.expand(-1, *pixels))]
            players.step(iteration, batches, training.learning_rate, generator)

        return run

    return an_image(make, parameters["compile"], training.batch, processor.device)


def _images(parameters: dict, batch: int, device: torch.device) -> Tensor:
    """Random images (N, C, H, W) in [0, 1], channels last, as batches are."""
    size, channels = parameters["data"]["size"], len(parameters["data"]["channels"])
    return torch.rand(batch, channels, size, size, device=device).contiguous(memory_format=torch.channels_last)


def _tensors(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)
