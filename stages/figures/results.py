"""What the rules before left for figures, explorer and export: the test split, maps, reconstructions, tables."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, repeats
from stages.data import store as slice_store
from stages.data.rows import Held, held
from stages.data.store import SliceStore
from stages.detection.difference import anomaly_map
from stages.errors import InputError
from stages.evaluation import records, sensitivity
from stages.evaluation.choice import of_words
from stages.evaluation.maps import open_images, open_maps
from stages.figures import selection
from stages.methods import settings

SPLIT = "test"
DECIDING = 16
"""Diseased slices whose maps set the ends of the colour scales."""
OF_BOTH = {"plain": "", "min-max": ", both scaled to [0, 1]"}
"""What is done to input and reconstruction before they are compared, in words, by `detection.difference`."""


@dataclass(frozen=True)
class Method:
    """One method's output on the test split at one setting, memory-mapped.

    Attributes:
        name: in params.yaml.
        setting: the setting's name.
        maps: (N, H, W), those that there are.
        images: reconstructions (N, C, H, W), those that are kept; None where the method wrote none.
        slices: N slice scores, `records.COLUMNS`.
    """

    name: str
    setting: str
    maps: np.ndarray | Held
    images: np.ndarray | Held | None
    slices: pd.DataFrame


@dataclass(frozen=True)
class Scale:
    """The upper ends of the maps' colour scales; the lower one is 0.

    Attributes:
        common: of all methods whose maps are the summed absolute difference of input and reconstruction; None where
            there is no such method.
        own: method -> its own end, for the others.
        difference: how the methods of `common` compare the two, `detection.difference`.
    """

    common: float | None
    own: dict[str, float]
    difference: str = "plain"

    @property
    def unit(self) -> str:
        """What the maps of the common scale are, in words."""
        return f"summed absolute difference of input and reconstruction{OF_BOTH[self.difference]}"

    def end(self, method: str) -> float:
        """The end of one method's scale."""
        return self.own[method] if method in self.own or self.common is None else self.common


def open_split(data: Path, split_list: Path, channels: list[str]) -> SliceStore:
    """The slices of the test split; InputError where they have not the channels that params.yaml names."""
    store = slice_store.open_split(data, split_list, SPLIT)
    if len(channels) != store.images.shape[1]:
        raise InputError(
            f"{store.folder / 'images.npy'} has {store.images.shape[1]} channels where data.channels names "
            f"{len(channels)}: run the rule extract"
        )
    return store


def open_comparison(
    path: Path, methods: Sequence[str], metrics: Sequence[str] = (), counts: Sequence[str] = ()
) -> pd.DataFrame:
    """comparison.csv by method, in the order of `methods`: `setting`, each metric with its interval, and counts.

    Every figure reads the reported settings here; none chooses again. `settings` lists what the folds chose,
    `setting` is that of the first.

    Raises:
        InputError: it is missing or damaged, or does not list a method.
    """
    numbers = [*(f"{metric}{end}" for metric in metrics for end in ("", "_low", "_high")), *counts]
    table = records.read_csv(path, ["method", "setting", "settings"], numbers).set_index("method")
    for name in methods:
        if name not in table.index:
            raise InputError(f"{path} does not list method {name!r}: run the rule comparison_tables")
    return table.loc[list(methods)].assign(settings=lambda rows: rows["settings"].map(of_words))


def open_scores(path: Path, methods: dict) -> pd.DataFrame:
    """scores.csv: method, setting, split and `sensitivity.COLUMNS`, a row a setting and split.

    Raises:
        InputError: it is missing or damaged, or does not list a setting of `methods`' grids on the test split.
    """
    table = records.read_csv(path, ["method", "setting", "split"], list(sensitivity.COLUMNS))
    test = table[table["split"] == SPLIT]
    listed = set(zip(test["method"], test["setting"], strict=True))
    for name, method in methods.items():
        for one in settings(method):
            if (name, one.name) not in listed:
                raise InputError(f"{path} does not list {name} at {one.name}: run the rule comparison_tables")
    return table


def reported(comparison: Path, methods: Sequence[str]) -> dict[str, str]:
    """The name of each method's reported setting, as comparison.csv has it."""
    return open_comparison(comparison, methods)["setting"].to_dict()


def open_method(name: str, setting: str, maps: Path, scores: Path, store: SliceStore) -> Method:
    """One method's maps, reconstructions and scores at one setting.

    Raises:
        InputError: a file is missing, of another shape, or scores other slices than the store holds.
    """
    slices = records.read_scores_of(scores / name / setting / f"{SPLIT}.csv", store)
    folder = maps / name / setting / SPLIT
    return Method(name, setting, open_maps(folder, store), open_images(folder, store), slices)


def open_reported(comparison: Path, names: Sequence[str], maps: Path, scores: Path, store: SliceStore) -> list[Method]:
    """Every method of `names`, in this order, at the setting that comparison.csv reports."""
    return [open_method(*item, maps, scores, store) for item in reported(comparison, names).items()]


def kept(methods: Sequence[Method]) -> np.ndarray:
    """The rows that can be shown, ascending: every method has a map of them and, where it has any, a reconstruction.

    Raises:
        InputError: there is none.
    """
    rows: np.ndarray | None = None
    for method in methods:
        for name, array in (("slices.csv", method.maps), ("images.csv", method.images)):
            if array is not None:
                rows = held(array) if rows is None else np.intersect1d(rows, held(array))
                if not rows.size:
                    raise InputError(
                        f"{method.name}/{method.setting}/{SPLIT}/{name} lists no slice that every method before it "
                        "can show: list the slices whose reconstructions the others keep (their images.csv)"
                    )
    assert rows is not None, "at least one method is shown"
    return rows


def is_summed_difference(method: Method, store: SliceStore, rows: Sequence[int], difference: str) -> bool:
    """Whether a method's maps are what its reconstructions say: |input - reconstruction|, summed over channels.

    Both are first scaled as `difference`, a name of `DIFFERENCES`, says. Such maps have one unit, whatever the method.
    A quarter is allowed for, on average over the given slices: halves are rounded, and the released code compares with
    an image to which it has added noise.
    """
    if method.images is None:
        return False
    own = np.asarray(method.maps[rows], np.float64)
    expected = anomaly_map(np.asarray(store.images[rows]), np.asarray(method.images[rows]), difference)
    return bool(np.abs(own - expected).mean() <= 0.25 * expected.mean() + 1e-3)


def brightness(method: Method, rows: Sequence[int]) -> float:
    """The 99.5th percentile of a method's maps over the given slices; 1 where they are all black."""
    end = float(np.percentile(np.asarray(method.maps[rows], np.float64), 99.5))
    return end if end > 0 else 1.0


def colour_scale(methods: Sequence[Method], store: SliceStore, rows: Sequence[int], difference: str) -> Scale:
    """One scale for all maps of the same unit, and one of its own for each other method.

    The common end is the median of the methods' ends, so that a single method that is wrong everywhere does not darken
    all the others.

    Args:
        methods: whose maps are shown.
        store: the split.
        rows: the slices that decide, the same ones for all figures that are to be compared.
        difference: how maps compare input and reconstruction, `detection.difference`.
    """
    ends = {method.name: brightness(method, rows) for method in methods}
    shared = {method.name for method in methods if is_summed_difference(method, store, rows, difference)}
    common = float(np.median([ends[name] for name in sorted(shared)])) if shared else None
    return Scale(common, {name: end for name, end in ends.items() if name not in shared}, difference)


def common_scale(methods: Sequence[Method], store: SliceStore, parameters: dict) -> Scale:
    """The `colour_scale` of whatever shows single slices: from `DECIDING` diseased ones, the same ones everywhere.

    Args:
        methods: whose maps are shown.
        store: the split; without a diseased slice, all that can be shown decide.
        parameters: seed, detection.difference.
    """
    shown = kept(methods)
    rows = selection.diseased_slices(methods[0].slices, shown, DECIDING, parameters["seed"]) or shown.tolist()
    return colour_scale(methods, store, rows, parameters["detection"]["difference"])


def repeat_shown(parameters: dict) -> str:
    """Which repeat whatever shows single slices is about, in words; nothing where the benchmark has but one.

    >>> repeat_shown({"repeats": {"folds": 1, "seeds": [0, 1, 2]}})
    'fold 1, seed 0: the first of 3 repeats'
    """
    count, shown = len(repeats.repeats(parameters)), repeats.first(parameters)
    return f"fold {shown.fold}, seed {shown.seed}: the first of {count} repeats" if count > 1 else ""


def interval_note(table: pd.DataFrame) -> str:
    """What a figure says of its intervals: what was drawn again for them, as the table's column `seeds` has it."""
    over = "subjects and seeds" if table["seeds"].max() > 1 else "subjects"
    return f"mean and 95 % interval (bootstrap over {over})"


def table_parser(description: str, table: str, required: bool = True) -> argparse.ArgumentParser:
    """The command line of a stage that draws a table, a CSV of this name; `required` as in `command.parser`."""
    result = command.parser(description, required)
    result.add_argument("--table", type=Path, required=True, help=f"{table} of the tables")
    result.add_argument("--output", type=Path, required=True, help="folder of the figure")
    return result


def parser(description: str, output: str = "folder of the figures") -> argparse.ArgumentParser:
    """The command line of a stage that shows single slices."""
    result = command.parser(description)
    result.add_argument("--data", type=Path, required=True, help="folder of the slice store")
    result.add_argument("--split-list", type=Path, required=True, help="split list; what it calls `test` is shown")
    result.add_argument("--maps", type=Path, required=True, help="folder of a repeat's <method>/<setting>/test/")
    result.add_argument("--scores", type=Path, required=True, help="folder of a repeat's <method>/<setting>/test.csv")
    result.add_argument("--comparison", type=Path, required=True, help="comparison.csv, which names the settings")
    result.add_argument("--output", type=Path, required=True, help=output)
    return result
