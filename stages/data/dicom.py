"""The image in a DICOM file: in the modality's unit, or as grey levels that look as its maker meant them to."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import FileDataset, dcmread
from pydicom.misc import is_dicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut

from stages.regular_files import read_regular

GREY = ("MONOCHROME1", "MONOCHROME2")
LARGEST = 4096 * 4096
"""Pixels of the largest image that is read, of whatever kind: 16 for each pixel of a slice of 1,024 x 1,024."""
PIXEL = 8
"""Bytes of a pixel in the widest file."""


def holds_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, whatever its name."""
    return path.is_file() and is_dicom(path)


def read_dicom(path: Path) -> np.ndarray:
    """Read a DICOM image whole, as float64 (H, W): rescaled, windowed, and dark where the body lets little through.

    That is DICOM PS3.3, C.11: the modality's and the VOI's transformation, then MONOCHROME1 turned into MONOCHROME2.

    Raises:
        ValueError: unreadable, truncated, without pixels, in colour, of several frames, or too large. Says which.
    """
    file, stored = _opened(path)
    if file.PhotometricInterpretation not in GREY:
        raise ValueError(f"is in colour ({file.PhotometricInterpretation}), where a grey image is expected")
    with _damage():
        values = np.asarray(apply_voi_lut(apply_modality_lut(stored, file), file), np.float64)
    if not np.isfinite(values).all():
        raise ValueError("holds NaN or infinite values")
    return values.max() + values.min() - values if file.PhotometricInterpretation == "MONOCHROME1" else values


def read_rescaled(path: Path) -> tuple[np.ndarray, tuple[float, float]]:
    """Read a DICOM image whole, in the modality's unit (Hounsfield units, say), no window applied.

    Returns:
        (H, W) or (H, W, 3) float64, MONOCHROME1 turned into MONOCHROME2, and the least and the greatest value that the
        file could hold.

    Raises:
        ValueError: as `read_dicom`, but for colour.
    """
    file, stored = _opened(path)
    values = stored.astype(np.float64)
    with _damage():
        bits = int(file.BitsStored)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if file.PixelRepresentation else (0, 2**bits - 1)
        ends = np.array([low, high], np.float64)
        if values.ndim == 2:
            values, ends = apply_modality_lut(values, file), apply_modality_lut(ends, file)
    if file.PhotometricInterpretation == "MONOCHROME1":
        values = ends.sum() - values
    return values, (float(ends.min()), float(ends.max()))


def _opened(path: Path) -> tuple[FileDataset, np.ndarray]:
    """A file, and its pixels as they are stored: (H, W) or, in colour, (H, W, 3)."""
    try:
        file = dcmread(BytesIO(read_regular(path, LARGEST * PIXEL)))
        rows, columns, frames = int(file.Rows), int(file.Columns), int(file.get("NumberOfFrames") or 1)
        assert file.PhotometricInterpretation
    except FileNotFoundError as error:
        raise ValueError("is missing") from error
    except PermissionError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    except Exception as error:  # whatever a damaged file makes of pydicom's parser
        raise ValueError("is truncated, damaged or holds no image") from error
    if frames > 1:
        raise ValueError(f"holds {frames} frames, where one image is expected")
    if rows * columns > LARGEST:
        raise ValueError(f"is too large ({LARGEST:,} pixels are allowed)")
    with _damage():
        return file, file.pixel_array


@contextmanager
def _damage() -> Iterator[None]:
    """Around what pydicom makes of a file that may be damaged."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:  # a compression for which no decoder is installed
        raise ValueError("is compressed in a way that cannot be read here; save it uncompressed") from error
    except Exception as error:
        raise ValueError("is truncated or damaged") from error
