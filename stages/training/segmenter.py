"""Train the U-Net that segments lesions from masks, an upper bound for methods that see image labels alone.

Learns from slices of both classes with their masks. Writes a safetensors checkpoint with raw and averaged weights,
metrics.csv (loss, soft Dice, cross-entropy) and sheet.png (a row a slice: the image, its mask, the probability of a
lesion). A killed run goes on from its state.
"""

from argparse import ArgumentParser, Namespace

import torch
from torch import Tensor, nn
from torch.nn import functional

from stages import command
from stages.networks import build
from stages.networks.segmenter import Segmenter
from stages.training.cli import add_arguments, run_training
from stages.training.objective import Objective

LEARNS_FROM = "masks"
"""What it is trained on; the workflow reads this and what follows without importing the module."""
HALVED_BY = ("network", "widths")
"""How often the network halves an image, below its section."""
BOTH_CLASSES = True
"""It learns to tell lesions from the rest: a training set without diseased slices is refused."""


class SegmentationObjective(Objective):
    """Cross-entropy of the pixels, and 1 - soft Dice of all pixels of a batch, as nnU-Net adds them.

    Isensee et al., Nature Methods 18, 2021. Dice is taken over the batch, since healthy slices have no lesion.
    """

    intensity = (0, 1)

    def __init__(self, network: Segmenter):
        self.network = network

    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, masks: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """The sum, and its terms; `masks` (B, H, W) are 1 on lesions."""
        logits, lesion = networks[player](images), masks.float()
        cross_entropy = functional.binary_cross_entropy_with_logits(logits, lesion)
        dice = soft_dice(logits.sigmoid(), lesion)
        return {"loss": cross_entropy + 1 - dice, "dice": dice, "cross_entropy": cross_entropy}

    def sheet(self, images: Tensor, masks: Tensor, generator: torch.Generator) -> list[Tensor]:
        """The mask, and the probability of a lesion."""
        return [masks[:, None].float(), self.network(images)[:, None].sigmoid()]


def soft_dice(probability: Tensor, lesion: Tensor) -> Tensor:
    """Dice's coefficient of probabilities and masks of one shape, over all pixels; 0 where nothing is marked.

    >>> round(float(soft_dice(torch.tensor([1.0, 0.5, 0.0]), torch.tensor([1.0, 0.0, 0.0]))), 4)
    0.8
    """
    return 2 * (probability * lesion).sum() / (probability.sum() + lesion.sum()).clamp(min=1e-6)


def arguments() -> ArgumentParser:
    return add_arguments(command.parser(__doc__), "segmenter")


def objective(parameters: dict, device: torch.device) -> SegmentationObjective:
    """What `parameters` describe, with random weights."""
    return SegmentationObjective(build.network(Segmenter, "segmenter", parameters))


def main(options: Namespace) -> None:
    """Train the U-Net that `options.parameters` describes."""
    run_training(options, "segmenter", objective)


if __name__ == "__main__":
    command.run(main, arguments())
