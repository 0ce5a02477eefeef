"""Translate every slice to healthy with Fixed-Point GAN (Siddiquee et al., ICCV 2019); the map is what it changes.

Writes maps.npy (N, H, W), |x - tanh(x + G(x, healthy))| in the image's [0, 1] range, summed over the channels, and
images.npy, the translations. A killed job goes on from its last batch.
"""

import torch

from stages.data.store import HEALTHY
from stages.detection.detector import Batch, Detection, Detector, anomaly_map, run
from stages.networks.fixed_point_gan import INTENSITY, Generator

NETWORKS = ("fixed_point_gan",)
GRID = {}
OPTIONS = {}


class FixedPointGan(Detector):
    """One pass of the generator, without options and without a grid."""

    def prepare(self) -> None:
        """Load the generator."""
        self.generator = self.load("fixed_point_gan", Generator)

    def detect(self, batch: Batch) -> Detection:
        """Maps and translations of a batch."""
        low, high = INTENSITY
        x = low + (high - low) * batch.images
        healthy = torch.full((len(x),), HEALTHY, device=x.device)
        translated = self.generator(x.contiguous(memory_format=torch.channels_last), healthy)
        images = (translated - low) / (high - low)
        return Detection(anomaly_map(batch.images, images), images)


if __name__ == "__main__":
    run(FixedPointGan)
