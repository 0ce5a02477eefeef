"""BraTS cases (2017 and later, copies, the Decathlon's Task01, or a phantom in their layout) -> one slice store.

Recipe of Wolleb et al. (MICCAI 2022), as their repository and their published slices have it: per volume and sequence
the 1st and 99th percentile of the voxels above zero are scaled to [0, 1] with clipping, axial slices are transposed
and zero-padded, and here, where the benchmark's size is smaller, resampled by area. A slice is diseased where its
resampled mask holds a pixel.

A subject is a patient: the time points of one (BraTS-GLI-00005-100, -101) are cases of one subject, which
data.brats.patient tells where names are others. A lesion is what bears any label, or one of data.brats.lesion_labels:
then slices with other labels alone, neither healthy nor diseased, are left out. Cases are streamed: memory does not
depend on their number. Outputs, all or nothing, in --output:

  images.npy, masks.npy, manifest.csv   the slices of all good cases; the manifest's `source` is the case
  subjects.csv                          every patient with a good case, its centre and numbers of slices
  bad_cases.csv                         what data.on_bad_case: skip left out, and why
"""

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command
from stages.data import decathlon, extraction
from stages.data.brats_called import known
from stages.data.brats_case import CaseSlices, Recipe, read_case
from stages.data.brats_doubts import mixed_releases
from stages.data.brats_names import SEQUENCE_OF, released, stratum
from stages.data.brats_patients import patients
from stages.data.brats_tree import MASK, Case, find_cases
from stages.data.extraction import BadCaseError
from stages.errors import InputError
from stages.processes import in_order

RAW_INPUTS = ("**/", "*/", "*/*/", "dataset.json", "*/dataset.json")
"""The folders from the raw folder downwards: what comes or goes in one reruns extraction (`**` follows no links); and
the Decathlon's list."""

RAW_DATA = (
    "case folders as BraTS has them (<case>/<case>_t1.nii.gz or <case>-t1n.nii.gz, ...); the BraTS 2020 training set "
    "comes, after registration, from https://www.med.upenn.edu/cbica/brats2020/data.html; or Task01_BrainTumour of the "
    "Medical Segmentation Decathlon (dataset.json, imagesTr, labelsTr), without registration, from "
    "http://medicaldecathlon.com"
)


def arguments() -> argparse.ArgumentParser:
    return extraction.arguments(__doc__, "folder of case folders, at any depth")


def main(options: argparse.Namespace) -> None:
    """Extract, and print what was extracted and left out."""
    subjects, bad = extract(options.parameters, options.raw, options.output, options.processes)
    for line in (*extraction.summary(subjects, bad), *mixed_releases(subjects["subject_id"])):
        print(line)


def extract(parameters: dict, raw: Path, output: Path, processes: int = 1) -> tuple[pd.DataFrame, list[BadCaseError]]:
    """Write the store, subjects.csv and bad_cases.csv to `output`; all of them or none.

    Args:
        parameters: {"data": {...}} of params.yaml.
        raw: folder of case folders.
        output: folder to write to.
        processes: how many cases are read at once; the outputs do not depend on it.

    Returns:
        What subjects.csv holds, and the cases left out.

    Raises:
        InputError: the raw folder is missing or empty, no case in it is good, or data.brats.patient does not fit.
        BadCaseError: a case is bad and data.on_bad_case is `stop`.
    """
    data = parameters["data"]
    recipe = Recipe.from_parameters(data)
    all_cases = find_cases(raw)
    refuse_too_low(raw, all_cases)
    find, read = partial(find_files, raw=raw, recipe=recipe), partial(read_inside, raw=raw, recipe=recipe)
    cases, bad = without_duplicates(with_own_names(all_cases), read if data["on_bad_case"] == "skip" else None)
    patient = dict(zip(cases, patients(cases, data["brats"].get("patient")), strict=True))
    cases, bad = extraction.usable_cases(cases, find, read, data["on_bad_case"], processes, bad)
    counts = []
    seen: dict[bytes, Case] = {}
    with extraction.outputs(output, raw, len(recipe.channels), recipe.size) as outputs:
        results = in_order(read, cases, processes)
        for case, result in zip(
            cases, command.progress("Extracting cases", len(cases), unit="case", over=results), strict=True
        ):
            digest = hashlib.sha256(result.images.tobytes()).digest()
            if (other := seen.setdefault(digest, case)) is not case:
                copy = same_images(case, other, patient)
                if data["on_bad_case"] == "stop":
                    raise copy
                bad.append(copy)
                continue
            rows = manifest_rows(case, patient[case], result)
            outputs.store.append(result.images, result.masks, rows)
            diseased = sum(row["label"] for row in rows)
            counts.append((patient[case], stratum(case.name), len(rows), diseased))
        bad.sort(key=lambda error: (error.case, error.file))
        table = pd.DataFrame(counts, columns=["subject_id", "stratum", "slices", "diseased_slices"])
        # A patient's centre is that of the first time point.
        how = {"stratum": "first", "slices": "sum", "diseased_slices": "sum"}
        subjects = table.groupby("subject_id", as_index=False).agg(how)
        outputs.finish(subjects, bad)
    return subjects, bad


def refuse_too_low(raw: Path, cases: list[Case]) -> None:
    """Refuse a raw folder that is but a part of a data set: the folder above is meant.

    Raises:
        InputError: it is one case, a subject of BIDS, or the Decathlon's imagesTr.
    """
    real = raw.resolve()
    if decathlon.holds_images(real):
        part = f"{real.name} of the Decathlon, of no use without {decathlon.DESCRIPTION} and labelsTr beside it"
    elif known(real.name) and not any(known(case.source) for case in cases):
        part = "one patient's"
    elif [case.folder for case in cases] == [raw] and real.name.lower() in SEQUENCE_OF:
        part = "one sequence of many cases"
    elif [case.folder for case in cases] == [raw] and any(volume.sequence for volume in cases[0].volumes()):
        part = "one case"
    else:
        return
    raise InputError(f"{raw} is {part}: set data.folder to the folder above, {real.parent}, or make it a link to that")


def with_own_names(cases: list[Case]) -> list[Case]:
    """The cases, those that no release named and whose names are others' too called by their whole path."""
    times = Counter(case.name.lower() for case in cases)
    return [
        case
        if times[case.name.lower()] == 1 or released(case.name)
        else replace(case, called=case.source.replace("/", "_"))
        for case in cases
    ]


def find_files(case: Case, raw: Path, recipe: Recipe) -> None:
    """Look for all of a case's files.

    Raises:
        BadCaseError: one is missing, there twice, or a link that leads out of the raw folder.
    """
    for path in chain(decathlon.described_in(case.folder), [case.folder], map(case.file, (*recipe.channels, MASK))):
        if extraction.leads_out(path, raw):
            words = f"{extraction.LEADS_OUT}: copy it there, or set data.folder to where all cases really lie"
            raise BadCaseError(case.name, str(path), words)


def read_inside(case: Case, raw: Path, recipe: Recipe) -> CaseSlices:
    """`read_case`, of files that lie in the raw folder.

    Raises:
        BadCaseError: as `find_files` and `read_case`.
    """
    find_files(case, raw, recipe)
    return read_case(case, recipe)


def same_images(case: Case, other: Case, patient: dict[Case, str]) -> BadCaseError:
    """What is wrong with a case whose images are another's."""
    if patient[case] == patient[other]:
        harm = f"another time point of patient {patient[case]}, and one scan would count twice"
    else:
        harm = "another patient's, and one scan could stand in two splits"
    reason = f"it holds the same images as {other.source}, {harm}: remove one of them"
    return BadCaseError(case.name, str(case.folder), reason)


def without_duplicates(
    cases: list[Case], read: Callable[[Case], CaseSlices] | None = None
) -> tuple[list[Case], list[BadCaseError]]:
    """The cases that are there once, and the others as bad.

    With `read`, the first of copies that hold the same is kept; which of those that differ is right nothing can tell.

    BraTS 2017-2019 kept a case's name but for the year, so Brats17_TCIA_1_1 beside Brats18_TCIA_1_1 is one case.
    """
    names: dict[str, list[Case]] = {}
    for case in cases:
        names.setdefault(released(case.name) or case.name.lower(), []).append(case)
    single, bad = [], []
    for copies in names.values():
        kept = copies[:1] if len(copies) == 1 or (read and _equal(copies, read)) else []
        single += kept
        for case in copies[len(kept) :]:
            others = ", ".join(other.source for other in copies if other is not case)
            advice = "remove this copy" if kept else "keep the right one"
            reason = f"the same case is there more than once (also as {others}): {advice}"
            bad.append(BadCaseError(case.name, str(case.folder), reason))
    return single, bad


def _equal(cases: list[Case], read: Callable[[Case], CaseSlices]) -> bool:
    """Whether all of them have the same images and masks; not, if one is bad."""
    try:
        found = [read(case) for case in cases]
    except BadCaseError:
        return False
    first = found[0]
    return all(np.array_equal(first.images, x.images) and np.array_equal(first.masks, x.masks) for x in found[1:])


def manifest_rows(case: Case, subject: str, result: CaseSlices) -> list[dict]:
    """One manifest row a slice of a subject's case; it is diseased where its resampled mask holds a pixel."""
    affine = json.dumps((result.affine + 0.0).tolist())  # + 0.0: no -0.0 in the text
    lesion_pixels = result.masks.sum(axis=(1, 2), dtype=int).tolist()
    return [
        {
            "slice_id": f"{case.name}_z{position:03d}",
            "subject_id": subject,
            "position": position,
            "label": int(pixels > 0),
            "lesion_pixels": pixels,
            "source": case.source,
            "affine": affine,
        }
        for position, pixels in zip(result.positions, lesion_pixels, strict=True)
    ]


if __name__ == "__main__":
    command.run(main, arguments())
