"""The image itself as anomaly map, which a learned method has to beat (Meissen et al. 2021, arXiv:2109.06023).

Tumours are bright in FLAIR, fluid is bright in a radiograph: one channel, `options.channel`, shown as the setting's
`view` says: plain, inverted (1 - x) or equalised, its histogram flattened over all pixels above 0, the background left
at 0. Meissen et al. equalise the FLAIR volume, with 256 bins over its voxels above 0; here it is the slice, since a map
depends on nothing but its slice.
"""

import numpy as np
import torch
from skimage.exposure import equalize_hist
from torch import Tensor

from stages.detection.detector import Batch, Detection, Detector, run

NETWORKS = ()
GRID = {"view": ("plain", "inverted", "equalised")}
OPTIONS = {"channel": "data.channels"}


def plain(image: Tensor) -> Tensor:
    """The image (N, H, W) as it is."""
    return image


def inverted(image: Tensor) -> Tensor:
    """The negative of an image (N, H, W) in [0, 1]."""
    return 1 - image


def equalised(image: Tensor) -> Tensor:
    """Each image's (N, H, W) pixels above 0 to the share of those that are no brighter, in 256 bins; 0 stays 0.

    >>> equalised(torch.tensor([[[0.0, 0.1, 0.2, 0.4, 0.8]]])).tolist()
    [[[0.0, 0.25, 0.5, 0.75, 1.0]]]
    """
    result = [_equalised(one) for one in image.double().cpu().numpy()]
    return torch.from_numpy(np.stack(result)).to(image)


def _equalised(image: np.ndarray) -> np.ndarray:
    foreground = image > 0
    return equalize_hist(image, nbins=256, mask=foreground) * foreground if foreground.any() else image


VIEWS = {"plain": plain, "inverted": inverted, "equalised": equalised}


class Intensity(Detector):
    """One channel of the image."""

    reconstructs = False

    def prepare(self) -> None:
        self.channel = self.parameters["data"]["channels"].index(self.options["channel"])
        self.view = VIEWS[self.setting["view"]]

    def detect(self, batch: Batch) -> Detection:
        return Detection(self.view(batch.images[:, self.channel]))


if __name__ == "__main__":
    run(Intensity)
