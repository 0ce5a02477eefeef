"""Translation to the healthy class without a classifier (Sanchez et al. 2022, arXiv:2207.12268).

The image is encoded to noise level L without a class and decoded by DDIM with classifier-free guidance of weight w:
epsilon = epsilon(none) + w (epsilon(healthy) - epsilon(none)). The denoiser has been trained with labels dropped now
and then. w = 0 is the plain round trip, 1 plain decoding as healthy. Not taken over from their code: the predicted x_0
is not clipped to its quantile, and the class enters as the denoiser's label embedding, without attention. Options:
encode_class, none for the published method; channels, those that maps sum over.
"""

from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.networks.unet import UNet

NETWORKS = ("denoiser",)
GRID = {"L": (), "w": ()}
OPTIONS = {"encode_class": ("healthy", "diseased", "none"), "channels": "data.channels[]"}
OPTIONAL = ("channels",)
PARAMETERS = ("detection.convention", "detection.stride", "detection.solver", "detection.difference")
TOLD_CLASSES = ("healthy", "none")


class ClassifierFree(Detector):
    """DDIM decoding with classifier-free guidance."""

    def prepare(self) -> None:
        """Load the denoiser, the one network of the method."""
        sampler = Sampler.of(self.parameters)
        self.model = DiffusionModel(sampler, self.processor.device, self.load("denoiser", UNet))

    def detect(self, batch: Batch) -> Detection:
        """Decode x_L towards the healthy class."""
        epsilon = self.model.classifier_free_epsilon(self.setting["w"])
        images = self.model.decode(epsilon, batch.latents, self.setting["L"])
        return self.compare(batch.images, images)


if __name__ == "__main__":
    run(ClassifierFree)
