"""The image in a DICOM file: in the modality's unit, or as grey levels that look as its maker meant them to."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stages.regular_files import read_regular

# pydicom is imported where a file is looked into: jobs of NIfTI volumes and PNGs do without.
if TYPE_CHECKING:
    from pydicom import FileDataset

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
LARGEST = 4096 * 4096
"""Pixels of the largest image that is read, of whatever kind: 16 for each pixel of a slice of 1,024 x 1,024."""
PIXEL = 8
"""Bytes of a pixel in the widest file."""


def holds_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, whatever its name."""
    from pydicom.misc import is_dicom

    return path.is_file() and is_dicom(path)


def read_dicom(path: Path) -> np.ndarray:
    """Read a DICOM image whole, as float64 (H, W): rescaled, windowed, and dark where the body lets little through.

    That is DICOM PS3.3, C.11: the modality's and the VOI's transformation, then MONOCHROME1 turned into MONOCHROME2.

    Raises:
        ValueError: unreadable, truncated, without pixels, in colour, of several frames, or too large. Says which.
    """
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    file, stored = _opened(path)
    if file.PhotometricInterpretation not in GREY:
        raise ValueError(
            f"is in colour ({file.PhotometricInterpretation}), where a grey image is expected: save it as one"
        )
    with _damage():
        values = apply_modality_lut(stored, file)
    try:
        values = np.asarray(apply_voi_lut(values, file), np.float64)
    except Exception as error:  # a width of 0, a table without entries
        raise ValueError(
            f"has a window that cannot be applied ({' '.join(str(error).split())}): correct it, or take it out"
        ) from error
    if not np.isfinite(values).all():
        raise ValueError("holds NaN or infinite values: save it without")
    return values.max() + values.min() - values if file.PhotometricInterpretation == "MONOCHROME1" else values


def read_rescaled(path: Path) -> tuple[np.ndarray, tuple[float, float] | None]:
    """Read a DICOM image whole, in the modality's unit (Hounsfield units, say), no window applied.

    Returns:
        (H, W) or (H, W, 3) float64, MONOCHROME1 turned into MONOCHROME2 and a palette into its colours, and the least
        and the greatest value that the file could hold; None where it holds floating-point numbers.

    Raises:
        ValueError: as `read_dicom`, but for colour and windows; or rescaled by 0.
    """
    from pydicom.pixels import apply_color_lut, apply_modality_lut

    file, stored = _opened(path)
    if "PixelData" not in file:
        return stored.astype(np.float64), None
    with _damage():
        if file.PhotometricInterpretation == PALETTE:
            colours = apply_color_lut(stored, file)
            return colours.astype(np.float64), (0.0, float(np.iinfo(colours.dtype).max))
        values, ends = stored.astype(np.float64), np.array(_ends(file), np.float64)
        if values.ndim == 2:
            values = apply_modality_lut(stored, file).astype(np.float64)
            if "ModalityLUTSequence" in file:
                ends = np.array([0, 2 ** int(file.ModalityLUTSequence[0].LUTDescriptor[2]) - 1], np.float64)
            else:
                ends = apply_modality_lut(ends, file)
    if ends.min() == ends.max():
        raise ValueError("has a rescale slope of 0, which makes every value one: correct it")
    if file.PhotometricInterpretation == "MONOCHROME1":
        values = ends.sum() - values
    return values, (float(ends.min()), float(ends.max()))


def _ends(file: "FileDataset") -> tuple[int, int]:
    """The least and the greatest number that a file's pixels can hold, as they are stored."""
    bits = int(file.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if file.PixelRepresentation else (0, 2**bits - 1)


def _opened(path: Path) -> tuple["FileDataset", np.ndarray]:
    """A file, and its pixels as they are stored: (H, W) or, in colour, (H, W, 3)."""
    from pydicom import dcmread

    try:
        file = dcmread(BytesIO(read_regular(path, LARGEST * PIXEL)))
        rows, columns, frames = int(file.Rows), int(file.Columns), int(file.get("NumberOfFrames") or 1)
        assert file.PhotometricInterpretation
    except FileNotFoundError as error:
        raise ValueError("is missing") from error
    except PermissionError as error:
        raise ValueError(f"cannot be read ({error.strerror}): put a readable file there") from error
    except Exception as error:  # whatever a damaged file makes of pydicom's parser
        raise ValueError("is truncated, damaged or holds no image: get it again") from error
    if frames > 1:
        raise ValueError(f"holds {frames} frames, where one image is expected: save that alone")
    if rows * columns > LARGEST:
        raise ValueError(f"is too large ({LARGEST:,} pixels are allowed): resample it")
    with _damage():
        return file, _without_padding(file, file.pixel_array)


def _without_padding(file: "FileDataset", stored: np.ndarray) -> np.ndarray:
    """Pixels beyond the image's edge (a scanner's circle) as dark as the darkest in it: PS3.3, C.7.5.1.1.2.

    They may hold a number far below air's, which would take the better part of a range.
    """
    if "PixelPaddingValue" not in file or file.PhotometricInterpretation not in GREY:
        return stored
    ends = sorted((int(file.PixelPaddingValue), int(file.get("PixelPaddingRangeLimit", file.PixelPaddingValue))))
    outside = (stored >= ends[0]) & (stored <= ends[1])
    if outside.all() or not outside.any():
        return stored
    inside = stored[~outside]
    return np.where(outside, inside.max() if file.PhotometricInterpretation == "MONOCHROME1" else inside.min(), stored)


@contextmanager
def _damage() -> Iterator[None]:
    """Around what pydicom makes of a file that may be damaged."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:  # a compression for which no decoder is installed
        raise ValueError("is compressed in a way that cannot be read here; save it uncompressed") from error
    except Exception as error:
        raise ValueError("is truncated or damaged: get it again") from error
