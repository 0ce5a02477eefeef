"""One radiograph out of a DICOM file, as grey levels that look as its maker meant them to.

For single images (stages.export.translate): no data set of the benchmark comes as DICOM.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.misc import is_dicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut

GREY = ("MONOCHROME1", "MONOCHROME2")
PIXELS = Image.MAX_IMAGE_PIXELS or 0
"""The most that are read: as many as of other image files."""


def holds_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, whatever its name."""
    return path.is_file() and is_dicom(path)


def read_dicom(path: Path) -> np.ndarray:
    """Read a DICOM image whole, as float64 (H, W): rescaled, windowed, and dark where the body lets little through.

    That is DICOM PS3.3, C.11: the modality's and the VOI's transformation, then MONOCHROME1 turned into MONOCHROME2.

    Raises:
        ValueError: unreadable, truncated, without pixels, in colour, of several frames, or too large. Says which.
    """
    try:
        file = dcmread(path)
        rows, columns, frames = int(file.Rows), int(file.Columns), int(file.get("NumberOfFrames") or 1)
        photometric = file.PhotometricInterpretation
    except PermissionError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    except (InvalidDicomError, AttributeError, ValueError, TypeError, OSError, EOFError, NotImplementedError) as error:
        raise ValueError("is truncated, damaged or holds no image") from error
    if photometric not in GREY:
        raise ValueError(f"is in colour ({photometric}), where a grey image is expected")
    if frames > 1:
        raise ValueError(f"holds {frames} frames, where one image is expected")
    if rows * columns > PIXELS:
        raise ValueError(f"is too large ({PIXELS:,} pixels are allowed)")
    try:
        values = np.asarray(apply_voi_lut(apply_modality_lut(file.pixel_array, file), file), np.float64)
    except (AttributeError, ValueError, TypeError, IndexError, OSError, EOFError) as error:
        raise ValueError("is truncated or damaged") from error
    except (RuntimeError, NotImplementedError) as error:  # a compression for which no decoder is installed
        raise ValueError("is compressed in a way that cannot be read here; save it uncompressed") from error
    if not np.isfinite(values).all():
        raise ValueError("holds NaN or infinite values")
    return values.max() + values.min() - values if photometric == "MONOCHROME1" else values
