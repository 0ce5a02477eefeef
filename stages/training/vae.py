"""Train the variational autoencoder that reconstructs healthy slices (Zimmerer et al., arXiv:1812.05941).

Learns from healthy slices alone, unless `vae.training.labels` says both. Writes a safetensors checkpoint with raw and
averaged weights, metrics.csv and sheet.png (a row a slice: the image, its reconstruction from the latent mean, and what
differs). A killed run goes on from its state.
"""

from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor, nn

from stages import command
from stages.networks import build
from stages.networks.vae import Vae, divergence
from stages.training.cli import add_arguments, run_training
from stages.training.objective import Objective

LEARNS_FROM = "healthy"
"""What it is trained on, as published; the workflow reads this and what follows without importing the module."""
HALVED_BY = ("network", "widths")
"""How often the network halves an image, below its section."""


class ReconstructionObjective(Objective):
    """Reconstruction and divergence from the prior and, where `context` is above 0, context encoding.

    (1 - context) * (|x - g(z)| + kl * KL(z)) + context * |x - g(mean of z(x masked))|

    Means over pixels, channels and images, and over latents and images, as in the authors' code
    (github.com/MIC-DKFZ/mood, example_algos/algorithms/ce_vae.py). That code decodes a sample in the masked branch;
    here it is the mean, as in the paper's equation.

    With `kl_gate`, `kl` counts only in batches that are reconstructed better than each image by the mean of the
    batch's others: in practice, after the first few hundred iterations. A decoder without bias draws images that are
    mostly 0 as all 0 until it reads its latents; if the divergence, however small its weight, draws these to the prior
    first, they stay there (posterior collapse). The authors' code has no gate, and `kl` counts from the first batch: on
    its images, scaled to [-1, 1], the collapse is slow instead of final.

    Args:
        network: encoder and decoder.
        latent: length of the latent vector.
        kl: weight of the divergence.
        kl_gate: whether the divergence waits until something is reconstructed.
        context: share of the context encoding.
        squares, side: of the masks (see `mask_squares`).
    """

    intensity = (0, 1)

    def __init__(self, network: Vae, latent: int, kl: float, kl_gate: bool, context: float, squares: int, side: float):
        self.network = network
        self.latent = latent
        self.kl, self.kl_gate = kl, kl_gate
        self.context, self.squares, self.side = context, squares, side

    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The mixture and its terms; `context` only where it has a weight."""
        noise = torch.randn(len(images), self.latent, generator=generator, device=images.device)
        decoded, mean, log_deviation = networks[player](images, noise)
        reconstruction = (decoded.float() - images).abs().mean()
        kl = divergence(mean, log_deviation).mean()
        weighted = self.kl * kl
        if self.kl_gate:
            n = len(images)
            guess = (images - images.mean(dim=0)).abs().mean() * n / max(1, n - 1)  # by the mean of the n - 1 others
            weighted = weighted * (reconstruction.detach() < guess)  # stays on the device
        terms = {"loss": reconstruction + weighted, "reconstruction": reconstruction, "kl": kl}
        if self.context > 0:
            masked = mask_squares(images, self.squares, self.side, generator)
            context = (networks[player](masked)[0].float() - images).abs().mean()
            terms |= {"loss": (1 - self.context) * terms["loss"] + self.context * context, "context": context}
        return terms

    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The reconstruction, and its absolute difference from the image."""
        decoded = self.network(images)[0]
        return [decoded, (images - decoded).abs()]


def mask_squares(images: Tensor, squares: int, side: float, generator: torch.Generator) -> Tensor:
    """Cover each of `images` (B, C, H, W) in [0, 1] with 0 to `squares` squares, each of one random grey.

    A square's side is drawn from 0 to the share `side` of the image's, its place from all where it fits, its grey
    (which all channels share) from [0, 1]; all uniformly, as in the authors' code (github.com/MIC-DKFZ/mood,
    example_algos/util/ce_noise.py), which by an oversight keeps only the last square of an image.
    """
    n, _, height, width = images.shape

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=images.device)

    rows, columns = (torch.arange(extent, device=images.device) for extent in (height, width))
    count = (uniform(n) * (squares + 1)).floor()
    for number in range(squares):
        extent, top, left, grey = uniform(4, n, 1)
        extent = (extent * (int(side * min(height, width)) + 1)).floor()
        top, left = (top * (height - extent + 1)).floor(), (left * (width - extent + 1)).floor()
        covered = ((rows >= top) & (rows < top + extent))[:, :, None] & ((columns >= left) & (columns < left + extent))[
            :, None, :
        ]
        covered &= (number < count)[:, None, None]
        images = torch.where(covered[:, None], grey[:, :, None, None], images)
    return images


def arguments() -> ArgumentParser:
    return add_arguments(command.parser(__doc__), "vae")


def objective(parameters: dict, device: torch.device) -> ReconstructionObjective:
    """What `parameters` describe, with random weights."""
    section = parameters["vae"]
    network = build.network(Vae, "vae", parameters)
    return ReconstructionObjective(network, section["network"]["latent"], **section["loss"])


def main(options: Namespace) -> None:
    """Train the variational autoencoder that `options.parameters` describes."""
    run_training(options, "vae", objective)


if __name__ == "__main__":
    command.run(main, arguments())
