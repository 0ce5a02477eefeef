"""Anomaly maps of the variational autoencoder of Zimmerer et al. (arXiv:1812.05941).

The reconstruction comes from the latent mean. The option `score` says what the map is, `channels` which are summed (all
unless it is given):

  reconstruction  a(x) = sum over channels |x - x'|, as Wolleb et al. (2022, Figures 2 and 3) map every method, and
                  like them as `detection.difference` says; `combined` takes the plain difference
  gradient        s(x) = sum over channels |d KL / d x|, smoothed: where the encoder is surprised, the paper's addition
  combined        a(x) s(x): what surprises the encoder and is reconstructed badly

The last two are as the authors publish them (github.com/MIC-DKFZ/mood, example_algos/algorithms/ce_vae.py, `combi`;
github.com/MIC-DKFZ/vae-anomaly-experiments, brats_script.py), where they differ so that one slice's map depends neither
on its batch nor on chance: s(x) is not scaled to the extremes of a batch, and the derivative is taken at the image, as
in the second, not at two noisy copies of it. The error is absolute, not squared, in `combined` too. KL is the mean over
latents times the values of an image, so that s(x) is of one order at any size. The first repository's `grad`
derives the whole loss; the absolute error's slope is 1 in every pixel, and on the brain phantom its AUROC was .50-.69.
"""

import torch
from scipy import ndimage
from torch import Tensor

from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.difference import anomaly_map
from stages.networks.vae import Vae, divergence

NETWORKS = ("vae",)
GRID = {}
OPTIONS = {"score": ("reconstruction", "gradient", "combined"), "channels": "data.channels[]"}
OPTIONAL = ("channels",)
PARAMETERS = ("detection.difference",)

DEVIATION, RADIUS = 3, 3
"""Of the Gaussian that smooths derivatives, in pixels: the authors' 7 x 7 kernel, at whatever size."""


class VaeDetector(Detector):
    """Reconstruction at the latent mean, and one of three scores."""

    def prepare(self) -> None:
        self.score = self.options["score"]
        self.network = self.load("vae", Vae)

    def detect(self, batch: Batch) -> Detection:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        if self.score == "reconstruction":
            decoded = self.network(images)[0].float()
            return self.compare(images, decoded)
        with torch.enable_grad():
            images = images.detach().requires_grad_()
            decoded, mean, log_deviation = self.network(images)
            # One sum over the batch: its derivative with respect to an image is that image's own.
            loss = images[0].numel() * divergence(mean, log_deviation).mean(dim=1).sum()
            (slope,) = torch.autograd.grad(loss, images)
        images, decoded, some = images.detach(), decoded.detach().float(), self.compared
        maps = smoothed(slope[:, some].abs().sum(dim=1))
        if self.score == "combined":
            maps = maps * anomaly_map(images[:, some], decoded[:, some])
        return Detection(maps, decoded)


def smoothed(maps: Tensor) -> Tensor:
    """Maps (N, H, W) after a Gaussian of `DEVIATION`, cut off at `RADIUS`, zero outside the image; float64."""
    values = ndimage.gaussian_filter(
        maps.double().cpu().numpy(), DEVIATION, radius=RADIUS, mode="constant", axes=(1, 2)
    )
    return torch.from_numpy(values).to(maps.device)


if __name__ == "__main__":
    run(VaeDetector)
