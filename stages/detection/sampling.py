"""What `trade_off_maps` and `trajectory`, which look into the sampler itself, have in common."""

from argparse import ArgumentParser
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from stages.data.store import SliceStore
from stages.detection import job, selected
from stages.errors import InputError

DETECTOR = "guided_ddim"
"""The detector whose sampler these stages look into; the workflow reads this without importing the module."""


@dataclass(frozen=True)
class RoundTrip:
    """A way to noise and back, out of the method's `setting` and `options`.

    Attributes:
        level: L, the noise level to which slices are encoded.
        scale: s, the gradient scale at which they are decoded.
        encode_class, decode_class: what the denoiser is told on either way.
    """

    level: int
    scale: float
    encode_class: str
    decode_class: str

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """Out of a job's part of params.yaml."""
        setting, options = parameters["setting"], parameters["options"]
        return cls(setting["L"], setting["s"], options["encode_class"], options["decode_class"])


def arguments(description: str, output: str) -> ArgumentParser:
    """The command line of a job that takes slices from one split; `output` says what it writes."""
    parser = job.arguments(description, output)
    parser.add_argument("--split", required=True, help="the split to take slices from")
    parser.add_argument(
        "--networks", nargs="+", required=True, type=job.named_file, metavar="NAME=FILE", help="checkpoints"
    )
    return parser


def choose_slices(store: SliceStore, label: int, count: int) -> list[int]:
    """Up to `count` rows of one label, chosen and ordered as `selected.at_quantiles` does.

    Raises:
        InputError: the store has no slice of this label.
    """
    rows = np.flatnonzero(store.manifest["label"] == label)
    if not rows.size:
        kind = "diseased" if label else "healthy"
        raise InputError(f"{store.folder} has no {kind} slice, of which this stage needs one: take another split")
    return selected.at_quantiles(store.manifest, rows, count).tolist()
