"""Train Fixed-Point GAN (Siddiquee et al., ICCV 2019, arXiv:1908.06965) on healthy and diseased slices.

A discriminator tells real from translated slices and healthy from diseased ones; the generator translates a slice to
either class so that it looks real and of that class, comes back as it was, and stays as it is where it has the class
already. Writes a safetensors checkpoint with the generator's raw and averaged weights, metrics.csv (every term of both
losses) and sheet.png (a row a slice: the image, its translations to healthy and to diseased, and how far the first of
them lies from the image). A killed run goes on from its state.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages import command
from stages.data.store import DISEASED, HEALTHY
from stages.device import differentiated_in_full
from stages.networks import build
from stages.networks.fixed_point_gan import INTENSITY, Discriminator, Generator
from stages.training.cli import add_arguments, run_training
from stages.training.objective import Objective

HALVED_BY = ("discriminator", "layers")
"""How often an image is halved, below the network's section; the workflow reads both without importing the module."""
SIZES = (8, 4)
"""The least size of an image, and what it must be a multiple of: the generator halves it twice, and pads."""
BOTH_CLASSES = True
"""It learns to tell the classes apart: a training set without one of them is refused."""


@dataclass(frozen=True)
class Weights:
    """Weights of the losses' terms; the adversarial terms have weight 1."""

    classification: float  # cross-entropy of the class
    gradient_penalty: float  # of the discriminator
    identity: float  # |G(x, own class) - x|
    reconstruction: float  # |G(G(x, c), own class) - x|


class FixedPointObjective(Objective):
    """The two players' losses, term by term those of the authors' code (mahfuzmohammad/Fixed-Point-GAN, solver.py).

    Args:
        generator: tanh(x + G(x, c)), what the checkpoint holds.
        discriminator: patches' realness and the logit of the diseased class.
        weights: of the terms.
        critic_steps: steps of the discriminator for each of the generator.
    """

    def __init__(self, generator: Generator, discriminator: Discriminator, weights: Weights, critic_steps: int):
        self.network = generator
        self.discriminator = discriminator
        self.weights = weights
        self.critic_steps = critic_steps
        self.intensity = INTENSITY

    def players(self) -> dict[str, nn.Module]:
        """The discriminator, which moves first, and the generator."""
        return {"discriminator": self.discriminator, "generator": self.network}

    def turns(self, iteration: int) -> list[str]:
        """The discriminator's step, and after every `critic_steps` of them the generator's."""
        return ["discriminator", "generator"] if (iteration + 1) % self.critic_steps == 0 else ["discriminator"]

    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The loss of the player whose turn it is, with its terms unweighted.

        As in the authors' code, the classes to translate to are the batch's own in another order.
        """
        order = torch.randperm(len(labels), generator=generator, device=labels.device)
        compute = {"discriminator": self._discriminator_loss, "generator": self._generator_loss}[player]
        return compute(networks, images, labels, labels[order], generator)

    def _discriminator_loss(
        self,
        networks: dict[str, nn.Module],
        images: Tensor,
        labels: Tensor,
        targets: Tensor,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            translated = networks["generator"](images, targets)
        realness, logits = networks["discriminator"](torch.cat([images, translated]))
        real, fake = (half.mean() for half in realness.chunk(2))
        classification = _cross_entropy(logits[: len(images)], labels)
        mixture = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device)
        # The bare network computes in float32 whatever the run's precision: near the optimum the penalty is the square
        # of a small difference between 1 and a norm over all of an image's slopes, each of which bfloat16 would round
        # to 8 bits. At 64 x 64 that takes 6 % of a run's time.
        penalty = gradient_penalty(self.discriminator, torch.lerp(translated, images, mixture))
        loss = fake - real
        loss = loss + self.weights.classification * classification + self.weights.gradient_penalty * penalty
        return {
            "loss": loss,
            "real": real,
            "fake": fake,
            "classification": classification,
            "gradient_penalty": penalty,
        }

    def _generator_loss(
        self, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, targets: Tensor, _: torch.Generator
    ) -> dict[str, Tensor]:
        # One batch of two halves: to the target class, and to the class that the image has (the fixed point).
        classes = torch.cat([targets, labels])
        translated = networks["generator"](images.repeat(2, 1, 1, 1), classes)
        realness, logits = networks["discriminator"](translated)
        back = networks["generator"](translated, labels.repeat(2))
        identity = (translated[len(images) :] - images).abs().mean()
        loss, terms = self.weights.identity * identity, {}
        halves = (realness.chunk(2), logits.chunk(2), classes.chunk(2), back.chunk(2))
        for prefix, half, logit, wanted, returned in zip(("", "same_"), *halves, strict=True):
            adversarial, classification = -half.mean(), _cross_entropy(logit, wanted)
            reconstruction = (returned - images).abs().mean()
            loss = loss + adversarial + self.weights.classification * classification
            loss = loss + self.weights.reconstruction * reconstruction
            terms[f"{prefix}adversarial"] = adversarial
            terms[f"{prefix}classification"] = classification
            terms[f"{prefix}reconstruction"] = reconstruction
        return {"loss": loss, **terms, "identity": identity}

    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The translations to healthy and to diseased, and the first one's distance from the image."""
        low, high = self.intensity
        healthy, diseased = (self.network(images, torch.full_like(labels, label)) for label in (HEALTHY, DISEASED))
        distance = (healthy - images).abs() / (high - low)
        return [(healthy - low) / (high - low), (diseased - low) / (high - low), distance]


def gradient_penalty(discriminator: nn.Module, x: Tensor) -> Tensor:
    """Mean of (|grad D(x)| - 1)^2 over the batch x (N, C, H, W), D summed over the patches (Gulrajani et al. 2017).

    Without TF32, which mixed precision allows, its own derivative by D's weights included.
    """
    x = x.detach().requires_grad_()

    def penalty() -> Tensor:
        realness, _ = discriminator(x)
        (slope,) = torch.autograd.grad(realness.sum(), x, create_graph=True)
        return (slope.flatten(1).norm(dim=1) - 1).square().mean()

    return differentiated_in_full(penalty, list(discriminator.parameters()))


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def arguments() -> ArgumentParser:
    return add_arguments(command.parser(__doc__), "fixed_point_gan")


def objective(parameters: dict, device: torch.device) -> FixedPointObjective:
    """What `parameters` describe, with random weights."""
    section = parameters["fixed_point_gan"]
    generator = build.network(Generator, "fixed_point_gan", parameters)
    discriminator = build.network(Discriminator, "fixed_point_gan", parameters, "discriminator")
    return FixedPointObjective(generator, discriminator, Weights(**section["loss"]), section["critic_steps"])


def main(options: Namespace) -> None:
    """Train the Fixed-Point GAN that `options.parameters` describes."""
    run_training(options, "fixed_point_gan", objective)


if __name__ == "__main__":
    command.run(main, arguments())
