"""Train the noise-aware classifier C(c | x_t, t) whose gradient guides the decoder (Wolleb et al. 2022, Section 2.1).

Writes a safetensors checkpoint with raw and averaged weights, metrics.csv (with the accuracy over all noise levels)
and sheet.png (a row a slice: the image, then the size of the gradient of log C(h | x_t) at rising noise levels). A
killed run goes on from its state.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages import command
from stages.data.store import HEALTHY
from stages.diffusion.guidance import gradient
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.networks import build
from stages.networks.unet import EncoderClassifier, log_probability
from stages.training import noised
from stages.training.cli import add_arguments, run_training
from stages.training.objective import Objective

SECTIONS = ("classifier", "intensity", "noise_schedule")
"""What of params.yaml it is made from; the workflow reads this without importing the module."""
BOTH_CLASSES = True
"""It learns to tell the classes apart: a training set without one of them is refused."""


class ClassificationObjective(Objective):
    """Cross-entropy of the class at random noise levels.

    Args:
        network: C(c | x_t, t).
        schedule: the noise levels.
        intensity: the interval as which the network sees an image's [0, 1].
        max_level: noise levels are drawn from 0, the clean image, to this one.
    """

    def __init__(self, network: EncoderClassifier, schedule: NoiseSchedule, intensity: Sequence[float], max_level: int):
        self.network = network
        self.schedule = schedule
        self.intensity = intensity
        self.max_level = max_level

    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Mean cross-entropy of a batch, and its accuracy."""
        level = torch.randint(0, self.max_level + 1, (len(images),), generator=generator, device=images.device)
        noise = torch.randn(images.shape, generator=generator, device=images.device)
        logits = networks[player](self.schedule.add_noise(images, level, noise), (level - 1).clamp(min=0))
        accuracy = (logits.argmax(dim=1) == labels).float().mean()
        return {"loss": functional.cross_entropy(logits, labels), "accuracy": accuracy}

    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """|grad log C(h | x_t)| at three noise levels, each scaled to its own maximum."""
        columns, noise = [], torch.randn(images.shape, generator=generator, device=images.device)
        for x_t, levels in noised.for_sheet(images, noise, self.max_level, self.schedule):
            slope = gradient(lambda x, t: log_probability(self.network, x, t, HEALTHY), x_t, levels - 1).abs()
            columns.append(slope / slope.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12))
        return columns


def arguments() -> ArgumentParser:
    return add_arguments(command.parser(__doc__), "classifier")


def objective(parameters: dict, device: torch.device) -> ClassificationObjective:
    """What `parameters` describe, with random weights."""
    return ClassificationObjective(
        build.network(EncoderClassifier, "classifier", parameters),
        NoiseSchedule.linear(**parameters["noise_schedule"], device=device),
        parameters["intensity"],
        parameters["classifier"]["training"]["max_level"],
    )


def main(options: Namespace) -> None:
    """Train the classifier that `options.parameters` describes."""
    run_training(options, "classifier", objective)


if __name__ == "__main__":
    command.run(main, arguments())
