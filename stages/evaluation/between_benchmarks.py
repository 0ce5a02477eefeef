"""What one thing costs or gains: the methods of a benchmark beside the same methods in others, on the same test slices.

    python -m stages.evaluation.between_benchmarks phantom-brain phantom-brain-raw phantom-brain-mirror

Every method is taken at the setting that its own benchmark reports, or with --same-settings at that of the first, so
that no other choice is among the differences. A row is a benchmark, a method and a metric: the difference to the first
benchmark with a bootstrap interval (the same subjects drawn for both) and the p of stages.evaluation.paired,
Holm-adjusted over all rows of a metric. Read from records alone (results/NAME/record), of the repeats that both have
finished with the parameters of now. A difference is that of two trainings, too: with one seed nothing says how much
another seed would have moved it, and the rows say how many there were.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from stages import command
from stages.errors import InputError
from stages.evaluation import across_repeats, documents, paired, records
from stages.evaluation.choice import Choice, choose, in_words
from stages.evaluation.comparison_tables import of_finished, of_now, tabulate
from stages.evaluation.finished import Finished
from stages.evaluation.summary import TITLES
from stages.methods import of, settings
from stages.parameters import reading
from stages.repeats import Repeat, repeats

COLUMNS = [
    *("benchmark", "method", "setting", "base_setting", "metric", "value", "base_value", "difference", "low", "high"),
    *("subjects", "seeds", "p_subjects", "p_seeds", "p", "smallest_p", "p_holm"),
]
_SAME = ["fold", "slice_id", "subject_id", "label", "lesion_pixels", "scored"]


@dataclass(frozen=True)
class Scored:
    """A benchmark as its records have it.

    Attributes:
        name: of the benchmark.
        finished: the records of its repeats.
        choices: method -> the settings that are reported.
        grids: method -> the names of all of its settings.
        evaluation: its section `evaluation`.
        seed: of the bootstrap.
    """

    name: str
    finished: Finished
    choices: dict[str, Choice]
    grids: dict[str, list[str]]
    evaluation: dict
    seed: int

    @property
    def repeats(self) -> list[Repeat]:
        """Those that are finished."""
        return self.finished.repeats

    def slices(self, method: str, over: list[Repeat]) -> list[pd.DataFrame]:
        """The test slices of a method at its reported setting, a table a seed, of some of the repeats."""
        found = self.finished.read(method, self.choices[method].settings)["test"]
        return across_repeats.pooled_over_folds({repeat: found[repeat] for repeat in over})

    def reported(self, method: str, over: list[Repeat]) -> str:
        """The settings that the folds of these repeats report, in words."""
        return in_words({fold: self.choices[method].settings[fold] for fold in sorted({one.fold for one in over})})


def scored(name: str, record: Path, config: Path = Path(reading.FILE)) -> Scored:
    """A benchmark of params.yaml by its records.

    Raises:
        InputError: it has no methods, or no repeat is finished.
    """
    parameters = reading.benchmark(reading.load(config), name)
    methods, identity = of(parameters), of_now(parameters)
    if not methods:
        raise InputError(f"benchmark {name} has no methods that could be compared: it makes only data")
    methods, used, notes = of_finished(name, record, repeats(parameters), methods, identity)
    print(*(f"{name}: {note}" for note in notes), sep="\n", end="\n" if notes else "", file=sys.stderr)
    return of_block(name, Finished(record, used, None, identity), methods, parameters)


def of_block(name: str, finished: Finished, methods: dict, parameters: dict) -> Scored:
    """Some methods of a benchmark on repeats that all of them have finished, each at the setting that it reports."""
    by_repeat, _ = tabulate(methods, finished)
    choices = {method: choose(method, values, by_repeat) for method, values in methods.items()}
    grids = {method: [one.name for one in settings(values)] for method, values in methods.items()}
    return Scored(name, finished, choices, grids, parameters["evaluation"], parameters["seed"])


def at_settings_of(base: Scored, other: Scored) -> Scored:
    """The methods that both have, at the settings that `base` reports.

    Raises:
        InputError: the grid of `other` lacks one of them.
    """
    choices = {method: base.choices[method] for method in other.choices if method in base.choices}
    for method, choice in choices.items():
        if lacking := set(choice.settings.values()) - set(other.grids[method]):
            raise InputError(
                f"{other.name} has no setting {min(lacking)} of {method}, which {base.name} reports: compare them "
                "without --same-settings"
            )
    return replace(other, choices=choices)


def compare(base: Scored, other: Scored) -> pd.DataFrame:
    """Rows of `COLUMNS` (p_holm is still p) for the methods that both have.

    Raises:
        InputError: they share no method or no repeat, or a method was not scored on the same slices.
    """
    both = [repeat for repeat in base.repeats if repeat in other.repeats]
    shared = [method for method in base.choices if method in other.choices]
    if not both or not shared:
        what = "repeat that both have finished" if shared else "method"
        raise InputError(f"{base.name} and {other.name} share no {what}: name benchmarks that do")
    rows = []
    for method in shared:
        slices = {one.name: one.slices(method, both) for one in (other, base)}
        frames = [[frame[_SAME] for frame in some] for some in slices.values()]
        if not all(one.equals(beside) for one, beside in zip(*frames, strict=True)):
            raise InputError(
                f"{other.name} was not scored on the slices of {base.name}: compare benchmarks of one data set, split "
                "and scoring"
            )
        pairs = paired.compare_pairs(slices, base.evaluation["bootstrap"], base.seed)
        pairs = pairs.rename(columns={"other_value": "base_value"})
        settings = {"setting": other.reported(method, both), "base_setting": base.reported(method, both)}
        rows.append(pairs.assign(benchmark=other.name, method=method, **settings))
    return pd.concat(rows, ignore_index=True)[COLUMNS]


def table(base: Scored, others: list[Scored], same_settings: bool = False) -> pd.DataFrame:
    """Rows of `COLUMNS`, p adjusted over all benchmarks and methods, metric by metric.

    With `same_settings` every method is taken at those that `base` reports.
    """
    if same_settings:
        others = [at_settings_of(base, other) for other in others]
    rows = pd.concat([compare(base, other) for other in others], ignore_index=True)
    for _, block in rows.groupby("metric"):
        rows.loc[block.index, "p_holm"] = paired.holm(block["p"])
    return rows


def markdown(rows: pd.DataFrame, base: str) -> str:
    """A line a benchmark and method: values, differences with intervals, * where the adjusted p is below .05; notes."""
    metrics = list(dict.fromkeys(rows["metric"]))
    heads = ["benchmark", "method", "setting", f"of {base}", *(TITLES[metric] for metric in metrics)]
    lines = [heads, ["---"] * len(heads)]
    for (benchmark, method), block in rows.groupby(["benchmark", "method"], sort=False):
        by_metric = block.set_index("metric")
        cells = [_cell(by_metric.loc[metric]) for metric in metrics]
        reported = [block["setting"].iloc[0], block["base_setting"].iloc[0]]
        lines.append([f"`{benchmark}`", f"`{method}`", *reported, *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n\n" + "\n".join(notes(rows, base)) + "\n"


def _cell(row: pd.Series) -> str:
    star = " *" if row["p_holm"] < 0.05 else ""
    return f"{row['value']:.3f}: {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]{star}"


def notes(rows: pd.DataFrame, base: str) -> list[str]:
    """What the numbers of `markdown` are, sentence by sentence."""
    return [
        f"Value: difference to {base} [95 % interval, the same subjects and seeds drawn for both], on the same slices.",
        *documents.test_notes(rows, "rows of a metric"),
        "*: p (Holm) below .05.",
    ]


def arguments() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("base", help="the benchmark that the others are compared with, a name in params.yaml")
    parser.add_argument("others", nargs="+", help="benchmarks on its test slices, such as those that inherit from it")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: %(default)s")
    said = "take every method at the setting that the first benchmark reports"
    parser.add_argument("--same-settings", action="store_true", help=said)
    parser.add_argument("--output", type=Path, help="CSV of all columns")
    return parser


def main(options: argparse.Namespace) -> None:
    """Print the table, and write it where --output says."""
    base, *others = (scored(name, options.results / name / "record") for name in (options.base, *options.others))
    rows = table(base, others, options.same_settings)
    if options.output is not None:
        records.write_csv(options.output, rows)
    print(markdown(rows, base.name), end="")


if __name__ == "__main__":
    command.run(main, arguments())
