"""What may be translated by itself: a patient's case folder, a radiograph or an image, read as the benchmark's own.

Which of these it is, is the benchmark's reader's to say (`READERS`). No store, table, mask or label is asked for.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from stages.data import image_tree, images
from stages.data.brats_case import Recipe, read_case, read_volumes
from stages.data.brats_names import SUFFIXES as VOLUMES
from stages.data.brats_tree import Case, case_of, find_cases
from stages.data.chexpert_table import view_of
from stages.data.dicom import holds_dicom, read_dicom
from stages.data.extraction import BadCaseError
from stages.data.image_files import files_below, once
from stages.data.image_masks import Masks
from stages.data.pixels import PICTURES, SUFFIXES, read_pixels
from stages.data.radiographs import read_grey, resample, to_unit_range
from stages.data.store import IMAGE_DTYPE
from stages.errors import InputError
from stages.export.files import case_names, file_names
from stages.export.native_space import PixelGrid, VolumeGrid, read_header

EMPTY = 0.5
"""The least share of voxels that are 0 in a volume without skull: in 20 BraTS cases it is .81 to .88."""
FILLED = 0.5
"""The least share of `pad` that a volume's longer side fills: BraTS' 240 of 256 are .94."""
ELONGATED = 2
"""The largest ratio of a radiograph's sides."""


@dataclass(frozen=True)
class Input:
    """A volume's slices, or one radiograph or image, as the networks see it.

    Attributes:
        name: of its files.
        slice_ids: (n), as the manifest would have them; what is drawn at random depends on them.
        images: (n, C, size, size) float16 in [0, 1].
        grid: the voxels or pixels that it came from.
        doubts: sentences on why it may not be what the networks were trained on.
    """

    name: str
    slice_ids: list[str]
    images: np.ndarray
    grid: VolumeGrid | PixelGrid
    doubts: list[str]


@dataclass(frozen=True)
class Reader:
    """What one image is for a reader of stages/data.

    Attributes:
        find: (what was named, `data`) -> each image once, by its name, before the first is read.
        read: (name, what `find` has there, `data`, axial slices or None for all) -> the image.
    """

    find: Callable[[Sequence[Path], dict], dict[str, Any]]
    read: Callable[[str, Any, dict, Sequence[int] | None], Input]


def reader(data: dict) -> Reader:
    """The reader of single images that belongs to `data.reader`; InputError where there is none."""
    if data["reader"] not in READERS:
        raise InputError(
            f"single images can be read for data.reader {', '.join(READERS)}, not for {data['reader']}: put the "
            "image into a raw folder of that reader, and run the benchmark"
        )
    return READERS[data["reader"]]


# --- volumes ---------------------------------------------------------------------------------------------------------


def find_volumes(paths: Sequence[Path], data: dict) -> dict[str, Case]:
    """The case folders among, below, or around what was named: a file stands for the case that it lies in.

    Raises:
        InputError: one is not there, is no NIfTI file, holds no case, lacks a sequence, or is of a layout that the
            benchmark's reader refuses.
    """
    channels = data["channels"]
    files = ", ".join(f"<case>_{channel}.nii.gz" for channel in channels)
    layout = f"a case is a folder with {files}, or a 4-D volume in imagesTr or imagesTs, beside which lies dataset.json"
    cases: dict[Path, Case] = {}
    for path in paths:
        _there(path)
        if path.is_file() and not path.name.endswith(VOLUMES):
            raise InputError(f"{path} is no NIfTI file, which this benchmark takes: {layout}")
        here = Path(os.path.abspath(path))  # not resolved: a link's name counts
        found = [case_of(here)] if path.is_file() else find_cases(here)
        cases |= {case.folder: case for case in found}
    for case in cases.values():
        for channel in channels:
            try:
                case.file(channel)
            except BadCaseError as error:
                raise InputError(f"{error.file}: {error.reason}; {layout}") from error
    names = file_names(case_names([case.folder.as_posix() for case in cases.values()]))
    return dict(zip(names, cases.values(), strict=True))


def read_slices(name: str, case: Case, data: dict, positions: Sequence[int] | None) -> Input:
    """All slices of a case within data.brats.slices that show any brain, or those at `positions`; `step` skips none.

    Raises:
        InputError: a volume cannot be read or does not fit the recipe, or a position is none of these.
    """
    recipe = replace(Recipe.from_parameters(data), step=1)
    try:
        slices = read_case(case, recipe, masked=False)
        doubts = _doubts_of_volumes(case, recipe)
    except BadCaseError as error:
        raise InputError(f"{error.file}: {error.reason}") from error
    asked = slices.positions if positions is None else sorted(set(positions))
    if absent := [position for position in asked if position not in slices.positions]:
        raise InputError(
            f"{case.folder} has no slice {absent[0]} to translate: those that lie in data.brats.slices and show any "
            f"brain are {slices.positions[0]} to {slices.positions[-1]}, so ask for some of these (--slices)"
        )
    rows = [slices.positions.index(position) for position in asked]
    path = case.file(recipe.channels[0])
    grid = VolumeGrid(path, read_header(path), np.array(asked), recipe.pad)
    return Input(name, [f"{case.name}_z{z:03d}" for z in asked], slices.images[rows], grid, doubts)


def _doubts_of_volumes(case: Case, recipe: Recipe) -> list[str]:
    doubts = []
    for _, path, volume, _ in read_volumes(case, recipe.channels):
        empty = (volume == 0).mean()
        if empty < EMPTY:
            doubts.append(
                f"{path} is 0 in only {empty:.0%} of its voxels: the networks know brains without skull, on a "
                "background of 0"
            )
        if max(volume.shape[:2]) < FILLED * recipe.pad:
            doubts.append(
                f"{path} has slices of {volume.shape[0]} x {volume.shape[1]} voxels where the networks know volumes "
                f"that fill most of {recipe.pad} x {recipe.pad}: resample it to their voxel size"
            )
    return doubts


# --- radiographs -----------------------------------------------------------------------------------------------------


def find_radiographs(paths: Sequence[Path], data: dict) -> dict[str, Path]:
    """The image files that were named, and those in named folders; the data set's masks are none.

    Raises:
        InputError: one is not there, or a folder holds no image; or as `files_below` and `once`.
    """
    mask = data[data["reader"]].get("masks")
    found: dict[Path, None] = {}
    for path in paths:
        _there(path)
        images = [path]
        if path.is_dir():
            files = [file for file in files_below(path, path) if mask is None or not file.path.name.endswith(mask)]
            files = [file for file in files if file.path.suffix.lower() in PICTURES or holds_dicom(file.path)]
            images = [file.path for file in once(files)]
            if not images:
                raise InputError(f"{path} holds no image (JPEG, PNG, TIFF, DICOM): name a radiograph or its folder")
        found |= dict.fromkeys(images)
    return dict(zip(file_names([_slice_id(path) for path in found]), found, strict=True))


def read_radiograph(name: str, path: Path, data: dict, positions: Sequence[int] | None) -> Input:
    """One radiograph, from an image file or DICOM.

    Raises:
        InputError: it cannot be read, is in colour, constant or smaller than data.size, or slices are asked for.
    """
    _without_slices(positions)
    try:
        grey = read_dicom(path) if holds_dicom(path) else read_grey(path)
        image = to_unit_range(resample(grey, data["size"])).astype(IMAGE_DTYPE)
    except ValueError as error:
        raise InputError(f"{path} {error}") from error
    rows, columns = grey.shape
    doubts = []
    if max(rows, columns) > ELONGATED * min(rows, columns):
        doubts.append(f"{path} has {columns} x {rows} pixels: the networks know radiographs that are about square")
    return Input(name, [_slice_id(path)], image[None, None], PixelGrid(path, (rows, columns)), doubts)


def _slice_id(path: Path) -> str:
    """The manifest's where the file lies in CheXpert's tree: <patient>_<study>_<view>; else its own name."""
    *_, patient, study, name = ("", "", *path.absolute().parts)
    return f"{patient}_{study}_{view_of(name)}" if study.startswith("study") else path.stem


# --- images of a folder ----------------------------------------------------------------------------------------------


def find_images(paths: Sequence[Path], data: dict) -> dict[str, Path]:
    """The image files that were named, and those in named folders that data.images.masks does not call masks.

    Raises:
        InputError: one is not there, a folder holds no image, or one in it is called as if it held masks.
    """
    masks = Masks.of(data.get("images", {}))
    found: dict[Path, None] = {}
    for path in paths:
        _there(path)
        pictures = [path]
        if path.is_dir():
            pictures = image_tree.pictures(path, _below_raw(path, data) or PurePath(), masks)
            if not pictures:
                raise InputError(f"{path} holds no image ({', '.join(SUFFIXES)}): name an image or its folder")
        found |= dict.fromkeys(pictures)
    return dict(zip(file_names([_image_id(path, data) for path in found]), found, strict=True))


def read_image(name: str, path: Path, data: dict, positions: Sequence[int] | None) -> Input:
    """One image, grey or in colour; its mask is not asked for.

    Raises:
        InputError: it cannot be read, does not fit data.channels, data.size or data.images.scale, or slices are asked
            for.
    """
    _without_slices(positions)
    try:
        image, shape = images.as_slice(read_pixels(path), images.Recipe.from_parameters(data))
    except ValueError as error:
        raise InputError(f"{path} {error}") from error
    return Input(name, [_image_id(path, data)], image[None], PixelGrid(path, shape), [])


def _image_id(path: Path, data: dict) -> str:
    """The manifest's where the file lies in the benchmark's raw folder; else its own name."""
    return image_tree.slice_id_of(_below_raw(path, data) or PurePath(path.name))


def _below_raw(path: Path, data: dict) -> PurePath | None:
    """A path's own below data.folder; None where it lies elsewhere."""
    here, raw = (PurePath(os.path.abspath(one)) for one in (path, data["folder"]))
    return here.relative_to(raw) if here.is_relative_to(raw) else None


def _without_slices(positions: Sequence[int] | None) -> None:
    if positions is not None:
        raise InputError("--slices are those of a volume: this benchmark's images have none, so leave it out")


def _there(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} is not there: name a file or a folder")


_RADIOGRAPHS = Reader(find_radiographs, read_radiograph)
READERS = {
    "brats": Reader(find_volumes, read_slices),
    "chexpert": _RADIOGRAPHS,
    "nih": _RADIOGRAPHS,
    "images": Reader(find_images, read_image),
}
"""By `data.reader`."""
