"""The anomaly map of all methods that reconstruct: how far an image lies from its reconstruction.

For tensors on any device, and for NumPy arrays: figures compare images too, and importing torch takes longer than
drawing one does.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Images = TypeVar("Images", np.ndarray, "Tensor")


def plain(image: Images) -> Images:
    """The image (N, C, H, W) as it is, as the paper writes Eq. 8."""
    return image


def min_max(image: Images) -> Images:
    """Each channel of each image (N, C, H, W) from its least to its largest value onto [0, 1]; a constant one to 0.

    The authors' script does so to both chest radiographs before it subtracts them, and not to brains
    (github.com/JuliaWolleb/diffusion-anomaly, scripts/classifier_sample_known.py, `visualize`).

    >>> min_max(np.array([[[[1.0, 2.0, 5.0]], [[3.0, 3.0, 3.0]]]])).tolist()
    [[[[0.0, 0.25, 1.0]], [[0.0, 0.0, 0.0]]]]
    """
    if isinstance(image, np.ndarray):
        low, high = image.min(axis=(2, 3), keepdims=True), image.max(axis=(2, 3), keepdims=True)
    else:
        low, high = image.amin(dim=(2, 3), keepdim=True), image.amax(dim=(2, 3), keepdim=True)
    extent = high - low
    return (image - low) / (extent + (extent == 0))


DIFFERENCES: dict[str, Callable[[Any], Any]] = {"plain": plain, "min-max": min_max}
"""What is done to image and reconstruction first, by its name in `detection.difference`."""


def anomaly_map(x: Images, reconstruction: Images, difference: str = "plain") -> Images:
    """a(x) = sum over channels |x - x_0|: (N, C, H, W) twice -> (N, H, W) float64 (Wolleb et al. 2022, Eq. 8).

    >>> anomaly_map(np.array([[[[1.0]], [[0.25]]]]), np.array([[[[0.5]], [[0.5]]]])).tolist()
    [[[0.75]]]
    """
    scaled = DIFFERENCES[difference]
    return abs(scaled(_double(x)) - scaled(_double(reconstruction))).sum(1)


def _double(images: Images) -> Images:
    return images.astype(np.float64) if isinstance(images, np.ndarray) else images.double()
