"""CheXpert's radiographs (v1.0-small, the full size in a tree or in batches, or a phantom) -> one slice store.

Views of the kind that data.chexpert.view names (frontal) with 1 in the column of `diseased` (Pleural Effusion) are
diseased, the others with 1 in that of `healthy` (No Finding) healthy; uncertain (-1) and blank labels are left out, and
rows with 1 in both. train.csv and valid.csv are pooled; as raw splits they are train and test.
stages.data.labelled_radiographs says what is made of an image, and what is written to --output.
"""

import argparse
from pathlib import Path

from stages import command
from stages.data import extraction, labelled_radiographs
from stages.data.chexpert_table import find_tree, read_table

RAW_INPUTS = ("train.csv", "valid.csv", "*/train.csv", "*/valid.csv", "*batch*/")
"""What below the raw folder reruns extraction when it changes: the tables, and which batches are there."""

RAW_DATA = (
    "the tree CheXpert-v1.0-small or CheXpert-v1.0 (train.csv, valid.csv, and the images that they list), or the "
    "folders of all batches, as they are unpacked; CheXpert comes, after registration, from "
    "https://stanfordmlgroup.github.io/competitions/chexpert/"
)

RAW_SPLITS = ("train", "test")
"""What `data.split: raw` gives: the patients of train.csv, and those of valid.csv."""

MASKS = "masks"
"""The key of data.chexpert without which there are no masks."""


def arguments() -> argparse.ArgumentParser:
    return extraction.arguments(
        __doc__, "the tree with train.csv and valid.csv, or the folder that holds it (or all batches)"
    )


def main(options: argparse.Namespace) -> None:
    extraction.run(extract, options)


def extract(parameters: dict, raw: Path, output: Path, processes: int = 1) -> list[str]:
    """Read the tables, and extract as `labelled_radiographs.extract`.

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
    own = parameters["data"]["chexpert"]
    table = read_table(find_tree(raw, RAW_DATA), own["healthy"], own["diseased"], own["view"])
    return labelled_radiographs.extract(table, parameters["data"], raw, output, processes)


if __name__ == "__main__":
    command.run(main, arguments())
