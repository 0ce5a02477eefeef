"""What `trade_off_maps` and `trajectory`, which look into the sampler itself, have in common: arguments and slices."""

import os
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from stages import command
from stages.data.store import SliceStore
from stages.detection.detector import named_file
from stages.errors import InputError

DETECTOR = "guided_ddim"
"""The detector whose sampler these stages look into; the workflow reads this without importing the module."""


def arguments(description: str, output: str) -> ArgumentParser:
    """The command line of a stage that takes slices from one split."""
    parser = command.parser(description)
    parser.add_argument("--data", type=Path, required=True, help="folder with a slice store for each split")
    parser.add_argument("--split", required=True, help="the split to take slices from")
    parser.add_argument(
        "--networks", nargs="+", required=True, type=named_file, metavar="NAME=FILE", help="checkpoints"
    )
    parser.add_argument("--output", type=Path, required=True, help=output)
    parser.add_argument("--state", type=Path, required=True, help="folder for what a killed job resumes from")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    return parser


def choose_slices(store: SliceStore, label: int, count: int) -> list[int]:
    """Up to `count` rows of one label, ascending, at even quantiles of the lesion's area; the same ones every time.

    Of the manifest's order where the area is the same for all: on healthy slices, and where there are no masks. One
    slice is the median.

    Raises:
        InputError: the store has no slice of this label.
    """
    rows = np.flatnonzero(store.manifest["label"] == label)
    if not rows.size:
        kind = "diseased" if label else "healthy"
        raise InputError(f"{store.folder} has no {kind} slice, of which this stage needs one: take another split")
    if store.masks is not None:
        rows = rows[np.argsort(store.manifest["lesion_pixels"].to_numpy()[rows], kind="stable")]
    count = min(count, len(rows))
    return sorted(rows[((np.arange(count) + 0.5) * len(rows) / count).astype(int)].tolist())
