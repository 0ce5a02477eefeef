"""Extraction of CheXpert's tree into slice stores, as a function and as a command."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_brats import contents
from synthetic_chexpert import TREE, image_of, mask_of, naive_slice, write_tables, write_tree

from stages.data import chexpert
from stages.data.store import open_store
from stages.errors import InputError

REPOSITORY = Path(__file__).parents[2]
REAL = REPOSITORY / "../shared/data/nih-chestxray14"
COUNTS = {"train": {"healthy": 6, "diseased": 3}, "test": {"healthy": 3, "diseased": 2}}


@pytest.fixture
def parameters():
    return {
        "seed": 0,
        "data": {
            "reader": "chexpert",
            "channels": ["xray"],
            "size": 15,
            "split": {**COUNTS, "validation": {"healthy": 0, "diseased": 0}},
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
    stores = {split: open_store(tmp_path / "out" / split) for split in COUNTS}
    assert not (tmp_path / "out/validation").exists()
    owners = [set(store.manifest["subject_id"]) for store in stores.values()]
    assert not owners[0] & owners[1]
    for split, store in stores.items():
        assert store.masks is None
        assert store.images.shape[1:] == (1, 15, 15)
        labels = store.manifest["label"]
        assert {"healthy": sum(labels == 0), "diseased": sum(labels == 1)} == COUNTS[split]
        for image, row in zip(store.images, store.manifest.to_dict("records"), strict=True):
            patient, study = numbers_in(row["slice_id"])
            area = naive_slice(image_of(patient, study), 15)
            expected = (area - area.min()) / (area.max() - area.min())
            np.testing.assert_allclose(image[0], expected, rtol=0, atol=3e-4)
            assert (image.min(), image.max()) == (0, 1)
            assert row["label"] == int(patient > 6 and study == 1)
            assert row["slice_id"] == f"patient{patient:05d}_study{study}_view1"
            folder = "valid" if patient % 6 == 0 else "train"
            assert row["source"] == f"{folder}/patient{patient:05d}/study{study}/view1_frontal.png"
            assert (row["position"], row["lesion_pixels"]) == (1, 0)
            assert json.loads(row["affine"]) == np.eye(4).tolist()
    table = pd.read_csv(tmp_path / "out/subjects.csv", keep_default_na=False).set_index("subject_id")
    assert sorted(table.index) == [f"patient{number:05d}" for number in range(1, 13)]
    for split, store in stores.items():
        rows = table[table["split"] == split]
        assert rows["slices"].to_dict() == store.manifest.groupby("subject_id").size().to_dict()
        assert rows["diseased_slices"].sum() == store.manifest["label"].sum()
    assert table["unused_slices"].sum() == 19 - 14
    assert (tmp_path / "out/bad_cases.csv").read_text() == "case,file,reason\n"
    assert lines[0].startswith("train: ")
    assert lines[0].endswith("patients, 6 healthy and 3 diseased images")
    assert lines[2:] == [
        "left out: 5 good images, beyond the counts of data.split",
        "left out: 1 rows that are both healthy and diseased",
    ]


def test_masks_beside_the_images(tmp_path, parameters):
    write_tree(tmp_path / "raw", masks=True)
    parameters["data"]["chexpert"]["masks"] = "_mask.png"
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    for split in COUNTS:
        store = open_store(tmp_path / "out" / split)
        for mask, row in zip(store.masks, store.manifest.to_dict("records"), strict=True):
            patient, study = numbers_in(row["slice_id"])
            expected = naive_slice(mask_of(patient, study) / 255, 15) >= 0.5 - 1e-9
            np.testing.assert_array_equal(mask, expected if row["label"] else np.zeros_like(mask))
            assert row["lesion_pixels"] == mask.sum()
            assert bool(mask.any()) == bool(row["label"])


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
    write_tree(tmp_path / "raw")
    (tmp_path / "raw" / TREE).rename(tmp_path / "raw/xrays")
    parameters["data"]["split"]["validation"] = {"healthy": 1, "diseased": 1}
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    parameters["data"]["split"]["validation"] = {"healthy": 0, "diseased": 0}
    chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert not (tmp_path / "out/validation/manifest.csv").exists()
    assert len(open_store(tmp_path / "out/test")) == 5


def test_command_line(tmp_path, parameters):
    write_tree(tmp_path / "raw")
    command = [sys.executable, "-m", "stages.data.chexpert", "--parameters", json.dumps(parameters)]
    command += ["--raw", tmp_path / "raw", "--output"]
    done = subprocess.run([*command, tmp_path / "out"], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["train", "test", "left out", "left out"]
    next((tmp_path / "raw").rglob("patient00003/study1/*.png")).unlink()
    done = subprocess.run([*command, tmp_path / "bad"], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "train.csv: row 6 (train/patient00003/study1/view1_frontal.png): the image is missing" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "bad").exists()


@pytest.mark.skipif(not REAL.exists(), reason="the NIH radiographs are not beside the repo")
def test_real_radiographs(tmp_path, parameters):
    parameters["data"] |= {"size": 256}
    parameters["data"]["split"] = {
        "train": {"healthy": 30, "diseased": 25},
        "validation": {"healthy": 10, "diseased": 5},
        "test": {"healthy": 20, "diseased": 10},
    }
    chexpert.extract(parameters, REAL, tmp_path)
    seen = set()
    for split, counts in parameters["data"]["split"].items():
        store = open_store(tmp_path / split)
        assert store.images.shape == (sum(counts.values()), 1, 256, 256)
        assert store.manifest["label"].sum() == counts["diseased"]
        assert (store.images.min(axis=(1, 2, 3)) == 0).all()
        assert (store.images.max(axis=(1, 2, 3)) == 1).all()
        # Bones and abdomen are bright, air beside the body is dark: nothing is inverted.
        assert np.median(store.images[:, :, 200:, 100:156]) > np.median(store.images[:, :, 80:130, 50:90]) + 0.1
        assert not seen & set(store.manifest["subject_id"])
        seen |= set(store.manifest["subject_id"])
    parameters["data"]["split"]["train"]["diseased"] = 31
    with pytest.raises(InputError, match=r"train\.diseased asks for 31 images where 30 .* 45 good diseased"):
        chexpert.extract(parameters, REAL, tmp_path / "out")
