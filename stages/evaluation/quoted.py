"""Write the tables that README.md and docs/results.md quote from records, so that pages say what records say.

    python -m stages.evaluation.quoted

A page marks the place of a table by two lines, between which whatever stands is replaced:

    <!-- comparison of brats2018-cv: dice_average_otsu auroc image_auroc -->
    <!-- end -->

`comparison` is a row a method at its reported setting, the metrics those of stages/evaluation/summary.py that are
named, or else `METRICS`; `choice`, what masks of the validation subjects would have chosen, and what choosing by image
labels costs; `paired`, the best method of each metric against each other one; `between`, with other benchmarks after
the colon, what their methods gain over the same ones here (stages.evaluation.between_benchmarks), and `same_settings`,
at the settings that are reported here. What is read are results/NAME/record of the parameters of now: of all methods
the repeats that they have finished, so a run of days can be quoted while it goes on. Methods with other folds or seeds
than the first ones are below them and say so, and are not in paired tests.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from stages import command
from stages.errors import InputError
from stages.evaluation import between_benchmarks, documents, paired
from stages.evaluation.between_benchmarks import Scored, of_block
from stages.evaluation.choice import in_words
from stages.evaluation.comparison_tables import compare, of_now
from stages.evaluation.documents import marked
from stages.evaluation.finished import Finished, finished_repeats, largest_block
from stages.evaluation.records import write_text
from stages.evaluation.summary import FIELD_TITLES, TITLES, USE_TITLES
from stages.methods import TRAINED_ON, Setting, of, setting, trained_on
from stages.parameters import reading
from stages.repeats import repeats

PAGES = (Path("README.md"), Path("docs/results.md"))
METRICS = (
    *("dice_average_otsu", "dice_own_otsu", "dice_healthy_quantile"),
    *("auroc", "image_auroc", "lesion_rate"),
)
THREE_DIGITS = ("auroc", "auroc_body", "ap", "ap_body")
"""What is near 1 for every method, or counts pixels by the thousand; the others are known to two digits at best."""
_BEGIN = r"<!-- (\w+) of ([^\s:]+)(?:: ([\w -]*))? -->\n"
_MARKED = re.compile(_BEGIN + ".*?<!-- end -->", re.DOTALL)


@dataclass(frozen=True)
class Recorded:
    """A benchmark as far as its records go.

    Attributes:
        parameters: its own of params.yaml.
        blocks: methods with repeats that all of them have finished, the largest block first.
    """

    parameters: dict
    blocks: list[Scored]

    @cached_property
    def compared(self) -> list[pd.DataFrame]:
        """Of each block the columns of comparison.csv, a row a method."""
        words = {name: trained_on(self.parameters, method) for name, method in of(self.parameters).items()}
        return [compare(one.finished, one.choices, words, *self._resampling) for one in self.blocks]

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """The columns of paired.csv, of the methods of the first block."""
        first, *_ = self.blocks
        return paired.compare_pairs(
            {method: first.slices(method, first.repeats) for method in first.choices}, *self._resampling
        )

    @property
    def _resampling(self) -> tuple[int, int]:
        return self.parameters["evaluation"]["bootstrap"], self.parameters["seed"]


def recorded(name: str, record: Path, config: dict) -> Recorded:
    """A benchmark of params.yaml, whose content is `config`, by its records.

    Raises:
        InputError: there is no such benchmark, or no method of it has finished a repeat.
    """
    parameters = reading.benchmark(config, name)
    methods, identity, blocks = of(parameters), of_now(parameters), []
    finished = finished_repeats(record, repeats(parameters), methods, identity)
    while (block := largest_block(finished))[0]:
        names, used = block
        one = Finished(record, used, None, identity)
        blocks.append(of_block(name, one, {method: methods[method] for method in names}, parameters))
        finished = {method: repeats for method, repeats in finished.items() if method not in names}
    if not blocks:
        raise InputError(f"{record} has no whole repeat of any method with the parameters of now: run {name} first")
    return Recorded(parameters, blocks)


# --- the tables ------------------------------------------------------------------------------------------------------


def comparison(of_benchmark: Recorded, metrics: list[str]) -> str:
    """Markdown: a row a method, what the numbers are over below it."""
    titles = TITLES | FIELD_TITLES | USE_TITLES
    if unknown := [metric for metric in metrics if metric not in titles]:
        raise InputError(f"a comparison has no metric {unknown[0]!r}: name some of {', '.join(titles)}")
    metrics, several = metrics or list(METRICS), len(of_benchmark.blocks) > 1
    lines = []
    for block, rows in zip(of_benchmark.blocks, of_benchmark.compared, strict=True):
        for row in marked(rows, rows).to_dict("records"):
            method = row["method"].split(" (")[0]
            cells = [row["method"].replace(method, f"`{method}`"), printed_settings(of_benchmark, block, method)]
            lines.append([*cells, *([_over(block)] if several else []), *(cell(row, metric) for metric in metrics)])
    heads = ["method", "setting", *(["folds"] if several else []), *(titles[metric] for metric in metrics)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in (heads, ["---"] * len(heads), *lines))
    return f"{table}\n\n" + "\n".join(notes(of_benchmark)) + "\n"


def printed_settings(of_benchmark: Recorded, block: Scored, method: str) -> str:
    """The reported settings of the folds, in a page's words."""
    values = of(of_benchmark.parameters)[method]
    return in_words({fold: printed(setting(values, name)) for fold, name in block.choices[method].settings.items()})


def printed(one: Setting) -> str:
    """A setting in a page's words.

    >>> printed(Setting({"L": 500, "s": 30})), printed(Setting({"view": "plain"})), printed(Setting({}))
    ('L 500, s 30', 'plain', '')
    """
    return ", ".join(value if isinstance(value, str) else f"{key} {value:g}" for key, value in one.items())


def cell(row: dict, metric: str) -> str:
    """A value with its spread over seeds and its interval, as far as there are any; without the zero before a point.

    >>> cell({"auroc": 0.9801, "auroc_low": 0.97, "auroc_high": 1.0, "auroc_seed_sd": float("nan")}, "auroc")
    '.980 [.970, 1.000]'
    """

    def text(value: float) -> str:
        value = float(f"{value:.8g}")  # as comparison.csv has it: .375 is no .37 where its last bit differs
        return re.sub(r"^(-?)0\.", r"\1.", f"{value:.{3 if metric in THREE_DIGITS else 2}f}")

    value, low, high, spread = (row[f"{metric}{part}"] for part in ("", "_low", "_high", "_seed_sd"))
    if pd.isna(value):
        return ""
    return text(value) + ("" if pd.isna(spread) else f" ± {text(spread)}") + f" [{text(low)}, {text(high)}]"


def _over(block: Scored) -> str:
    """The folds of a block, and its seeds where these are several."""
    folds, seeds = ({repeat.fold for repeat in block.repeats}, {repeat.seed for repeat in block.repeats})
    return ", ".join(map(str, sorted(folds))) + (f" ({len(seeds)} seeds)" if len(seeds) > 1 else "")


def notes(of_benchmark: Recorded) -> list[str]:
    """What the numbers are over, sentence by sentence, and which methods have other repeats or none."""
    parameters, (first, *others) = of_benchmark.parameters, of_benchmark.blocks
    row, wanted = of_benchmark.compared[0].iloc[0], repeats(parameters)
    counted = f"{row['scored']} of them scored" if row["scored"] else f"{row['diseased']} of them diseased"
    sentences = [
        f"{row['subjects']} test subjects, {row['slices']} slices, {counted}.",
        *documents.repeat_notes(row["folds"], row["seeds"]),
    ]
    for part in ("fold", "seed"):
        every, there = ({getattr(one, part): None for one in some} for some in (wanted, first.repeats))
        if missing := [str(number) for number in every if number not in there]:
            sentences.append(f"Not there yet, of {len(every)} {part}s: {', '.join(missing)}.")
    for block, rows in zip(others, of_benchmark.compared[1:], strict=True):
        scored = f"{rows['scored'].iloc[0]} scored" if row["scored"] else f"{rows['slices'].iloc[0]}"
        seeds = rows["seeds"].iloc[0]
        count = f"{rows['subjects'].iloc[0]} subjects, {scored} slices, {seeds} seed{'s' if seeds > 1 else ''}"
        names = ", ".join(f"`{method}`" for method in block.choices)
        sentences.append(f"Over {count} alone, not to be compared with the first rows: {names}.")
    known = {method for block in of_benchmark.blocks for method in block.choices}
    if absent := [f"`{method}`" for method in of(parameters) if method not in known]:
        sentences.append(f"Without a record: {', '.join(absent)}.")
    return sentences


def choice(of_benchmark: Recorded) -> str:
    """Markdown: the settings by masks beside those by image labels, and the gap between them."""
    rows = pd.concat([marked(one, one) for one in of_benchmark.compared], ignore_index=True)
    chosen = rows["setting_by_masks"] != ""
    sentences = [documents.MASKS_NOTE]
    if not chosen.all():
        sentences.append(f"With one setting, so that nothing is chosen: {', '.join(rows.loc[~chosen, 'method'])}.")
    table = documents.masks_table(rows[chosen].reset_index(drop=True)).markdown()
    return f"{table}\n\n" + "\n".join(sentences) + "\n"


def paired_tests(of_benchmark: Recorded) -> str:
    """Markdown: the best of the methods of the first block against each other one of it, metric by metric."""
    first = marked(of_benchmark.compared[0], of_benchmark.compared[0])
    bounds = first.loc[first["trained_on"] == TRAINED_ON["masks"], "method"].tolist()
    pairs = marked(of_benchmark.pairs, of_benchmark.compared[0])
    table = documents.pair_table(paired.best_against_others(pairs, bounds)).markdown()
    return f"{table}\n\n" + "\n".join(documents.pair_notes(pairs)) + "\n"


def between(base: str, others: list[str], results: Path, same_settings: bool) -> str:
    """Markdown: the methods of other benchmarks beside the same ones of `base`."""
    first, *rest = (between_benchmarks.scored(name, results / name / "record") for name in (base, *others))
    return between_benchmarks.markdown(between_benchmarks.table(first, rest, same_settings), base)


# --- pages -----------------------------------------------------------------------------------------------------------


def rewritten(text: str, results: Path, read: Callable[[str], Recorded]) -> str:
    """A page with its tables written anew.

    Args:
        text: of the page.
        results: NAME/record below it are the records.
        read: name of a benchmark -> what its records hold.

    Raises:
        InputError: a mark names no kind of table, no benchmark or no metric, or does not end.
    """

    def table(mark: re.Match) -> str:
        kind, name, words = mark.groups()
        kinds: dict[str, Callable[[], str]] = {"comparison": lambda: comparison(read(name), (words or "").split())}
        if words:
            kinds["between"] = lambda: between(name, words.split(), results, same_settings=False)
            kinds["same_settings"] = lambda: between(name, words.split(), results, same_settings=True)
        else:
            kinds |= {"choice": lambda: choice(read(name)), "paired": lambda: paired_tests(read(name))}
        if kind not in kinds:
            among = f" with {words} named" if words else ""
            raise InputError(f"{kind} is no table of {name}{among}: name {' or '.join(kinds)}")
        first, *_ = mark[0].split("\n")
        return f"{first}\n{kinds[kind]()}<!-- end -->"

    if (begun := len(re.findall(_BEGIN, text))) > len(_MARKED.findall(text)):
        raise InputError(f"one of {begun} marks of tables has no <!-- end --> before the next: add that line")
    return _MARKED.sub(table, text)


def of_pages(pages: Iterable[Path], results: Path) -> Iterator[tuple[Path, str, str]]:
    """Each page: its path, its text, and its text with tables of the records below `results`."""
    config = reading.load(reading.FILE)
    read = cache(lambda name: recorded(name, results / name / "record", config))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        yield page, text, rewritten(text, results, read)


def arguments() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    pages = " ".join(map(str, PAGES))
    parser.add_argument("pages", nargs="*", type=Path, default=list(PAGES), metavar="PAGE", help=f"default: {pages}")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: %(default)s")
    return parser


def main(options: argparse.Namespace) -> None:
    """Write the pages whose tables are not those of the records, and name them."""
    for page, before, after in of_pages(options.pages, options.results):
        if before != after:
            write_text(page, after)
            print(f"{page}: written")


if __name__ == "__main__":
    command.run(main, arguments())
