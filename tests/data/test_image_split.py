"""Split by patient with exact numbers of images of each class."""

import random
from collections import Counter

import pytest

from stages.data.image_split import split_images
from stages.errors import InputError

IMAGES = [
    (
        f"patient{patient:03d}_study{study}",
        f"patient{patient:03d}",
        int(patient % 3 == 0 or (patient % 7 == 0 and study > 0)),
    )
    for patient in range(90)
    for study in range(1 + patient % 4)
]
LABEL = {name: label for name, _, label in IMAGES}
PATIENT = {name: patient for name, patient, _ in IMAGES}
NONE = {split: {"healthy": 0, "diseased": 0} for split in ("train", "validation", "test")}
COUNTS = {
    "train": {"healthy": 60, "diseased": 40},
    "validation": {"healthy": 5, "diseased": 7},
    "test": {"healthy": 11, "diseased": 9},
}


def patients_of(result):
    return {split: {PATIENT[name] for name, where in result.items() if where == split} for split in COUNTS}


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_exact_and_no_patient_is_in_two_splits(seed):
    result = split_images(IMAGES, COUNTS, seed)
    found = Counter((split, LABEL[name]) for name, split in result.items())
    assert found == {
        (split, label): counts[key]
        for split, counts in COUNTS.items()
        for label, key in enumerate(("healthy", "diseased"))
    }
    owners = patients_of(result)
    assert sum(map(len, owners.values())) == len(set.union(*owners.values()))


def test_order_does_not_matter_but_the_seed_does():
    shuffled = IMAGES.copy()
    random.Random(1).shuffle(shuffled)
    assert split_images(shuffled, COUNTS, 0) == split_images(IMAGES, COUNTS, 0)
    assert len({tuple(sorted(split_images(IMAGES, COUNTS, seed).items())) for seed in range(5)}) == 5


def test_small_splits_choose_first():
    more = {**COUNTS, "train": {"healthy": 65, "diseased": 41}}
    first, second = (patients_of(split_images(IMAGES, counts, 0)) for counts in (COUNTS, more))
    assert first["test"] == second["test"]
    assert first["validation"] == second["validation"]


def test_everything_can_be_used():
    total = Counter(LABEL.values())
    result = split_images(IMAGES, {**NONE, "train": {"healthy": total[0], "diseased": total[1]}}, 0)
    assert result == dict.fromkeys(LABEL, "train")


def test_surplus_of_a_patient_is_unused():
    images = [("a1", "a", 0), ("a2", "a", 0), ("a3", "a", 1), ("b1", "b", 0), ("b2", "b", 0)]
    counts = {**NONE, "train": {"healthy": 1, "diseased": 1}, "test": {"healthy": 1, "diseased": 0}}
    result = split_images(images, counts, 0)
    assert Counter(result.values()) == {"train": 2, "test": 1}
    with pytest.raises(InputError, match=r"train\.healthy asks for 3 images where 2 are left for it: there are 4 good"):
        split_images(images, {**counts, "train": {"healthy": 3, "diseased": 1}}, 0)


@pytest.mark.parametrize("key", ["healthy", "diseased"])
def test_too_few_images(key):
    total = sum(LABEL.values()) if key == "diseased" else len(LABEL) - sum(LABEL.values())
    with pytest.raises(
        InputError, match=rf"data\.split\.test\.{key} asks for 999 .* there are {total} good {key} images"
    ):
        split_images(IMAGES, {**NONE, "test": {"healthy": 0, "diseased": 0, key: 999}}, 0)
