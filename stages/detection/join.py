"""Join the shards of a job of `latents` or of a detector: what one job for all slices would have written.

Writes into the folder --output for each split the shards' arrays (.npy) and lists of slices (.csv) one after another,
and cost.json: the mean second an image, the highest peak of memory, every device, and how many shards there were.
"""

import csv
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from itertools import pairwise
from pathlib import Path

from stages import command, digests, provenance
from stages.data.store import create_array, open_written
from stages.detection import cost, shards
from stages.detection.cost import Cost
from stages.detection.shards import Part
from stages.errors import InputError
from stages.writing import replacing

AT_ONCE = 1 << 26
"""Bytes that are copied at a time: memory does not depend on the number of slices."""


def arguments() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--shards", nargs="+", required=True, type=Path, help="their folders, in order")
    parser.add_argument("--output", type=Path, required=True, help="folder for what they make together")
    return parser


def main(options: Namespace) -> None:
    """Join them, split by split; shards without a slice have nothing but their note."""
    parts = {folder: shards.read(folder) for folder in options.shards}
    held = {folder: sum(map(len, found.values())) for folder, found in parts.items()}
    filled = [folder for folder, images in held.items() if images]
    if not filled:
        raise InputError(f"the shards {', '.join(map(str, options.shards))} hold no slice: none of them needs joining")
    for split in dict.fromkeys(split for found in parts.values() for split in found):
        _check(split, [(folder, parts[folder].get(split, Part(0, 0, 0))) for folder in options.shards])
        names = {name for folder in filled for name in digests.read(folder)}
        for name in sorted(name for name in names if name.startswith(f"{split}/")):
            joining = _join_arrays if name.endswith(".npy") else _join_lists
            joining(filled, name, options.output / name)
    costs = [(*cost.read(folder), held[folder]) for folder in filled]
    joined = Cost.joined([(found, images) for found, _, images in costs])
    joined.write(options.output, **costs[0][1], shards=len(options.shards))
    digests.write(options.output)
    provenance.note(options.output)


def _check(split: str, parts: list[tuple[Path, Part]]) -> None:
    """Refuse shards that leave rows out or hold some twice, as when detection.batch changed between them."""
    held = [(folder, part) for folder, part in parts if len(part)]
    ends = [0, *(edge for _, part in held for edge in (part.start, part.stop)), parts[0][1].of]
    meet = all(before == after for before, after in list(pairwise(ends))[::2])
    if not meet or len({part.of for _, part in parts}) > 1:
        raise InputError(
            f"the shards in {parts[0][0].parent} do not make up the slices of {split}: they were cut by different "
            "parameters; delete this folder and run Snakemake again"
        )


def _join_arrays(shards: list[Path], name: str, output: Path) -> None:
    first = open_written(shards[0], name)
    arrays = [open_written(shard, name, (None, *first.shape[1:]), first.dtype) for shard in shards]
    rows = sum(map(len, arrays))
    with create_array(output, (rows, *first.shape[1:]), first.dtype) as joined:
        at = 0
        for array in arrays:
            size = max(1, AT_ONCE // max(1, array[:1].nbytes))
            for start in range(0, len(array), size):
                piece = array[start : start + size]
                joined[at : at + len(piece)] = piece
                at += len(piece)


def _join_lists(shards: list[Path], name: str, output: Path) -> None:
    for shard in shards:
        digests.check(shard, name)
    lists = [list(csv.reader((shard / name).open(encoding="utf-8", newline=""))) for shard in shards]
    with replacing(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([lists[0][0], *(row for rows in lists for row in rows[1:])])


if __name__ == "__main__":
    command.run(main, arguments())
