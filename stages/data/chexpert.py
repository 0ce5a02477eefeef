"""CheXpert's tree of radiographs (v1.0-small, the full size, or a phantom in its layout) -> one slice store.

Frontal views with 1 in the column `Pleural Effusion` are diseased, the others with 1 in `No Finding` healthy; uncertain
(-1) and blank labels are left out, and rows with 1 in both. train.csv and valid.csv are pooled. Each image is resampled
by area to size x size pixels (its aspect ratio is not kept) and min-max scaled to [0, 1].

A subject is a patient. Images are streamed: memory does not depend on their number. Outputs, all or nothing, in
--output:

  images.npy, manifest.csv   all good images; masks.npy where data.chexpert.masks names masks
  subjects.csv               every patient with a good image, the numbers of images, and the split of the tables
                             (train.csv: train, valid.csv: test; both, where a patient is in both)
  bad_cases.csv              what data.on_bad_case: skip left out, and why
"""

import argparse
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command
from stages.data import extraction
from stages.data.chexpert_table import Radiograph, find_tree, read_table
from stages.data.radiographs import read_grey, read_mask, resample, to_unit_range
from stages.data.store import HEALTHY, IMAGE_DTYPE, MASK_DTYPE
from stages.processes import in_order

RAW_INPUTS = ("train.csv", "valid.csv", "*/train.csv", "*/valid.csv")
"""What below the raw folder reruns extraction when it changes: the tables, of the tree or of a folder that holds it."""

RAW_DATA = (
    "the tree CheXpert-v1.0-small or CheXpert-v1.0 (train.csv, valid.csv, and the images that they list); CheXpert "
    "comes, after registration, from https://stanfordmlgroup.github.io/competitions/chexpert/"
)

RAW_SPLITS = ("train", "test")
"""What `data.split: raw` gives: the patients of train.csv, and those of valid.csv."""

MASKS = "masks"
"""The key of data.chexpert without which there are no masks."""

_RAW_SPLIT_OF = {"train.csv": "train", "valid.csv": "test"}

# An image file says nothing of millimetres: the affine of every radiograph is the identity.
_AFFINE = json.dumps(np.eye(4).tolist())


@dataclass(frozen=True)
class Recipe:
    """What is made of a radiograph: the parts of `data` and `data.chexpert` that concern one image.

    Attributes:
        size: side of the slice, in pixels.
        masks: ending of the mask's name beside an image's, which replaces .jpg; None without masks.
    """

    size: int
    masks: str | None


@dataclass(frozen=True)
class Slice:
    """One radiograph as the store holds it: image (size, size) float16 in [0, 1], mask (size, size) uint8 or None."""

    image: np.ndarray
    mask: np.ndarray | None


def arguments() -> argparse.ArgumentParser:
    return extraction.arguments(__doc__, "the tree with train.csv and valid.csv, or the folder that holds it")


def main(options: argparse.Namespace) -> None:
    """Extract, and print what was extracted and left out."""
    for line in extract(options.parameters, options.raw, options.output, options.processes):
        print(line)


def extract(parameters: dict, raw: Path, output: Path, processes: int = 1) -> list[str]:
    """Write the store, subjects.csv and bad_cases.csv to `output`; all of them or none.

    Args:
        parameters: {"data": {...}} of params.yaml.
        raw: the tree, or the folder that holds it.
        output: folder to write to.
        processes: how many images are read at once; the outputs do not depend on it.

    Returns:
        A summary: one line of what was extracted, and one for whatever was left out.

    Raises:
        InputError: the raw folder or a table is wrong, or no image is good.
        BadCaseError: a row or its image is bad and data.on_bad_case is `stop`.
    """
    data = parameters["data"]
    own = data["chexpert"]
    recipe = Recipe(data["size"], own.get("masks"))
    table = read_table(find_tree(raw, RAW_DATA), own["healthy"], own["diseased"], own["view"])
    find, read = partial(find_files, recipe=recipe), partial(read_radiograph, recipe=recipe)
    radiographs, bad = extraction.usable_cases(table.radiographs, find, read, data["on_bad_case"], processes, table.bad)
    with extraction.outputs(output, raw, 1, recipe.size, recipe.masks is not None) as outputs:
        results = in_order(read, radiographs, processes)
        for item, result in zip(
            radiographs,
            command.progress("Extracting radiographs", len(radiographs), unit="image", over=results),
            strict=True,
        ):
            masks = None if result.mask is None else result.mask[None]
            outputs.store.append(result.image[None, None], masks, [manifest_row(item, result)])
        subjects = subjects_table(radiographs)
        outputs.finish(subjects, bad)
    lines = extraction.summary(subjects, bad)
    if table.contradictory:
        lines.append(f"left out: {table.contradictory:,} rows that are both healthy and diseased")
    return lines


def find_files(item: Radiograph, recipe: Recipe) -> None:
    """Look for a radiograph's image, and for its mask where there are masks.

    Raises:
        BadCaseError: one of them is missing, or a link that leads out of the tree.
    """
    paths = [item.path] if recipe.masks is None else [item.path, mask_path(item, recipe.masks)]
    for path in paths:
        if not path.is_file():
            raise item.bad("the image is missing" if path is item.path else f"its mask {path.name} is missing")
        if not path.resolve().is_relative_to(item.table.parent.resolve()):
            raise item.bad(f"{path.name} is a link that leads out of the data set's folder")


def mask_path(item: Radiograph, ending: str) -> Path:
    """view1_frontal_mask.png beside view1_frontal.jpg, for the ending _mask.png."""
    return item.path.with_name(item.path.stem + ending)


def read_radiograph(item: Radiograph, recipe: Recipe) -> Slice:
    """Read a radiograph (and its mask) and make its slice.

    Raises:
        BadCaseError: anything is wrong with its files.
    """
    find_files(item, recipe)
    try:
        grey = read_grey(item.path)
        image = to_unit_range(resample(grey, recipe.size)).astype(IMAGE_DTYPE)
    except ValueError as error:
        raise item.bad(f"the image {error}") from error
    if recipe.masks is None:
        return Slice(image, None)
    path = mask_path(item, recipe.masks)
    try:
        mask, any_lesion = read_mask(path, grey.shape, recipe.size)
    except ValueError as error:
        raise item.bad(f"its mask {path.name} {error}") from error
    if any_lesion and item.label == HEALTHY:
        raise item.bad(f"the row is healthy, but its mask {path.name} holds a lesion")
    return Slice(image, mask.astype(MASK_DTYPE))


def manifest_row(item: Radiograph, result: Slice) -> dict:
    """The manifest's row: the label is the table's, the position the view's number."""
    return {
        "slice_id": item.slice_id,
        "subject_id": item.subject,
        "position": item.view,
        "label": item.label,
        "lesion_pixels": 0 if result.mask is None else int(result.mask.sum(dtype=int)),
        "source": item.source,
        "affine": _AFFINE,
    }


def subjects_table(radiographs: list[Radiograph]) -> pd.DataFrame:
    """One row a patient: images (slices), diseased ones among them, and the tables' split; "train test" for both."""
    rows = pd.DataFrame(
        [(item.subject, 1, item.label, _RAW_SPLIT_OF[item.table.name]) for item in radiographs],
        columns=["subject_id", "slices", "diseased_slices", "raw_split"],
    )
    raw_split = rows.groupby("subject_id")["raw_split"].agg(lambda found: " ".join(sorted(set(found), reverse=True)))
    counts = rows.groupby("subject_id")[["slices", "diseased_slices"]].sum()
    return counts.assign(raw_split=raw_split).reset_index()


if __name__ == "__main__":
    command.run(main, arguments())
