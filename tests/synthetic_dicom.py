"""DICOM files of one image, written from an array."""

from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

UID = "1.2.826.0.1.3680043.8.498.1"
"""The same in every file, so that the same image is the same bytes."""


def write(path: Path, pixels: np.ndarray, **elements: object) -> Path:
    """Write an image (H, W) or (H, W, C) of whole numbers of 8 or 16 bits; `elements` replace what its header says."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = UID
    file = FileDataset(path, {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, UID
    file.Rows, file.Columns = pixels.shape[:2]
    file.SamplesPerPixel = pixels.shape[2] if pixels.ndim == 3 else 1
    file.PhotometricInterpretation, file.PixelRepresentation = "MONOCHROME2", int(pixels.dtype.kind == "i")
    file.BitsAllocated = file.BitsStored = 8 * pixels.itemsize
    if pixels.ndim == 3:
        file.PlanarConfiguration = 0
    file.PixelData = pixels.tobytes()
    for name, value in elements.items():
        setattr(file, name, value)
    file.HighBit = file.BitsStored - 1
    file.save_as(path, enforce_file_format=True)
    return path
