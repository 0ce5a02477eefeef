"""A folder of images, grey or in colour, with or without masks -> one slice store.

What is healthy, what is for training and for the test, and whose an image is, stands in the names of folders
(<split>/<class>/<image>, as MVTec AD has them), in a CSV (image, label, and where there are any split, subject, mask)
or in a JSON file of lists; data.images of params.yaml says where they differ from what is usual. Each image is
resampled by area to size x size pixels (its aspect ratio is not kept). Outputs, all or nothing, in --output:

  images.npy, manifest.csv   all good images; masks.npy where data.images.masks says where masks are
  subjects.csv               every subject, its numbers of images, and the split that the raw data set has it in
  bad_cases.csv              what data.on_bad_case: skip left out, and why
"""

import argparse
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd

from stages import command
from stages.data import extraction
from stages.data.image_tree import Item, find_images
from stages.data.pixels import LOSSY, read_pixels, to_unit_range
from stages.data.radiographs import resample
from stages.data.store import DISEASED, HEALTHY, IMAGE_DTYPE, MASK_DTYPE
from stages.processes import in_order

RAW_INPUTS = ("**/", "**/*.csv", "**/*.json")
"""What below the raw folder reruns extraction when it changes: folders, by what lies in them, and tables."""

RAW_DATA = "images in folders that are called like their split and class (train/good, test/broken), or with a CSV"

RAW_SPLITS = ("train", "test")
"""What `data.split: raw` gives; what a data set calls validation is trained on."""

MASKS = "masks"
"""The key of data.images without which there are no masks."""

# An image file says nothing of millimetres.
_AFFINE = json.dumps(np.eye(4).tolist())


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
        return cls(len(data["channels"]), data["size"], scale, "masks" in options)


@dataclass(frozen=True)
class Slice:
    """One image as the store holds it: (C, size, size) float16 in [0, 1], mask (size, size) uint8 or None."""

    image: np.ndarray
    mask: np.ndarray | None


def arguments() -> argparse.ArgumentParser:
    return extraction.arguments(__doc__, "folder of images")


def main(options: argparse.Namespace) -> None:
    """Extract, and print what was extracted and left out."""
    for line in extraction.summary(*extract(options.parameters, options.raw, options.output, options.processes)):
        print(line)


def extract(
    parameters: dict, raw: Path, output: Path, processes: int = 1
) -> tuple[pd.DataFrame, list[extraction.BadCaseError]]:
    """Write the store, subjects.csv and bad_cases.csv to `output`; all of them or none.

    Args:
        parameters: {"data": {...}} of params.yaml.
        raw: folder of images.
        output: folder to write to.
        processes: how many images are read at once; the outputs do not depend on it.

    Returns:
        What subjects.csv holds, and the images left out.

    Raises:
        InputError: the folder or its table is wrong, or no image is good.
        BadCaseError: an image is bad and data.on_bad_case is `stop`.
    """
    data = parameters["data"]
    recipe = Recipe.from_parameters(data)
    find, read = partial(find_files, raw=raw), partial(read_image, raw=raw, recipe=recipe)
    found = find_images(raw, data.get("images", {}))
    items, bad = extraction.usable_cases(found, find, read, data["on_bad_case"], processes)
    with extraction.outputs(output, raw, recipe.channels, recipe.size, recipe.masks) as outputs:
        results = in_order(read, items, processes)
        progress = command.progress("Extracting images", len(items), unit="image", over=results)
        for item, result in zip(items, progress, strict=True):
            masks = None if result.mask is None else result.mask[None]
            outputs.store.append(result.image[None], masks, [manifest_row(item, result)])
        subjects = subjects_table(items)
        outputs.finish(subjects, bad)
    return subjects, bad


def find_files(item: Item, raw: Path) -> None:
    """Look for an image, and for its mask where a table names one.

    Raises:
        BadCaseError: one of them is missing, or a link that leads out of the raw folder.
    """
    for path in (item.path, *item.masks):
        if not path.is_file():
            raise item.bad("is missing" if path == item.path else f"its mask {path.name} is missing")
        if extraction.leads_out(path, raw):
            raise item.bad(f"{path.name} {extraction.LEADS_OUT}")


def read_image(item: Item, raw: Path, recipe: Recipe) -> Slice:
    """Read an image (and its mask) and make its slice.

    Raises:
        BadCaseError: anything is wrong with its files.
    """
    find_files(item, raw)
    try:
        small, shape = read_slice(item.path, recipe)
    except ValueError as error:
        raise item.bad(str(error)) from error
    if not recipe.masks:
        return Slice(small, None)
    if not item.masks:
        if item.label == DISEASED:
            raise item.bad("it is diseased, but no mask is called like it (data.images.masks says how they are called)")
        return Slice(small, np.zeros((recipe.size, recipe.size), MASK_DTYPE))
    lesion = np.zeros(shape, bool)
    for path in item.masks:
        try:
            lesion |= read_mask(path, shape)
        except ValueError as error:
            raise item.bad(f"its mask {path.name} {error}") from error
    if lesion.any() and item.label == HEALTHY:
        raise item.bad(f"it is healthy, but its mask {item.masks[0].name} holds a lesion")
    area = resample(lesion.astype(np.float64), recipe.size)
    return Slice(small, (area >= 0.5 - 1e-9).astype(MASK_DTYPE))  # one half counts, however it was rounded


def read_slice(path: Path, recipe: Recipe) -> tuple[np.ndarray, tuple[int, int]]:
    """An image as the store holds it, (C, size, size) float16 in [0, 1], and its own rows and columns.

    Raises:
        ValueError: as `read_pixels`, `to_unit_range` and `resample`.
    """
    image = to_unit_range(read_pixels(path), recipe.channels, recipe.scale)
    small = np.stack([resample(channel, recipe.size) for channel in image])
    return small.astype(IMAGE_DTYPE), (image.shape[1], image.shape[2])


def read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """A mask (H, W): a lesion is where any channel is not 0.

    Raises:
        ValueError: as `read_pixels`, or another shape than its image's, or a JPEG with more than two values.
    """
    values = read_pixels(path).values
    if values.shape[1:] != shape:
        high, wide = values.shape[1:]
        raise ValueError(f"has {wide} x {high} pixels where its image has {shape[1]} x {shape[0]}")
    if path.suffix.lower() in LOSSY and len(np.unique(values)) > 2:
        raise ValueError("is a JPEG with more than two values, which compression may have made: save masks as PNG")
    return (values != 0).any(axis=0)


def manifest_row(item: Item, result: Slice) -> dict:
    """The manifest's row: the label is the folder's or the table's."""
    return {
        "slice_id": item.slice_id,
        "subject_id": item.subject,
        "position": 0,
        "label": item.label,
        "lesion_pixels": 0 if result.mask is None else int(result.mask.sum(dtype=int)),
        "source": item.source,
        "affine": _AFFINE,
    }


def subjects_table(items: list[Item]) -> pd.DataFrame:
    """One row a subject: images (slices), diseased ones among them, and its split; "test train" for both."""
    rows = pd.DataFrame(
        [(item.subject, 1, item.label, item.split) for item in items],
        columns=["subject_id", "slices", "diseased_slices", "raw_split"],
    )
    raw_split = rows.groupby("subject_id")["raw_split"].agg(lambda found: " ".join(sorted(set(found))))
    counts = rows.groupby("subject_id")[["slices", "diseased_slices"]].sum()
    return counts.assign(raw_split=raw_split).reset_index()


if __name__ == "__main__":
    command.run(main, arguments())
