"""Where the classifier looks: Grad-CAM (Selvaraju et al., ICCV 2017), by captum.

a(x) = ReLU(sum over k of alpha_k A_k), alpha_k the mean over pixels of d S / d A_k. A are the features of the last
block that the classifier has at `resolution` pixels; at its lowest resolution that is the last one of all, as
published. The map is upsampled to the image, bilinearly. S = log C(diseased | x) / C(healthy | x) at noise level 0, the
difference of the two classes' scores before the softmax (stages/detection/gradient.py says why). No options.
"""

from typing import cast

import torch
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor

from stages import methods
from stages.data.store import DISEASED
from stages.detection.detector import Batch, Detection, Detector, run
from stages.diffusion.noise_schedule import timestep
from stages.networks.unet import EncoderClassifier, log_odds

NETWORKS = ("classifier",)
GRID = {"resolution": ()}
RESOLUTION_OF = {"resolution": "classifier"}
OPTIONS = {}


class GradCam(Detector):
    """Features of one block, weighted by what they do for the log odds."""

    reconstructs = False

    def prepare(self) -> None:
        self.classifier = self.load("classifier", EncoderClassifier)
        block = self.classifier.get_submodule(self.last_block())
        self.cam = LayerGradCam(lambda x, t: log_odds(self.classifier, x, t, DISEASED), block)

    def last_block(self) -> str:
        """The name of the last block at the setting's resolution."""
        network = self.parameters["classifier"]["network"]
        resolutions = methods.resolutions(network, self.parameters["data"]["size"])
        level = resolutions.index(self.setting["resolution"])
        if level == len(resolutions) - 1:
            return "middle_block"
        blocks = network["residual_blocks"] + 1  # the last one of a level resamples
        return f"input_blocks.{(level + 1) * blocks - 1}"

    def detect(self, batch: Batch) -> Detection:
        """Weigh, and upsample."""
        low, high = self.parameters["intensity"]
        x = low + (high - low) * batch.images
        with torch.compiler.set_stance("force_eager"):  # compiled code knows nothing of captum's hook on an inner block
            found = self.cam.attribute(x, additional_forward_args=timestep(0, len(x), x.device), relu_attributions=True)
        maps = LayerAttribution.interpolate(cast(Tensor, found).float(), x.shape[-2:], "bilinear")
        return Detection(maps[:, 0])


if __name__ == "__main__":
    run(GradCam)
