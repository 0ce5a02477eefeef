"""pDDPM (Behrendt et al., MIDL 2023): one patch after another is noised to level L and predicted from the clean rest.

The network has seen healthy slices alone and predicts x_0 in one pass a patch; the patches together are the
reconstruction, a(x) = sum over channels |x - x_0| (`detection.difference` may scale both first). Option: channels,
those that are summed (all unless it is given).
"""

from functools import cache, partial

from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.noise import slice_generators
from stages.diffusion import patches
from stages.diffusion.noise_schedule import NoiseSchedule, timestep
from stages.diffusion.simplex import SimplexNoise
from stages.networks.unet import SIMPLEX_INTENSITY, PatchedDenoiser

NETWORKS = ("patched_denoiser",)
GRID = {"L": ()}
OPTIONS = {"channels": "data.channels[]"}
OPTIONAL = ("channels",)
PARAMETERS = ("detection.difference",)


class PDdpm(Detector):
    """Prediction of every patch, under one noise."""

    def prepare(self) -> None:
        device, section = self.processor.device, self.parameters["patched_denoiser"]
        self.network = self.load("patched_denoiser", PatchedDenoiser)
        self.schedule = NoiseSchedule.linear(**self.parameters["noise_schedule"], device=device)
        self.noise_on = cache(partial(SimplexNoise.on, **section["noise"], device=device))
        self.patches_on = cache(partial(patches.grid, count=section["patches"], device=device))

    def detect(self, batch: Batch) -> Detection:
        """Noise to L, patch by patch; whatever is drawn for a slice depends on its name alone."""
        (low, high), level, device = SIMPLEX_INTENSITY, self.setting["L"], self.processor.device
        size = batch.images.shape[-1]
        x_0 = low + (high - low) * batch.images
        generators = slice_generators(self.parameters["seed"], batch.slice_ids, device)
        x_level = self.schedule.add_noise(x_0, level, self.noise_on(size).like(x_0, generators))
        t = timestep(level, len(x_0), device)
        predicted = patches.predicted(self.network, x_0, x_level, t, self.patches_on(size))
        return self.compare(batch.images, (predicted - low) / (high - low))


if __name__ == "__main__":
    run(PDdpm)
