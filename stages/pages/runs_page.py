"""Several people's runs of a benchmark on one HTML page, ranked only where they can be compared.

    python -m stages.pages.runs_page ours=results/phantom-brain theirs=downloads/phantom-brain.zip --output runs.html

A run is a folder results/<benchmark>, with or without its ro-crate-metadata.json, or a .zip of one; LABEL= before it is
what the page calls it. The page says which data, code and devices each run came from. Runs that were tested on the same
slices of the same data, and scored alike, stand in one table with intervals and the paired test over subjects and
seeds; of others it says why they are not ranked together. Beside the page, as CSV: runs.csv, comparison-<n>.csv and
paired-<n>.csv of each group of comparable runs, in a folder of the page's name.
"""

import argparse
import html
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pandas as pd

from stages import command
from stages.errors import InputError
from stages.evaluation import between_runs, records
from stages.evaluation.between_runs import SharedRun
from stages.evaluation.documents import TRAINED_NOTES
from stages.pages import crates
from stages.pages.tables_page import glossary_html, shell, table_html

ONE = "One run: there is nothing to rank it with."
RUNS_TEXT = (
    "Each run, and what made it, as far as its files say. Runs of one group were tested on the same slices of the same "
    "data and scored alike; their code, devices and training may differ. SHA-256: of the slice store's digests (data), "
    "and of all Python files of stages (code)."
)
TOGETHER_TEXT = (
    "Each method of each run at the setting that its own run reports, on the same test slices, mean over the run's "
    "seeds [95 % bootstrap interval] ± standard deviation over seeds. What saw masks in training is an upper bound."
)
BEST_TEXT = (
    "The best method of each metric against every other one: the difference on the same slices with its bootstrap "
    "interval, and p of the paired test over subjects and seeds, adjusted by Holm's procedure over all pairs. A "
    "ranking is claimed only where p (Holm) is small."
)
KEYS_TEXT = "Keys of params.yaml that change results and differ between the runs of this group; empty: not there."


def labelled(texts: list[str]) -> dict[str, Path]:
    """Label -> path, of arguments LABEL=PATH or PATH, whose label is the folder's or archive's name.

    Raises:
        InputError: two runs have one label, or a path is not there.
    """
    found = []
    for text in texts:
        label, equals, rest = text.partition("=")
        named = equals and label and not Path(text).exists()
        path = Path(rest if named else text)
        if not path.exists():
            raise InputError(f"{path} is not there: name a folder results/<benchmark>, or a crate of one")
        found.append((label if named else path.resolve().name.removesuffix(".zip"), path))
    if twice := [label for label, count in Counter(label for label, _ in found).items() if count > 1]:
        raise InputError(f"{twice[0]} is the name of two runs: call them otherwise, ours={found[0][1]}")
    return dict(found)


def group_html(number: int, group: list[SharedRun]) -> tuple[list[str], dict[str, pd.DataFrame]]:
    """The tables of comparable runs as HTML, and as they go to CSV."""
    names = ", ".join(run.label for run in group)
    frames = {f"comparison-{number}": between_runs.together(group)}
    parts = [_table(f"comparison-{number}", frames, f"Group {number}: {names}", TOGETHER_TEXT)]
    parts += [
        f'<p class="note">{html.escape(TRAINED_NOTES[word])}</p>'
        for word in between_runs.said_of_training(group)
        if word in TRAINED_NOTES
    ]
    if len(group) == 1:
        return [*parts, f'<p class="note">{ONE}</p>'], frames
    pairs, notes = between_runs.best(group)
    frames[f"paired-{number}"] = pairs
    parts.append(_table(f"paired-{number}", frames, f"Group {number}: the best against the others", BEST_TEXT))
    parts += [f'<p class="note">{html.escape(note)}</p>' for note in notes]
    differing = between_runs.differing_keys(group)
    if differing.empty:
        return [*parts, '<p class="note">No key of params.yaml that changes results differs.</p>'], frames
    frames[f"parameters-{number}"] = differing
    parts.append(_table(f"parameters-{number}", frames, f"Group {number}: parameters that differ", KEYS_TEXT))
    return parts, frames


def _table(name: str, frames: dict[str, pd.DataFrame], title: str, text: str) -> str:
    return table_html(name, records.as_texts(frames[name]), title, text)


def page(runs: list[SharedRun]) -> tuple[str, dict[str, pd.DataFrame]]:
    """The whole page, and its tables by the names of their CSV files."""
    stands, copies = between_runs.distinct(runs)
    groups, reasons = between_runs.groups([run for run in runs if stands[run.label] is run])
    numbers = {run.label: number for number, group in enumerate(groups, start=1) for run in group}
    group_of = {label: numbers[one.label] for label, one in stands.items()}
    frames = {"runs": between_runs.overview(runs, group_of)}
    parts = [_table("runs", frames, "The runs", RUNS_TEXT)]
    parts += [f"<p>{html.escape(reason)}</p>" for reason in [*copies, *reasons]]
    parts += [f'<p class="note">{html.escape(f"{run.label}: {note}")}</p>' for run in runs for note in run.notes]
    for number, group in enumerate(groups, start=1):
        found, tables = group_html(number, group)
        parts += found
        frames |= tables
    parts.append(glossary_html([column for frame in frames.values() for column in frame.columns]))
    links = {"table-runs-head": "Runs"} | {
        f"table-comparison-{number}-head": f"Group {number}" for number in range(1, len(groups) + 1)
    }
    return shell("Runs side by side", links, parts), frames


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="[LABEL=]RUN", help="folder results/<benchmark>, or a .zip of one")
    parser.add_argument(
        "--output", type=Path, default=Path("runs.html"), help="the page to write; default: %(default)s"
    )
    return parser


def main(options: argparse.Namespace) -> None:
    """Write the page and, beside it, its tables."""
    with ExitStack() as stack:
        runs = [
            between_runs.read_run(label, stack.enter_context(crates.opened(path)))
            for label, path in labelled(options.runs).items()
        ]
        text, frames = page(runs)
    folder = options.output.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        records.write_csv(folder / f"{name}.csv", frame)
    records.write_text(options.output, text)
    print(f"{options.output}, and its tables in {folder}", file=sys.stderr)


if __name__ == "__main__":
    command.run(main, arguments())
