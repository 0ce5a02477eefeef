"""The repeats of a benchmark: a fold of its cross-validation with a seed, each trained, detected and scored by itself.

A fold redraws the split; a seed redraws weights, batches and noise on one fold's split. `repeats` of params.yaml lists
both. The first repeat (fold 1, the first seed) is the one that figures of single slices show.
"""

import re
from dataclasses import dataclass

from stages.errors import InputError


@dataclass(frozen=True)
class Repeat:
    """One fold (counted from 1) with one seed.

    >>> Repeat(fold=1, seed=0).name
    'fold1-seed0'
    """

    fold: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"fold{self.fold}-seed{self.seed}"


def of_name(name: str) -> Repeat | None:
    """The repeat that would bear a name, of whatever benchmark; None where none could.

    >>> of_name("fold2-seed10"), of_name("denoiser")
    (Repeat(fold=2, seed=10), None)
    """
    found = re.fullmatch(r"fold([0-9]+)-seed([0-9]+)", name)
    return Repeat(*map(int, found.groups())) if found else None


def repeats(parameters: dict) -> list[Repeat]:
    """All repeats of a benchmark's parameters: its folds, and on each of them its seeds.

    >>> [repeat.name for repeat in repeats({"repeats": {"folds": 2, "seeds": [0, 7]}})]
    ['fold1-seed0', 'fold1-seed7', 'fold2-seed0', 'fold2-seed7']
    """
    section = parameters["repeats"]
    return [Repeat(fold, seed) for fold in range(1, section["folds"] + 1) for seed in section["seeds"]]


def first(parameters: dict) -> Repeat:
    """The repeat that figures of single slices, the pages, the export, trade-off and trajectory are of."""
    return repeats(parameters)[0]


def named(parameters: dict, name: str) -> Repeat:
    """The repeat that bears a name; InputError where none does."""
    found = {repeat.name: repeat for repeat in repeats(parameters)}
    if name not in found:
        raise InputError(f"{name} is no repeat of the benchmark, whose repeats in params.yaml are {', '.join(found)}")
    return found[name]
