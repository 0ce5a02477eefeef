"""The stage that draws split lists, or takes those that are there; on stores of a few pixels."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from synthetic_brats import write_case
from synthetic_chexpert import image_of, path_of, row, write_image, write_tables, write_tree

from stages import digests, provenance, split_lists
from stages.data import brats, chexpert
from stages.data.split import split
from stages.data.store import open_split, open_store
from stages.errors import InputError
from stages.split_lists import SplitList

REPOSITORY = Path(__file__).parents[2]
COUNTS = {"train": 6, "validation": 2, "test": 3}
IMAGES = {
    "train": {"healthy": 6, "diseased": 3},
    "validation": {"healthy": 0, "diseased": 0},
    "test": {"healthy": 3, "diseased": 2},
}
CHEXPERT = {"healthy": "No Finding", "diseased": "Pleural Effusion", "view": "Frontal"}


@pytest.fixture
def store(tmp_path, raw, parameters):
    """The folder of twelve subjects' store, of three centres, five slices each."""
    brats.extract(parameters, raw, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def radiographs(tmp_path):
    """The folder of twelve patients' store: 19 images, 6 of them diseased."""
    rows = write_tree(tmp_path / "raw")
    return extracted(tmp_path, rows)


def extracted(tmp_path, rows):
    write_tables(tmp_path / "raw", rows)
    data = {"reader": "chexpert", "channels": ["xray"], "size": 15, "on_bad_case": "stop", "chexpert": CHEXPERT}
    chexpert.extract({"data": data}, tmp_path / "raw", tmp_path / "data")
    return tmp_path / "data"


def asking(how, reader="brats", **others):
    return {"seed": 0, "data": {"reader": reader, "split": how, **others}}


def refused(message, parameters, data, fold=1):
    with pytest.raises(InputError, match=message) as caught:
        split(parameters, data, fold)
    assert "\n" not in str(caught.value)


# --- counts ----------------------------------------------------------------------------------------------------------


def test_counts_of_subjects(tmp_path, store):
    result, lines = split(asking(COUNTS, published_slices={"train": 16205, "test": 15}), store)
    split_lists.write(tmp_path / "fold1.csv", result)
    parts = {name: open_split(store, tmp_path / "fold1.csv", name).manifest for name in COUNTS}
    assert {name: part["subject_id"].nunique() for name, part in parts.items()} == COUNTS
    # Of 3, 6 and 3 subjects, test takes its 3 in proportion.
    centres = pd.read_csv(store / "subjects.csv").set_index("subject_id")["stratum"]
    assert centres[parts["test"]["subject_id"].unique()].tolist() in (
        ["2013", "CBICA", "CBICA"],
        ["2013", "CBICA", "TCIA"],
    )
    diseased = [part["label"].sum() for part in parts.values()]
    assert lines == [
        f"train: 6 subjects, 30 slices, {diseased[0]} of them diseased; slices differ from the paper's 16,205",
        f"validation: 2 subjects, 10 slices, {diseased[1]} of them diseased",
        f"test: 3 subjects, 15 slices, {diseased[2]} of them diseased; slices as the paper's 15",
        "unused: 1 of 12 subjects",
    ]


def test_folds_test_every_subject_once(store):
    counts = {"train": 7, "validation": 2, "test": 3}
    folds = [split(asking(counts), store, fold)[0].split_of for fold in (1, 2, 3, 4)]
    tested = [name for split_of in folds for name, found in split_of.items() if found == "test"]
    assert sorted(tested) == sorted(open_store(store).manifest["subject_id"].unique())
    refused(r"data\.split\.test asks for 3 .* left for fold 5; lower it or repeats\.folds", asking(counts), store, 5)


def test_time_points_of_a_patient_stay_together(tmp_path, parameters):
    names = [f"BraTS-GLI-{patient:05d}-{time:03d}" for patient in range(5) for time in (0, 1)]
    for name in names:
        write_case(tmp_path / "raw", name)
    brats.extract(parameters, tmp_path / "raw", tmp_path / "data")
    result, lines = split(asking({"train": 2, "validation": 1, "test": 2}), tmp_path / "data")
    assert sorted(result.split_of) == [f"BraTS-GLI-{patient:05d}" for patient in range(5)]
    split_lists.write(tmp_path / "fold1.csv", result)
    test = open_split(tmp_path / "data", tmp_path / "fold1.csv", "test").manifest
    assert test.groupby("subject_id")["source"].nunique().tolist() == [2, 2]
    assert lines[-1].startswith("test: 2 subjects, 20 slices")
    refused(
        "asks for 6 subjects .* where there are 5", asking({"train": 3, "validation": 1, "test": 2}), tmp_path / "data"
    )


def test_too_many_subjects_and_bad_cases(tmp_path, raw, parameters, store):
    too_many = asking(COUNTS | {"train": 8})
    refused(
        r"data\.split asks for 13 subjects .* where there are 12 good ones; lower its numbers or add cases$",
        too_many,
        store,
    )
    next(raw.glob("*/Brats18_2013_0_1/*_t1.nii*")).unlink()
    parameters["data"]["on_bad_case"] = "skip"
    brats.extract(parameters, raw, tmp_path / "skipped")
    split(asking(COUNTS), tmp_path / "skipped")
    message = (
        r"there are 11 good ones; .*; 1 bad cases were left out .*, the first: .*Brats18_2013_0_1_t1\.nii.* is missing"
    )
    refused(message, too_many, tmp_path / "skipped")


def test_counts_of_images(tmp_path, radiographs):
    result, lines = split(asking(IMAGES, "chexpert"), radiographs)
    assert result.unit == "slice_id"
    split_lists.write(tmp_path / "fold1.csv", result)
    owners = []
    for name in ("train", "test"):
        part = open_split(radiographs, tmp_path / "fold1.csv", name).manifest
        assert (part["label"] == 0).sum() == IMAGES[name]["healthy"]
        assert (part["label"] == 1).sum() == IMAGES[name]["diseased"]
        owners.append(set(part["subject_id"]))
    assert not owners[0] & owners[1]
    assert re.fullmatch(r"train: \d subjects, 9 slices, 3 of them diseased", lines[0])
    assert lines[2] == "unused: 5 of 19 slices"
    with pytest.raises(InputError, match=r"puts no slice of .* into validation"):
        open_split(radiographs, tmp_path / "fold1.csv", "validation")
    many = IMAGES | {"train": {"healthy": 11, "diseased": 3}}
    refused("train.healthy asks for 11 images where .* 13 good healthy images", asking(many, "chexpert"), radiographs)


def test_counts_of_patients_with_radiographs(radiographs):
    result, lines = split(asking({"train": 7, "validation": 1, "test": 4}, "chexpert"), radiographs)
    assert result.unit == "subject_id"
    assert sorted(result.split_of) == [f"patient{number:05d}" for number in range(1, 13)]
    assert [line.split(",")[0] for line in lines] == ["train: 7 subjects", "validation: 1 subjects", "test: 4 subjects"]


def test_a_store_without_a_table_of_subjects(store):
    drawn = split(asking(COUNTS), store)[0]
    (store / "subjects.csv").unlink()
    (store / "bad_cases.csv").unlink()
    digests.write(store, parts=2)  # as of a reader that writes none
    other = split(asking(COUNTS), store)[0]
    assert sorted(other.split_of.values()) == sorted(drawn.split_of.values())


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("subject_id,stratum\n")])
def test_a_table_that_is_not_what_was_written_is_refused(store, damage):
    damage(store / "subjects.csv")
    refused(r"subjects\.csv is .*\(rm -r .*\) and run Snakemake again", asking(COUNTS), store)


# --- lists -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(store, monkeypatch):
    """A list of the store's subjects, published as `other`."""
    monkeypatch.chdir(store.parent)
    result = split(asking(COUNTS), store, fold=2)[0]
    split_lists.write(split_lists.published("other"), result)
    return result


def test_a_named_list(store, drawn):
    assert split(asking("other"), store)[0] == drawn


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda known: known.pop("Brats18_2013_0_1"),
            r"other\.csv lacks the subject Brats18_2013_0_1: add it, as unused",
        ),
        (lambda known: known.update(x="unused"), r"other\.csv names the subject x, which the data set lacks"),
    ],
)
def test_a_named_list_of_other_subjects(store, drawn, change, message):
    change(drawn.split_of)
    split_lists.write(split_lists.published("other"), drawn)
    refused(message, asking("other"), store)


def test_a_named_list_with_a_case_that_was_bad_here(tmp_path, raw, parameters, drawn):
    next(raw.glob("*/Brats18_2013_0_1/*_t1.nii*")).unlink()
    parameters["data"]["on_bad_case"] = "skip"
    brats.extract(parameters, raw, tmp_path / "skipped")
    message = "names the subject Brats18_2013_0_1, .*; 1 bad cases were left out .*, the first: .*Brats18_2013_0_1_t1"
    refused(message, asking("other"), tmp_path / "skipped")


def test_a_named_list_that_is_not_there_or_puts_a_patient_into_two_splits(radiographs, monkeypatch):
    monkeypatch.chdir(radiographs.parent)
    refused(r"workflow/splits/other\.csv is missing", asking("other", "chexpert"), radiographs)
    names = open_store(radiographs).manifest["slice_id"]
    splits = dict.fromkeys(names, "train") | {"patient00002_study2_view1": "test"}
    split_lists.write(split_lists.published("other"), SplitList("slice_id", splits))
    refused("puts slices of patient00002 into train and test", asking("other", "chexpert"), radiographs)


# --- the raw data set's split ----------------------------------------------------------------------------------------


def test_the_split_of_the_tables(radiographs):
    result, lines = split(asking("raw", "chexpert"), radiographs)
    assert {name for name, found in result.split_of.items() if found == "test"} == {"patient00006", "patient00012"}
    assert [line.split(",")[0] for line in lines] == ["train: 10 subjects", "test: 2 subjects"]


def test_a_patient_in_both_tables_is_refused(tmp_path):
    rows, path = write_tree(tmp_path / "raw"), path_of(3, 9, table="valid")
    write_image(tmp_path / "raw", path, image_of(3, 9))
    data = extracted(tmp_path, [*rows, row(path, "1.0")])
    message = r"patient00003 is in train and test of the raw data set's splits \(train, test\), and must be in one"
    refused(message, asking("raw", "chexpert"), data)


def test_readers_without_a_raw_split(store, radiographs):
    refused(
        r"must be counts or the name of a list, not raw: stages/data/brats\.py has no RAW_SPLITS", asking("raw"), store
    )
    table = pd.read_csv(radiographs / "subjects.csv").drop(columns="raw_split")
    table.to_csv(radiographs / "subjects.csv", index=False)
    digests.write(radiographs, parts=2)
    refused(r"subjects\.csv has no column raw_split: stages/data/chexpert\.py", asking("raw", "chexpert"), radiographs)


# --- the command -----------------------------------------------------------------------------------------------------


def run(*words, cwd):
    command = [sys.executable, "-m", "stages.data.split", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd)


def test_command_line(tmp_path, store):
    words = ["--parameters", json.dumps(asking(COUNTS)), "--data", store, "--output", tmp_path / "fold2.csv"]
    done = run(*words, "--fold", 2, cwd=tmp_path)
    note = provenance.of(tmp_path / "fold2.csv")
    assert (note.stage, note.seed, note.inputs, note.outputs) == ("stages.data.split", 0, ["data"], ["fold2.csv"])
    assert note.data_sha256 == provenance.sha256(digests.read(store))
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["train", "validation", "test", "unused"]
    assert split_lists.read(tmp_path / "fold2.csv") == split(asking(COUNTS), store, 2)[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--parameters", json.dumps(asking(COUNTS))], "needs --parameters and --data, or --benchmark"),
        (["--benchmark", "phantom-brain", "--fold", "0"], "--fold counts from 1"),
        (["--benchmark", "phantom-brain"], "results/phantom-brain/data/images.npy is missing"),
        (["--benchmark", "nobody"], "nobody"),
    ],
)
def test_command_lines_that_are_refused(tmp_path, words, message):
    for name in ("params.yaml", "workflow"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    done = run(*words, "--output", tmp_path / "new/list.csv", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_publication(tmp_path, store):
    """The list of a benchmark whose data are extracted: no parameters are given."""
    for name in ("params.yaml", "workflow"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    store.rename((tmp_path / "results/smoke").mkdir(parents=True) or tmp_path / "results/smoke/data")
    digests.write(tmp_path / "results/smoke/data")  # which say where it lies
    done = run("--benchmark", "smoke", "--output", tmp_path / "list.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = split_lists.read(tmp_path / "list.csv")
    assert found == split(asking({"train": 3, "validation": 2, "test": 2}), tmp_path / "results/smoke/data")[0]
