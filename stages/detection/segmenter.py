"""The probability of a lesion by a U-Net that masks trained: what the other methods could reach at best.

No method of the paper's task, whose methods see image labels alone, but a bound for them. No options, no grid.
"""

import torch

from stages.detection.detector import Batch, Detection, Detector, run
from stages.networks.segmenter import Segmenter

NETWORKS = ("segmenter",)
GRID = {}
OPTIONS = {}


class Supervised(Detector):
    """One pass of the U-Net."""

    reconstructs = False

    def prepare(self) -> None:
        self.network = self.load("segmenter", Segmenter)

    def detect(self, batch: Batch) -> Detection:
        logits = self.network(batch.images.contiguous(memory_format=torch.channels_last))
        return Detection(logits.sigmoid())


if __name__ == "__main__":
    run(Supervised)
