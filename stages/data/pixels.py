"""One image file -> its pixels: PNG, JPEG, TIFF, BMP, GIF, DICOM, .npy."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stages.data.dicom import LARGEST, PIXEL, read_rescaled
from stages.data.store import open_array
from stages.errors import InputError
from stages.regular_files import read_regular

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif")
DICOM = (".dcm", ".dicom")
SUFFIXES = (*PICTURES, *DICOM, ".npy")
"""The files that are read, whatever the case of their endings."""

LOSSY = (".jpg", ".jpeg")

GREY = ("1", "L", "I", "I;16", "I;16L", "I;16B", "F")
FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "GIF")
"""What images come as: each decoder more (one of them calls a program) is one more to be fooled."""
ALIKE = 8
"""Grey levels (of 255) between the channels of a JPEG that holds a grey image as colour."""


@dataclass(frozen=True)
class Pixels:
    """An image as its file holds it.

    Attributes:
        values: (C, H, W) float64.
        ends: what black and white are for files of this type (0 and 255 of 8 bits); None where the type does not say.
        kind: of the file, in words: 8 bits, 16 bits, DICOM, numbers.
    """

    values: np.ndarray
    ends: tuple[float, float] | None
    kind: str


def read_pixels(path: Path) -> Pixels:
    """Read an image file whole, as its EXIF orientation says how to hold it; of a GIF, the first picture.

    Raises:
        ValueError: missing, unreadable, truncated, no image, too large, several images, transparent, NaN. Says which.
    """
    suffix = path.suffix.lower()
    pixels = _array(path) if suffix == ".npy" else _dicom(path) if suffix in DICOM else _picture(path)
    if not np.isfinite(pixels.values).all():
        raise ValueError("holds NaN or infinite values: save it without")
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
            raise ValueError(f"is constant (every pixel is {low:g}), and cannot be stretched: take it out")
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
        if np.ptp(values, axis=0).max() > ALIKE / 255 * top:
            raise ValueError("is in colour, where data.channels names one channel: name red, green, blue there")
        return values.mean(axis=0, keepdims=True)
    if found != channels:
        raise ValueError(f"has {found} channel{'s' * (found != 1)}, where data.channels names {channels}: name as many")
    return values


def open_picture(path: Path, modes: Sequence[str], wanted: str) -> tuple[str, np.ndarray]:
    """Read a picture of one of `FORMATS` whole, as its EXIF orientation says how to hold it.

    Args:
        path: the file.
        modes: Pillow's, those that are accepted; colours of a palette become RGBA.
        wanted: what they are, for messages.

    Returns:
        Its mode, and its values (H, W) or (H, W, C); without the opacity, where all of it is opaque.

    Raises:
        ValueError: missing, unreadable, truncated, no image, too large, of another mode, transparent, or of several
            pictures.
    """
    content = _content(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; what they warn of in pixels is checked here
            with Image.open(BytesIO(content), formats=FORMATS) as image:
                if (refused := _refused(image, modes, wanted)) is None:
                    upright = ImageOps.exif_transpose(image)
                    upright = upright.convert("RGBA") if upright.mode in ("P", "PA") else upright
                    if upright.mode not in ("LA", "RGBA"):
                        return upright.mode, np.asarray(upright)
                    if upright.getchannel("A").getextrema() == (255, 255):
                        return upright.mode[:-1], np.asarray(upright.convert(upright.mode[:-1]))
                    refused = f"is transparent in part, where {wanted} is expected: save it without transparency"
    except Image.DecompressionBombError as error:  # Pillow's own limit, found while it opens
        raise ValueError(f"is too large ({LARGEST:,} pixels are allowed): resample it") from error
    except Exception as error:  # a decoder of damaged bytes raises anything: SyntaxError, IndexError, struct.error, ...
        raise ValueError(f"is truncated, damaged or no image ({', '.join(FORMATS)}): get it again") from error
    raise ValueError(refused)


def _content(path: Path) -> bytes:
    try:
        return read_regular(path, LARGEST * PIXEL)
    except FileNotFoundError as error:
        raise ValueError("is missing") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}): put a readable file there") from error


def _refused(image: Image.Image, modes: Sequence[str], wanted: str) -> str | None:
    """What an image's header says against reading its pixels, if anything."""
    width, height = image.size
    if width * height > LARGEST:
        return f"is too large ({width:,} x {height:,} pixels, where {LARGEST:,} are allowed): resample it"
    if not width * height:
        return "has no pixel: get it again"
    if image.mode not in modes:
        return f"has the mode {image.mode}, where {wanted} is expected: save it as one"
    if image.format != "GIF" and getattr(image, "n_frames", 1) > 1:  # further ones of a GIF move the first
        return "holds several pictures, where one is expected: save that alone"
    return None


def _picture(path: Path) -> Pixels:
    mode, values = open_picture(path, (*GREY, "RGB", "P", "PA", "LA", "RGBA"), "a grey or RGB image")
    bits = {"1": 1, "I": None, "F": None}.get(mode, 16 if "16" in mode else 8)
    return Pixels(_channels_first(values.astype(np.float64)), *_type(bits))


def _type(bits: int | None) -> tuple[tuple[float, float] | None, str]:
    """`ends` and `kind` of values that are numbers without a sign of so many bits, or, with None, of any others."""
    return ((0.0, 2.0**bits - 1), f"{bits} bit{'s' * (bits > 1)}") if bits else (None, "numbers")


def _dicom(path: Path) -> Pixels:
    values, ends = read_rescaled(path)
    return Pixels(_channels_first(values), ends, "DICOM")


def _array(path: Path) -> Pixels:
    """An array (H, W), (H, W, 3) or (C, H, W); whole numbers of 8 or 16 bits have the ends of their type."""
    try:
        array = np.array(open_array(path))
    except InputError as error:
        raise ValueError("is missing, truncated, damaged or no .npy file: save it again with numpy.save") from error
    if array.dtype.kind not in "buif" or array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"holds {array.dtype} of shape {array.shape}, where numbers (H, W) or (C, H, W) are expected: save these"
        )
    bits = {"bool": 1, "uint8": 8, "uint16": 16}.get(array.dtype.name)
    values = array.astype(np.float64)
    colour_last = values.ndim == 3 and values.shape[-1] == 3 and values.shape[0] != 3
    return Pixels(_channels_first(values) if values.ndim == 2 or colour_last else values, *_type(bits))


def _channels_first(values: np.ndarray) -> np.ndarray:
    """(H, W) or (H, W, C) -> (C, H, W)."""
    return values[None] if values.ndim == 2 else np.ascontiguousarray(np.moveaxis(values, -1, 0))
