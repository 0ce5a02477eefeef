"""Split labelled images into training, validation and test by patient, with exact numbers of each class."""

from collections.abc import Iterable, Mapping

import numpy as np

from stages.data.split import SPLITS
from stages.data.store import CLASSES
from stages.errors import InputError


def split_images(
    images: Iterable[tuple[str, str, int]], counts: Mapping[str, Mapping[str, int]], seed: int
) -> dict[str, str]:
    """Choose images for each split: exactly as many of each class as asked for, and no patient in two splits.

    Patients are drawn in random order, for the small splits first. Those whose images all fit come before those of
    whose images only a part is still needed, the smallest rest first: it is unused, so that little should be wasted.
    The result depends on the set of images, the counts and the seed alone.

    Args:
        images: (name, patient, label) of each; names are unique.
        counts: split -> class (`healthy`, `diseased`) -> number of images.
        seed: seed of the draw.

    Returns:
        name -> split, for the images that are used.

    Raises:
        InputError: there are not enough images of a class.
    """
    patients: dict[str, tuple[list[str], list[str]]] = {}
    for name, patient, label in sorted(images):
        patients.setdefault(patient, ([], []))[label].append(name)
    free = sorted(patients)
    np.random.default_rng(seed).shuffle(free)
    total = {key: sum(len(patients[patient][label]) for patient in free) for key, label in CLASSES.items()}
    result: dict[str, str] = {}
    for split in sorted(SPLITS, key=lambda name: (sum(counts[name].values()), SPLITS.index(name))):
        needed = [counts[split][key] for key in CLASSES]

        def surplus(patient: str, needed: list[int] = needed) -> int:
            return sum(max(len(names) - need, 0) for names, need in zip(patients[patient], needed, strict=True))

        used = set()
        for may_have_surplus in (False, True):
            # Python's sort is stable: equal patients stay in random order.
            for patient in sorted(free, key=surplus) if may_have_surplus else free:
                taken = [min(len(names), need) for names, need in zip(patients[patient], needed, strict=True)]
                if patient in used or not any(taken) or (surplus(patient) and not may_have_surplus):
                    continue
                used.add(patient)
                for label, number in enumerate(taken):
                    result.update(dict.fromkeys(patients[patient][label][:number], split))
                    needed[label] -= number
        free = [patient for patient in free if patient not in used]
        for key, label in CLASSES.items():
            if needed[label]:
                _refuse(split, key, counts[split][key], counts[split][key] - needed[label], total[key])
    return result


def _refuse(split: str, key: str, asked: int, found: int, total: int) -> None:
    raise InputError(
        f"data.split.{split}.{key} asks for {asked:,} images where {found:,} are left for it: there are {total:,} good "
        f"{key} images in all, and no patient may be in two splits; lower the numbers of data.split or add images"
    )
