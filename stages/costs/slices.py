"""How many healthy and diseased slices a benchmark has in each split: as they lie in results/, or as assumed before."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stages import repeats, split_lists
from stages.data.store import DISEASED, HEALTHY, open_split
from stages.errors import InputError
from stages.split_lists import SPLITS

HEALTHY_SHARE = {"train": 5598 / 16205, "validation": 5598 / 16205, "test": 705 / 1787}
"""Of a split's slices where only their number is known: those of the paper's training and test sets of BraTS 2020."""

Labels = dict[str, np.ndarray]
"""Split -> the label of each of its slices."""


def extracted(parameters: dict, folder: Path) -> Labels | None:
    """The labels of the first fold in results/<benchmark>, `folder`; None where `data` or `split` has not run there."""
    store, split_list = folder / "data", folder / "split" / f"fold{repeats.first(parameters).fold}.csv"
    if not (store / "manifest.csv").exists() or not split_list.exists():
        return None
    there = set(split_lists.read(split_list).split_of.values())
    return {
        split: open_split(store, split_list, split).manifest["label"].to_numpy()
        if split in there
        else np.empty(0, dtype=np.int64)
        for split in SPLITS
    }


def assumed(parameters: dict) -> Labels:
    """By data.published_slices and, for what it lacks, data.split; a subject of BraTS has every slice of the range.

    Raises:
        InputError: params.yaml does not say how many slices a subject has.
    """
    data = parameters["data"]
    asked = data["split"] if isinstance(data["split"], Mapping) else _listed(data)
    published = data.get("published_slices") or {}
    result = {}
    for split in SPLITS:
        count = asked.get(split, 0)
        if split in published:
            result[split] = by_share(split, published[split])
        elif isinstance(count, Mapping):
            result[split] = _labels(count["healthy"], count["diseased"])
        else:
            result[split] = by_share(split, count * _slices_of_a_subject(data)) if count else _labels(0, 0)
    return result


def by_share(split: str, slices: int) -> np.ndarray:
    """Labels of so many slices of a split, of which `HEALTHY_SHARE` are healthy."""
    healthy = round(HEALTHY_SHARE[split] * slices)
    return _labels(healthy, slices - healthy)


def _labels(healthy: int, diseased: int) -> np.ndarray:
    return np.repeat([HEALTHY, DISEASED], [healthy, diseased])


def _listed(data: dict) -> dict[str, int | dict[str, int]]:
    """What a published list puts into each split."""
    if data["split"] == split_lists.RAW:
        raise InputError(f"data.split is {split_lists.RAW}, which does not say how many slices: give them by --slices")
    found = split_lists.read(split_lists.published(data["split"]))
    counts = {split: list(found.split_of.values()).count(split) for split in SPLITS}
    if found.unit == "subject_id":
        return dict(counts)
    classes = {split: np.bincount(by_share(split, count), minlength=2).tolist() for split, count in counts.items()}
    return {split: {"healthy": healthy, "diseased": diseased} for split, (healthy, diseased) in classes.items()}


def _slices_of_a_subject(data: dict) -> int:
    if data["reader"] != "brats":
        raise InputError(f"how many slices a subject of {data['folder']} has is not known: give them by --slices")
    first, last = data["brats"]["slices"]
    return len(range(first, last + 1, data["brats"]["step"]))
