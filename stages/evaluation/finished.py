"""What a method scored in every repeat, from the rule's scores or from records; which repeats are finished."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, combinations, product
from pathlib import Path

import pandas as pd

from stages.errors import InputError
from stages.evaluation import pooled, records
from stages.evaluation.across_repeats import Run, Runs
from stages.evaluation.records import Record
from stages.methods import settings
from stages.repeats import Repeat

_SAME = ["slice_id", "subject_id", "label", "lesion_pixels", "scored"]

Identity = Callable[[Repeat, str, str], str]
"""The hash of the parameters that make a run, of a repeat, method and setting by name, now."""


@dataclass(frozen=True)
class Finished:
    """The slice scores of some repeats, read when they are asked for and compared with those that were read before.

    A run's scores are those that the rule `scores` has left, where it has, or else those of its record, which holds no
    counts of pixels.

    Attributes:
        folder: the records, <repeat>/<method>/<setting>.csv below it.
        repeats: every fold with every seed.
        scores: what the rule has left, <repeat>/<method>/<setting>/ below it; None: read records alone.
        identity: what must have made either; None: scores are those of now, as where Snakemake has seen to it.
    """

    folder: Path
    repeats: list[Repeat]
    scores: Path | None = None
    identity: Identity | None = None
    _first: dict[int, tuple[Path, dict[str, pd.DataFrame]]] = field(default_factory=dict, repr=False)
    _sources: dict[tuple[Repeat, str, str], Path] = field(default_factory=dict, repr=False)

    def read(self, method: str, setting_of: dict[int, str]) -> dict[str, Runs]:
        """Split -> what a method scored in every repeat, at the setting (by name) of the repeat's fold.

        Raises:
            InputError: scores are missing, damaged or made with other parameters, have other splits or slices than
                those of the same fold that were read before, no slice of the test split, or none of it is scored though
                there are masks.
        """
        result: dict[str, Runs] = {}
        for repeat in self.repeats:
            setting = setting_of[repeat.fold]
            path = self._source(repeat, method, setting)
            found = self._slices(path, repeat, method, setting)
            self._refuse_others(path, repeat.fold, found)
            for split, slices in found.items():
                masked = slices["lesions"].notna().any()
                if masked and split == "test" and not slices["scored"].any():
                    raise InputError(
                        f"no slice of the test split is scored in {path}: none has a lesion above "
                        "evaluation.lesion_pixels_at_256 (scaled to data.size), so give the split more subjects or "
                        "lower that number"
                    )
                # Pixels are counted where every slice has a map.
                whole = slices["mean_map"].notna().all()
                counted = masked and whole and path != record_path(self.folder, repeat, method, setting)
                run = Run(slices, partial(pooled.read, path / pooled.file_name(split))) if counted else Run(slices)
                result.setdefault(split, {})[repeat] = run
        return result

    def from_records(self, method: str, setting_of: dict[int, str]) -> list[str]:
        """The runs, <repeat>/<method>/<setting>, that `read` takes from records, without counts of pixels."""
        runs = [(repeat, method, setting_of[repeat.fold]) for repeat in self.repeats]
        return [
            f"{repeat.name}/{method}/{setting}"
            for repeat, _, setting in runs
            if self._source(repeat, method, setting) == record_path(self.folder, repeat, method, setting)
        ]

    def sources(self) -> list[Path]:
        """The folders of scores and the records that were read."""
        return sorted(set(self._sources.values()))

    def keep(self, methods: dict) -> None:
        """Write the records that are lost, or that other parameters made, from the scores of the methods' grids."""
        for run in every_run(self.repeats, methods):
            path, source = record_path(self.folder, *run), self._source(*run)
            made_with = records.scores_identity(source)
            if source != path and made_with is not None and records.record_identity(path) != made_with:
                records.write_record(path, Record(made_with, self._slices(source, *run)))

    def _source(self, repeat: Repeat, method: str, setting: str) -> Path:
        """The folder of a run's slice scores, or its record; once found, it stays that."""
        key = repeat, method, setting
        if key not in self._sources:
            self._sources[key] = record_path(self.folder, *key)
            if self.scores is not None:
                folder = self.scores / repeat.name / method / setting
                made_with = records.scores_identity(folder)
                if made_with is not None and self._is_of_now(made_with, repeat, method, setting):
                    self._sources[key] = folder
        return self._sources[key]

    def _is_of_now(self, made_with: str, repeat: Repeat, method: str, setting: str) -> bool:
        return self.identity is None or made_with == self.identity(repeat, method, setting)

    def _slices(self, path: Path, repeat: Repeat, method: str, setting: str) -> dict[str, pd.DataFrame]:
        """The slice scores by split at a `_source`."""
        if path != record_path(self.folder, repeat, method, setting):
            files = {split: path / f"{split}.csv" for split in records.SCORED_SPLITS}
            return {split: records.read_slice_scores(file) for split, file in files.items() if file.exists()}
        record = records.read_record(path)
        if not self._is_of_now(record.identity, repeat, method, setting):
            raise InputError(f"{path} was made with other parameters: {records.record_again(path)}")
        return record.slices

    def _refuse_others(self, path: Path, fold: int, found: dict[str, pd.DataFrame]) -> None:
        """What is compared must be alike: the slices of a fold, whatever the seed, method and setting."""
        if "test" not in found:
            raise InputError(f"{path} has no slice of the test split: {self._again(path)}")
        own = {split: slices[_SAME] for split, slices in found.items()}
        first, others = self._first.setdefault(fold, (path, own))
        if own.keys() != others.keys() or not all(own[split].equals(others[split]) for split in own):
            raise InputError(
                f"{path} scores other slices, or by other masks, than {first}: if it is the older one, "
                f"{self._again(path)}"
            )

    def _again(self, path: Path) -> str:
        return records.record_again(path) if path.is_relative_to(self.folder) else records.score_again(path)


def record_path(folder: Path, repeat: Repeat, method: str, setting: str) -> Path:
    """Where a record lies below results/<benchmark>/record."""
    return folder / repeat.name / method / f"{setting}.csv"


def every_run(repeats: list[Repeat], methods: dict) -> list[tuple[Repeat, str, str]]:
    """Every repeat of every setting (by name) of the methods' grids."""
    grid = [(name, setting.name) for name, method in methods.items() for setting in settings(method)]
    return [(repeat, *run) for repeat in repeats for run in grid]


@dataclass
class Lacking:
    """The records that a repeat lacks: those that are not there, and those that other parameters made."""

    absent: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many these are."""
        return len(self.absent) + len(self.others)


def missing_records(folder: Path, repeats: list[Repeat], methods: dict, identity: Identity) -> dict[Repeat, Lacking]:
    """What each repeat lacks of the settings of `methods`' grids; repeats that lack nothing are left out."""
    result: dict[Repeat, Lacking] = {}
    for repeat, method, setting in every_run(repeats, methods):
        path = record_path(folder, repeat, method, setting)
        if not path.exists():
            result.setdefault(repeat, Lacking()).absent.append(path)
        elif records.record_identity(path) != identity(repeat, method, setting):
            result.setdefault(repeat, Lacking()).others.append(path)
    return result


def finished_repeats(folder: Path, repeats: list[Repeat], methods: dict, identity: Identity) -> dict[str, list[Repeat]]:
    """The repeats that each method has finished, at every setting of its grid."""
    lacking = {name: missing_records(folder, repeats, {name: method}, identity) for name, method in methods.items()}
    return {name: [repeat for repeat in repeats if repeat not in lacking[name]] for name in methods}


def largest_block(finished: dict[str, list[Repeat]]) -> tuple[list[str], list[Repeat]]:
    """The methods and repeats that can be compared as they are, of all those the most runs.

    Every one of the methods has finished every one of the repeats, which are all of some folds with all of some seeds.
    Of equal ones more methods, then more folds. Nothing where nothing is finished.

    Args:
        finished: method -> the repeats that it has finished.

    >>> one, two, other = Repeat(1, 0), Repeat(2, 0), Repeat(1, 1)
    >>> methods, repeats = largest_block({"a": [one, two, other], "b": [one, two], "c": [one]})
    >>> methods, [repeat.name for repeat in repeats]
    (['a', 'b'], ['fold1-seed0', 'fold2-seed0'])
    """
    known = list(dict.fromkeys(chain(*finished.values())))
    folds, seeds = _subsets(sorted({repeat.fold for repeat in known})), _subsets([repeat.seed for repeat in known])
    best: tuple[list[str], list[Repeat]] = [], []
    for some, beside in product(folds, seeds):
        grid = [Repeat(fold, seed) for fold in some for seed in beside]
        block = [name for name, repeats in finished.items() if {*grid} <= {*repeats}], grid
        best = max(best, block, key=lambda one: (len(one[0]) * len(one[1]), len(one[0]), len({r.fold for r in one[1]})))
    return best


def _subsets(values: list[int]) -> list[tuple[int, ...]]:
    """All that some numbers, each counted once, can be: larger ones first."""
    once = list(dict.fromkeys(values))
    return [some for count in range(len(once), 0, -1) for some in combinations(once, count)]
