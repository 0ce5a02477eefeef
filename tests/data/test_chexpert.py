"""Extraction of CheXpert's tree into a slice store, as a function and as a command."""

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_brats import contents
from synthetic_chexpert import (
    BATCHES,
    TREE,
    image_of,
    mask_of,
    naive_slice,
    path_of,
    row,
    write_batches,
    write_image,
    write_tables,
    write_tree,
)

from stages import split_lists
from stages.data import chexpert
from stages.data.chexpert_table import find_tree
from stages.data.split import split
from stages.data.store import open_split, open_store
from stages.errors import InputError

REPOSITORY = Path(__file__).parents[2]
REAL = REPOSITORY / "../shared/data/nih-chestxray14"


@pytest.fixture
def parameters():
    return {
        "data": {
            "reader": "chexpert",
            "channels": ["xray"],
            "size": 15,
            "on_bad_case": "stop",
            "chexpert": {"healthy": "No Finding", "diseased": "Pleural Effusion", "view": "Frontal"},
        },
    }


def numbers_in(slice_id):
    patient, study, _ = slice_id.split("_")
    return int(patient.removeprefix("patient")), int(study.removeprefix("study"))


def test_extraction(tmp_path, parameters):
    write_tree(tmp_path / "raw")
    lines = chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    store = open_store(tmp_path / "out")
    assert store.masks is None
    assert store.images.shape == (19, 1, 15, 15)
    assert store.manifest["slice_id"].tolist() == sorted(store.manifest["slice_id"])
    for image, found in zip(store.images, store.manifest.to_dict("records"), strict=True):
        patient, study = numbers_in(found["slice_id"])
        area = naive_slice(image_of(patient, study), 15)
        expected = (area - area.min()) / (area.max() - area.min())
        np.testing.assert_allclose(image[0], expected, rtol=0, atol=3e-4)
        assert (image.min(), image.max()) == (0, 1)
        assert found["label"] == int(patient > 6 and study == 1)
        assert found["slice_id"] == f"patient{patient:05d}_study{study}_view1"
        assert found["subject_id"] == f"patient{patient:05d}"
        folder = "valid" if patient % 6 == 0 else "train"
        assert found["source"] == f"{folder}/patient{patient:05d}/study{study}/view1_frontal.png"
        assert (found["position"], found["lesion_pixels"]) == (1, 0)
        assert json.loads(found["affine"]) == np.eye(4).tolist()
    table = pd.read_csv(tmp_path / "out/subjects.csv").set_index("subject_id")
    assert table.index.tolist() == [f"patient{number:05d}" for number in range(1, 13)]
    assert table["slices"].to_dict() == store.manifest.groupby("subject_id").size().to_dict()
    assert table["diseased_slices"].to_dict() == store.manifest.groupby("subject_id")["label"].sum().to_dict()
    assert table.index[table["raw_split"] == "test"].tolist() == ["patient00006", "patient00012"]
    assert set(table["raw_split"]) == {"train", "test"}
    assert (tmp_path / "out/bad_cases.csv").read_text() == "case,file,reason\n"
    assert lines == [
        "extracted: 12 subjects, 19 slices, 6 of them diseased",
        "left out: 1 rows that are both healthy and diseased",
    ]


def test_a_patient_in_both_tables_has_both_raw_splits(tmp_path, parameters):
    rows = write_tree(tmp_path / "raw")
    path = path_of(3, 9, table="valid")
    write_image(tmp_path / "raw", path, image_of(3, 9))
    write_tables(tmp_path / "raw", [*rows, row(path, "1.0")])
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/subjects.csv").set_index("subject_id")
    assert table["raw_split"]["patient00003"] == "train test"


def test_masks_beside_the_images(tmp_path, parameters):
    write_tree(tmp_path / "raw", masks=True)
    parameters["data"]["chexpert"]["masks"] = "_mask.png"
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    store = open_store(tmp_path / "out")
    assert len(store) == 19
    for mask, found in zip(store.masks, store.manifest.to_dict("records"), strict=True):
        patient, study = numbers_in(found["slice_id"])
        expected = naive_slice(mask_of(patient, study) / 255, 15) >= 0.5 - 1e-9
        np.testing.assert_array_equal(mask, expected if found["label"] else np.zeros_like(mask))
        assert found["lesion_pixels"] == mask.sum()
        assert bool(mask.any()) == bool(found["label"])


def test_neither_the_order_of_rows_nor_the_number_of_processes_matters(tmp_path, parameters):
    rows = write_tree(tmp_path / "raw")
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "first")
    random.Random(3).shuffle(rows)
    write_tables(tmp_path / "raw", rows)
    chexpert.extract(parameters, tmp_path / "raw" / TREE, tmp_path / "second", processes=2)
    parameters["data"]["on_bad_case"] = "skip"
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "third")
    assert contents(tmp_path / "first") == contents(tmp_path / "second") == contents(tmp_path / "third")


def test_a_renamed_tree_and_an_earlier_run(tmp_path, parameters):
    write_tree(tmp_path / "raw", masks=True)
    (tmp_path / "raw" / TREE).rename(tmp_path / "raw/xrays")
    parameters["data"]["chexpert"]["masks"] = "_mask.png"
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    parameters["data"]["chexpert"].pop("masks")
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert open_store(tmp_path / "out").masks is None


def extracted(parameters, raw, out):
    chexpert.extract(parameters, raw, out)
    store = open_store(out)
    return np.asarray(store.images), store.manifest, (out / "subjects.csv").read_text()


def test_batches_hold_what_the_tree_holds(tmp_path, parameters):
    write_tree(tmp_path / "tree")
    images, manifest, subjects = extracted(parameters, tmp_path / "tree", tmp_path / "a")
    raw = tmp_path / "raw"
    write_batches(raw)
    # What macOS packs beside the files, and the folder in a folder of its name that some programs unpack to.
    for path in (raw / "__MACOSX/patient00001", raw / BATCHES[1] / "._patient00003", raw / ".Trash/patient00001"):
        path.mkdir(parents=True)
    (raw / BATCHES[2]).rename(raw / "inner")
    (raw / BATCHES[2]).mkdir()
    (raw / "inner").rename(raw / BATCHES[2] / BATCHES[2])
    found = extracted(parameters, raw, tmp_path / "b")
    np.testing.assert_array_equal(found[0], images)
    pd.testing.assert_frame_equal(found[1].drop(columns="source"), manifest.drop(columns="source"))
    assert found[2] == subjects
    assert all((raw / source).is_file() for source in found[1]["source"])
    assert found[1]["source"][0] == f"{BATCHES[1]}/patient00001/study1/view1_frontal.png"
    tables = find_tree(raw, "")
    assert (tables.folder, tables.tables) == (raw, raw / BATCHES[0])


def test_a_batch_without_the_one_that_has_the_tables(tmp_path, parameters):
    def refused(raw, match):
        with pytest.raises(InputError, match=match):
            chexpert.extract(parameters, raw, tmp_path / "out")

    raw = tmp_path / "raw"
    write_batches(raw)
    refused(raw / BATCHES[1], rf"holds patients, but not train\.csv and valid\.csv, .* set data\.folder to {raw}$")
    (raw / BATCHES[0]).rename(tmp_path / "elsewhere")
    for folder in (raw, raw / BATCHES[1]):
        refused(folder, r"\('CheXpert-v1\.0 batch 1 \(validate & csv\)'\) is missing: put it beside the other batches")


def test_tables_without_rows(tmp_path, parameters):
    write_tree(tmp_path / "raw")
    write_tables(tmp_path / "raw", [])
    with pytest.raises(InputError, match=rf"{TREE}: train\.csv and valid\.csv have no rows below their headers"):
        chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")


def test_batches_that_are_not_all_there(tmp_path, parameters):
    def refused(raw, match):
        with pytest.raises(InputError, match=match) as caught:
            chexpert.extract(parameters, raw, tmp_path / "out")
        assert "\n" not in str(caught.value)

    write_batches(tmp_path / "raw")
    first = re.escape(f"{tmp_path}/raw/{BATCHES[0]}")
    refused(
        tmp_path / "raw" / BATCHES[0], rf"{first} holds no patient of {first}/train.csv: put train/ beside that table"
    )
    (tmp_path / "raw" / BATCHES[2]).rename(tmp_path / BATCHES[2])
    refused(tmp_path / "raw", rf"{first}/train.csv: row \d+ \(train/patient00002/.*\): the image is missing")
    parameters["data"]["on_bad_case"] = "skip"
    assert chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")[1].startswith("bad cases: ")
    parameters["data"]["on_bad_case"] = "stop"
    (tmp_path / BATCHES[2]).rename(tmp_path / "raw" / BATCHES[2])
    (tmp_path / "raw" / BATCHES[2] / "patient00001").mkdir()
    refused(
        tmp_path / "raw", r"train/patient00001/.*\): the patient is there more than once \(in .*batch 2.* and .*batch 3"
    )


def test_a_copy_whose_tables_have_the_prefix_twice(tmp_path, parameters):
    write_tree(tmp_path / "raw")
    images, manifest, _ = extracted(parameters, tmp_path / "raw", tmp_path / "a")
    for table in (tmp_path / "raw" / TREE).glob("*.csv"):
        table.write_text(table.read_text().replace(TREE, f"{TREE}/{TREE}"))
    found = extracted(parameters, tmp_path / "raw", tmp_path / "b")
    np.testing.assert_array_equal(found[0], images)
    pd.testing.assert_frame_equal(found[1], manifest)


def test_command_line(tmp_path, parameters):
    write_tree(tmp_path / "raw")
    command = [sys.executable, "-m", "stages.data.chexpert", "--parameters", json.dumps(parameters)]
    command += ["--raw", tmp_path / "raw", "--output"]
    done = subprocess.run([*command, tmp_path / "out"], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["extracted", "left out"]
    next((tmp_path / "raw").rglob("patient00003/study1/*.png")).unlink()
    done = subprocess.run([*command, tmp_path / "bad"], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "train.csv: row 6 (train/patient00003/study1/view1_frontal.png): the image is missing" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "bad").exists()


@pytest.mark.skipif(not REAL.exists(), reason="the NIH radiographs are not beside the repo")
def test_real_radiographs(tmp_path, parameters):
    parameters["data"]["size"] = 256
    chexpert.extract(parameters, REAL, tmp_path)
    counts = {
        "train": {"healthy": 30, "diseased": 25},
        "validation": {"healthy": 10, "diseased": 5},
        "test": {"healthy": 20, "diseased": 10},
    }
    drawn = {"seed": 0, "data": {"reader": "chexpert", "split": counts}}
    split_lists.write(tmp_path / "fold1.csv", split(drawn, tmp_path)[0])
    seen = set()
    for name, wanted in counts.items():
        store = open_split(tmp_path, tmp_path / "fold1.csv", name)
        images = np.asarray(store.images)
        assert images.shape == (sum(wanted.values()), 1, 256, 256)
        assert store.manifest["label"].sum() == wanted["diseased"]
        assert (images.min(axis=(1, 2, 3)) == 0).all()
        assert (images.max(axis=(1, 2, 3)) == 1).all()
        # Bones and abdomen are bright, air beside the body is dark: nothing is inverted.
        assert np.median(images[:, :, 200:, 100:156]) > np.median(images[:, :, 80:130, 50:90]) + 0.1
        assert not seen & set(store.manifest["subject_id"])
        seen |= set(store.manifest["subject_id"])
    counts["train"]["diseased"] = 31
    with pytest.raises(InputError, match=r"train\.diseased asks for 31 images where 30 .* 45 good diseased"):
        split(drawn, tmp_path)


def test_batches_one_folder_further_down(tmp_path, parameters):
    write_batches(tmp_path / "raw/release")
    with pytest.raises(
        InputError, match=rf"holds no train\.csv; {tmp_path / 'raw/release'} has it: set data\.folder to"
    ):
        chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
