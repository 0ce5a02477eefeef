"""Split labelled images into training, validation and test by patient, with exact numbers of each class."""

from collections.abc import Iterable, Mapping

import numpy as np

from stages.data.store import CLASSES
from stages.errors import InputError
from stages.split_lists import SPLITS, UNUSED


def split_images(
    images: Iterable[tuple[str, str, int]], counts: Mapping[str, Mapping[str, int]], seed: int, fold: int = 1
) -> dict[str, str]:
    """Choose images for each split: exactly as many of each class as asked for, and no patient in two splits.

    Patients are drawn in random order, for the small splits first. Those whose images all fit come before those of
    whose images only a part is still needed, the smallest rest first: it is unused, so that little should be wasted.
    A fold tests patients that no earlier fold does; the rest of a fold then comes from all others. The result depends
    on the set of images, the counts, the seed and the fold alone, not on how many folds there are.

    Args:
        images: (name, patient, label) of each; names are unique.
        counts: split -> class (`healthy`, `diseased`) -> number of images.
        seed: seed of the draw.
        fold: which one, from 1.

    Returns:
        name -> split, or `UNUSED`; sorted by name.

    Raises:
        InputError: there are not enough images of a class.
    """
    images = sorted(images)
    patients: dict[str, tuple[list[str], list[str]]] = {}
    for name, patient, label in images:
        patients.setdefault(patient, ([], []))[label].append(name)
    queue = sorted(patients)
    np.random.default_rng(seed).shuffle(queue)
    order = sorted(SPLITS, key=lambda name: (sum(counts[name].values()), SPLITS.index(name)))
    tested: set[str] = set()
    for _ in range(fold):
        drawn, rest = {}, queue
        for split in order:
            may_be_drawn = [patient for patient in rest if patient not in tested] if split == "test" else rest
            drawn[split] = _draw(patients, may_be_drawn, split, counts[split])
            rest = [patient for patient in rest if patient not in drawn[split]]
        # Of later folds, the test comes first, for which fewer are left; who has been tested is drawn last of all.
        order = ["test", *(split for split in order if split != "test")]
        tested.update(drawn["test"])
        queue = sorted(queue, key=lambda patient: patient in tested)
    result = dict.fromkeys((name for name, _, _ in images), UNUSED)
    for split, images_of in drawn.items():
        result.update((name, split) for names in images_of.values() for name in names)
    return result


def _draw(
    patients: Mapping[str, tuple[list[str], list[str]]], free: list[str], split: str, counts: Mapping[str, int]
) -> dict[str, list[str]]:
    """The images of one split.

    Args:
        patients: patient -> names of the healthy and of the diseased images.
        free: the patients that may be drawn, in this order.
        split: what it is for.
        counts: class -> number of images.

    Returns:
        patient -> names of the images drawn.

    Raises:
        InputError: the patients have too few.
    """
    needed = [counts[key] for key in CLASSES]

    def surplus(patient: str) -> int:
        return sum(max(len(names) - need, 0) for names, need in zip(patients[patient], needed, strict=True))

    drawn: dict[str, list[str]] = {}
    for may_have_surplus in (False, True):
        # Python's sort is stable: equal patients stay in random order.
        for patient in sorted(free, key=surplus) if may_have_surplus else free:
            taken = [min(len(names), need) for names, need in zip(patients[patient], needed, strict=True)]
            if patient in drawn or not any(taken) or (surplus(patient) and not may_have_surplus):
                continue
            drawn[patient] = []
            for label, number in enumerate(taken):
                drawn[patient] += patients[patient][label][:number]
                needed[label] -= number
    for key, label in CLASSES.items():
        if needed[label]:
            total = sum(len(names[label]) for names in patients.values())
            _refuse(split, key, counts[key], counts[key] - needed[label], total)
    return drawn


def _refuse(split: str, key: str, asked: int, found: int, total: int) -> None:
    raise InputError(
        f"data.split.{split}.{key} asks for {asked:,} images where {found:,} are left for it: there are {total:,} good "
        f"{key} images in all, and no patient may be in two splits or tested in two folds; lower the numbers of "
        "data.split or add images"
    )
