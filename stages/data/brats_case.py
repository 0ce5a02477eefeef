"""One BraTS case: read and check its volumes, turn its axial slices into arrays.

The recipe is that of the authors of Wolleb et al. (MICCAI 2022); their published slices are reproduced bit for bit.
"""

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from gzip import GzipFile
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Self

import numpy as np
from nibabel import Nifti1Header, Nifti1Image, aff2axcodes
from nibabel.affines import apply_affine, voxel_sizes
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from stages.data.brats_names import MASK, Part
from stages.data.brats_tree import Case
from stages.data.extraction import BadCaseError
from stages.data.store import IMAGE_DTYPE, MASK_DTYPE
from stages.regular_files import read_regular

DEEPEST = 512
"""Axial slices that a volume may have at most; BraTS has 155."""
WIDEST = 512
"""Side of its slices where no data.brats.pad says it; BraTS has 240."""
LABELS = (1, 2, 3, 4)
"""What BraTS' masks hold: 1, 2, 4 until 2021 (core, oedema, enhancing), 1, 2, 3 since; 4 is then a resection cavity, or
oedema in children (BraTS-PED)."""
APART = 0.5
"""Voxels by which the corners of two volumes may differ that lie in one space."""
NEGATIVE = 0.2
"""Largest share of voxels below 0 among those that are not 0: none in 80 volumes as released, at most .14 resampled by
splines, .34 to .66 as z-scores (40 volumes)."""
_VOXEL = 8
"""Bytes of the widest voxel, a double."""
_AROUND = 2**20
"""Bytes of a file beside its voxels: header, extensions, what compression adds."""
_DAMAGED = "the file is truncated, damaged or not NIfTI: get it again"
_UNREADABLE = (
    *(OSError, EOFError, zlib.error),  # the file, or its compression
    *(ImageFileError, HeaderDataError, WrapStructError, ValueError, TypeError, OverflowError),  # what nibabel raises
)


@dataclass(frozen=True)
class Recipe:
    """What is made of a case: the parts of `data` and `data.brats` in params.yaml that concern one case.

    Attributes:
        channels: sequences, in the order of the channels.
        percentiles: (low, high), in percent of the voxels above zero.
        first, last: range of axial slices, both included.
        pad: side of the zero-padded slice, in pixels.
        size: side of the slice after resampling by area, in pixels; divides `pad`.
        step: of slices first, first + step, ...; 1: every one.
        lesion_labels: of the mask, those that are a lesion.
    """

    channels: tuple[str, ...]
    percentiles: tuple[float, float]
    first: int
    last: int
    pad: int
    size: int
    step: int = 1
    lesion_labels: tuple[int, ...] = LABELS

    @classmethod
    def from_parameters(cls, data: dict) -> Self:
        """The recipe of a benchmark's section `data`."""
        own = data["brats"]
        (low, high), (first, last) = own["percentiles"], own["slices"]
        lesion_labels = tuple(own.get("lesion_labels", LABELS))
        channels = tuple(data["channels"])
        return cls(channels, (low, high), first, last, own["pad"], data["size"], own["step"], lesion_labels)


@dataclass(frozen=True)
class CaseSlices:
    """The slices of a case that show any brain.

    Attributes:
        images: (n, C, size, size) float16 in [0, 1]: cast once, at the end of the recipe, as the store holds them.
        masks: (n, size, size) uint8 in {0, 1}; all 0 where none was read.
        positions: n indices of axial slices in the volume.
        affine: (4, 4), of the first sequence's volume.
    """

    images: np.ndarray
    masks: np.ndarray
    positions: list[int]
    affine: np.ndarray


def read_volume(path: Path, case: str, pad: int = WIDEST) -> tuple[np.ndarray, np.ndarray]:
    """Read a NIfTI file of one volume whole: voxels as float64 (X, Y, Z), finite, and the affine (4, 4).

    Raises:
        BadCaseError: as `open_volumes`, or NaN or infinite.
    """
    return _voxels(open_volumes(path, case, pad), None, path, case)


def read_volumes(
    case: Case, sequences: Iterable[str], pad: int = WIDEST
) -> Iterator[tuple[str, Path, np.ndarray, np.ndarray]]:
    """Each sequence of a case with its file, its voxels and affine as `read_volume`; a file of several is read once.

    Raises:
        BadCaseError: as `Case.file` and `read_volume`.
    """
    opened, image = None, None
    for sequence in sequences:
        path, part = case.file(sequence), case.part(sequence)
        if image is None or path != opened:
            opened, image = path, open_volumes(path, case.name, pad, part.count if part else None)
        yield sequence, path, *_voxels(image, part, path, case.name)


def open_volumes(path: Path, case: str, pad: int = WIDEST, count: int | None = None) -> Nifti1Image:
    """A NIfTI file, read whole, of one volume (X, Y, Z) or of `count` (X, Y, Z, count).

    A compressed file is decompressed to its end, which checks its checksum; nibabel alone stops at the last voxel. No
    more is read or decompressed than the header promises, and that may be no more than pad x pad x `DEEPEST` voxels.

    Raises:
        BadCaseError: unreadable, no regular file, truncated, not NIfTI, too large, or of another number of volumes.
    """
    largest = pad**2 * DEEPEST * (count or 1)
    try:
        content = read_regular(path, largest * _VOXEL + _AROUND)
    except OSError as error:
        raise BadCaseError(
            case, str(path), f"the file cannot be read ({error.strerror}): put a readable file there"
        ) from error
    try:
        stream = BytesIO(content)
        compressed = content[:2] == b"\x1f\x8b"  # whatever the name says
        with GzipFile(fileobj=stream) if compressed else stream as file:
            start = file.read(Nifti1Header.sizeof_hdr)
            header = Nifti1Header(start)
            shape = tuple(map(int, header.get_data_shape()))
            if shape[3:] != (() if count is None else (count,)) or len(shape) < 3:
                raise BadCaseError(case, str(path), _other_number(shape, count))
            if math.prod(shape) > largest:
                words = (
                    f"a volume of {shape} voxels is too large: {pad} x {pad} x {DEEPEST} are of use (data.brats.pad)"
                )
                words = f"{words}, so resample it"
                raise BadCaseError(case, str(path), words)
            most = math.prod(shape) * header.get_data_dtype().itemsize + _AROUND
            whole = start + file.read(max(0, most))
            if file.read(1):
                raise BadCaseError(case, str(path), "the file holds more than its header says: save it again")
        return Nifti1Image.from_bytes(whole)
    except _UNREADABLE as error:
        raise BadCaseError(case, str(path), _DAMAGED) from error


def _other_number(shape: tuple[int, ...], count: int | None) -> str:
    """What is wrong with a file of this shape that should hold one volume, or `count`."""
    held = math.prod(shape[3:])
    if len(shape) < 3 or (held == 1 and count is None):
        return f"the file has {len(shape)} axes (shape {shape}), where a volume has 3: save it as one"
    volumes = "1 volume" if held == 1 else f"{held} volumes"
    one, named = "1 is expected, so save one", f"dataset.json names {count} sequences, so save these"
    return f"the file holds {volumes} (shape {shape}), where {one if count is None else named} alone"


def _voxels(image: Nifti1Image, part: Part | None, path: Path, case: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        one = image if part is None else image.slicer[..., part.index]
        volume, affine = one.get_fdata(dtype=np.float64, caching="unchanged"), image.affine
    except _UNREADABLE as error:
        raise BadCaseError(case, str(path), _DAMAGED) from error
    if not (np.isfinite(volume).all() and np.isfinite(affine).all()):
        raise BadCaseError(case, str(path), "the volume or its affine holds NaN or infinite values: save it without")
    return volume, affine


def intensity_range(volume: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """`lo, hi`: percentiles (linear interpolation) of the voxels above zero, the brain, of the whole volume.

    Raises:
        ValueError: there are no such voxels, both percentiles are equal, or the volume is standardised.
    """
    brain = volume[volume > 0]
    if (negative := np.count_nonzero(volume < 0)) > NEGATIVE * np.count_nonzero(volume):
        share = negative / np.count_nonzero(volume)
        raise ValueError(
            f"{share:.0%} of the voxels that are not 0 are below 0, as in standardised volumes (z-scores, -1 to 1): "
            "take the intensities as released, above a background of 0"
        )
    if brain.size == 0:
        raise ValueError("the volume has no voxel above zero: put the scan there")
    low, high = np.percentile(brain, percentiles)
    if low == high:
        raise ValueError(
            f"the volume is degenerate (percentiles {percentiles} of its brain are both {low:g}): "
            "put the scan there, not a mask"
        )
    return float(low), float(high)


def axial_slices(volume: np.ndarray, first: int, last: int) -> np.ndarray:
    """Slices first..last (included) of an (X, Y, Z) volume as (n, Y, X): each `volume[:, :, z].T`."""
    return np.transpose(volume[:, :, first : last + 1], (2, 1, 0))


def scaled_slices(volume: np.ndarray, percentiles: tuple[float, float], first: int, last: int) -> np.ndarray:
    """The authors' recipe, before padding: clip to the percentiles, scale to [0, 1], transpose.

    Bit for bit the authors' slices: in float64, first the difference, then one division.

    Args:
        volume: (X, Y, Z) float64, all of it: the percentiles are the volume's.
        percentiles: low and high, in percent.
        first: first axial slice.
        last: last axial slice, included.

    Returns:
        (n, Y, X) float64 in [0, 1].

    Raises:
        ValueError: as `intensity_range`.
    """
    low, high = intensity_range(volume, percentiles)
    return (np.clip(axial_slices(volume, first, last), low, high) - low) / (high - low)


def pad_and_resample(slices: np.ndarray, pad: int, size: int) -> np.ndarray:
    """Zero-pad slices around their centre to pad x pad, then take the mean over blocks of (pad / size)^2 pixels.

    Args:
        slices: (n, H, W), H and W at most `pad`. Where the difference is odd, the extra row or column comes last.
        pad: side after padding.
        size: side after resampling by area; divides `pad`.

    Returns:
        (n, size, size) float64.

    >>> pad_and_resample(np.ones((1, 2, 2)), pad=4, size=2)
    array([[[0.25, 0.25],
            [0.25, 0.25]]])
    """
    n, height, width = slices.shape
    top, left = (pad - height) // 2, (pad - width) // 2
    padded = np.zeros((n, pad, pad))
    padded[:, top : top + height, left : left + width] = slices
    if pad == size:
        return padded
    block = pad // size
    return padded.reshape(n, size, block, size, block).mean(axis=(2, 4))


def read_case(case: Case, recipe: Recipe, masked: bool = True) -> CaseSlices:
    """Read a case, with its mask or without one, check all of it, and make its slices.

    Slices in which every sequence is zero everywhere (no brain) are left out. A pixel of the resampled mask counts
    where at least half of its area is a lesion.

    Raises:
        BadCaseError: anything is wrong with any of its files.
    """
    files = {name: case.file(name) for name in (*recipe.channels, *([MASK] if masked else []))}
    first, last, step = recipe.first, recipe.last, recipe.step
    channels, shown = [], np.zeros(len(range(first, last + 1, step)), bool)
    masks = np.zeros((len(shown), recipe.size, recipe.size), bool)
    for name, path, volume, volume_affine in read_volumes(case, files, recipe.pad):
        if name == recipe.channels[0]:
            shape, affine = volume.shape, volume_affine
            _check_shape(shape, recipe, case, path)
        elif problem := _other_space(volume.shape, volume_affine, shape, affine, name == MASK):
            raise BadCaseError(
                case.name, str(path), f"{problem} of {files[recipe.channels[0]].name}: resample it to that"
            )
        if name == MASK:
            labels = axial_slices(_labels(volume, case, path), first, last)[::step]
            lesion = np.isin(labels, recipe.lesion_labels)
            masks = pad_and_resample(lesion, recipe.pad, recipe.size) >= 0.5
            # What is neither lesion nor healthy brain (a resection cavity) is no slice to learn health from.
            shown &= lesion.any(axis=(1, 2)) | ~labels.any(axis=(1, 2))
        else:
            try:
                slices = scaled_slices(volume, recipe.percentiles, first, last)[::step]
            except ValueError as error:
                raise BadCaseError(case.name, str(path), str(error)) from error
            # The cast is each channel's last step, so that no more than one volume is held in float64.
            channels.append(pad_and_resample(slices, recipe.pad, recipe.size).astype(IMAGE_DTYPE))
            shown |= (axial_slices(volume, first, last)[::step] > 0).any(axis=(1, 2))
    if not shown.any():
        words = (
            f"no brain in slices {first} to {last}, or none that is healthy or has a lesion: change data.brats.slices"
        )
        raise BadCaseError(case.name, str(case.folder), words)
    images = np.stack(channels, axis=1)[shown]
    positions = (np.flatnonzero(shown) * step + first).tolist()
    return CaseSlices(images, masks[shown].astype(MASK_DTYPE), positions, affine)


def _labels(volume: np.ndarray, case: Case, path: Path) -> np.ndarray:
    found = np.unique(volume[volume != 0])
    if unknown := [f"{value:g}" for value in found if value not in LABELS]:
        there = ", ".join(unknown[:3])
        words = f"the mask holds {there}, and labels are the integers 0 to {LABELS[-1]}: save it with these"
        raise BadCaseError(case.name, str(path), words)
    return volume


def _other_space(
    shape: tuple[int, ...], affine: np.ndarray, first_shape: tuple[int, ...], first_affine: np.ndarray, mask: bool
) -> str | None:
    """How a volume's grid differs from that of the first, if it does: voxels are compared by their indices."""
    if shape != first_shape:
        return f"shape {shape} differs from {first_shape}"
    axes, first_axes = ("".join(map(str, aff2axcodes(each))) for each in (affine, first_affine))
    if axes != first_axes:
        return f"orientation {axes} differs from {first_axes}"
    if mask:  # other software wrote it, as that of BraTS20_Training_355: its origin need not be the image's
        affine = np.column_stack([affine[:, :3], first_affine[:, 3]])
    corners = np.array(list(product(*((0, length - 1) for length in shape))))
    apart = np.linalg.norm(apply_affine(affine, corners) - apply_affine(first_affine, corners), axis=1).max()
    if apart > APART * voxel_sizes(first_affine).min():
        return f"its affine puts it {apart:.3g} mm away from the space"
    return None


def _check_shape(shape: tuple[int, ...], recipe: Recipe, case: Case, path: Path) -> None:
    if math.prod(shape) == 0:
        raise BadCaseError(case.name, str(path), f"the volume is empty (shape {shape}): put the scan there")
    if max(shape[:2]) > recipe.pad:
        raise BadCaseError(
            case.name,
            str(path),
            f"slices of {shape[0]} x {shape[1]} do not fit data.brats.pad ({recipe.pad}): raise that",
        )
    if recipe.last >= shape[2]:
        words = f"data.brats.slices reaches {recipe.last}, but the volume's last slice is {shape[2] - 1}: lower it"
        raise BadCaseError(case.name, str(path), words)
