"""Which subject is in which split: draws a benchmark's split list from counts and seed, or takes one that is there.

data.split of params.yaml says how:

  counts   a number of subjects for each split, stratified (subjects.csv's `stratum`: the centre); or a number of images
           of each class, chosen by subject. A fold draws other test subjects than the folds before it.
  a name   of a list in workflow/splits/
  raw      the split that the raw data set comes with (subjects.csv's `raw_split`)

No subject is in two splits. Writes the list (stages.split_lists says what it holds) to --output, and prints a line a
split. With --benchmark, it is the list of a benchmark of params.yaml whose data lie in results/: written below
workflow/splits/, it is published, and other benchmarks can name it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, digests, provenance, split_lists
from stages.data.image_split import split_images
from stages.data.store import open_store
from stages.data.subject_split import split_subjects
from stages.errors import InputError
from stages.split_lists import RAW, SPLITS, UNUSED, SplitList

_NO_STRATUM = "none"


def arguments() -> argparse.ArgumentParser:
    result = command.parser(__doc__, required=False)
    result.add_argument("--data", type=Path, metavar="DIR", help="the slice store; needed along with --parameters")
    result.add_argument("--benchmark", metavar="NAME", help="instead of --parameters and --data")
    result.add_argument("--fold", type=int, default=1, metavar="F", help="which fold, from 1 (default: 1)")
    result.add_argument("--output", type=Path, required=True, metavar="FILE", help="the list to write, a .csv file")
    return result


def main(options: argparse.Namespace) -> None:
    """Write the list, and print one line a split."""
    parameters, data = options.parameters, options.data
    if options.benchmark is not None:
        parameters, data = section_of(options.benchmark), Path("results") / options.benchmark / "data"
    elif parameters is None or data is None:
        raise InputError("a split needs --parameters and --data, or --benchmark: give them")
    if options.fold < 1:
        raise InputError(f"--fold counts from 1: it cannot be {options.fold}")
    split_list, lines = split(parameters, data, options.fold)
    split_lists.write(options.output, split_list)
    provenance.note(options.output, made_from=[data], parameters=parameters, store=data)
    for line in lines:
        print(line)


def section_of(benchmark: str) -> dict:
    """What the rule hands to this stage, of a benchmark of params.yaml in the folder where this runs."""
    # A process of its own: were stages.parameters imported here, each edit of it would draw the splits again, and all
    # that was trained on them would be trained again.
    words = [sys.executable, "-m", "stages.parameters", benchmark, "split"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise InputError(done.stderr.strip().removeprefix("error: "))
    return json.loads(done.stdout)


def split(parameters: dict, data: Path, fold: int = 1) -> tuple[SplitList, list[str]]:
    """The split list of one fold.

    Args:
        parameters: {"seed", "data": {"reader", "split", "published_slices"}} of params.yaml.
        data: folder of the slice store.
        fold: from 1.

    Returns:
        The list, which names all that the store holds, and a summary: one line a split.

    Raises:
        InputError: the counts ask for more than there is, or for a draw from images that may be of one patient; the
            named list is wrong or another data set's; the reader knows no raw split, or it has one patient twice.
    """
    section = parameters["data"]
    manifest, asked, path = open_store(data).manifest, section["split"], data / "subjects.csv"
    with naming_bad_cases(data):
        if asked == RAW:
            result = raw_split(path, section["reader"])
        elif isinstance(asked, str):
            path = split_lists.published(asked)
            result = split_lists.read(path)
        elif (pair := _of_one_patient(path)) is not None:
            raise InputError(
                f"{pair[0]} and {pair[1]} may be of one patient, whom counts in data.split would divide: say in "
                f"data.{section['reader']} whose each is, as extraction has printed, or set data.split to {RAW}"
            )
        elif isinstance(asked["test"], Mapping):
            images = manifest[["slice_id", "subject_id", "label"]].itertuples(index=False, name=None)
            result = SplitList("slice_id", split_images(images, asked, parameters["seed"], fold))
        else:
            strata = strata_of(path, manifest["subject_id"].unique())
            result = SplitList("subject_id", split_subjects(strata, asked, parameters["seed"], fold))
        splits = result.splits_of(manifest, path)
    return result, summary(manifest, splits, result, section.get("published_slices") or {})


def raw_split(path: Path, reader: str) -> SplitList:
    """The split of the raw data set, as its reader has written it into subjects.csv.

    Raises:
        InputError: the reader writes none, or a subject is in two of them.
    """
    known = split_lists.raw_splits(reader)
    table = _written_table(path, "subject_id")
    if "raw_split" not in table:
        raise InputError(
            f"{path} has no column raw_split: stages/data/{reader}.py, which has RAW_SPLITS, must write it"
        )
    split_of = dict(zip(table["subject_id"], table["raw_split"], strict=True))
    for subject, found in split_of.items():
        if found not in known:
            where = " and ".join(found.split()) or "none"
            raise InputError(
                f"{subject} is in {where} of the raw data set's splits ({', '.join(known)}), and must be in one: "
                "correct its tables, or set data.split to counts or a list"
            )
    return SplitList("subject_id", split_of)


def _of_one_patient(path: Path) -> tuple[str, str] | None:
    """Two subjects who may be one: who they may be stands in the column `patient` that readers in doubt write."""
    first: dict[str, str] = {}
    table = _written_table(path, "subject_id")
    for subject, patient in zip(table["subject_id"], table["patient"], strict=True) if "patient" in table else ():
        if (other := first.setdefault(patient, subject)) != subject:
            return other, subject
    return None


def strata_of(path: Path, subjects: Sequence[str]) -> dict[str, str]:
    """Subject -> stratum, as subjects.csv has them; one stratum where it has none."""
    table = _written_table(path, "subject_id")
    known = dict(zip(table["subject_id"], table["stratum"], strict=True)) if "stratum" in table else {}
    return {subject: known.get(subject, _NO_STRATUM) for subject in subjects}


def _written_table(path: Path, *columns: str) -> pd.DataFrame:
    """A table that extraction has left in the store's folder, as text; without a column where the reader writes none.

    Raises:
        InputError: it is no longer there, not what was written, no CSV file, or without one of `columns`.
    """
    if not path.exists() and path.name not in digests.read(path.parent):
        return pd.DataFrame()
    digests.check(path.parent, path.name)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except ValueError as error:
        raise digests.refused(path.parent, path.name, f"is no CSV file of text ({error})") from error
    if missing := [name for name in columns if name not in table]:
        raise digests.refused(path.parent, path.name, f"has no column {missing[0]}, which its reader must write")
    return table


@contextmanager
def naming_bad_cases(data: Path) -> Iterator[None]:
    """Where splits and data do not fit, say how many cases extraction left out, and name the first."""
    try:
        yield
    except InputError as error:
        path = data / "bad_cases.csv"
        bad = _written_table(path, "file", "reason")
        if bad.empty:
            raise
        first = f"{bad['file'][0]}: {bad['reason'][0]}"
        raise InputError(f"{error}; {len(bad)} bad cases were left out ({path}), the first: {first}") from error


def summary(
    manifest: pd.DataFrame, splits: Sequence[str], split_list: SplitList, published: Mapping[str, int]
) -> list[str]:
    """One line a split with its subjects and slices, beside the paper's count where there is one.

    Args:
        manifest: of the store.
        splits: the split of each of its rows.
        split_list: they come from.
        published: split -> number of slices in the paper.
    """
    lines = []
    for name in SPLITS:
        rows = manifest[np.array(splits) == name]
        if len(rows):
            total, diseased = len(rows), rows["label"].sum()
            line = f"{name}: {rows['subject_id'].nunique():,} subjects, {total:,} slices, {diseased:,} of them diseased"
            if name in published:
                same = published[name] == total
                line += f"; slices {'as' if same else 'differ from'} the paper's {published[name]:,}"
            lines.append(line)
    words = list(split_list.split_of.values())
    if unused := words.count(UNUSED):
        unit = split_list.unit.removesuffix("_id") + "s"
        lines.append(f"{UNUSED}: {unused:,} of {len(words):,} {unit}")
    return lines


if __name__ == "__main__":
    command.run(main, arguments())
