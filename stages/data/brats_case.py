"""One BraTS case: find its files, read and check its volumes, turn its axial slices into arrays.

The recipe is that of the authors of Wolleb et al. (MICCAI 2022); their published slices are reproduced bit for bit.
"""

import math
import os
import re
import zlib
from dataclasses import dataclass
from gzip import GzipFile
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from nibabel import Nifti1Header, Nifti1Image
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from stages.data.extraction import BadCaseError
from stages.data.store import IMAGE_DTYPE, MASK_DTYPE
from stages.errors import InputError
from stages.regular_files import read_regular

MASK = "seg"
SUFFIXES = (".nii", ".nii.gz")
# The one file of the BraTS 2020 release that does not follow its own naming.
ALIASES = {("BraTS20_Training_355", MASK): "W39_1998.09.19_Segm"}
DEEPEST = 512
"""Axial slices that a volume may have at most; BraTS has 155."""
WIDEST = 512
"""Side of its slices where no data.brats.pad says it; BraTS has 240."""
_VOXEL = 8
"""Bytes of the widest voxel, a double."""
_AROUND = 2**20
"""Bytes of a file beside its voxels: header, extensions, what compression adds."""
_CASE_NAME = re.compile(r"(brats|phantom)", re.IGNORECASE)
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
    """

    channels: tuple[str, ...]
    percentiles: tuple[float, float]
    first: int
    last: int
    pad: int
    size: int
    step: int = 1

    @classmethod
    def from_parameters(cls, data: dict) -> Self:
        """The recipe of a benchmark's section `data`."""
        own = data["brats"]
        (low, high), (first, last) = own["percentiles"], own["slices"]
        return cls(tuple(data["channels"]), (low, high), first, last, own["pad"], data["size"], own["step"])


@dataclass(frozen=True)
class Case:
    """A case folder. `source` is its path below the raw folder; `name` its own name."""

    folder: Path
    source: str

    @property
    def name(self) -> str:
        return self.folder.name

    def file(self, sequence: str) -> Path:
        """The file of one sequence, or of the mask (`seg`).

        Raises:
            BadCaseError: there is none, or more than one.
        """
        stems = [f"{self.name}_{sequence}", f"{self.name}-{sequence}"]  # the latter since BraTS 2023
        if (self.name, sequence) in ALIASES:
            stems.append(ALIASES[self.name, sequence])
        paths = [self.folder / (stem + suffix) for stem in stems for suffix in SUFFIXES]
        try:
            found = [path for path in paths if path.is_file()]
        except PermissionError as error:
            raise BadCaseError(self.name, str(self.folder), f"the folder cannot be read ({error.strerror})") from error
        if len(found) > 1:
            names = " and ".join(path.name for path in found)
            raise BadCaseError(self.name, str(self.folder), f"two files for the sequence {sequence} ({names})")
        if not found:
            path = self.folder / (stems[0] + SUFFIXES[1])
            raise BadCaseError(self.name, str(path), "the file is missing (nor is there one that ends in .nii)")
        return found[0]


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


def find_cases(raw: Path) -> list[Case]:
    """All case folders below `raw`, at any depth, sorted by name and path.

    A case folder holds NIfTI files, or is empty and named like one. Hidden files and folders are passed over; links
    are followed.

    Raises:
        InputError: `raw` is missing, holds no case, or one whose name is not UTF-8.
    """
    advice = (
        "put the case folders (<case>/<case>_<sequence>.nii or .nii.gz) or a link to them there: BraTS comes, after "
        "registration, from its organisers (CBICA's image processing portal, Synapse) or as a copy on Kaggle"
    )
    if not raw.is_dir():
        raise InputError(f"the raw data folder {raw} is missing; {advice}")
    cases, seen = [], set()
    for path, folders, files in os.walk(raw, followlinks=True, onerror=_refuse_folder):
        folder = Path(path)
        if (real := folder.resolve()) in seen:  # a link back to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        volumes = [name for name in files if name.endswith(SUFFIXES) and not name.startswith(".")]
        if volumes or (folder != raw and not folders and _CASE_NAME.match(folder.name)):
            cases.append(Case(folder, folder.relative_to(raw).as_posix()))
            folders.clear()
    if not cases:
        raise InputError(f"the raw data folder {raw} holds no case; {advice}")
    for case in cases:
        try:
            case.source.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{case.source!a} below {raw} is no name in UTF-8, as tables hold them: rename it"
            ) from None
    return sorted(cases, key=lambda case: (case.name, case.source))


def _refuse_folder(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read ({error.strerror}); check its permissions") from error


def read_volume(path: Path, case: str, pad: int = WIDEST) -> tuple[np.ndarray, np.ndarray]:
    """Read a NIfTI file whole: voxels as float64 (X, Y, Z), finite, and the affine (4, 4).

    A compressed file is decompressed to its end, which checks its checksum; nibabel alone stops at the last voxel. No
    more is read or decompressed than the header promises, and that may be no more than pad x pad x `DEEPEST` voxels.

    Raises:
        BadCaseError: unreadable, no regular file, truncated, not NIfTI, too large, not 3-D, NaN or infinite.
    """
    try:
        content = read_regular(path, pad**2 * DEEPEST * _VOXEL + _AROUND)
    except OSError as error:
        raise BadCaseError(case, str(path), f"the file cannot be read ({error.strerror})") from error
    try:
        stream = BytesIO(content)
        compressed = content[:2] == b"\x1f\x8b"  # whatever the name says
        with GzipFile(fileobj=stream) if compressed else stream as file:
            start = file.read(Nifti1Header.sizeof_hdr)
            header = Nifti1Header(start)
            shape = tuple(map(int, header.get_data_shape()))
            if len(shape) != 3:
                words = f"the volume must have 3 axes, not {len(shape)} (shape {shape})"
                raise BadCaseError(case, str(path), words)
            if math.prod(shape) > pad**2 * DEEPEST:
                words = (
                    f"a volume of {shape} voxels is too large: {pad} x {pad} x {DEEPEST} are of use (data.brats.pad)"
                )
                raise BadCaseError(case, str(path), words)
            most = math.prod(shape) * header.get_data_dtype().itemsize + _AROUND
            whole = start + file.read(max(0, most))
            if file.read(1):
                raise BadCaseError(case, str(path), "the file holds more than its header says")
        image = Nifti1Image.from_bytes(whole)
        volume, affine = image.get_fdata(dtype=np.float64, caching="unchanged"), image.affine
    except _UNREADABLE as error:
        raise BadCaseError(case, str(path), "the file is truncated, damaged or not NIfTI") from error
    if not (np.isfinite(volume).all() and np.isfinite(affine).all()):
        raise BadCaseError(case, str(path), "the volume or its affine holds NaN or infinite values")
    return volume, affine


def intensity_range(volume: np.ndarray, percentiles: tuple[float, float]) -> tuple[float, float]:
    """`lo, hi`: percentiles (linear interpolation) of the voxels above zero, the brain, of the whole volume.

    Raises:
        ValueError: there are no such voxels, or both percentiles are equal.
    """
    brain = volume[volume > 0]
    if brain.size == 0:
        raise ValueError("the volume has no voxel above zero")
    low, high = np.percentile(brain, percentiles)
    if low == high:
        raise ValueError(f"the volume is degenerate (percentiles {percentiles} of its brain are both {low:g})")
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
    where at least half of its area bears a label.

    Raises:
        BadCaseError: anything is wrong with any of its files.
    """
    files = {name: case.file(name) for name in (*recipe.channels, *([MASK] if masked else []))}
    first, last, step = recipe.first, recipe.last, recipe.step
    channels, brain = [], np.zeros(len(range(first, last + 1, step)), bool)
    masks = np.zeros((len(brain), recipe.size, recipe.size), bool)
    for index, (name, path) in enumerate(files.items()):
        volume, volume_affine = read_volume(path, case.name, recipe.pad)
        if index == 0:
            shape, affine = volume.shape, volume_affine
            _check_shape(shape, recipe, case, path)
        elif volume.shape != shape:
            words = f"shape {volume.shape} differs from {shape} of {files[recipe.channels[0]].name}"
            raise BadCaseError(case.name, str(path), words)
        if name == MASK:
            if not np.isin(volume[volume != 0], (1, 2, 3, 4)).all():
                raise BadCaseError(case.name, str(path), "the mask holds labels other than the integers 0 to 4")
            area = pad_and_resample(axial_slices(volume > 0, first, last)[::step], recipe.pad, recipe.size)
            masks = area >= 0.5
        else:
            try:
                slices = scaled_slices(volume, recipe.percentiles, first, last)[::step]
            except ValueError as error:
                raise BadCaseError(case.name, str(path), str(error)) from error
            # The cast is each channel's last step, so that no more than one volume is held in float64.
            channels.append(pad_and_resample(slices, recipe.pad, recipe.size).astype(IMAGE_DTYPE))
            brain |= (axial_slices(volume, first, last)[::step] > 0).any(axis=(1, 2))
    if not brain.any():
        raise BadCaseError(case.name, str(case.folder), f"no brain in slices {first} to {last} (data.brats.slices)")
    images = np.stack(channels, axis=1)[brain]
    positions = (np.flatnonzero(brain) * step + first).tolist()
    return CaseSlices(images, masks[brain].astype(MASK_DTYPE), positions, affine)


def _check_shape(shape: tuple[int, ...], recipe: Recipe, case: Case, path: Path) -> None:
    if math.prod(shape) == 0:
        raise BadCaseError(case.name, str(path), f"the volume is empty (shape {shape})")
    if max(shape[:2]) > recipe.pad:
        raise BadCaseError(
            case.name, str(path), f"slices of {shape[0]} x {shape[1]} do not fit data.brats.pad ({recipe.pad})"
        )
    if recipe.last >= shape[2]:
        words = f"data.brats.slices reaches {recipe.last}, but the volume's last slice is {shape[2] - 1}"
        raise BadCaseError(case.name, str(path), words)
