"""`data.licence`: of the data set in `data.folder`, inherited with it and not without, and part of no result."""

import pytest
from changes import PARAMS, put, refusal

from stages.parameters import inert, reading, sections


def test_every_benchmark_says_it():
    found = {name: sections.licence(reading.benchmark(PARAMS, name)) for name in PARAMS["benchmarks"]}
    assert {name: word for name, word in found.items() if word != "phantom"} == {
        "brats2020": "brats",
        "brats2020-128": "brats",
        "brats2020-64": "brats",
        "brats2018-cv": "brats",
        "brats2018-cv-again": "brats",
        "brats2018-cv-classifier": "brats",
        "brats2018-cv-denoiser": "brats",
        "brats2018-cv-finer": "brats",
        "brats2018-cv-half": "brats",
        "brats2018-cv-seeds": "brats",
        "chexpert": "chexpert",
        "msd-brain": "msd",
        "msd-brain-64": "msd",
        "nih-chest-64": "nih",
        "nih-chest-cv": "nih",
    }


def test_another_folder_has_another_licence(config):
    config["benchmarks"]["own"] = {"inherits": "brats2020", "data": {"folder": "data/own"}}
    config["benchmarks"]["smaller"] = {"inherits": "brats2020", "data": {"size": 64}}
    assert sections.licence(reading.benchmark(config, "own")) is None
    assert sections.licence(reading.benchmark(config, "smaller")) == "brats"
    put(config, "benchmarks/own/data/licence", "CC-BY-4.0")
    assert sections.licence(reading.benchmark(config, "own")) == "CC-BY-4.0"


def test_a_phantom_that_is_taken_away_takes_its_terms_along(config):
    config["benchmarks"]["own"] = {"inherits": "smoke", "phantom": None, "data": {"folder": "data/own"}}
    assert sections.licence(reading.benchmark(config, "own")) is None


@pytest.mark.parametrize("word", ["brast", "phantom", ""])
def test_a_word_that_nobody_knows_is_refused(config, word):
    put(config, "benchmarks/brats2020/data", {"licence": word})
    assert "benchmarks.brats2020.data.licence cannot be the text" in refusal(config)


def test_training_is_handed_it_and_not_told_apart_by_it():
    smoke = reading.benchmark(PARAMS, "smoke")
    section = sections.section(smoke, "train", "vae")
    assert section["licence"] == "phantom"
    assert "licence" not in inert.without_inert(section)
