"""What detection costs, as cost.json beside its results says: seconds an image, and memory."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Self

import torch

from stages import device
from stages.detection.resumable import ResumableArrays
from stages.errors import InputError
from stages.regular_files import read_regular
from stages.writing import replacing

FILE = "cost.json"
_BYTES = 2**16


@dataclass(frozen=True)
class Cost:
    """What a job took.

    Attributes:
        seconds: an image, from its reading to its writing; what libraries set up at the first call is among them.
        memory_mb: the peak of the card or, without one, of the process, in megabytes.
        device: where it ran at last.
    """

    seconds: float
    memory_mb: float
    device: str

    @classmethod
    def of(cls, finished: Sequence[ResumableArrays], where: torch.device) -> Self:
        """Of arrays that are whole, whichever jobs filled them."""
        seconds = sum(arrays.seconds for arrays in finished) / max(1, sum(arrays.rows for arrays in finished))
        return cls(seconds, max(arrays.memory_mb for arrays in finished), device.describe(where))

    @classmethod
    def of_encoding(cls, latents: Path, level: int) -> "Cost":
        """The share of a method that decodes x_L out of the folder `latents`: of the seconds, L / the largest L there.

        Raises:
            InputError: the rule `latents` has not finished there.
        """
        try:
            cost, further = read(latents)
            return replace(cost, seconds=cost.seconds * level / further["level"])
        except KeyError:
            raise _damaged(latents) from None

    @classmethod
    def joined(cls, shards: Sequence[tuple[Self, int]]) -> Self:
        """Of shards, each with its number of images: the mean second an image, the highest peak, all their devices."""
        seconds = sum(cost.seconds * images for cost, images in shards) / max(1, sum(images for _, images in shards))
        devices = dict.fromkeys(cost.device for cost, _ in shards)
        return cls(seconds, max(cost.memory_mb for cost, _ in shards), ", ".join(devices))

    def after(self, earlier: Self) -> Self:
        """With what came before: the seconds of both, the higher peak."""
        return type(self)(self.seconds + earlier.seconds, max(self.memory_mb, earlier.memory_mb), self.device)

    def write(self, folder: Path, **further: int) -> None:
        """As cost.json, whole or not at all."""
        with replacing(folder / FILE) as partial:
            partial.write_text(json.dumps(asdict(self) | further, indent=2) + "\n", encoding="utf-8")


def read(folder: Path) -> tuple[Cost, dict[str, int]]:
    """What `write` noted: the cost, and what it was told further.

    Raises:
        InputError: the rule that writes the folder has not finished there.
    """
    try:
        note = json.loads(read_regular(folder / FILE, _BYTES))
        found = Cost(**{field.name: note.pop(field.name) for field in fields(Cost)})
        measured = all(map(math.isfinite, (found.seconds, found.memory_mb))) and isinstance(found.device, str)
        if not measured or not all(type(value) is int and value > 0 for value in note.values()):
            raise ValueError(f"{found}, {note}")
        return found, note
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _damaged(folder) from error


def _damaged(folder: Path) -> InputError:
    return InputError(f"{folder / FILE} is missing or damaged; delete {folder} and run Snakemake again")
