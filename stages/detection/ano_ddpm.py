"""AnoDDPM (Wyatt et al., CVPR Workshops 2022): an image is noised to level L by simplex noise, and denoised.

The denoiser has seen healthy slices alone, so what comes back is healthy. a(x) = sum over channels (x - x_0)^2, as the
authors' code squares it (github.com/Julian-Wyatt/AnoDDPM, detection.py, `anomalous_metric_calculation`). As there, each
step of the way back adds simplex noise of variance beta, and the predicted clean image is clipped to the images' range.
No options.
"""

from functools import cache, partial

import torch
from torch import Tensor

from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.noise import slice_generators
from stages.diffusion import ancestral
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.simplex import SimplexNoise
from stages.networks.unet import SIMPLEX_INTENSITY, SimplexDenoiser

NETWORKS = ("simplex_denoiser",)
GRID = {"L": ()}
OPTIONS = {}
PARAMETERS = ("detection.stride",)


class AnoDdpm(Detector):
    """Partial diffusion with simplex noise."""

    def prepare(self) -> None:
        device = self.processor.device
        self.network = self.load("simplex_denoiser", SimplexDenoiser)
        self.schedule = NoiseSchedule.linear(**self.parameters["noise_schedule"], device=device)
        noise = self.parameters["simplex_denoiser"]["noise"]
        self.noise_on = cache(partial(SimplexNoise.on, **noise, device=device))

    def detect(self, batch: Batch) -> Detection:
        """Noise to L and sample; whatever is drawn for a slice depends on its name alone."""
        (low, high), level = SIMPLEX_INTENSITY, self.setting["L"]
        x_0 = low + (high - low) * batch.images
        generators = slice_generators(self.parameters["seed"], batch.slice_ids, self.processor.device)
        simplex = self.noise_on(x_0.shape[-1])

        def noise() -> Tensor:
            return simplex.like(x_0, generators)

        def prediction(x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            epsilon = self.network(x.contiguous(memory_format=torch.channels_last), t)
            return epsilon, epsilon.new_ones(epsilon.shape)  # v = 1: the variance is beta

        x_level = self.schedule.add_noise(x_0, level, noise())
        stride = self.parameters["detection"]["stride"]
        sampled = ancestral.sample(prediction, None, x_level, level, 0, self.schedule, noise, stride, clip=True)
        images = (sampled - low) / (high - low)
        return Detection((batch.images - images).square().sum(dim=1), images)


if __name__ == "__main__":
    run(AnoDdpm)
