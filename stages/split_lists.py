"""Split lists: which subject (or slice) is in which split, as a CSV file, and which splits a benchmark has.

A list has the columns `subject_id,split`, or `slice_id,split` where the images of a subject are chosen one by one. It
names all that a store holds: what is in no split is `unused`. Lists of other papers lie in workflow/splits/, where
`data.split` of params.yaml may name them.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stages import imports
from stages.errors import InputError
from stages.regular_files import read_text
from stages.writing import replacing

SPLITS = ("train", "validation", "test")
UNUSED = "unused"
UNITS = ("subject_id", "slice_id")
RAW = "raw"
"""The word by which data.split asks for the split that the raw data set comes with."""

_FOLDER = Path("workflow/splits")
_BYTES = 2**26
"""Of a list: half a million names of a hundred characters."""


@dataclass(frozen=True)
class SplitList:
    """Which subjects or slices are in which split.

    Attributes:
        unit: column of the manifest that the list names, `subject_id` or `slice_id`.
        split_of: subject or slice -> one of `SPLITS`, or `UNUSED`.
    """

    unit: str
    split_of: dict[str, str]

    def splits_of(self, manifest: Mapping[str, Iterable[str]], path: Path) -> list[str]:
        """The split of each slice of a store, in its order.

        Args:
            manifest: the store's, of which the columns of `UNITS` are used.
            path: the list's file, or what else an error is to name.

        Raises:
            InputError: the list names what the store lacks, or lacks what it holds; or a subject is in two splits.
        """
        names = list(manifest[self.unit])
        word, known = self.unit.removesuffix("_id"), set(names)
        for name in self.split_of:
            if name not in known:
                alike = next((other for other in names if spelling(other) == spelling(name)), None)
                advice = f", but it has {alike}: spell it as there" if alike else ": take it out"
                raise InputError(f"{path} names the {word} {name}, which the data set lacks{advice}")
        for name in names:
            if name not in self.split_of:
                raise InputError(f"{path} lacks the {word} {name}: add it, as {UNUSED} if it is to be in no split")
        splits = [self.split_of[name] for name in names]
        seen: dict[str, str] = {}
        for subject, split in zip(manifest["subject_id"], splits, strict=True):
            if split != UNUSED and seen.setdefault(subject, split) != split:
                raise InputError(f"{path} puts slices of {subject} into {seen[subject]} and {split}: choose one")
        return splits


def spelling(name: str) -> str:
    """What all spellings of a name have in common: its letters in one case, a number without what adds nothing.

    >>> [spelling(name) for name in ("P1", "p1", "1.0", "001", "1.5")]
    ['p1', 'p1', '1', '1', '1.5']
    """
    number = re.fullmatch(r"0*([0-9]+?)(?:\.0*)?", name)
    return number[1] if number else name.casefold()


def published(name: str) -> Path:
    """Where the list lies that `data.split` names."""
    return _FOLDER / f"{name}.csv"


def read(path: Path) -> SplitList:
    """Read a list.

    Raises:
        InputError: it is missing, no CSV file, has other columns or words, or names one subject or slice twice.
    """
    try:
        text = io.StringIO(read_text(path, _BYTES), newline="")
        header, *rows = [row for row in csv.reader(text, strict=True) if row] or [[]]
    except FileNotFoundError:
        raise InputError(f"{path} is missing: put the split list there, or change data.split") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file ({error}): write it again") from error
    unit = next((unit for unit in UNITS if sorted(header) == sorted((unit, "split"))), None)
    if unit is None:
        columns = ",".join(header) or "none"
        raise InputError(f"{path} must have the columns subject_id,split or slice_id,split, not {columns}")
    split_of: dict[str, str] = {}
    for row in rows:
        if len(row) != 2 or not all(row):
            raise InputError(f"{path} has a row without two values ({','.join(row)}): correct it")
        values = dict(zip(header, row, strict=True))
        name, split = values[unit], values["split"]
        if split not in (*SPLITS, UNUSED):
            raise InputError(f"{path} has the split {split!r} for {name}: it must be {', '.join(SPLITS)} or {UNUSED}")
        if name in split_of:
            where = f"in {split_of[name]} and in {split}" if split != split_of[name] else f"in {split}"
            raise InputError(f"{path} names {name} twice, {where}: leave one of the rows")
        split_of[name] = split
    if not split_of:
        raise InputError(f"{path} names no subject and no slice: write it again")
    return SplitList(unit, split_of)


def write(path: Path, split_list: SplitList) -> None:
    """Write a list, sorted by name; all of it or nothing."""
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow((split_list.unit, "split"))
        rows.writerows(sorted(split_list.split_of.items()))


def has(data: Mapping, split: str) -> bool:
    """Whether the section `data` of params.yaml gives a split anything: by counts, a named list, or `raw`.

    Raises:
        InputError: the list cannot be read, or the reader knows of no split of the raw data set.
    """
    asked = data["split"]
    if asked == RAW:
        return split in raw_splits(data["reader"])
    if isinstance(asked, str):
        return split in read(published(asked)).split_of.values()
    count = asked[split]
    return bool(sum(count.values()) if isinstance(count, Mapping) else count)


def raw_splits(reader: str) -> tuple[str, ...]:
    """The splits that a reader's raw data set comes with, its literal RAW_SPLITS.

    Raises:
        InputError: it has none.
    """
    module = f"stages.data.{reader}"
    if not imports.defines(module, "RAW_SPLITS"):
        file = module.replace(".", "/") + ".py"
        raise InputError(f"data.split must be counts or the name of a list, not {RAW}: {file} has no RAW_SPLITS")
    return imports.names(module, "RAW_SPLITS")
