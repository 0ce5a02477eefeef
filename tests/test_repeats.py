"""Folds and seeds, and what they are called."""

import pytest

from stages.errors import InputError
from stages.repeats import Repeat, first, named, repeats

PARAMETERS = {"seed": 5, "repeats": {"folds": 2, "seeds": [3, 1]}}


def test_each_fold_has_each_seed_in_the_order_of_params_yaml():
    assert repeats(PARAMETERS) == [Repeat(1, 3), Repeat(1, 1), Repeat(2, 3), Repeat(2, 1)]
    assert first(PARAMETERS).name == "fold1-seed3"


def test_a_repeat_is_found_by_its_name():
    assert all(named(PARAMETERS, repeat.name) == repeat for repeat in repeats(PARAMETERS))
    with pytest.raises(
        InputError, match=r"fold3-seed1 is no repeat of the benchmark, whose .* fold1-seed3, fold1-seed1"
    ):
        named(PARAMETERS, "fold3-seed1")
