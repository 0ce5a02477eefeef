"""Several people's runs side by side: which of them can be ranked together, and why others cannot.

A run is a folder of results: its records, and what notes its parameters, data, code and devices
(`tables.provenance.json`, `tables/provenance.json`). Runs are comparable where their methods were tested on the same
slices of the same data, scored alike. Code, devices, training and methods may differ: that is what is compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages import provenance
from stages.errors import InputError
from stages.evaluation import comparison_tables, paired, records
from stages.evaluation.between_benchmarks import Scored, of_block
from stages.evaluation.choice import Choice
from stages.evaluation.comparison_tables import of_finished, of_now
from stages.evaluation.finished import Finished, every_run, record_path
from stages.methods import TRAINED_ON, of, trained_on
from stages.parameters import reading
from stages.parameters.inert import without_inert
from stages.provenance import Provenance
from stages.repeats import Repeat, repeats

DRAWN = ("bootstrap", "size_groups")
"""Keys of `evaluation` that say how tables are drawn from scores, not how slices are scored."""
_CHECKED = ("dice_average_otsu", "auroc", "image_auroc")
_EITHER = "one of them notes no slice store and fits runs of different stores alike"
_AGAIN = "make its tables again with records and parameters of one run"


@dataclass(frozen=True)
class SharedRun:
    """One run of a benchmark, by whomever.

    Attributes:
        label: what the page calls it.
        benchmark: the name that its scores have.
        scored: its records and the settings that are reported.
        parameters: of its benchmark, merged.
        trained_on: method -> what trained it, a word of `stages.methods.TRAINED_ON`.
        made_by: the provenance of its tables; None where it is records alone.
        digests: of its records, <repeat>/<method>/<setting> -> SHA-256 (hex).
        notes: sentences about repeats that it lacks.
    """

    label: str
    benchmark: str
    scored: Scored
    parameters: dict[str, Any]
    trained_on: dict[str, str]
    made_by: Provenance | None
    digests: dict[str, str]
    notes: list[str]

    @property
    def data_sha256(self) -> str | None:
        """The hash of its slice store; None where nobody has noted it."""
        return self.made_by.data_sha256 if self.made_by else None

    def test_slices(self, method: str) -> list[pd.DataFrame]:
        """A method's scores of the test slices at its reported setting, a table a seed."""
        return self.scored.slices(method, self.scored.repeats)

    def comparison(self, resamples: int, seed: int) -> pd.DataFrame:
        """A row a method, the columns of comparison.csv."""
        return comparison_tables.compare(self.scored.finished, self.scored.choices, self.trained_on, resamples, seed)


def read_run(label: str, folder: Path, config: Path = Path(reading.FILE)) -> SharedRun:
    """A run by its folder.

    What its pages note of its parameters counts. Records without it, as git has them, are taken for those of the
    benchmark of this name in params.yaml, if they were made with its parameters.

    Args:
        label: what to call it.
        folder: results/<benchmark>, or what was in a crate of it.
        config: params.yaml.

    Raises:
        InputError: there are no records, or they are damaged, or not those that the tables were made of.
    """
    record, noted = folder / "record", provenance.of(folder / "tables.html")
    if not record.is_dir():
        raise InputError(f"{folder} has no folder record: name a folder results/<benchmark>, or a crate of one")
    parameters = noted.parameters if noted else {}
    if mine := "methods" not in parameters:
        parameters = reading.benchmark(reading.load(config), folder.resolve().name)
    made_by = provenance.of(folder / "tables") if (folder / "tables").is_dir() else None
    methods, wanted, words = _methods(folder, parameters, made_by, mine)

    def as_it_says(repeat: Repeat, method: str, setting: str) -> str:
        return records.record_identity(record_path(record, repeat, method, setting)) or ""

    identity = of_now(parameters) if mine else as_it_says
    methods, used, notes = of_finished(label, record, wanted, methods, identity)
    words = {name: words[name] for name in methods}
    block = of_block(label, Finished(record, used, None, identity), methods, parameters)
    scored = replace(block, choices=_in_the_order_of(folder / "tables" / "comparison.csv", block.choices))
    digests = _digests(record, used, methods)
    run = SharedRun(label, folder.resolve().name, scored, parameters, words, made_by, digests, notes)
    if not mine:
        _refuse_other_tables(run, folder / "tables" / "comparison.csv")
    return run


def _methods(
    folder: Path, parameters: dict[str, Any], made_by: Provenance | None, mine: bool
) -> tuple[dict, list[Repeat], dict[str, str]]:
    """The methods, the repeats, and what trained each method: as its own tables note, for its code may be others'.

    Where the parameters are those of this params.yaml (`mine`), a method that its tables do not name was added here.
    """
    try:
        methods, wanted = of(parameters), repeats(parameters)
        words = made_by.parameters.get("trained_on") if made_by else None
        if mine and words:
            methods = {name: method for name, method in methods.items() if name in words}
        words = words or {name: trained_on(parameters, method) for name, method in methods.items()}
        words = {name: words[name] for name in methods}
        _ = [TRAINED_ON[word] for word in words.values()], parameters["evaluation"]["bootstrap"], parameters["seed"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"{folder} does not note the parameters of a benchmark beside its tables: {_AGAIN}") from error
    if not methods:
        raise InputError(f"{folder} has no methods that could be compared: it makes only data")
    return methods, wanted, words


def _digests(record: Path, used: list[Repeat], methods: dict) -> dict[str, str]:
    paths = {"/".join((one[0].name, *one[1:])): record_path(record, *one) for one in every_run(used, methods)}
    return {name: sha256(path.read_bytes()).hexdigest() for name, path in paths.items() if path.is_file()}


def _in_the_order_of(table: Path, choices: dict[str, Choice]) -> dict[str, Choice]:
    """The methods as a table has them, where it is there: what notes the parameters sorts its keys."""
    if not table.is_file():
        return choices
    said = records.read_csv(table, ["method"], [], _AGAIN)["method"].tolist()
    return dict(sorted(choices.items(), key=lambda item: said.index(item[0]) if item[0] in said else len(said)))


def _refuse_other_tables(run: SharedRun, table: Path) -> None:
    """Records of one run and tables of another would go unnoticed: the tables must follow from the records."""
    said = records.read_csv(table, ["method", "setting"], list(_CHECKED), _AGAIN).set_index("method")
    found = run.comparison(0, 0).set_index("method")
    same = set(said.index) == set(found.index)
    if same:
        expected, given = (frame.loc[found.index, [*_CHECKED]].to_numpy(float) for frame in (found, said))
        same = np.allclose(given, expected, rtol=0, atol=1e-6, equal_nan=True)
    if not same:
        raise InputError(f"{table} is not what the records of {table.parents[1]} give: {_AGAIN}")


def why_not(one: SharedRun, other: SharedRun) -> str | None:
    """Why two runs cannot be ranked together, in words that follow "because"; None where they can."""
    known = [run.data_sha256 for run in (one, other)]
    if None not in known and known[0] != known[1]:
        return "their slice stores differ (SHA-256 {:.12} and {:.12})".format(*known)
    ways = [{key: run.parameters["evaluation"].get(key) for key in _keys(one, other)} for run in (one, other)]
    if differing := [key for key in ways[0] if ways[0][key] != ways[1][key]]:
        values = " and ".join(str(way[differing[0]]) for way in ways)
        return f"they were scored differently (evaluation.{differing[0]} is {values})"
    frames = [run.test_slices(next(iter(run.scored.choices)))[0] for run in (one, other)]
    if not frames[0][["fold", "slice_id"]].equals(frames[1][["fold", "slice_id"]]):
        count = len(set(frames[0]["slice_id"]) & set(frames[1]["slice_id"]))
        return f"their test slices differ ({len(frames[0])} and {len(frames[1])}, {count} in both)"
    for column, what in {"label": "labels", "lesion_pixels": "masks", "body_share": "images"}.items():
        differ = ~np.isclose(frames[0][column], frames[1][column], rtol=0, atol=1e-7, equal_nan=True)
        if differ.any():
            first = frames[0]["slice_id"][differ.argmax()]
            return f"their {what} differ ({column} of {differ.sum()} test slices, {first} the first)"
    return None


def _keys(*runs: SharedRun) -> list[str]:
    return sorted({key for run in runs for key in run.parameters["evaluation"]} - {*DRAWN})


def distinct(runs: list[SharedRun]) -> tuple[dict[str, SharedRun], list[str]]:
    """Label -> the run that stands for it, itself or another of the same records; and sentences about copies.

    Records that are byte-identical are one run that was copied, as a clone's are, or one that was repeated to the bit:
    either way they measure nothing a second time. The first whose slice store is noted stands for them, for it can be
    told from runs of other stores.
    """
    stands = {}
    for run in runs:
        copies = [one for one in runs if one.digests == run.digests]
        stands[run.label] = next((one for one in copies if one.data_sha256 is not None), copies[0])
    sentences = [
        f"{stands[run.label].label} and {run.label}: records are byte-identical, the same run; {run.label} is left out "
        "of the tables, since it measures nothing a second time."
        for run in runs
        if stands[run.label] is not run
    ]
    for one, run in combinations([run for run in runs if stands[run.label] is run], 2):
        shared = {name for name, digest in run.digests.items() if one.digests.get(name) == digest}
        if shared:
            methods = dict.fromkeys(name.split("/")[1] for name in run.digests if name in shared)
            sentences.append(
                f"{one.label} and {run.label}: {len(shared)} of their records are byte-identical, of the same run "
                f"({', '.join(methods)}); that they agree there is no evidence."
            )
    return stands, sentences


def groups(runs: list[SharedRun]) -> tuple[list[list[SharedRun]], list[str]]:
    """The runs in groups of comparable ones, and for each two groups a sentence: why they stand apart.

    In a group, nothing speaks against any two. A run whose slice store is not noted joins those of a store where they
    are the only ones that it fits. The order of the runs orders groups and members; who stands together does not
    depend on it.
    """
    found: list[list[SharedRun]] = []
    # First the runs whose store is noted: which stores there are must be known before others are put to them.
    for run in sorted(runs, key=lambda run: (run.data_sha256 is None, run.label)):
        fitting = [group for group in found if not any(why_not(member, run) for member in group)]
        noted = [group for group in fitting if group[0].data_sha256 is not None]
        choices = noted if len(noted) == 1 else [group for group in fitting if group[0].data_sha256 is None]
        if choices:
            choices[0].append(run)
        else:
            found.append([run])
    place = {run.label: number for number, run in enumerate(runs)}
    found = sorted(
        (sorted(group, key=lambda run: place[run.label]) for group in found), key=lambda group: place[group[0].label]
    )
    return found, [_apart(*pair) for pair in combinations(found, 2)]


def _apart(group: list[SharedRun], other: list[SharedRun]) -> str:
    """Why two groups are not one."""
    pairs = [(one, run) for run in other for one in group]
    against = [(one, run, why) for one, run in pairs if (why := why_not(one, run))]
    one, run, why = [*against, (*pairs[0], _EITHER)][0]
    return f"{run.label} is not ranked with {one.label}, because {why}."


def together(group: list[SharedRun]) -> pd.DataFrame:
    """A row a run and method of comparable runs: `run`, and the columns of comparison.csv.

    Resamples are drawn as the first run says, for all alike.
    """
    drawing = group[0].scored.evaluation["bootstrap"], group[0].scored.seed
    tables = [run.comparison(*drawing) for run in group]
    for run, table in zip(group, tables, strict=True):
        table.insert(0, "run", run.label)
    return pd.concat(tables, ignore_index=True)


def best(group: list[SharedRun]) -> tuple[pd.DataFrame, list[str]]:
    """The best method of each metric against every other of comparable runs, and sentences about the seeds.

    The paired test of stages.evaluation.paired over subjects and seeds, Holm-adjusted over all pairs of a metric. Runs
    with different numbers of seeds are paired over the first ones, as many as each has. Upper bounds are never best.
    """
    of_run = {run.label: {method: run.test_slices(method) for method in run.scored.choices} for run in group}
    counts = {label: len(next(iter(methods.values()))) for label, methods in of_run.items()}
    shared = min(counts.values())
    slices = {
        named(label, method): frames[:shared] for label, methods in of_run.items() for method, frames in methods.items()
    }
    bounds = [named(run.label, method) for run in group for method, word in run.trained_on.items() if word == "masks"]
    rows = paired.best_against_others(
        paired.compare_pairs(slices, group[0].scored.evaluation["bootstrap"], group[0].scored.seed), bounds
    )
    more = ", ".join(f"{label} has {count}" for label, count in counts.items() if count > shared)
    return rows, [f"Paired over the first {shared} of the seeds, which every run has; {more}."] if more else []


def named(label: str, method: str) -> str:
    """A method of a run in a table of pairs.

    >>> named("ours", "vae")
    'ours: vae'
    """
    return f"{label}: {method}"


def overview(runs: list[SharedRun], group_of: Mapping[str, int]) -> pd.DataFrame:
    """A row a run: what it is of, and which data, code and devices made it.

    Args:
        runs: all of them.
        group_of: label -> the number of its group.
    """
    rows = []
    for run in runs:
        made_by = run.made_by
        code = made_by.code if made_by else None
        changed = {True: "changed since", False: "unchanged", None: "no git repository"}
        rows.append(
            {
                "run": run.label,
                "group": str(group_of[run.label]),
                "benchmark": run.benchmark,
                "repeats": ", ".join(repeat.name for repeat in run.scored.repeats),
                "data": run.data_sha256 or "no data noted",
                "version": code.version if code else "no version noted",
                "commit": f"{code.commit or ''} {changed[code.modified]}".strip() if code else "no commit noted",
                "code": code.sha256 if code else "no code noted",
                "devices": "; ".join(made_by.devices) if made_by and made_by.devices else "no device noted",
                "made": made_by.ended if made_by else "no time noted",
            }
        )
    return pd.DataFrame(rows)


def differing_keys(group: list[SharedRun]) -> pd.DataFrame:
    """Keys of params.yaml that differ between comparable runs, and change results: `key`, and a column a run."""
    flat = {run.label: _flat(without_inert(run.parameters)) for run in group}
    keys = list(dict.fromkeys(key for values in flat.values() for key in values))
    rows = [{"key": key} | {label: values.get(key, "") for label, values in flat.items()} for key in keys]
    return pd.DataFrame(
        [row for row in rows if len({row[label] for label in flat}) > 1], columns=["key", *flat], dtype=str
    )


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Path of each key -> its value as text.

    >>> _flat({"vae": {"widths": [1, 2]}, "seed": 0})
    {'vae.widths': '[1, 2]', 'seed': '0'}
    """
    if isinstance(value, dict) and value:
        inner = [_flat(item, f"{path}.{key}" if path else str(key)) for key, item in value.items()]
        return {key: text for one in inner for key, text in one.items()}
    return {path: str(value)}


def said_of_training(group: list[SharedRun]) -> list[str]:
    """The words of `TRAINED_ON` that occur, so that a page can explain them."""
    return [word for key, word in TRAINED_ON.items() if any(key in run.trained_on.values() for run in group)]
