"""The proposed method: noisy images decoded by DDIM under guidance, the difference as anomaly map.

Wolleb et al. 2022, Algorithm 1 and Eq. 8, at one noise level L and one gradient scale s, from the images that
the rule `latents` encoded to L. Options: encode_class and decode_class, what the denoiser is told: healthy, diseased or
none; channels, those that Eq. 8 sums over (the paper: all, as without it).
"""

from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.networks.unet import EncoderClassifier, UNet

NETWORKS = ("denoiser", "classifier")
UNUSED_AT_ZERO = {"classifier": "s"}
GRID = {"L": (), "s": ()}
OPTIONS = {
    "encode_class": ("healthy", "diseased", "none"),
    "decode_class": ("healthy", "diseased", "none"),
    "channels": "data.channels[]",
}
OPTIONAL = ("channels",)
PARAMETERS = ("detection.convention", "detection.stride", "detection.solver", "detection.difference")


class GuidedDdim(Detector):
    """Decoder of Algorithm 1."""

    def prepare(self) -> None:
        """Load the denoiser, and the classifier where the setting needs it."""
        sampler = Sampler.of(self.parameters)
        classifier = self.load("classifier", EncoderClassifier) if self.needs("classifier") else None
        self.model = DiffusionModel(sampler, self.processor.device, self.load("denoiser", UNet), classifier)

    def detect(self, batch: Batch) -> Detection:
        """Decode x_L under `decode_class`, guided towards the healthy class."""
        epsilon = self.model.epsilon(self.options["decode_class"])
        images = self.model.decode(epsilon, batch.latents, self.setting["L"], self.setting["s"])
        return self.compare(batch.images, images)


if __name__ == "__main__":
    run(GuidedDdim)
