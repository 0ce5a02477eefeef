"""Split by patient with exact numbers of images of each class."""

import random
from collections import Counter

import pytest

from stages.data.image_split import split_images
from stages.errors import InputError
from stages.split_lists import UNUSED

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
    assert list(result) == sorted(LABEL)
    found = Counter((split, LABEL[name]) for name, split in result.items() if split != UNUSED)
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
    assert Counter(result.values()) == {"train": 2, "test": 1, UNUSED: 2}
    with pytest.raises(InputError, match=r"train\.healthy asks for 3 images where 2 are left for it: there are 4 good"):
        split_images(images, {**counts, "train": {"healthy": 3, "diseased": 1}}, 0)


@pytest.mark.parametrize("key", ["healthy", "diseased"])
def test_too_few_images(key):
    total = sum(LABEL.values()) if key == "diseased" else len(LABEL) - sum(LABEL.values())
    with pytest.raises(
        InputError, match=rf"data\.split\.test\.{key} asks for 999 .* there are {total} good {key} images"
    ):
        split_images(IMAGES, {**NONE, "test": {"healthy": 0, "diseased": 0, key: 999}}, 0)


def test_the_draw_is_that_of_earlier_versions():
    result = split_images(IMAGES, COUNTS, 0)
    assert sorted(patients_of(result)["test"]) == [
        f"patient{number:03d}" for number in (9, 16, 24, 36, 42, 55, 60, 67, 73, 84)
    ]
    assert sorted(patients_of(result)["validation"]) == [f"patient{number:03d}" for number in (5, 13, 20, 27, 72, 81)]


def test_folds_test_no_patient_twice():
    folds = [split_images(IMAGES, COUNTS, 0, fold) for fold in range(1, 5)]
    for result in folds:
        found = Counter((split, LABEL[name]) for name, split in result.items() if split != UNUSED)
        assert sum(found.values()) == sum(sum(counts.values()) for counts in COUNTS.values())
        assert (found["test", 0], found["test", 1]) == (COUNTS["test"]["healthy"], COUNTS["test"]["diseased"])
        owners = patients_of(result)
        assert sum(map(len, owners.values())) == len(set.union(*owners.values()))
    tests = [patients_of(result)["test"] for result in folds]
    assert sum(map(len, tests)) == len(set.union(*tests))
    assert len({tuple(sorted(patients_of(result)["validation"])) for result in folds}) == 4
    with pytest.raises(InputError, match=r"data\.split\.test\.\w+ asks for .* or tested in two folds"):
        split_images(IMAGES, COUNTS, 0, fold=20)


def test_folds_can_test_every_image_once():
    images = [(f"image{number:02d}", f"patient{number:02d}", number % 2) for number in range(12)]
    counts = {"train": {"healthy": 3, "diseased": 3}, "validation": {"healthy": 1, "diseased": 1}}
    counts["test"] = {"healthy": 2, "diseased": 2}
    folds = [split_images(images, counts, 3, fold) for fold in (1, 2, 3)]
    tested = [name for result in folds for name, split in result.items() if split == "test"]
    assert sorted(tested) == [name for name, _, _ in images]
