"""Where the classifier's answer turns on the image: its gradient there, plain or averaged over noise (SmoothGrad).

a(x) = sum over channels |mean over i of d S(x + e_i) / d x|, S = log C(diseased | x) / C(healthy | x) at noise level 0,
with `samples` draws e_i of normal noise whose standard deviation is `sigma` times the images' range. One sample without
noise is the saliency map of Simonyan et al. (2014, arXiv:1312.6034); with noise it is SmoothGrad (Smilkov et al. 2017,
arXiv:1706.03825: up to 50 samples, sigma .1 to .2). Channels are summed as in the latter's code
(github.com/PAIR-code/saliency) and in Wolleb et al.'s Eq. 8, where the former takes the largest. Nothing is blurred.

Both derive a class's score before the softmax. Of two of them the difference alone means something, and that is S. The
slope of log C(diseased | x) is (1 - C) times that of S: within a slice the same map, but the lower the surer the
classifier is that the slice is diseased, so that slices could not be compared, and float16 would not hold it.
"""

import torch

from stages.data.store import DISEASED
from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.noise import noise
from stages.diffusion.guidance import gradient
from stages.diffusion.noise_schedule import timestep
from stages.networks.unet import EncoderClassifier, log_odds

NETWORKS = ("classifier",)
GRID = {"samples": (), "sigma": ()}
WHOLE = ("samples",)
OPTIONS = {}


class Gradient(Detector):
    """The absolute slope of the log odds."""

    reconstructs = False

    def prepare(self) -> None:
        self.classifier = self.load("classifier", EncoderClassifier)

    def detect(self, batch: Batch) -> Detection:
        """Derive at every noisy copy in turn: memory does not depend on their number."""
        low, high = self.parameters["intensity"]
        x = low + (high - low) * batch.images
        draw, deviation = noise(self.parameters["seed"], batch.slice_ids, x), self.setting["sigma"] * (high - low)
        t = timestep(0, len(x), x.device)
        total = torch.zeros_like(x)
        for _ in range(self.setting["samples"]):
            total += gradient(lambda x, t: log_odds(self.classifier, x, t, DISEASED), x + deviation * draw(), t)
        return Detection((total / self.setting["samples"]).abs().sum(dim=1))


if __name__ == "__main__":
    run(Gradient)
