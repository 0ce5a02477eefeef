"""What every job of detection has in common: its command line, how it computes, and what it may be resumed with."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch

from stages import command, imports
from stages.detection.shards import WHOLE, Shard
from stages.device import Precision
from stages.errors import InputError
from stages.parameters.inert import without_inert

T = TypeVar("T")


@dataclass(frozen=True)
class Computing:
    """The keys of section `detection` that say how any method is computed.

    Attributes:
        batch: slices in one forward pass, at most (`Pieces`), and those that are written together.
        precision: of the arithmetic, in Lightning Fabric's words.
    """

    batch: int
    precision: Precision

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """Out of a job's part of params.yaml."""
        detection = parameters["detection"]
        return cls(detection["batch"], detection["precision"])


class Pieces:
    """Batches as large as a card's memory allows: halved until they fit, and not made larger again.

    A trajectory needs at its first step what it needs at any, so what does not fit fails at once.

    Args:
        most: slices at a time, at first.
    """

    def __init__(self, most: int):
        self.most = most

    def of(self, rows: range, work: Callable[[range], T]) -> Iterator[T]:
        """What `work` makes of some rows, piece by piece, in their order.

        Raises:
            InputError: not even one slice fits.
        """
        while rows:
            piece = rows[: self.most]
            made: list[T] = []
            with suppress(torch.OutOfMemoryError):  # what the failed piece holds is let go only behind this clause
                made.append(work(piece))
            if made:
                yield made.pop()
                rows = rows[len(piece) :]
            elif len(piece) == 1:
                raise InputError("the card has not the memory for one slice: use a larger card, or lower data.size")
            else:
                self.most = len(piece) // 2
                # Graphs recorded for the failed piece would keep its memory, and beside its kernels those of the halves
                # would be made for any size.
                torch.compiler.reset()
                torch.cuda.empty_cache()
                print(f"a batch of {len(piece)} slices does not fit into memory: {self.most} at a time", flush=True)

    def joined(self, rows: range, work: Callable[[range], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """What `of` yields, as one: each array with an entry a row."""
        found = list(self.of(rows, work))
        return {name: np.concatenate([piece[name] for piece in found]) for name in found[0]}


def arguments(description: str, output: str) -> ArgumentParser:
    """A command line with what all jobs are told; `output` says what is written into the folder of that name."""
    parser = command.parser(description)
    parser.add_argument("--data", type=Path, required=True, help="slice store of the data set")
    parser.add_argument("--split-list", type=Path, required=True, help="CSV that says who is in which split")
    parser.add_argument("--output", type=Path, required=True, help=output)
    parser.add_argument("--state", type=Path, required=True, help="folder for what a killed job resumes from")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    return parser


def arguments_of_splits(description: str, output: str) -> ArgumentParser:
    """The command line of a job that goes through whole splits, or a shard of them."""
    parser = arguments(description, output)
    parser.add_argument("--splits", nargs="+", required=True, help="the splits to go through")
    parser.add_argument(
        "--shard",
        type=Shard.named,
        default=WHOLE,
        metavar="NUMBER-of-COUNT",
        help="go through this part of them, which stages.detection.join joins with the others (default: all of them)",
    )
    return parser


def named_file(text: str) -> tuple[str, Path]:
    """An argument NAME=FILE.

    >>> name, path = named_file("vae=checkpoints/vae.safetensors")
    >>> name, path.name
    ('vae', 'vae.safetensors')
    """
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise ArgumentTypeError(f"expected NAME=FILE, got {text!r}")
    return name, Path(path)


def identity(parameters: dict[str, Any], module: str, weights: object) -> dict[str, Any]:
    """What a job's results depend on, beside its data: half-done work goes on only where it is the same.

    Args:
        parameters: the job's part of params.yaml.
        module: the program, whose code and imports are hashed.
        weights: the SHA-256 of the networks' weights.
    """
    return {"parameters": without_inert(parameters), "weights": weights, "code_sha256": imports.fingerprint(module)}
