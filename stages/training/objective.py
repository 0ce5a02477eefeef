"""What a network learns: the base class of the objectives, one in each of stages/training/<network>.py."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Objective(ABC):
    """What is trained, and for what. Most objectives train one network; an adversarial one trains several in turns.

    Attributes:
        network: what the checkpoint holds, and what is averaged.
        intensity: the interval as which the networks see an image's [0, 1].
    """

    network: nn.Module
    intensity: Sequence[float]

    def players(self) -> dict[str, nn.Module]:
        """The networks, each with an optimiser of its own; `network` is one of them."""
        return {"network": self.network}

    def turns(self, iteration: int) -> list[str]:
        """Which players make a step at an iteration, in this order, all on the same batch."""
        return list(self.players())

    @abstractmethod
    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Scalars of a batch: "loss", which `player` minimises, and whatever else is worth a column in metrics.csv.

        `networks` are the players as they compute in the run's precision; only `player`'s weights take gradients.
        `images` (B, C, H, W) are in the networks' intensity range, `labels` (B,) are 0 (healthy) or 1 (diseased); an
        objective that learns from masks gets these in their place, (B, H, W) of 0 and 1.
        """

    @abstractmethod
    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Columns of the sheet that shows what the network does, beside the images: each (B, C, H, W) in [0, 1]."""
