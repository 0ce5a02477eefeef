"""BraTS case folders (BraTS 2017-2021, or a phantom in their layout) -> one slice store a split.

Recipe of Wolleb et al. (MICCAI 2022), as their repository and their published slices have it: per volume and sequence
the 1st and 99th percentile of the voxels above zero are scaled to [0, 1] with clipping, axial slices are transposed
and zero-padded, and here, where the benchmark's size is smaller, resampled by area. A slice is diseased where its
resampled mask holds a pixel.

Subjects are split at random, stratified over the centres in their names. Cases are streamed: memory does not depend on
their number. Outputs, all or nothing, below --output:

  <split>/{images.npy,masks.npy,manifest.csv}  for each split with a count above 0
  subjects.csv                                 every good case, its centre, split and numbers of slices
  bad_cases.csv                                what data.on_bad_case: skip left out, and why
"""

import argparse
import json
import re
from functools import partial
from pathlib import Path

import pandas as pd

from stages import command
from stages.data import extraction
from stages.data.brats_case import MASK, Case, CaseSlices, Recipe, find_cases, read_case
from stages.data.extraction import BadCaseError
from stages.data.split import SPLITS, UNUSED, split_subjects, stratum
from stages.processes import in_order

RAW_INPUTS = ("*/", "*/*/")
"""What below the raw folder reruns extraction when it comes or goes: case folders, nested (HGG/<case>) or not."""

RAW_DATA = (
    "case folders as BraTS 2017-2021 have them (<case>/<case>_t1.nii.gz, ...); the BraTS 2020 training set comes, "
    "after registration, from https://www.med.upenn.edu/cbica/brats2020/data.html"
)


def arguments() -> argparse.ArgumentParser:
    return extraction.arguments(__doc__, "folder of case folders, at any depth")


def main(options: argparse.Namespace) -> None:
    """Extract, and print one line a split."""
    subjects, bad = extract(options.parameters, options.raw, options.output, options.processes)
    for line in summary(subjects, bad, options.parameters["data"].get("published_slices", {})):
        print(line)


def extract(parameters: dict, raw: Path, output: Path, processes: int = 1) -> tuple[pd.DataFrame, list[BadCaseError]]:
    """Write the stores, subjects.csv and bad_cases.csv below `output`; all of them or none.

    Args:
        parameters: {"seed", "data": {...}} of params.yaml.
        raw: folder of case folders.
        output: folder to write to.
        processes: how many cases are read at once; the outputs do not depend on it.

    Returns:
        What subjects.csv holds, and the cases left out.

    Raises:
        InputError: the raw folder is missing or empty, or holds fewer cases than data.split asks for.
        BadCaseError: a case is bad and data.on_bad_case is `stop`.
    """
    data = parameters["data"]
    recipe = Recipe.from_parameters(data)
    cases, duplicates = without_duplicates(find_cases(raw))
    find, read = partial(find_files, recipe=recipe), partial(read_case, recipe=recipe)
    cases, bad = extraction.usable_cases(cases, find, read, data["on_bad_case"], processes, duplicates)
    with extraction.naming_bad(bad, "cases"):
        split_of = split_subjects((case.name for case in cases), data["split"], parameters["seed"])
    used = [case for case in cases if split_of[case.name] != UNUSED]
    splits = [split for split in SPLITS if data["split"][split] > 0]
    slices: dict[str, int] = {}
    diseased: dict[str, int] = {}
    with extraction.outputs(output, raw, splits, len(recipe.channels), recipe.size) as outputs:
        results = in_order(read, used, processes)
        for case, result in zip(
            used, command.progress("Extracting cases", len(used), unit="case", over=results), strict=True
        ):
            rows = manifest_rows(case, result)
            outputs.writers[split_of[case.name]].append(result.images, result.masks, rows)
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
        outputs.finish(subjects, bad)
    return subjects, bad


def find_files(case: Case, recipe: Recipe) -> None:
    """Look for all of a case's files.

    Raises:
        BadCaseError: one is missing or there twice.
    """
    for name in (*recipe.channels, MASK):
        case.file(name)


def without_duplicates(cases: list[Case]) -> tuple[list[Case], list[BadCaseError]]:
    """The cases that are there once, and every copy of the others: none of them can be called the right one.

    BraTS 2017-2019 kept a patient's name but for the year, so Brats17_TCIA_1_1 beside Brats18_TCIA_1_1 is one patient.
    """
    patients: dict[str, list[Case]] = {}
    for case in cases:
        patients.setdefault(re.sub(r"^brats1[789]_", "", case.name.lower()), []).append(case)
    single, bad = [], []
    for copies in patients.values():
        if len(copies) == 1:
            single += copies
            continue
        for case in copies:
            others = ", ".join(other.source for other in copies if other is not case)
            reason = f"the same patient's case is there more than once (also as {others})"
            bad.append(BadCaseError(case.name, str(case.folder), reason))
    return single, bad


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


def summary(subjects: pd.DataFrame, bad: list[BadCaseError], published: dict[str, int]) -> list[str]:
    """One line a split with its subjects and slices, beside the paper's count where there is one."""
    lines = []
    for split in SPLITS:
        rows = subjects[subjects["split"] == split]
        if len(rows):
            total, diseased = rows["slices"].sum(), rows["diseased_slices"].sum()
            line = f"{split}: {len(rows):,} subjects, {total:,} slices, {diseased:,} of them diseased"
            if split in published:
                same = published[split] == total
                line += f"; slices {'as' if same else 'differ from'} the paper's {published[split]:,}"
            lines.append(line)
    if unused := int((subjects["split"] == UNUSED).sum()):
        lines.append(f"left out: {unused:,} of {len(subjects):,} good cases, beyond the counts of data.split")
    if bad:
        lines.append(f"bad cases: {len(bad):,}, listed in bad_cases.csv")
    return lines


if __name__ == "__main__":
    command.run(main, arguments())
