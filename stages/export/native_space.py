"""From the slices of a benchmark back to what they were cut from: a volume's own voxels, a radiograph's own pixels.

The inverse of the recipes in stages.data.brats_case and stages.data.radiographs: the padding is cut off, slices are
transposed back and stacked at their positions. Resampling by area is undone by giving a pixel's value to every voxel
that it covers: no value arises that the method did not give, and a threshold may be taken before or after. What the
manifest does not hold (shape, orientation, units) is read from the raw file that it names, which must still be the one
that was extracted.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
import pandas as pd
from nibabel import Nifti1Header, Nifti1Image

from stages.data.brats_case import Recipe, axial_slices, pad_and_resample, read_volume, read_volumes, scaled_slices
from stages.data.brats_tree import SUFFIXES, Case
from stages.data.extraction import BadCaseError
from stages.data.radiographs import read_grey, resample, to_unit_range
from stages.data.store import IMAGE_DTYPE
from stages.errors import InputError

LABEL_INTENT = 1002  # NIFTI_INTENT_LABEL: the values are indices, not measurements
_ALIKE = 0.9
"""Least correlation between a store's slices and the raw volume's, where the reader's recipe is not known here."""


@dataclass(frozen=True)
class VolumeGrid:
    """A volume's own voxels, and how its slices lie in them.

    Attributes:
        path: the raw volume.
        header: its header, with shape (X, Y, Z), qform, sform and units.
        positions: n indices of the axial slices, in the order of the slices.
        pad: side of the zero-padded slice before resampling.
    """

    path: Path
    header: Nifti1Header
    positions: np.ndarray
    pad: int

    def volume(self, slices: np.ndarray) -> np.ndarray:
        """Slices (n, size, size) as a volume (X, Y, Z) of their type; 0 where there is no slice."""
        return to_volume(slices, self.positions, self.header.get_data_shape(), self.pad)


@dataclass(frozen=True)
class PixelGrid:
    """A radiograph's own pixels.

    Attributes:
        path: the raw image.
        shape: its rows and columns.
    """

    path: Path
    shape: tuple[int, int]

    def image(self, pixels: np.ndarray) -> np.ndarray:
        """A slice (size, size) as an image of `shape`, of its type."""
        return to_radiograph(pixels, self.shape)


def to_volume(slices: np.ndarray, positions: np.ndarray, shape: tuple[int, int, int], pad: int) -> np.ndarray:
    """Undo `axial_slices` and `pad_and_resample`.

    Args:
        slices: (n, size, size); size divides `pad`.
        positions: n different indices along Z.
        shape: (X, Y, Z) of the result; X and Y at most `pad`.
        pad: side of the padded slice, in voxels.

    Returns:
        (X, Y, Z), 0 in the slices that are not among the positions.
    """
    width, height, _ = shape
    top, left = (pad - height) // 2, (pad - width) // 2
    block = pad // slices.shape[-1]
    volume = np.zeros(shape, slices.dtype)
    for position, pixels in zip(positions, slices, strict=True):
        padded = pixels.repeat(block, axis=0).repeat(block, axis=1)
        volume[:, :, position] = padded[top : top + height, left : left + width].T
    return volume


def to_radiograph(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Undo `radiographs.resample`: (size, size) -> `shape`, each pixel with the value in which its centre lies.

    >>> to_radiograph(np.array([[1, 2], [3, 4]]), (2, 5))
    array([[1, 1, 2, 2, 2],
           [3, 3, 4, 4, 4]])
    """
    rows, columns = (
        ((np.arange(length) + 0.5) * (side / length)).astype(int)
        for length, side in zip(shape, pixels.shape, strict=True)
    )
    return pixels[rows[:, None], columns]


def write_nifti(
    path: Path, volume: np.ndarray, grid: VolumeGrid, largest: float, description: str, label: bool = False
) -> None:
    """Write a NIfTI file in the raw volume's space, whole or not at all, the same bytes every time.

    Args:
        path: the file, which ends in .nii.gz.
        volume: (X, Y, Z), of the type that the file is to have.
        grid: whose shape, qform, sform, voxel size and units it takes.
        largest: the upper end of the grey or colour scale with which a viewer starts (`cal_max`); the lower is 0.
        description: at most 79 characters of ASCII.
        label: the values are labels: viewers then neither interpolate nor scale them.
    """
    header = grid.header.copy()
    header.extensions.clear()  # what the raw file says about its acquisition, and perhaps about the patient
    for field in ("aux_file", "db_name", "intent_name"):
        header[field] = b""
    for field in ("intent_p1", "intent_p2", "intent_p3", "vox_offset", "glmax", "glmin"):
        header[field] = 0
    header["intent_code"] = LABEL_INTENT if label else 0
    header["descrip"] = description.encode("ascii", "replace")[:79]
    header["cal_min"], header["cal_max"] = 0, largest
    header.set_slope_inter(1, 0)
    header.set_data_dtype(volume.dtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:  # nibabel goes by the ending, so that .partial would not do
        whole = Path(folder) / path.name
        nibabel.save(Nifti1Image(volume, header.get_best_affine(), header), whole)
        whole.replace(path)


# --- the raw files ---------------------------------------------------------------------------------------------------


def brats_grid(raw: Path, rows: pd.DataFrame, images: np.ndarray, data: dict) -> VolumeGrid:
    """The grid of a case that stages.data.brats extracted, once its raw volume is found to be the one extracted.

    Args:
        raw: folder of the raw data set.
        rows: the volume's n rows of the manifest.
        images: (n, C, size, size), its slices.
        data: the section of params.yaml.

    Raises:
        InputError: the first channel's volume is missing or damaged, or the recipe makes other slices of it.
    """
    source = rows["source"].iloc[0]
    recipe = Recipe.from_parameters(data)
    positions = rows["position"].to_numpy()
    try:
        ((_, path, volume, affine),) = read_volumes(Case(raw / source, source), recipe.channels[:1])
    except BadCaseError as error:
        raise InputError(
            f"{error.file}: {error.reason}, and maps can be put into a volume's space only beside its raw volume: "
            "put it back"
        ) from error
    changed = InputError(f"{path} is not the volume that was extracted: put that one back, or extract the data again")
    fits = max(volume.shape[:2]) <= recipe.pad and recipe.last < volume.shape[2]
    if not fits or not _same_affine(rows, affine):
        raise changed
    try:
        slices = scaled_slices(volume, recipe.percentiles, recipe.first, recipe.last)[positions - recipe.first]
    except (ValueError, IndexError) as error:
        raise changed from error
    if not np.array_equal(pad_and_resample(slices, recipe.pad, recipe.size).astype(IMAGE_DTYPE), images[:, 0]):
        raise changed
    return VolumeGrid(path, read_header(path), positions, recipe.pad)


def other_grid(raw: Path, rows: pd.DataFrame, images: np.ndarray, data: dict) -> VolumeGrid | None:
    """The grid of a volume of someone else's reader, whose recipe is not known here; None where there is none.

    There is one where the manifest's `source` is a NIfTI file, or a case folder with one for a channel; where its
    affine is the manifest's; and where its axial slices, transposed, padded to `pad` of the reader's section (without
    it: to the slices' size) and resampled by area, are like the store's as they lie, more than turned around.
    """
    source = rows["source"].iloc[0]
    size = images.shape[-1]
    pad = (data.get(data["reader"]) or {}).get("pad", size)
    positions = rows["position"].to_numpy()
    if not isinstance(pad, int) or pad % size:
        return None
    try:
        path = _volume_file(raw, source, data["channels"])
        if path is None:
            return None
        volume, affine = read_volume(path, source)
    except BadCaseError:
        return None
    inside = positions.min() >= 0 and positions.max() < volume.shape[2] and not rows["position"].duplicated().any()
    if max(volume.shape[:2]) > pad or not inside or not _same_affine(rows, affine):
        return None
    first, last = int(positions.min()), int(positions.max())
    slices = pad_and_resample(axial_slices(volume, first, last), pad, size)[positions - first]
    return VolumeGrid(path, read_header(path), positions, pad) if _lies_like(slices, images) else None


def radiograph_shape(path: Path, image: np.ndarray) -> tuple[int, int]:
    """Rows and columns of a raw radiograph, once it is found to be the one extracted as `image` (size, size).

    Raises:
        InputError: it is missing or damaged, or the recipe makes another slice of it.
    """
    try:
        grey = read_grey(path)
        same = np.array_equal(to_unit_range(resample(grey, image.shape[-1])).astype(IMAGE_DTYPE), image)
    except ValueError as error:
        raise InputError(f"{path} {error}, and its map is drawn in its own pixels: put it back") from error
    if not same:
        raise InputError(f"{path} is not the image that was extracted: put that one back, or extract the data again")
    return grey.shape


def read_header(path: Path) -> Nifti1Header:
    """The header of a volume (X, Y, Z) of a NIfTI file that was read before; compressed or not, whatever its name."""
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        with gzip.open(file) if compressed else file as stream:
            header = Nifti1Header.from_fileobj(stream)
    header.set_data_shape(header.get_data_shape()[:3])  # of a file with several, each has the same grid
    return header


def _volume_file(raw: Path, source: str, channels: list[str]) -> Path | None:
    path = raw / source
    if path.is_file() and path.name.endswith(SUFFIXES):
        return path
    if path.is_dir() and path != raw:
        for channel in channels:
            try:
                return Case(path, source).file(channel)
            except BadCaseError:
                continue
    return None


def _same_affine(rows: pd.DataFrame, affine: np.ndarray) -> bool:
    """Whether the manifest's affine, of every row, is the raw volume's; a placeholder such as [] is not."""
    texts = set(rows["affine"])
    try:
        written = np.array(json.loads(texts.pop()), np.float64)
    except (ValueError, TypeError):
        return False
    return not texts and written.shape == (4, 4) and np.allclose(written, affine, rtol=1e-5, atol=1e-5)


def _lies_like(slices: np.ndarray, images: np.ndarray) -> bool:
    """Whether (n, s, s) slices of the raw volume correlate with a channel of (n, C, s, s), best as they lie.

    That is better than turned by any right angle, mirrored, or in the opposite order.
    """
    views = [slices, slices[:, :, ::-1]]
    views += [view[::-1] for view in views if len(slices) > 1]
    turned = [np.rot90(view, k, (1, 2)) for view in views for k in range(4)]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = [
            [np.corrcoef(view.ravel(), images[:, c].astype(np.float64).ravel())[0, 1] for view in turned]
            for c in range(images.shape[1])
        ]
    best = np.nan_to_num(found)[np.nan_to_num(found)[:, 0].argmax()]
    return best[0] >= _ALIKE and best[0] > best[1:].max()
