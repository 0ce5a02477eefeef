"""One image file of any common kind -> its pixels: PNG, JPEG, TIFF and what else Pillow reads, DICOM, .npy."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stages.data.dicom import read_rescaled
from stages.data.store import open_array
from stages.errors import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
DICOM = (".dcm", ".dicom")
SUFFIXES = (*PICTURES, *DICOM, ".npy")
"""The files that are read, whatever the case of their endings."""

LOSSY = (".jpg", ".jpeg")

_GREY = ("1", "L", "I", "I;16", "I;16L", "I;16B", "F")
_ALIKE = 8
"""Grey levels (of 255) between the channels of a JPEG that holds a grey image as colour."""


@dataclass(frozen=True)
class Pixels:
    """An image as its file holds it.

    Attributes:
        values: (C, H, W) float64.
        ends: what black and white are for files of this type (0 and 255 of 8 bits); None where the type does not say.
    """

    values: np.ndarray
    ends: tuple[float, float] | None


def read_pixels(path: Path) -> Pixels:
    """Read an image file whole, as its EXIF orientation says how to hold it.

    Raises:
        ValueError: missing, unreadable, truncated, no image, too large, several images, transparent, NaN. Says which.
    """
    suffix = path.suffix.lower()
    pixels = _array(path) if suffix == ".npy" else _dicom(path) if suffix in DICOM else _picture(path)
    if not np.isfinite(pixels.values).all():
        raise ValueError("holds NaN or infinite values")
    return pixels


def to_unit_range(pixels: Pixels, channels: int, scale: str | tuple[float, float]) -> np.ndarray:
    """An image in [0, 1], of so many channels.

    Args:
        pixels: of a file.
        channels: C; a grey image is wanted where it is 1.
        scale: `type`: black and white of the file's type are 0 and 1; `min-max`: the image's own extremes are, of all
            channels together; [low, high]: these values are, what lies beyond is clipped.

    Returns:
        (C, H, W) float64.

    Raises:
        ValueError: another number of channels, a constant image that min-max cannot scale, a type without ends, or
            values outside of them.
    """
    values = _of_channels(pixels, channels)
    if scale == "type":
        if pixels.ends is None:
            low, high = 0.0, 1.0
            if values.min() < low or values.max() > high:
                raise ValueError(
                    f"holds numbers from {values.min():g} to {values.max():g}, which have no black and white of their "
                    "own; set data.images.scale to min-max or [low, high]"
                )
        else:
            low, high = pixels.ends
    elif scale == "min-max":
        low, high = values.min(), values.max()
        if not high - low > 1e-9 * max(abs(high), 1):
            raise ValueError(f"is constant (every pixel is {low:g})")
    elif isinstance(scale, tuple):
        low, high = scale
    else:
        raise ValueError(f"cannot be scaled by {scale}")
    return np.clip((values - low) / (high - low), 0, 1)


def _of_channels(pixels: Pixels, channels: int) -> np.ndarray:
    """(C, H, W): of a colour image whose channels are alike, one is its grey image."""
    values = pixels.values
    found = len(values)
    if channels == 1 and found == 3:
        top = pixels.ends[1] if pixels.ends else values.max()
        if np.ptp(values, axis=0).max() > _ALIKE / 255 * top:
            raise ValueError("is in colour, where data.channels names one channel; name red, green, blue")
        return values.mean(axis=0, keepdims=True)
    if found != channels:
        raise ValueError(f"has {found} channel{'s' * (found != 1)}, where data.channels names {channels}")
    return values


def _picture(path: Path) -> Pixels:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if (frames := getattr(image, "n_frames", 1)) > 1:
                    raise ValueError(f"holds {frames} images, where one is expected")
                upright = ImageOps.exif_transpose(image)
                if upright.mode in ("P", "PA"):
                    upright = upright.convert("RGBA")
                mode, values = upright.mode, np.asarray(upright)
    except FileNotFoundError as error:
        raise ValueError("is missing") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(f"is too large ({Image.MAX_IMAGE_PIXELS:,} pixels are allowed)") from error
    except PermissionError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    except (OSError, SyntaxError, EOFError) as error:  # what Pillow raises
        raise ValueError("is truncated, damaged or no image") from error
    if mode in ("LA", "RGBA"):
        if (values[..., -1] != 255).any():
            raise ValueError("is transparent in part, where a grey or RGB image is expected")
        values = values[..., :-1]
        values = values[..., 0] if values.shape[-1] == 1 else values
    elif mode not in (*_GREY, "RGB"):
        raise ValueError(f"has the mode {mode}, where a grey or RGB image is expected")
    ends = {"1": (0.0, 1.0), "I": (0.0, 65535.0), "F": None}.get(mode, (0.0, 65535.0 if "16" in mode else 255.0))
    return Pixels(_channels_first(values.astype(np.float64)), ends)


def _dicom(path: Path) -> Pixels:
    values, ends = read_rescaled(path)
    return Pixels(_channels_first(values), ends)


def _array(path: Path) -> Pixels:
    """An array (H, W), (H, W, 3) or (C, H, W); whole numbers of 8 or 16 bits have the ends of their type."""
    try:
        array = np.array(open_array(path))
    except InputError as error:
        raise ValueError("is missing, truncated, damaged or no .npy file") from error
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"holds {array.dtype} of shape {array.shape}, where numbers (H, W) or (C, H, W) are expected")
    ends = {"bool": (0.0, 1.0), "uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}.get(array.dtype.name)
    values = array.astype(np.float64)
    colour_last = values.ndim == 3 and values.shape[-1] == 3 and values.shape[0] != 3
    return Pixels(_channels_first(values) if values.ndim == 2 or colour_last else values, ends)


def _channels_first(values: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    return values[None] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(values, -1, 0))
