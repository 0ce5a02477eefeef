"""One radiograph: read an image file as grey levels, resample it by area, scale it to [0, 1].

The recipe is that of Wolleb et al. (MICCAI 2022), as far as the eight arrays (256 x 256, 8 bits) show it that their
authors published:

- The aspect ratio is not kept. Linear interpolation from n to 256 pixels alternates between sharp and blurred lines;
  the rate at which it does, n / 256 modulo 1 (or 1 minus that), is a peak in the spectrum of the mean absolute second
  difference. All eight have it at 0.25 from row to row (n = 320), seven elsewhere from column to column (six at 0.477,
  n = 390; one at 0.441, n = 369 or 399): the sizes of CheXpert-v1.0-small. Both axes were squeezed to 256 on their own.
- The extremes are 0 and 255 in every array, so scaling is the last step here: min-max after resampling puts every image
  on the whole of [0, 1]. (CheXpert's own images nearly span 0 to 255 by themselves, so the order hardly matters.)

Resampling is by area, not by the authors' linear interpolation, which aliases: their arrays are followed in shape and
range, not bit for bit.
"""

from pathlib import Path

import numpy as np

from stages.data.pixels import ALIKE, GREY, open_picture


def read_grey(path: Path) -> np.ndarray:
    """Read an image file whole, as float64 (H, W): grey images of 8 or 16 bits, or colour with three channels alike.

    An opacity that is full everywhere is passed over: 519 images of NIH ChestX-ray14 are RGBA.

    Raises:
        ValueError: missing, unreadable, truncated, no image, too large, in colour, with transparency, or of several
            pictures. Says which.
    """
    mode, values = open_picture(path, (*GREY, "RGB", "P", "PA", "LA", "RGBA"), "a grey image of 8 or 16 bits")
    if mode == "RGB":
        if np.ptp(values, axis=2).max() > ALIKE:
            raise ValueError("is in colour, where a grey image is expected: save it as one")
        values = values.mean(axis=2)
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError("holds NaN or infinite values: save it without")
    return values


def resample(image: np.ndarray, size: int) -> np.ndarray:
    """Resample by area: each of size x size pixels is the mean over its rectangle, parts of pixels counted in part.

    Args:
        image: (H, W), float64; the aspect ratio is not kept.
        size: side of the result, in pixels; at most H and W.

    Returns:
        (size, size) float64.

    Raises:
        ValueError: the image is smaller than that.

    >>> resample(np.array([[0.0, 3.0, 6.0], [0.0, 3.0, 6.0]]), 2)  # each a pixel and a half wide
    array([[1., 5.],
           [1., 5.]])
    """
    if min(image.shape) < size:
        raise ValueError(f"has {image.shape[1]} x {image.shape[0]} pixels, fewer than data.size ({size}): lower that")
    for _ in range(2):
        # The integral up to each edge, interpolated within a pixel. Sums of whole grey levels are exact.
        integral = np.concatenate([np.zeros((1, image.shape[1])), image.cumsum(axis=0)])
        edges = np.arange(size + 1) * (len(image) / size)
        edges[-1] = len(image)
        below = np.minimum(edges.astype(int), len(image) - 1)
        part = (edges - below)[:, None]
        at_edges = (1 - part) * integral[below] + part * integral[below + 1]
        image = (np.diff(at_edges, axis=0) * (size / len(image))).T
    return image


def to_unit_range(image: np.ndarray) -> np.ndarray:
    """Min-max scale an image (H, W) to [0, 1].

    Raises:
        ValueError: the image is constant.
    """
    low, high = image.min(), image.max()
    if not high - low > 1e-9 * max(abs(high), 1):  # what rounding leaves of a constant image's mean is no range
        raise ValueError(f"is constant (every pixel is {low:g}), and cannot be scaled: take it out")
    return (image - low) / (high - low)


def read_mask(path: Path, shape: tuple[int, int], size: int) -> tuple[np.ndarray, bool]:
    """Read a mask (0, and one other value where the lesion is) and resample it by area; a pixel counts from one half.

    Args:
        path: the file.
        shape: (H, W) that it must have: its image's.
        size: side of the result, in pixels.

    Returns:
        (size, size) bool, and whether the file itself holds any lesion pixel.

    Raises:
        ValueError: as `read_grey`, or another shape, or more than two values.
    """
    mask = read_grey(path)
    if mask.shape != shape:
        (high, wide), of_mask = shape, mask.shape
        raise ValueError(
            f"has {of_mask[1]} x {of_mask[0]} pixels where its image has {wide} x {high}: save it as large"
        )
    lesion = mask > 0
    if mask.min() < 0 or len(np.unique(mask[lesion])) > 1:
        raise ValueError("holds more than two values, where 0 and one other are expected: save it with these")
    area = resample(lesion.astype(np.float64), size)
    return area >= 0.5 - 1e-9, bool(lesion.any())  # one half counts, however it was rounded
