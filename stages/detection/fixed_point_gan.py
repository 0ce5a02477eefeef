"""Translate every slice to healthy with Fixed-Point GAN (Siddiquee et al., ICCV 2019); the map is what it changes.

a(x) = sum over channels |x - tanh(x + G(x, healthy))|, in the image's range [0, 1] (`detection.difference`
may scale both first). Option: channels, those that are summed (all unless it is given). No grid.
"""

import torch

from stages.data.store import HEALTHY
from stages.detection.detector import Batch, Detection, Detector, run
from stages.networks.fixed_point_gan import INTENSITY, Generator

NETWORKS = ("fixed_point_gan",)
GRID = {}
OPTIONS = {"channels": "data.channels[]"}
OPTIONAL = ("channels",)
PARAMETERS = ("detection.difference",)


class FixedPointGan(Detector):
    """One pass of the generator, told that every slice is healthy."""

    def prepare(self) -> None:
        self.generator = self.load("fixed_point_gan", Generator)

    def detect(self, batch: Batch) -> Detection:
        """Translate in the generator's range of intensities, compare in the image's."""
        low, high = INTENSITY
        x = low + (high - low) * batch.images
        healthy = torch.full((len(x),), HEALTHY, device=x.device)
        translated = self.generator(x.contiguous(memory_format=torch.channels_last), healthy)
        images = (translated - low) / (high - low)
        return self.compare(batch.images, images)


if __name__ == "__main__":
    run(FixedPointGan)
