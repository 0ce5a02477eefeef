"""Who is in which split, as far as params.yaml says it: counts, and lists."""

import copy

import pytest
from changes import PARAMS, put, refusal

from stages import methods
from stages.parameters import reading, sections


def test_a_list_says_which_splits_there_are(config, published):
    published("a,train", "b,test")
    parameters = reading.benchmark(reading.load(config), "brats2020")
    assert sections.splits(parameters) == ["test"]
    assert methods.trade_off_split(parameters) == "test"
    put(config, "benchmarks/brats2020/methods", {"vae": {"setting": "validation"}})
    assert "vae.setting cannot be chosen on validation: data.split gives it nothing" in refusal(config)
    put(config, "benchmarks/brats2020/repeats", {"folds": 2})
    assert "benchmarks.brats2020.repeats.folds must be 1 where data.split is not drawn" in refusal(config)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (("a,train", "b,validation"), "data.split gives test nothing: ours needs something to train on and to test"),
        (("a,train", "b,tset"), "data.split names what cannot be used: workflow/splits/ours.csv has the split 'tset'"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused(config, published, rows, sentence):
    published(*rows)
    assert sentence in refusal(config)


def test_radiographs_are_counted_by_subject_or_by_class_but_not_both(config):
    config["benchmarks"]["phantom-chest"] = copy.deepcopy(PARAMS["benchmarks"]["phantom-chest"])
    split = config["benchmarks"]["phantom-chest"]["data"]["split"]
    split["test"] = 70
    assert "data.split must count the same in all splits: subjects, or images of each class" in refusal(config)
    split |= {"train": 400, "validation": 0}
    put(config, "benchmarks/phantom-chest/repeats", {"folds": 7})
    assert "phantom.patients must be enough for data.split and repeats.folds, 490, not 480" in refusal(config)


def test_the_size_of_a_split_is_a_number_or_one_for_each_class():
    images = {"healthy": 2, "diseased": 0}
    none = {"healthy": 0, "diseased": 0}
    data = {"split": {"train": images, "validation": none, "test": images}}
    assert sections.splits({"data": data}) == ["test"]
    assert methods.trade_off_split({"data": data}) is None, "no diseased image"
    assert sections.splits({"data": {"split": {"train": 3, "validation": 1, "test": 1}}}) == ["validation", "test"]
