"""Train the denoiser of AnoDDPM (Wyatt et al., CVPR Workshops 2022): simplex noise on healthy slices, and no class.

Writes a safetensors checkpoint with raw and averaged weights, metrics.csv and sheet.png (a row a slice: the image, then
at rising noise levels what the network believes the clean image to be). A killed run goes on from its state.
"""

from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages import command
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.objective import predict_x_0
from stages.diffusion.simplex import SimplexNoise
from stages.networks import build
from stages.networks.unet import SIMPLEX_INTENSITY, SimplexDenoiser
from stages.training import noised
from stages.training.cli import add_arguments, run_training
from stages.training.objective import Objective

SECTIONS = ("simplex_denoiser", "noise_schedule")
"""What of params.yaml it is made from; the workflow reads this and what follows without importing the module."""
LEARNS_FROM = "healthy"
"""What it is trained on, as published."""


class SimplexObjective(Objective):
    """Squared error of the noise at random levels, as the authors' code has it (github.com/Julian-Wyatt/AnoDDPM, `l2`).

    Args:
        network: epsilon(x_t, t).
        schedule: the noise levels.
        noise: where it is drawn from.
        max_level: noise levels are drawn from 1 to this one.
    """

    intensity = SIMPLEX_INTENSITY

    def __init__(self, network: SimplexDenoiser, schedule: NoiseSchedule, noise: SimplexNoise, max_level: int):
        self.network = network
        self.schedule = schedule
        self.noise = noise
        self.max_level = max_level

    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Mean squared error of a batch."""
        level = torch.randint(1, self.max_level + 1, (len(images),), generator=generator, device=images.device)
        noise = self.noise.like(images, [generator])
        x_t = self.schedule.add_noise(images, level, noise)
        return {"loss": functional.mse_loss(networks[player](x_t, level - 1), noise)}

    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The predicted x_0 at an eighth, a half and all of the highest noise level."""
        low, high = self.intensity
        noise = self.noise.like(images, [generator])
        return [
            (predict_x_0(x_t, self.network(x_t, levels - 1), levels, self.schedule) - low) / (high - low)
            for x_t, levels in noised.for_sheet(images, noise, self.max_level, self.schedule)
        ]


def arguments() -> ArgumentParser:
    return add_arguments(command.parser(__doc__), "simplex_denoiser")


def objective(parameters: dict, device: torch.device) -> SimplexObjective:
    """What `parameters` describe, with random weights."""
    section = parameters["simplex_denoiser"]
    return SimplexObjective(
        build.network(SimplexDenoiser, "simplex_denoiser", parameters),
        NoiseSchedule.linear(**parameters["noise_schedule"], device=device),
        SimplexNoise.on(parameters["data"]["size"], **section["noise"], device=device),
        section["training"]["max_level"],
    )


def main(options: Namespace) -> None:
    """Train the denoiser that `options.parameters` describes."""
    run_training(options, "simplex_denoiser", objective)


if __name__ == "__main__":
    command.run(main, arguments())
