"""CheXpert's tree of radiographs (v1.0-small, the full size, or a phantom in its layout) -> one slice store a split.

Frontal views with 1 in the column `Pleural Effusion` are diseased, the others with 1 in `No Finding` healthy; uncertain
(-1) and blank labels are left out, and rows with 1 in both. train.csv and valid.csv are pooled. Each image is resampled
by area to size x size pixels (its aspect ratio is not kept) and min-max scaled to [0, 1].

Patients are split at random so that each split holds exactly the number of healthy and of diseased images that
data.split asks for; no patient is in two splits. Images are streamed: memory does not depend on their number. Outputs,
all or nothing, below --output:

  <split>/{images.npy,manifest.csv}  for each split with a count above 0; masks.npy where data.chexpert.masks names them
  subjects.csv                       every patient with a good image, the split and the numbers of images used
  bad_cases.csv                      what data.on_bad_case: skip left out, and why
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
from stages.data.extraction import BadCaseError
from stages.data.image_split import split_images
from stages.data.radiographs import read_grey, read_mask, resample, to_unit_range
from stages.data.split import SPLITS, UNUSED
from stages.data.store import DISEASED, HEALTHY, IMAGE_DTYPE, MASK_DTYPE
from stages.processes import in_order

RAW_INPUTS = ("train.csv", "valid.csv", "*/train.csv", "*/valid.csv")
"""What below the raw folder reruns extraction when it changes: the tables, of the tree or of a folder that holds it."""

RAW_DATA = (
    "the tree CheXpert-v1.0-small or CheXpert-v1.0 (train.csv, valid.csv, and the images that they list); CheXpert "
    "comes, after registration, from https://stanfordmlgroup.github.io/competitions/chexpert/"
)

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
    """Extract, and print one line a split."""
    for line in extract(options.parameters, options.raw, options.output, options.processes):
        print(line)


def extract(parameters: dict, raw: Path, output: Path, processes: int = 1) -> list[str]:
    """Write the stores, subjects.csv and bad_cases.csv below `output`; all of them or none.

    Args:
        parameters: {"seed", "data": {...}} of params.yaml.
        raw: the tree, or the folder that holds it.
        output: folder to write to.
        processes: how many images are read at once; the outputs do not depend on it.

    Returns:
        A summary: one line a split, and one for whatever was left out.

    Raises:
        InputError: the raw folder or a table is wrong, or they hold fewer images than data.split asks for.
        BadCaseError: a row or its image is bad and data.on_bad_case is `stop`.
    """
    data = parameters["data"]
    own = data["chexpert"]
    recipe = Recipe(data["size"], own.get("masks"))
    table = read_table(find_tree(raw, RAW_DATA), own["healthy"], own["diseased"], own["view"])
    find, read = partial(find_files, recipe=recipe), partial(read_radiograph, recipe=recipe)
    radiographs, bad = extraction.usable_cases(table.radiographs, find, read, data["on_bad_case"], processes, table.bad)
    with extraction.naming_bad(bad, "rows"):
        split_of = split_images(
            [(item.slice_id, item.subject, item.label) for item in radiographs], data["split"], parameters["seed"]
        )
    used = [item for item in radiographs if item.slice_id in split_of]
    splits = [split for split in SPLITS if split in split_of.values()]
    with extraction.outputs(output, raw, splits, 1, recipe.size, recipe.masks is not None) as outputs:
        results = in_order(read, used, processes)
        for item, result in zip(
            used, command.progress("Extracting radiographs", len(used), unit="image", over=results), strict=True
        ):
            masks = None if result.mask is None else result.mask[None]
            rows = [manifest_row(item, result)]
            outputs.writers[split_of[item.slice_id]].append(result.image[None, None], masks, rows)
        subjects = subjects_table(radiographs, split_of)
        outputs.finish(subjects, bad)
    return summary(subjects, bad, table.contradictory)


def find_files(item: Radiograph, recipe: Recipe) -> None:
    """Look for a radiograph's image, and for its mask where there are masks.

    Raises:
        BadCaseError: one of them is missing.
    """
    paths = [item.path] if recipe.masks is None else [item.path, mask_path(item, recipe.masks)]
    for path in paths:
        if not path.is_file():
            raise item.bad("the image is missing" if path is item.path else f"its mask {path.name} is missing")


def mask_path(item: Radiograph, ending: str) -> Path:
    """view1_frontal_mask.png beside view1_frontal.jpg, for the ending _mask.png."""
    return item.path.with_name(item.path.stem + ending)


def read_radiograph(item: Radiograph, recipe: Recipe) -> Slice:
    """Read a radiograph (and its mask) and make its slice.

    Raises:
        BadCaseError: anything is wrong with its files.
    """
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


def subjects_table(radiographs: list[Radiograph], split_of: dict[str, str]) -> pd.DataFrame:
    """One row a patient: split, images used (slices), diseased ones among them, and those that no split needed."""
    rows = pd.DataFrame(
        [(item.subject, item.label, split_of.get(item.slice_id, UNUSED)) for item in radiographs],
        columns=["subject_id", "label", "split"],
    )
    is_used = rows["split"] != UNUSED
    rows = rows.assign(slices=is_used, diseased_slices=is_used & (rows["label"] == DISEASED), unused=~is_used)
    grouped = rows.groupby("subject_id")
    # A patient has one split; with UNUSED beside it where some of the images were not needed.
    split = rows[is_used].groupby("subject_id")["split"].first()
    result = grouped[["slices", "diseased_slices", "unused"]].sum()
    result.insert(0, "split", split.reindex(result.index).fillna(UNUSED))
    return result.rename(columns={"unused": "unused_slices"}).reset_index()


def summary(subjects: pd.DataFrame, bad: list[BadCaseError], contradictory: int) -> list[str]:
    """One line a split with its patients and images, then what was left out."""
    lines = []
    for split in SPLITS:
        rows = subjects[subjects["split"] == split]
        if len(rows):
            total, diseased = rows["slices"].sum(), rows["diseased_slices"].sum()
            lines.append(
                f"{split}: {len(rows):,} patients, {total - diseased:,} healthy and {diseased:,} diseased images"
            )
    if unused := int(subjects["unused_slices"].sum()):
        lines.append(f"left out: {unused:,} good images, beyond the counts of data.split")
    if contradictory:
        lines.append(f"left out: {contradictory:,} rows that are both healthy and diseased")
    if bad:
        lines.append(f"bad cases: {len(bad):,}, listed in bad_cases.csv")
    return lines


if __name__ == "__main__":
    command.run(main, arguments())
