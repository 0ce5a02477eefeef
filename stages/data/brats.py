"""BraTS case folders (BraTS 2017-2021, or a phantom in their layout) -> one slice store a split.

Recipe of Wolleb et al. (MICCAI 2022), as their repository and their published slices have it: per volume and sequence
the 1st and 99th percentile of the voxels above zero are scaled to [0, 1] with clipping, axial slices are transposed
and zero-padded, and here, where the benchmark's size is smaller, resampled by area. A slice is diseased where its
resampled mask holds a pixel.

Subjects are split at random, stratified over the centres in their names. Cases are streamed: memory does not depend on
their number. Outputs, all or nothing, below --output:

  <split>/{images.npy,masks.npy,manifest.csv}  for each split with a count above 0
  subjects.csv                                 every good case, its centre, split and numbers of slices
  bad_cases.csv                                with --on-bad-case skip, what was left out and why
"""

import argparse
import csv
import json
import multiprocessing
import os
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from stages import command
from stages.data.split import SPLITS, UNUSED, split_subjects, stratum
from stages.data.store import StoreWriter, replacing
from stages.data.volumes import MASK, BadCaseError, Case, CaseSlices, Recipe, find_cases, read_case
from stages.errors import InputError


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    result = command.parser(__doc__)
    result.add_argument("--raw", type=Path, required=True, metavar="DIR", help="folder of case folders, at any depth")
    result.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the stores")
    result.add_argument(
        "--on-bad-case",
        choices=("stop", "skip"),
        help="stop with one sentence, or leave the case out, list it in bad_cases.csv and go on, which reads every "
        "case twice (default: data.on_bad_case)",
    )
    result.add_argument("--processes", type=int, default=1, metavar="N", help="cases read at once (default: 1)")
    return result


def main(options: argparse.Namespace) -> None:
    """Extract, and print one line a split."""
    data = options.parameters["data"]
    mode = options.on_bad_case or data["on_bad_case"]
    subjects, bad = extract(options.parameters, options.raw, options.output, mode, options.processes)
    for line in summary(subjects, bad, data.get("published_slices") or {}):
        print(line)


def extract(
    parameters: dict, raw: Path, output: Path, on_bad_case: str = "stop", processes: int = 1
) -> tuple[pd.DataFrame, list[BadCaseError]]:
    """Write the stores, subjects.csv and bad_cases.csv below `output`; all of them or none.

    Args:
        parameters: {"seed", "data": {...}} of params.yaml.
        raw: folder of case folders.
        output: folder to write to.
        on_bad_case: `stop` or `skip`.
        processes: how many cases are read at once; the outputs do not depend on it.

    Returns:
        What subjects.csv holds, and the cases left out.

    Raises:
        InputError: a parameter or the raw folder is wrong.
        BadCaseError: a case is bad and `on_bad_case` is `stop`.
    """
    data = parameters["data"]
    recipe = Recipe.from_parameters(data)
    cases, bad = usable_cases(find_cases(raw), recipe, on_bad_case, processes)
    try:
        split_of = split_subjects((case.name for case in cases), data["split"], parameters["seed"])
    except InputError as error:
        if not bad:
            raise
        raise InputError(f"{error}; {len(bad)} bad cases were left out, the first: {bad[0]}") from error

    used = [case for case in cases if split_of[case.name] != UNUSED]
    splits = [split for split in SPLITS if data["split"].get(split, 0) > 0]
    slices, diseased = Counter(), Counter()
    with ExitStack() as stack:
        subjects_path = stack.enter_context(replacing(output / "subjects.csv"))
        bad_path = stack.enter_context(replacing(output / "bad_cases.csv"))
        writers = {
            split: stack.enter_context(StoreWriter(output / split, len(recipe.channels), recipe.size))
            for split in splits
        }
        results = in_order(partial(read_case, recipe=recipe), used, processes)
        for case, result in zip(
            used, command.progress("Extracting cases", len(used), unit="case", over=results), strict=True
        ):
            rows = manifest_rows(case, result)
            writers[split_of[case.name]].append(result.images, result.masks, rows)
            slices[case.name] = len(rows)
            diseased[case.name] = sum(row["label"] for row in rows)
        subjects = pd.DataFrame(
            [
                {
                    "subject_id": name,
                    "stratum": stratum(name),
                    "split": split,
                    # Empty, not 0, for a subject beyond the split's counts: its case was not extracted.
                    "slices": slices.get(name),
                    "diseased_slices": diseased.get(name),
                }
                for name, split in split_of.items()
            ]
        ).astype({"slices": "Int64", "diseased_slices": "Int64"})
        subjects.to_csv(subjects_path, index=False, lineterminator="\n")
        _write_bad_cases(bad_path, bad, raw)
        for writer in writers.values():
            writer.flush()
    for split in set(SPLITS) - set(splits):  # of an earlier run, with other counts: its subjects may be elsewhere now
        for name in ("images.npy", "masks.npy", "manifest.csv"):
            (output / split / name).unlink(missing_ok=True)
    return subjects, bad


def usable_cases(
    cases: list[Case], recipe: Recipe, on_bad_case: str, processes: int = 1
) -> tuple[list[Case], list[BadCaseError]]:
    """Divide cases into good and bad, before subjects are split: the split must not depend on a later surprise.

    `stop` only looks for the files of all cases, so that a missing one ends the run at its start and not hours later;
    a bad volume ends it when its turn comes. `skip` has to know all bad cases now, and reads every volume once.

    Raises:
        BadCaseError: a case is bad and `on_bad_case` is `stop`.
    """
    bad = _duplicates(cases)
    names = {error.case for error in bad}
    candidates = [case for case in cases if case.name not in names]
    if on_bad_case == "stop":
        problems = map(find_problem, candidates, [recipe] * len(candidates))
    else:
        results = in_order(partial(read_problem, recipe=recipe), candidates, processes)
        problems = command.progress("Checking cases", len(candidates), unit="case", over=results)
    good = []
    for case, problem in zip(candidates, problems, strict=True):
        if problem is None:
            good.append(case)
        else:
            bad.append(problem)
        if bad and on_bad_case == "stop":
            break
    if bad and on_bad_case == "stop":
        raise bad[0]
    return good, sorted(bad, key=lambda error: (error.case, error.file))


def find_problem(case: Case, recipe: Recipe) -> BadCaseError | None:
    """The first of a case's files that is missing or there twice, if any."""
    try:
        for name in (*recipe.channels, MASK):
            case.file(name)
    except BadCaseError as error:
        return error
    return None


def read_problem(case: Case, recipe: Recipe) -> BadCaseError | None:
    """What is wrong with a case, its voxels included, if anything."""
    try:
        read_case(case, recipe)
    except BadCaseError as error:
        return error
    return None


def _duplicates(cases: list[Case]) -> list[BadCaseError]:
    """Every copy of a case that is there more than once: none of them can be called the right one.

    BraTS 2017-2019 kept a patient's name but for the year, so Brats17_TCIA_1_1 beside Brats18_TCIA_1_1 is one patient.
    """
    patients: dict[str, list[Case]] = {}
    for case in cases:
        patients.setdefault(re.sub(r"^brats1[789]_", "", case.name.lower()), []).append(case)
    result = []
    for copies in patients.values():
        for case in copies if len(copies) > 1 else []:
            others = ", ".join(other.source for other in copies if other is not case)
            reason = f"the same patient's case is there more than once (also as {others})"
            result.append(BadCaseError(case.name, str(case.folder), reason))
    return result


def manifest_rows(case: Case, result: CaseSlices) -> list[dict]:
    """One manifest row a slice; a slice is diseased where its resampled mask holds a pixel."""
    affine = json.dumps((result.affine + 0.0).tolist())  # + 0.0: no -0.0 in the text
    lesion_pixels = result.masks.sum(axis=(1, 2), dtype=int).tolist()
    return [
        {
            "slice_id": f"{case.name}_z{position:03d}",
            "subject_id": case.name,
            "position": position,
            "label": int(pixels > 0),
            "lesion_pixels": pixels,
            "source": case.source,
            "affine": affine,
        }
        for position, pixels in zip(result.positions, lesion_pixels, strict=True)
    ]


def in_order(function: Callable[[Case], Any], items: Iterable[Case], processes: int) -> Iterator[Any]:
    """`map`, with `processes` processes: results in the items' order, and only a few in memory at a time."""
    if processes <= 1:
        yield from map(function, items)
        return
    # Spawned: a forked child would inherit whatever threads and locks its parent happens to hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_end_with_parent) as executor:
        pending = deque()
        try:
            for item in items:
                pending.append(executor.submit(function, item))
                if len(pending) > processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise InputError("a process ended unexpectedly, most likely out of memory; lower --processes") from error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def _end_with_parent() -> None:
    """Let a worker end when its parent is killed; the pool alone would leave it waiting for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _write_bad_cases(path: Path, bad: list[BadCaseError], raw: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("case", "file", "reason"))
        rows.writerows((error.case, Path(error.file).relative_to(raw).as_posix(), error.reason) for error in bad)


def summary(subjects: pd.DataFrame, bad: list[BadCaseError], published: dict[str, int | None]) -> list[str]:
    """One line a split with its subjects and slices, beside the paper's count where there is one."""
    lines = []
    for split in SPLITS:
        rows = subjects[subjects["split"] == split]
        if len(rows):
            total, diseased = rows["slices"].sum(), rows["diseased_slices"].sum()
            line = f"{split}: {len(rows):,} subjects, {total:,} slices, {diseased:,} of them diseased"
            if published.get(split) is not None:
                line += f"; the paper counts {published[split]:,} slices"
            lines.append(line)
    if unused := int((subjects["split"] == UNUSED).sum()):
        lines.append(f"left out: {unused:,} of {len(subjects):,} good cases, beyond the counts of data.split")
    if bad:
        lines.append(f"bad cases: {len(bad):,}, listed in bad_cases.csv")
    return lines


if __name__ == "__main__":
    command.run(main, arguments())
