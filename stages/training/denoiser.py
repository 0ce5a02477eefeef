"""Train the denoiser, the network of the class-conditional diffusion model (Wolleb et al. 2022, Section 2.1).

Learns from healthy and diseased slices. Writes a safetensors checkpoint with raw and averaged weights, metrics.csv and
sheet.png (a row a slice: the image, then at rising noise levels what the network believes the clean image to be). A
killed run goes on from its state.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stages import command
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.objective import hybrid_loss, predict_x_0
from stages.networks import build
from stages.networks.unet import NO_CLASS, UNet
from stages.training import noised
from stages.training.cli import add_arguments, run_training
from stages.training.objective import Objective

SECTIONS = ("denoiser", "intensity", "noise_schedule")
"""What of params.yaml it is made from; the workflow reads this without importing the module."""


class DenoisingObjective(Objective):
    """The hybrid loss at random noise levels, with labels dropped now and then for classifier-free use.

    Args:
        network: epsilon(x_t, t, c), with its variance.
        schedule: the noise levels.
        intensity: the interval as which the network sees an image's [0, 1].
        max_level: noise levels are drawn from 1 to this one.
        label_dropout: share of images whose class the network is not told.
    """

    def __init__(
        self,
        network: UNet,
        schedule: NoiseSchedule,
        intensity: Sequence[float],
        max_level: int,
        label_dropout: float,
    ):
        self.network = network
        self.schedule = schedule
        self.intensity = intensity
        self.max_level = max_level
        self.label_dropout = label_dropout

    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Mean hybrid loss of a batch, with its two terms."""
        n, device = len(images), images.device
        level = torch.randint(1, self.max_level + 1, (n,), generator=generator, device=device)
        noise = torch.randn(images.shape, generator=generator, device=device)
        dropped = torch.rand(n, generator=generator, device=device) < self.label_dropout
        x_t = self.schedule.add_noise(images, level, noise)
        output = networks[player](x_t, level - 1, labels.masked_fill(dropped, NO_CLASS))
        mse, vb = hybrid_loss(output, images, x_t, level, noise, self.schedule)
        return {"loss": (mse + vb).mean(), "mse": mse.mean(), "vb": vb.mean()}

    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The predicted x_0 at an eighth, a half and all of the highest noise level."""
        columns, noise = [], torch.randn(images.shape, generator=generator, device=images.device)
        for x_t, levels in noised.for_sheet(images, noise, self.max_level, self.schedule):
            epsilon = self.network(x_t, levels - 1, labels).chunk(2, dim=1)[0]
            columns.append(predict_x_0(x_t, epsilon, levels, self.schedule))
        low, high = self.intensity
        return [(column - low) / (high - low) for column in columns]


def arguments() -> ArgumentParser:
    return add_arguments(command.parser(__doc__), "denoiser")


def objective(parameters: dict, device: torch.device) -> DenoisingObjective:
    """What `parameters` describe, with random weights."""
    return DenoisingObjective(
        build.network(UNet, "denoiser", parameters),
        NoiseSchedule.linear(**parameters["noise_schedule"], device=device),
        parameters["intensity"],
        parameters["denoiser"]["training"]["max_level"],
        parameters["denoiser"]["training"]["label_dropout"],
    )


def main(options: Namespace) -> None:
    """Train the denoiser that `options.parameters` describes."""
    run_training(options, "denoiser", objective)


if __name__ == "__main__":
    command.run(main, arguments())
