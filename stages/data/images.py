"""A folder of images, grey or in colour, with or without masks -> one slice store.

What is healthy, what is for training and for the test, and whose an image is, stands in the names of folders
(<split>/<class>/<image>, as MVTec AD has them), in a CSV (image, label, and where there are any split, subject, mask)
or in a JSON file of lists; data.images of params.yaml says where they differ from what is usual. Each image is
resampled by area to size x size pixels (its aspect ratio is not kept). Outputs, all or nothing, in --output:

  images.npy, manifest.csv   all good images; masks.npy where data.images.masks says where masks are
  subjects.csv               every subject, its numbers of images, and the split that the raw data set has it in;
                             `patient`, whose each may be, where names look as if some were of one
  bad_cases.csv              what data.on_bad_case: skip left out, and why

What lies in the folder and is neither an image nor the mask of one is said.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np

from stages import command
from stages.data import extraction, image_patients
from stages.data.image_patients import Doubt
from stages.data.image_tree import Item, find_images, left_out
from stages.data.pixels import LOSSY, Pixels, read_pixels, to_unit_range
from stages.data.radiographs import resample
from stages.data.store import DISEASED, HEALTHY, IMAGE_DTYPE, MASK_DTYPE
from stages.data.value_range import Range, Ranges
from stages.errors import InputError
from stages.processes import in_order

RAW_INPUTS = ("**/", "**/*.csv", "**/*.json")
"""What below the raw folder reruns extraction when it changes: folders, by what lies in them, and tables."""

RAW_DATA = "images in folders that are called like their split and class (train/good, test/broken), or with a CSV"

RAW_SPLITS = ("train", "test")
"""What `data.split: raw` gives; what a data set calls validation is trained on."""

MASKS = "masks"
"""The key of data.images without which there are no masks."""


MOST_LABELS = 16
"""Values but 0 of a mask that reaches white: of more, those in between are edges. Labels that do not are any number."""


@dataclass(frozen=True)
class Recipe:
    """What is made of an image.

    Attributes:
        channels: C.
        size: side of the slice, in pixels.
        scale: data.images.scale.
        masks: whether there are masks.
    """

    channels: int
    size: int
    scale: str | tuple[float, float]
    masks: bool

    @classmethod
    def from_parameters(cls, data: dict) -> Self:
        """The recipe of a benchmark's section `data`."""
        options = data.get("images", {})
        scale = options.get("scale", "type")
        scale = tuple(scale) if isinstance(scale, list) else scale
        return cls(len(data["channels"]), data["size"], scale, MASKS in options)


@dataclass(frozen=True)
class Slice(extraction.Slice):
    """One image as the store holds it, and which values its file held; None where its type does not scale them."""

    range: Range | None


def arguments() -> argparse.ArgumentParser:
    return extraction.arguments(__doc__, "folder of images")


def main(options: argparse.Namespace) -> None:
    extraction.run(extract, options)


def extract(parameters: dict, raw: Path, output: Path, processes: int = 1) -> list[str]:
    """Write the store, subjects.csv and bad_cases.csv to `output`; all of them or none.

    Args:
        parameters: {"data": {...}} of params.yaml.
        raw: folder of images.
        output: folder to write to.
        processes: how many images are read at once; the outputs do not depend on it.

    Returns:
        A summary: one line of what was extracted, and one for whatever was left out.

    Raises:
        InputError: the folder or its table is wrong, no image is good, or they use a small part of their type's range.
        BadCaseError: an image is bad and data.on_bad_case is `stop`.
    """
    data = parameters["data"]
    options, recipe = data.get("images", {}), Recipe.from_parameters(data)
    find, read = partial(find_files, raw=raw), partial(read_image, raw=raw, recipe=recipe)
    found = find_images(raw, options)
    doubt = _doubt(raw, found, options)
    items, bad = extraction.usable_cases(found, find, read, data["on_bad_case"], processes)
    with extraction.outputs(output, raw, recipe.channels, recipe.size, recipe.masks) as outputs:
        copies = Copies()
        slices = copies.watched(_in_range(raw, in_order(read, items, processes)))
        subjects, empty = extraction.append_images(outputs, items, slices)
        if doubt:
            patient = dict(zip((item.slice_id for item in found), doubt.patients, strict=True))
            subjects = subjects.assign(patient=subjects["subject_id"].map(patient))
        outputs.finish(subjects, bad)
    lines = [*extraction.summary(subjects, bad), *empty, *copies.warning(items), *left_out(raw, options, found)]
    return [*lines, _warning(doubt)] if doubt else lines


def _doubt(raw: Path, items: Sequence[Item], options: dict) -> Doubt | None:
    """The images that may be of one patient, where nothing says whose any is and the data set has a split of its own.

    Raises:
        InputError: there are some, and no such split.
    """
    if "subject" in options or any(item.subject != item.slice_id for item in items):
        return None
    doubt = image_patients.doubt(items)
    if doubt and not all(item.split for item in items):
        raise InputError(
            f"{raw}: {doubt.one} and {doubt.other} may be of one patient, whom no split may divide: {doubt.advice()}"
        )
    return doubt


class Copies:
    """Images that are there more than once: the same values after resampling."""

    def __init__(self) -> None:
        self.places: dict[bytes, list[int]] = {}

    def watched(self, slices: Iterable[Slice]) -> Iterator[Slice]:
        """The slices, as they come."""
        for place, one in enumerate(slices):
            self.places.setdefault(sha256(one.image.tobytes()).digest(), []).append(place)
            yield one

    def warning(self, items: Sequence[Item]) -> list[str]:
        """A line where copies stand for several subjects, or in several splits of the data set's own.

        Args:
            items: what was read, in that order.
        """
        groups = [[items[place] for place in places] for places in self.places.values()]
        groups = [group for group in groups if len({(item.subject, item.split) for item in group}) > 1]
        if not groups:
            return []
        one, other = groups[0][:2]
        pair = f"{one.path.name} of {one.path.parent} and {other.path.name} of {other.path.parent}"
        more = sum(len(group) - 1 for group in groups)
        return [
            f"warning: {more:,} image{'s are' if more > 1 else ' is'} there twice ({pair}), so that what is tested may "
            "have been trained on: remove all but one"
        ]


def _warning(doubt: Doubt) -> str:
    pair = f"{doubt.one} and {doubt.other} may be of one patient"
    if doubt.divided:
        own = f"the data set's own split has {doubt.divided:,} patients, it seems, in train and test: {pair}"
        return f"warning: {own}; {doubt.advice()}, and draw a split by counts"
    return f"warning: {pair}, whom the data set's own split does not divide, but counts would: {doubt.advice()}"


def _in_range(raw: Path, slices: Iterable[Slice]) -> Iterator[Slice]:
    """The slices, and behind the last of them an InputError if all together use too little of their type's range."""
    ranges = Ranges()
    for one in slices:
        if one.range is not None:
            ranges.add(one.range)
        yield one
    for problem in ranges.problems():
        raise InputError(f"{raw}: {problem}")


def find_files(item: Item, raw: Path) -> None:
    """Look for an image, and for its mask where a table names one.

    Raises:
        BadCaseError: one of them is missing, or a link that leads out of the raw folder.
    """
    for path in (item.path, *item.masks):
        if not path.is_file():
            reason = "is a link that leads nowhere: mend it" if path.is_symlink() else "is missing: put it there"
            raise item.bad(reason if path == item.path else f"its mask {path.name} {reason}")
        if extraction.leads_out(path, raw):
            raise item.bad(f"{path.name} {extraction.LEADS_OUT}: copy it there")


def read_image(item: Item, raw: Path, recipe: Recipe) -> Slice:
    """Read an image (and its mask) and make its slice.

    Raises:
        BadCaseError: anything is wrong with its files.
    """
    find_files(item, raw)
    try:
        pixels = read_pixels(item.path)
        small, shape = as_slice(pixels, recipe)
    except ValueError as error:
        raise item.bad(str(error)) from error
    values = Range.of(pixels) if recipe.scale == "type" else None
    if not recipe.masks:
        return Slice(small, None, values)
    if not item.masks:
        if item.label == DISEASED:
            raise item.bad("it is diseased, but no mask is called like it (data.images.masks says how they are called)")
        return Slice(small, np.zeros((recipe.size, recipe.size), MASK_DTYPE), values)
    lesion = np.zeros(shape, bool)
    for path in item.masks:
        try:
            lesion |= read_mask(path, shape)
        except ValueError as error:
            raise item.bad(f"its mask {path.name} {error}") from error
    if lesion.any() and item.label == HEALTHY:
        raise item.bad(
            f"it is healthy, but its mask {item.masks[0].name} holds a lesion: correct its class or its mask"
        )
    area = resample(lesion.astype(np.float64), recipe.size)
    return Slice(small, (area >= 0.5 - 1e-9).astype(MASK_DTYPE), values)  # one half counts, however it was rounded


def as_slice(pixels: Pixels, recipe: Recipe) -> tuple[np.ndarray, tuple[int, int]]:
    """An image as the store holds it, (C, size, size) float16 in [0, 1], and its own rows and columns.

    Args:
        pixels: as `read_pixels` gives them.
        recipe: the benchmark's.

    Raises:
        ValueError: as `to_unit_range` and `resample`.
    """
    image = to_unit_range(pixels, recipe.channels, recipe.scale)
    small = np.stack([resample(channel, recipe.size) for channel in image])
    return small.astype(IMAGE_DTYPE), (image.shape[1], image.shape[2])


def read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """A mask (H, W), grey or in colour: a lesion is where any channel is not 0.

    Raises:
        ValueError: as `read_pixels`, or another shape than its image's, or values that are no labels.
    """
    pixels = read_pixels(path)
    values = pixels.values
    high, wide = values.shape[1:]
    if (high, wide) != shape:
        how = "which may be turned on its side (EXIF orientation): save both upright"
        how = f", {how}" if (wide, high) == shape else ": save it as large"
        raise ValueError(f"has {wide} x {high} pixels where its image has {shape[1]} x {shape[0]}{how}")
    levels = np.unique(values[values != 0])
    if path.suffix.lower() in LOSSY and len(levels) > 1:
        raise ValueError("is a JPEG with more than two values, which compression may have made: save masks as PNG")
    smooth = levels[-1] == pixels.ends[1] if pixels.ends and len(levels) else (levels % 1 != 0).any()
    if smooth and len(levels) > MOST_LABELS:
        raise ValueError(
            f"holds {len(levels)} values from {levels[0]:g} to {levels[-1]:g}, as smoothed edges or probabilities do, "
            "of which each would be a lesion: save it with 0 and one other value"
        )
    return (values != 0).any(axis=0)


if __name__ == "__main__":
    command.run(main, arguments())
