"""What the readers of raw data share: command line, bad cases, and outputs that come all together or not at all."""

import argparse
import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from stages import command
from stages.at_work import only_one
from stages.data.store import DISEASED, StoreWriter
from stages.errors import InputError
from stages.processes import in_order
from stages.writing import replacing

_SKIP = (
    "repair the case, or leave bad ones out: set data.on_bad_case to skip in params.yaml (or, now and in later runs, "
    """snakemake --config run=NAME 'paper={"data": {"on_bad_case": "skip"}}')"""
)


# An image file says nothing of millimetres.
_AFFINE = json.dumps(np.eye(4).tolist())


class BadCaseError(InputError):
    """A case (a BraTS folder, a CheXpert row) that cannot be used: which one, which of its files, and why."""

    def __init__(self, case: str, file: str, reason: str) -> None:
        super().__init__(case, file, reason)  # all three, so that the error survives the way from another process
        self.case, self.file, self.reason = case, file, reason

    def sentence(self) -> str:
        return f"{self.file}: {self.reason}; {_SKIP}"


def arguments(description: str, raw: str) -> argparse.ArgumentParser:
    """A reader's command line; `raw` says what --raw is."""
    result = command.parser(description)
    result.add_argument("--raw", type=Path, required=True, metavar="DIR", help=raw)
    result.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the store")
    result.add_argument("--processes", type=int, default=1, metavar="N", help="cases read at once (default: 1)")
    return result


def run(extract: Callable[[dict, Path, Path, int], list[str]], options: argparse.Namespace) -> None:
    """Extract, and print what was extracted and left out: `main` of a reader whose `extract` returns these lines."""
    for line in extract(options.parameters, options.raw, options.output, options.processes):
        print(line)


def leads_out(path: Path, raw: Path) -> bool:
    """Whether a file of the data set in `raw` is a link, or lies below one, that leads out of this folder.

    Readers refuse it: a data set that was passed on could otherwise name what its receiver has elsewhere.
    """
    return not path.resolve().is_relative_to(raw.resolve())


LEADS_OUT = "is a link that leads out of the data set's folder"
"""The reason that `BadCaseError` then bears, behind the file's name."""


def usable_cases(
    cases: Sequence[Any],
    find: Callable[[Any], Any],
    read: Callable[[Any], Any],
    on_bad_case: str,
    processes: int = 1,
    bad: Sequence[BadCaseError] = (),
) -> tuple[list[Any], list[BadCaseError]]:
    """Divide cases into good and bad before the first is written.

    `stop` only looks for the files of all cases, so that a missing one ends the run at its start and not hours later;
    a bad file ends it when its turn comes. `skip` has to know all bad cases now, and reads every file here once and
    again for the store.

    Args:
        cases: those not yet known to be bad.
        find: looks for a case's files; raises BadCaseError.
        read: reads a case whole; raises BadCaseError. Called in other processes.
        on_bad_case: data.on_bad_case of params.yaml, `stop` or `skip`.
        processes: how many cases are read at once.
        bad: what is known to be bad already.

    Returns:
        The good cases in their order, and all bad ones, sorted by case and file.

    Raises:
        BadCaseError: a case is bad and `on_bad_case` is `stop`.
        InputError: all of them are bad.
    """
    bad = sorted(bad, key=lambda error: (error.case, error.file))
    if on_bad_case == "stop":
        if bad:
            raise bad[0]
        for case in cases:
            find(case)
        return list(cases), []
    results = in_order(_Problem(read), cases, processes)
    problems = command.progress("Checking cases", len(cases), unit="case", over=results)
    good = []
    for case, problem in zip(cases, problems, strict=True):
        if problem is None:
            good.append(case)
        else:
            bad.append(problem)
    bad.sort(key=lambda error: (error.case, error.file))
    if not good:
        which = f"all {len(bad):,} cases are bad, the first" if len(bad) > 1 else "the only case is bad"
        raise InputError(f"{which}: {bad[0].file}: {bad[0].reason}; repair {'them' if len(bad) > 1 else 'it'}")
    return good, bad


@dataclass(frozen=True)
class _Problem:
    """What is wrong with a case, if anything: a call that another process can make."""

    read: Callable[[Any], Any]

    def __call__(self, case: Any) -> BadCaseError | None:
        try:
            self.read(case)
        except BadCaseError as error:
            return error
        return None


@dataclass(frozen=True)
class Outputs:
    """Where an extraction writes: the store, and two tables at the end."""

    store: StoreWriter
    _subjects: Path
    _bad: Path
    _raw: Path

    def finish(self, subjects: pd.DataFrame, bad: list[BadCaseError]) -> None:
        """Write subjects.csv and bad_cases.csv (paths relative to the raw folder), and bring everything to disk.

        Raises:
            InputError: no slice is diseased.
        """
        if not subjects["diseased_slices"].any():
            raise InputError(
                f"none of the {subjects['slices'].sum():,} slices of {self._raw} is diseased, and so nothing could be "
                "scored: check its masks or labels, and what the reader's section of data in params.yaml takes of them"
            )
        subjects.to_csv(self._subjects, index=False, lineterminator="\n")
        with self._bad.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("case", "file", "reason"))
            rows.writerows(
                (error.case, Path(os.path.relpath(error.file, self._raw)).as_posix(), error.reason) for error in bad
            )
        self.store.flush()


@contextmanager
def outputs(output: Path, raw: Path, channels: int, size: int, masks: bool = True) -> Iterator[Outputs]:
    """Open the outputs in `output`: they get their names together when the block ends well, or none does."""
    with (
        only_one(output),
        StoreWriter(output, channels, size, masks) as store,
        replacing(output / "subjects.csv") as subjects,
        replacing(output / "bad_cases.csv") as bad,
    ):
        yield Outputs(store, subjects, bad, raw)


# --- images that a folder or a table labels ---------------------------------------------------------------------------


class Labelled(Protocol):
    """An image with a label, before it is read; what each of these is, `Radiograph` says."""

    @property
    def slice_id(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def label(self) -> int: ...
    @property
    def source(self) -> str: ...
    @property
    def split(self) -> str: ...


@dataclass(frozen=True)
class Slice:
    """One image as the store holds it: (C, size, size) float16 in [0, 1], mask (size, size) uint8 or None."""

    image: np.ndarray
    mask: np.ndarray | None


def append_images(
    outputs: Outputs, items: Sequence[Labelled], results: Iterable[Slice]
) -> tuple[pd.DataFrame, list[str]]:
    """Append the slices of labelled images, one each and in their order.

    Returns:
        `subjects_table`, and a line on diseased images whose masks hold no lesion, where there are any.

    Raises:
        InputError: there are masks, and none of them holds a lesion.
    """
    diseased, empty = 0, []
    progress = command.progress("Extracting images", len(items), unit="image", over=results)
    for item, result in zip(items, progress, strict=True):
        masks = None if result.mask is None else result.mask[None]
        row = manifest_row(item, result.mask)
        outputs.store.append(result.image[None], masks, [row])
        if item.label == DISEASED and result.mask is not None:
            diseased += 1
            empty += [] if row["lesion_pixels"] else [item.source]
    if empty and len(empty) == diseased:
        which = (
            f"masks of all {diseased:,} diseased images hold" if diseased > 1 else "mask of the diseased image holds"
        )
        raise InputError(
            f"the {which} no lesion, once resampled to data.size, and so none could be found ({empty[0]}): check what "
            "is read as a mask, or take the key masks out of the reader's section of data in params.yaml"
        )
    found = (
        f"without a lesion: the masks of {len(empty):,} of {diseased:,} diseased images, once resampled to data.size"
    )
    return subjects_table(items), [f"{found}, the first: {empty[0]}"] if empty else []


def manifest_row(item: Labelled, mask: np.ndarray | None) -> dict:
    """The manifest's row of an image: the label is the folder's or the table's."""
    return {
        "slice_id": item.slice_id,
        "subject_id": item.subject,
        "position": item.position,
        "label": item.label,
        "lesion_pixels": 0 if mask is None else int(mask.sum(dtype=int)),
        "source": item.source,
        "affine": _AFFINE,
    }


def subjects_table(items: Sequence[Labelled]) -> pd.DataFrame:
    """One row a subject: images (slices), diseased ones among them, and the raw split; "train test" for both."""
    labels: dict[str, list[int]] = {}
    splits: dict[str, set[str]] = {}
    for item in items:
        labels.setdefault(item.subject, []).append(item.label)
        splits.setdefault(item.subject, set()).add(item.split)
    rows = [
        (subject, len(labels[subject]), sum(labels[subject]), " ".join(sorted(splits[subject], reverse=True)))
        for subject in sorted(labels)
    ]
    return pd.DataFrame(rows, columns=["subject_id", "slices", "diseased_slices", "raw_split"])


def summary(subjects: pd.DataFrame, bad: Sequence[BadCaseError]) -> list[str]:
    """One line of what was extracted, and one of what was left out as bad."""
    slices, diseased = subjects["slices"].sum(), subjects["diseased_slices"].sum()
    lines = [f"extracted: {len(subjects):,} subjects, {slices:,} slices, {diseased:,} of them diseased"]
    if bad:
        lines.append(f"bad cases: {len(bad):,}, listed in bad_cases.csv")
    return lines
