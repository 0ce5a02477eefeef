import random
from collections import Counter

import pytest

from stages.data.split import NO_CENTRE, UNUSED, allocate, split_subjects, stratum
from stages.errors import InputError

BRATS_2018 = [
    *(f"Brats18_2013_{i}_1" for i in range(3)),
    *(f"Brats18_CBICA_A{i:02d}_1" for i in range(12)),
    *(f"Brats18_TCIA{i:02d}_100_1" for i in range(5)),
]
COUNTS = {"train": 12, "validation": 3, "test": 5}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Brats17_2013_10_1", "2013"),
        ("Brats18_2013_11_1", "2013"),
        ("Brats18_CBICA_APZ_1", "CBICA"),
        ("Brats18_TCIA01_201_1", "TCIA"),
        ("Brats17_TCIA_138_1", "TCIA"),
        ("BraTS19_TMC_06290_1", "TMC"),
        ("BraTS20_Training_001", NO_CENTRE),
        ("BraTS2021_00000", NO_CENTRE),
        ("Phantom_001", NO_CENTRE),
    ],
)
def test_stratum(name, expected):
    assert stratum(name) == expected


def test_every_subject_has_one_split_and_counts_hold():
    result = split_subjects(BRATS_2018, COUNTS, 0)
    assert sorted(result) == sorted(BRATS_2018)
    assert Counter(result.values()) == COUNTS


def test_strata_are_even():
    result = split_subjects(BRATS_2018, COUNTS, 0)
    table = Counter((split, stratum(name)) for name, split in result.items())
    assert {key: table["test", key] for key in ("2013", "CBICA", "TCIA")} == {"2013": 1, "CBICA": 3, "TCIA": 1}
    assert {key: table["validation", key] for key in ("2013", "CBICA", "TCIA")} == {"2013": 0, "CBICA": 2, "TCIA": 1}
    assert {key: table["train", key] for key in ("2013", "CBICA", "TCIA")} == {"2013": 2, "CBICA": 7, "TCIA": 3}


def test_order_of_names_does_not_matter_but_the_seed_does():
    expected = split_subjects(BRATS_2018, COUNTS, 0)
    shuffled = BRATS_2018.copy()
    random.Random(1).shuffle(shuffled)
    assert split_subjects(shuffled, COUNTS, 0) == expected
    assert len({tuple(split_subjects(BRATS_2018, COUNTS, seed).items()) for seed in range(5)}) == 5


def test_fewer_subjects_than_there_are():
    result = split_subjects(BRATS_2018, {"train": 4, "validation": 0, "test": 4}, 0)
    assert Counter(result.values()) == {"train": 4, "test": 4, UNUSED: 12}
    # In proportion, 4 of (3, 12, 5) are (.6, 2.4, 1): what is unused is spread as evenly as what is used.
    assert Counter(stratum(name) for name, split in result.items() if split == "test") == {
        "2013": 1,
        "CBICA": 2,
        "TCIA": 1,
    }


def test_more_subjects_than_there_are():
    with pytest.raises(InputError, match=r"data\.split asks for 21 subjects .* where there are 20 good cases; lower"):
        split_subjects(BRATS_2018, {"train": 12, "validation": 4, "test": 5}, 0)
    with pytest.raises(InputError, match="0 good cases"):
        split_subjects([], COUNTS, 0)


@pytest.mark.parametrize("count", range(21))
def test_allocation_is_within_one_of_proportion(count):
    sizes = {"a": 3, "b": 12, "c": 5}
    shares = allocate(count, sizes)
    assert sum(shares.values()) == count
    assert all(abs(shares[key] - count * sizes[key] / 20) < 1 and shares[key] <= sizes[key] for key in sizes)


def test_allocation_breaks_ties_the_same_way():
    assert allocate(1, {"b": 2, "a": 2}) == {"a": 1, "b": 0}
    assert allocate(0, {}) == {}
