"""Train the denoiser of pDDPM (Behrendt et al., MIDL 2023): healthy slices, of which one patch is noised at a time.

The network sees the rest of the slice as it is, and learns what belongs into the patch. Writes a safetensors checkpoint
with raw and averaged weights, metrics.csv and sheet.png (a row a slice: the image, then what all patches become, one by
one, at rising noise levels). A killed run goes on from its state.
"""

from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor, nn

from stages import command
from stages.diffusion import patches
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.simplex import SimplexNoise
from stages.networks import build
from stages.networks.unet import SIMPLEX_INTENSITY, PatchedDenoiser
from stages.training import noised
from stages.training.cli import add_arguments, run_training
from stages.training.objective import Objective

SECTIONS = ("patched_denoiser", "noise_schedule")
"""What of params.yaml it is made from; the workflow reads this and what follows without importing the module."""
LEARNS_FROM = "healthy"
"""What it is trained on, as published."""


class PatchObjective(Objective):
    """Absolute error of x_0 within one patch of a grid, the only one that is noised, at random levels.

    As in the authors' code (github.com/FinnBehrendt/patched-Diffusion-Models-UAD, DDPM_2D_patched.py and cond_DDPM.py:
    `grid_boxes`, `inpaint`, objective pred_x0, loss l1).

    Args:
        network: x_0(x_t, t).
        schedule: the noise levels.
        noise: where it is drawn from.
        grid: (K, 1, H, W) booleans, the patches.
        max_level: noise levels are drawn from 1 to this one.
    """

    intensity = SIMPLEX_INTENSITY

    def __init__(
        self, network: PatchedDenoiser, schedule: NoiseSchedule, noise: SimplexNoise, grid: Tensor, max_level: int
    ):
        self.network = network
        self.schedule = schedule
        self.noise = noise
        self.grid = grid
        self.max_level = max_level

    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Mean absolute error of a batch over its patches."""
        n, device = len(images), images.device
        level = torch.randint(1, self.max_level + 1, (n,), generator=generator, device=device)
        patch = self.grid[torch.randint(len(self.grid), (n,), generator=generator, device=device)]
        noisy = self.schedule.add_noise(images, level, self.noise.like(images, [generator]))
        predicted = networks[player](torch.where(patch, noisy, images), level - 1)
        error = (predicted - images).abs().mean(dim=1, keepdim=True)
        return {"loss": (error * patch).sum() / patch.sum()}

    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """All patches as the network predicts them, at an eighth, a half and all of the highest noise level."""
        low, high = self.intensity
        noise = self.noise.like(images, [generator])
        return [
            (patches.predicted(self.network, images, x_t, levels - 1, self.grid) - low) / (high - low)
            for x_t, levels in noised.for_sheet(images, noise, self.max_level, self.schedule)
        ]


def arguments() -> ArgumentParser:
    return add_arguments(command.parser(__doc__), "patched_denoiser")


def objective(parameters: dict, device: torch.device) -> PatchObjective:
    """What `parameters` describe, with random weights."""
    section, size = parameters["patched_denoiser"], parameters["data"]["size"]
    return PatchObjective(
        build.network(PatchedDenoiser, "patched_denoiser", parameters),
        NoiseSchedule.linear(**parameters["noise_schedule"], device=device),
        SimplexNoise.on(size, **section["noise"], device=device),
        patches.grid(size, section["patches"], device),
        section["training"]["max_level"],
    )


def main(options: Namespace) -> None:
    """Train the denoiser that `options.parameters` describes."""
    run_training(options, "patched_denoiser", objective)


if __name__ == "__main__":
    command.run(main, arguments())
