import random
from collections import Counter

import pytest

from stages.data.subject_split import allocate, split_subjects
from stages.errors import InputError
from stages.split_lists import UNUSED

BRATS_2018 = {
    **{f"Brats18_2013_{i}_1": "2013" for i in range(3)},
    **{f"Brats18_CBICA_A{i:02d}_1": "CBICA" for i in range(12)},
    **{f"Brats18_TCIA{i:02d}_100_1": "TCIA" for i in range(5)},
}
COUNTS = {"train": 12, "validation": 3, "test": 5}


def test_every_subject_has_one_split_and_counts_hold():
    result = split_subjects(BRATS_2018, COUNTS, 0)
    assert sorted(result) == sorted(BRATS_2018)
    assert Counter(result.values()) == COUNTS


def test_strata_are_even():
    result = split_subjects(BRATS_2018, COUNTS, 0)
    table = Counter((split, BRATS_2018[name]) for name, split in result.items())
    assert {key: table["test", key] for key in ("2013", "CBICA", "TCIA")} == {"2013": 1, "CBICA": 3, "TCIA": 1}
    assert {key: table["validation", key] for key in ("2013", "CBICA", "TCIA")} == {"2013": 0, "CBICA": 2, "TCIA": 1}
    assert {key: table["train", key] for key in ("2013", "CBICA", "TCIA")} == {"2013": 2, "CBICA": 7, "TCIA": 3}


def test_order_of_names_does_not_matter_but_the_seed_does():
    expected = split_subjects(BRATS_2018, COUNTS, 0)
    shuffled = list(BRATS_2018.items())
    random.Random(1).shuffle(shuffled)
    assert split_subjects(dict(shuffled), COUNTS, 0) == expected
    assert len({tuple(split_subjects(BRATS_2018, COUNTS, seed).items()) for seed in range(5)}) == 5


def test_fewer_subjects_than_there_are():
    result = split_subjects(BRATS_2018, {"train": 4, "validation": 0, "test": 4}, 0)
    assert Counter(result.values()) == {"train": 4, "test": 4, UNUSED: 12}
    # In proportion, 4 of (3, 12, 5) are (.6, 2.4, 1): what is unused is spread as evenly as what is used.
    assert Counter(BRATS_2018[name] for name, split in result.items() if split == "test") == {
        "2013": 1,
        "CBICA": 2,
        "TCIA": 1,
    }


def test_more_subjects_than_there_are():
    with pytest.raises(InputError, match=r"data\.split asks for 21 subjects .* where there are 20 good ones; lower"):
        split_subjects(BRATS_2018, {"train": 12, "validation": 4, "test": 5}, 0)
    with pytest.raises(InputError, match="0 good ones"):
        split_subjects({}, COUNTS, 0)
    split_subjects(BRATS_2018, COUNTS, 0, fold=4)
    with pytest.raises(InputError, match=r"test asks for 5 subjects .* 20 good ones are left for fold 5; lower"):
        split_subjects(BRATS_2018, COUNTS, 0, fold=5)


def who(result, split):
    return [name for name, found in result.items() if found == split]


def test_the_draw_is_that_of_earlier_versions():
    result = split_subjects(BRATS_2018, COUNTS, 0)
    assert who(result, "test") == [
        "Brats18_2013_0_1",
        "Brats18_CBICA_A03_1",
        "Brats18_CBICA_A07_1",
        "Brats18_CBICA_A09_1",
        "Brats18_TCIA04_100_1",
    ]
    assert who(result, "validation") == ["Brats18_CBICA_A01_1", "Brats18_CBICA_A08_1", "Brats18_TCIA00_100_1"]


@pytest.mark.parametrize("seed", range(3))
def test_folds_test_every_subject_once(seed):
    folds = [split_subjects(BRATS_2018, COUNTS, seed, fold) for fold in range(1, 5)]
    assert sorted(name for result in folds for name in who(result, "test")) == sorted(BRATS_2018)
    for result in folds:
        assert Counter(result.values()) == COUNTS
    # What is chosen on validation subjects is not chosen on the same ones in every fold.
    assert len({tuple(who(result, "validation")) for result in folds}) == 4


def test_folds_that_leave_subjects_untested_are_disjoint():
    counts = {"train": 8, "validation": 2, "test": 3}
    tests = [set(who(split_subjects(BRATS_2018, counts, 0, fold), "test")) for fold in range(1, 7)]
    assert len(set.union(*tests)) == 18


@pytest.mark.parametrize("count", range(21))
def test_allocation_is_within_one_of_proportion(count):
    sizes = {"a": 3, "b": 12, "c": 5}
    shares = allocate(count, sizes)
    assert sum(shares.values()) == count
    assert all(abs(shares[key] - count * sizes[key] / 20) < 1 and shares[key] <= sizes[key] for key in sizes)


def test_allocation_breaks_ties_the_same_way():
    assert allocate(1, {"b": 2, "a": 2}) == {"a": 1, "b": 0}
    assert allocate(0, {}) == {}
