"""The paper's ablation of DDIM: random noise instead of encoding, random sampling instead of decoding.

Wolleb et al. 2022, Section 3: an image is noised to level L by Eq. 2, then sampled ancestrally with the learned
variance, guided by a shift of the mean (Dhariwal and Nichol 2021, Algorithm 1) with gradient scale s. Options:
decode_class, which the network is told: healthy, diseased or none; channels, those that maps sum over (all unless it is
given). Nothing is clipped under the paper's convention; the released code clips the predicted clean image to [-1, 1]
and knows no L but 500.
"""

from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.diffusion import ancestral
from stages.networks.unet import EncoderClassifier, UNet

NETWORKS = ("denoiser", "classifier")
UNUSED_AT_ZERO = {"classifier": "s"}
GRID = {"L": (), "s": ()}
OPTIONS = {"decode_class": ("healthy", "diseased", "none"), "channels": "data.channels[]"}
OPTIONAL = ("channels",)
PARAMETERS = ("detection.convention", "detection.stride", "detection.difference")

RELEASED_LEVEL = 500
"""The one noise level to which the released code noises an image, whatever L it is given."""


class GuidedDdpm(Detector):
    """Noising and ancestral sampling with the networks of DDIM."""

    def prepare(self) -> None:
        """Load the denoiser, and the classifier where the setting needs it."""
        sampler = Sampler.of(self.parameters)
        classifier = self.load("classifier", EncoderClassifier) if self.needs("classifier") else None
        self.model = DiffusionModel(sampler, self.processor.device, self.load("denoiser", UNet), classifier)

    def detect(self, batch: Batch) -> Detection:
        """Noise to L and sample under `decode_class`, guided towards the healthy class."""
        model, level = self.model, self.setting["L"]
        x_0 = model.to_range(batch.images)
        noise = model.noise(batch.slice_ids, x_0)
        x_level = model.schedule.add_noise(x_0, level, noise())
        sampled = ancestral.sample(
            model.prediction(self.options["decode_class"]),
            model.log_probability(),
            x_level,
            level,
            self.setting["s"],
            model.schedule,
            noise,
            model.sampler.stride,
            clip=model.sampler.released,
        )
        images = model.from_range(sampled)
        return self.compare(batch.images, images)


if __name__ == "__main__":
    run(GuidedDdpm)
