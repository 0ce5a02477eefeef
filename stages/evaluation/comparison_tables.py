"""Gather the scores of every repeat, method and setting; compare the methods at the setting that is reported.

Writes repeats.csv (a row a repeat, method, setting and split), scores.csv (a row a method, setting and split: subjects
pooled over folds, mean over seeds), comparison.csv (a row a method: test split, with 95 % intervals from a bootstrap
over subjects and seeds), lesion_size.csv (a row a method and group of lesion sizes), paired.csv (a row a metric and
pair of methods), comparison.md and .tex (these three as a document), sensitivity.csv and .md (Dice and AUROC over s and
L), and metrics/<method>.json for `dvc metrics`. A record that is lost, or that other parameters made, is written again
from the scores. What is read is listed from the grid: files left by settings that are no longer in it are not looked
at. A data set without masks has no Dice and no AUROC over pixels: those columns are empty, and the tables say so.

Without the workflow: `--benchmark NAME --record results/NAME/record --output FOLDER` makes the tables of the repeats
and methods that are finished with the parameters of now, and says which are missing.
"""

import argparse
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, provenance
from stages.errors import InputError
from stages.evaluation import across_repeats, documents, paired, records, sensitivity, summary
from stages.evaluation.choice import Choice, choose, in_words, of_words
from stages.evaluation.finished import Finished, Identity, finished_repeats, largest_block, missing_records
from stages.evaluation.lesion_size import by_lesion_size
from stages.methods import TRAINED_ON, of, settings
from stages.methods import setting as named
from stages.parameters import reading, sections
from stages.repeats import Repeat, repeats

BY_MASKS = ("dice_average_otsu", "auroc")
"""What is also given at the setting that masks would have chosen."""


def tabulate(methods: dict, finished: Finished) -> tuple[pd.DataFrame, pd.DataFrame]:
    """repeats.csv and scores.csv: every setting of every method on every split, by repeat and over all of them.

    Args:
        methods: name -> grid, as in params.yaml.
        finished: where their scores are.

    Raises:
        InputError: scores are missing, damaged or of other slices, or a key of a grid is named like a column.
    """
    grid = [(method, setting) for method in methods for setting in settings(methods[method])]
    keys = list(dict.fromkeys(key for _, setting in grid for key in setting))
    folds = {repeat.fold for repeat in finished.repeats}
    by_repeat, rows = [], []
    for method, setting in grid:
        own = {"method": method, "setting": setting.name}
        for split, runs in finished.read(method, dict.fromkeys(folds, setting.name)).items():
            found = {repeat: summary.summarise(run.slices, run.pixels()) for repeat, run in runs.items()}
            together = across_repeats.summarise(runs, found)
            for key in setting:
                if key in own | together or key == "split":
                    raise InputError(
                        f"methods.{method}.grid has a key {key!r}, which is a column of scores.csv: name it otherwise"
                    )
            rows.append(own | {key: setting.get(key, np.nan) for key in keys} | {"split": split} | together)
            for repeat, values in found.items():
                which = {"repeat": repeat.name, "fold": repeat.fold, "seed": repeat.seed}
                by_repeat.append(which | own | {"split": split} | values)
    return pd.DataFrame(by_repeat), pd.DataFrame(rows)


def compare(
    finished: Finished, choices: dict[str, Choice], trained_on: dict[str, str], resamples: int, seed: int
) -> pd.DataFrame:
    """One row a method: its reported setting on the test split.

    Args:
        finished: where the scores are.
        choices: method -> its settings.
        trained_on: method -> what trained it, a word of `TRAINED_ON`.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.
    """
    rows = []
    for method, choice in choices.items():
        first, *_ = choice.settings.values()
        row: dict = {"method": method, "trained_on": TRAINED_ON[trained_on[method]]}
        row |= {"setting": first, "settings": in_words(choice.settings)}
        row |= {"chosen_on": choice.chosen_on}
        row |= across_repeats.describe(finished.read(method, choice.settings)["test"], resamples, seed)
        rows.append(row | _by_masks(finished, method, choice, row))
    return pd.DataFrame(rows)


def _by_masks(finished: Finished, method: str, choice: Choice, row: dict) -> dict:
    """What the setting that validation masks would have chosen scores, and its Dice minus that by labels."""
    if choice.by_masks is None:
        return {"setting_by_masks": ""} | {f"{metric}_by_masks": np.nan for metric in BY_MASKS} | {"gap": np.nan}
    frames = across_repeats.pooled_over_folds(finished.read(method, choice.by_masks)["test"])
    once = np.ones((1, row["subjects"]), np.int64)
    result: dict = {"setting_by_masks": in_words(choice.by_masks)}
    for metric in BY_MASKS:
        of_seeds = [across_repeats.estimates(frame, metric, once)[0] for frame in frames]
        result[f"{metric}_by_masks"] = float(np.mean(of_seeds))
    return result | {"gap": result["dice_average_otsu_by_masks"] - row["dice_average_otsu"]}


def for_dvc(comparison: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Method -> metric -> value, six decimals, for `dvc metrics`; a metric that no slice counts for is left out."""
    return {
        row["method"]: {metric: round(row[metric], 6) for metric in summary.FOR_DVC if np.isfinite(row[metric])}
        for row in comparison.to_dict("records")
    }


def write_metrics(folder: Path, metrics: dict[str, dict[str, float]]) -> None:
    """A file a method: `dvc metrics show` prints a line a file, and as many columns as all files have keys."""
    for method, values in metrics.items():
        records.write_text(folder / f"{method}.json", json.dumps(values, indent=2) + "\n")
    for path in folder.glob("*.json"):
        if path.stem not in metrics:  # a method that the benchmark has no longer
            path.unlink()


def of_finished(
    benchmark: str, record: Path, wanted: list[Repeat], methods: dict, identity: Identity
) -> tuple[dict, list[Repeat], list[str]]:
    """The methods and repeats that can be compared now, and sentences about those that are not there or not used.

    They are the largest block of what is finished (`finished.largest_block`), so that every method has every repeat.

    Raises:
        InputError: no method has finished a repeat.
    """
    finished = finished_repeats(record, wanted, methods, identity)
    names, used = largest_block(finished)
    kept = {name: methods[name] for name in names}
    lacking_any = missing_records(record, wanted, methods, identity)
    if not kept:
        repeat, lacking = next(iter(lacking_any.items()))
        first = [*lacking.absent, *lacking.others][0]
        raise InputError(
            f"no repeat of {benchmark} is finished: {repeat.name} lacks {lacking.count} records, the first of them "
            f"{first}{'' if lacking.absent else ', made with other parameters'}: {records.record_again(first)}"
        )
    notes, missing = [], missing_records(record, wanted, kept, identity)
    if left_out := [f"{name} ({len(finished[name])})" for name in methods if name not in kept]:
        notes.append(f"Left out, with so many of {len(wanted)} repeats finished: {', '.join(left_out)}.")
    if missing:
        lacking_each = ", ".join(f"{repeat.name} (lacks {one.count} records)" for repeat, one in missing.items())
        notes.append(f"Missing of {len(wanted)} repeats: {lacking_each}.")
    if others := [str(path.relative_to(record)) for lacking in lacking_any.values() for path in lacking.others]:
        notes.append(f"Made with other parameters: {shortened(others)}.")
    if rest := [repeat.name for repeat in wanted if repeat not in missing and repeat not in used]:
        notes.append(f"Finished, but left out so that every seed has the same folds: {', '.join(rest)}.")
    return kept, used, notes


def shortened(names: list[str], count: int = 3) -> str:
    """The first names, and how many more there are.

    >>> shortened(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    more = len(names) - count
    return ", ".join(names[:count]) + (f" and {more} more" if more > 0 else "")


def without_counts(finished: Finished, choices: dict[str, Choice]) -> list[str]:
    """A sentence about the runs of the comparison whose pixels nobody has counted here."""
    lacking = [run for method, choice in choices.items() for run in finished.from_records(method, choice.settings)]
    if not lacking:
        return []
    titles = ", ".join(summary.FIELD_TITLES[metric] for metric in summary.POOLED)
    return [f"From records, which hold no counts of pixels for {titles}: {shortened(lacking)}."]


def without_folds(by_repeat: pd.DataFrame, choices: dict[str, Choice]) -> list[str]:
    """A sentence a method of the comparison some of whose means are over fewer folds than there are."""
    titles = summary.TITLES | summary.FIELD_TITLES
    notes = []
    for method, choice in choices.items():
        rows = by_repeat[(by_repeat["method"] == method) & (by_repeat["split"] == "test")]
        left_out = across_repeats.folds_left_out(rows[rows["setting"] == rows["fold"].map(choice.settings)])
        if left_out:
            each = "; ".join(f"{titles[name]}: fold {', '.join(map(str, folds))}" for name, folds in left_out.items())
            notes.append(f"Folds of {method} without a value, which the mean over folds leaves out: {each}.")
    return notes


def arguments() -> argparse.ArgumentParser:
    parser = command.parser(__doc__, required=False)
    parser.add_argument("--benchmark", metavar="NAME", help="in place of --parameters: a name in params.yaml")
    parser.add_argument("--record", type=Path, required=True, help="folder of records, <repeat>/<method>/<setting>.csv")
    parser.add_argument(
        "--scores", type=Path, help="folder of what the rule scores has left; a run that is not there is its record's"
    )
    parser.add_argument(
        "--reuse",
        type=json.loads,
        metavar="JSON",
        help="all parameters of the benchmark: a run whose scores others made is its record's too",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--metrics", type=Path, help="folder of a file a method for `dvc metrics`")
    return parser


def of_now(parameters: dict) -> Identity:
    """What makes a run by all parameters of a benchmark."""

    def made_with(repeat: Repeat, method: str, setting: str) -> str:
        return sections.identity(parameters, repeat, method, named(parameters["methods"][method], setting))

    return cache(made_with)


def main(options: argparse.Namespace) -> None:
    """Write the tables of every setting's scores and of the comparison at the reported ones."""
    if (options.parameters is None) == (options.benchmark is None):
        raise InputError("comparison_tables takes either --parameters or --benchmark: give one of them")
    parameters, identity = options.parameters, of_now(options.reuse) if options.reuse else None
    if options.benchmark is not None:
        whole = reading.benchmark(reading.load(reading.FILE), options.benchmark)
        if not of(whole):
            raise InputError(f"benchmark {options.benchmark} has no methods that could be compared: it makes only data")
        parameters, identity = sections.section(whole, "comparison_tables"), of_now(whole)
    methods, evaluation, used = parameters["methods"], parameters["evaluation"], repeats(parameters)
    Finished(options.record, used, options.scores, identity).keep(methods)
    notes: list[str] = []
    if options.benchmark is not None and identity is not None:
        methods, used, notes = of_finished(options.benchmark, options.record, used, methods, identity)
        print(*notes, sep="\n", end="\n" if notes else "", file=sys.stderr)
    finished = Finished(options.record, used, options.scores, identity)
    by_repeat, scores = tabulate(methods, finished)
    choices = {method: choose(method, values, by_repeat) for method, values in methods.items()}
    if by_repeat["scored"].any():
        notes += without_counts(finished, choices)
    notes += without_folds(by_repeat, choices)

    resampling = evaluation["bootstrap"], parameters["seed"]
    comparison = compare(finished, choices, parameters["trained_on"], *resampling)
    slices = {
        method: across_repeats.pooled_over_folds(finished.read(method, choice.settings)["test"])
        for method, choice in choices.items()
    }
    chosen = dict(zip(comparison["method"], comparison["settings"], strict=True))
    reported = dict(zip(comparison["method"], comparison["settings"].map(of_words), strict=True))
    sizes = by_lesion_size(slices, chosen, evaluation["size_groups"], *resampling)
    pairs = paired.compare_pairs(slices, *resampling)
    grid = sensitivity.over_grid(methods, scores, reported)
    tables = {"repeats": by_repeat, "scores": scores, "comparison": comparison, "lesion_size": sizes}
    for name, table in (tables | {"paired": pairs, "sensitivity": grid}).items():
        records.write_csv(options.output / f"{name}.csv", table)
    records.write_text(options.output / "comparison.md", documents.markdown(comparison, sizes, pairs, notes))
    records.write_text(options.output / "comparison.tex", documents.latex(comparison, sizes, pairs, notes))
    records.write_text(options.output / "sensitivity.md", sensitivity.markdown(methods, grid))
    if options.metrics is not None:
        write_metrics(options.metrics, for_dvc(comparison))
    _note(options, parameters, [*tables, "paired", "sensitivity"], finished)


def _note(options: argparse.Namespace, parameters: dict, names: list[str], finished: Finished) -> None:
    """The provenance of all tables of this job, with what the scores behind them say of theirs."""
    files = [*(f"{name}.csv" for name in names), "comparison.md", "comparison.tex", "sensitivity.md"]
    made = [options.output / name for name in files] + ([options.metrics] if options.metrics is not None else [])
    provenance.note(options.output, made, finished.sources(), parameters=parameters)


if __name__ == "__main__":
    command.run(main, arguments())
