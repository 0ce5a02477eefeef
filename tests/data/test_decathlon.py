"""The Decathlon's brain tumours are read as the same volumes in BraTS' own layout are."""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from synthetic_brats import lay_out, write_case
from synthetic_decathlon import CASES, ORDER, TASK, as_nnunet, write_task

from stages.data import brats
from stages.data.store import open_store
from stages.errors import InputError


def extracted(parameters, raw, out):
    brats.extract(parameters, raw, out)
    store = open_store(out)
    return np.asarray(store.images), np.asarray(store.masks), store.manifest


@pytest.fixture
def expected(tmp_path, parameters):
    for name in CASES:
        write_case(tmp_path / "brats", name)
    return extracted(parameters, tmp_path / "brats", tmp_path / "of-brats")


def same(found, expected):
    for ours, theirs in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    pd.testing.assert_frame_equal(found[2].drop(columns="source"), expected[2].drop(columns="source"))


def test_cases_are_those_of_brats_layout(tmp_path, parameters, expected):
    task = write_task(tmp_path / "raw")
    found = extracted(parameters, tmp_path / "raw", tmp_path / "out")
    same(found, expected)
    assert sorted(set(found[2]["source"])) == [f"{TASK}/imagesTr/{name}" for name in CASES]
    same(extracted(parameters, task, tmp_path / "of-the-task"), expected)  # data.folder may be the task itself
    as_nnunet(task)
    same(extracted(parameters, tmp_path / "raw", tmp_path / "of-nnunet"), expected)


def test_the_order_is_dataset_jsons(tmp_path, parameters, expected):
    write_task(tmp_path / "raw", {"0": "T2w", "1": "t1gd", "2": "FLAIR", "3": "T1w"})
    same(extracted(parameters, tmp_path / "raw", tmp_path / "out"), expected)


def test_what_is_not_the_task_gets_its_sentence(tmp_path, parameters):
    raw = tmp_path / "raw"
    task = write_task(raw)
    description = task / "dataset.json"
    good = description.read_text()

    def refused(match):
        with pytest.raises(InputError, match=match) as caught:
            brats.extract(parameters, raw, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    for described, match in (
        ("{", r"dataset\.json is no readable JSON file; put the data set's own there"),
        ("[]", r"dataset\.json does not number the sequences"),
        (json.dumps({"modality": {"0": "FLAIR", "2": "T1w"}}), "does not number the sequences"),
        (json.dumps({"modality": {"0": "CT"}}), "names the sequences CT, where FLAIR, T1w, T1gd and T2w of Task01"),
        (json.dumps({"modality": ORDER | {"3": "FLAIR"}}), "names the sequences FLAIR, T1w, t1gd, FLAIR, where"),
        (
            json.dumps({"modality": {"0": "FLAIR", "1": "T1w", "2": "T2w"}}),
            r"dataset\.json: its sequences are flair, t1, t2, and not t1ce: change data\.channels; repair the case",
        ),
    ):
        description.write_text(described)
        refused(match)
    description.unlink()
    refused(r"dataset\.json is missing, which says which sequence is which of the volumes in imagesTr: put it back")
    description.write_text(good)
    label = task / "labelsTr/BRATS_002.nii.gz"
    content = label.read_bytes()
    label.unlink()
    refused(r"labelsTr/BRATS_002\.nii\.gz: the file is missing: get it again, or .*; repair the case")
    label.write_bytes(content)
    image = task / "imagesTr/BRATS_003.nii.gz"
    whole = nib.load(image)
    three = np.asarray(whole.dataobj)[..., :3]
    nib.save(nib.Nifti1Image(three, whole.affine), image)
    refused(r"BRATS_003\.nii\.gz: the file holds 3 volumes \(shape \(24, 20.*, where dataset\.json names 4 sequences")
    nib.save(nib.Nifti1Image(three[..., 0], whole.affine), image)
    refused(r"imagesTr/BRATS_003\.nii\.gz: the file holds 1 volume \(shape")
    as_nnunet(write_task(tmp_path / "copy"))
    (tmp_path / "copy" / TASK / "imagesTr/BRATS_001_0002.nii.gz").unlink()
    with pytest.raises(
        InputError, match=r"imagesTr/BRATS_001_0002\.nii\.gz: the file is missing: get it again, .*; repair"
    ):
        brats.extract(parameters, tmp_path / "copy", tmp_path / "out")


@pytest.mark.parametrize("link", [False, True])
def test_a_folder_too_low(tmp_path, parameters, link):
    task = write_task(tmp_path / "raw")
    raw = tmp_path / "link" if link else task / "imagesTr"
    if link:
        raw.symlink_to(task / "imagesTr")
    with pytest.raises(InputError, match=rf"imagesTr of the Decathlon, .* to the folder above, {task}, "):
        brats.extract(parameters, raw, tmp_path / "out")


def test_a_description_from_elsewhere(tmp_path, parameters):
    task = write_task(tmp_path / "raw")
    (task / "dataset.json").rename(tmp_path / "dataset.json")
    (task / "dataset.json").symlink_to(tmp_path / "dataset.json")
    with pytest.raises(InputError, match=r"dataset\.json: is a link that leads out of the data set's folder"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")


FOLDERS = ("imagesTr", "imagesTs", "labelsTr")
BOTH = r"is the Medical Segmentation Decathlon's and .*{} BraTS'.* same "


@pytest.mark.parametrize("place", ["", TASK, *(f"{TASK}/{folder}" for folder in ("BraTS2020", *FOLDERS, "imagesTr/a"))])
def test_brats_beside_the_decathlon_is_refused(tmp_path, parameters, place):
    task = write_task(tmp_path / "raw")
    write_case(tmp_path / "raw" / place, "BraTS20_Training_001")
    for raw in (tmp_path / "raw", *([task] if place else [])):
        with pytest.raises(InputError, match=f"{TASK} {BOTH.format('/BraTS20_Training_001')}"):
            brats.extract(parameters, raw, tmp_path / "out")


@pytest.mark.parametrize("cases", [1, 2])
@pytest.mark.parametrize("layout", ["side by side", "sequence folders", "sequence folders with case folders"])
@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_brats_loose_among_the_decathlons_files_is_refused(tmp_path, parameters, folder, layout, cases):
    task = write_task(tmp_path / "raw")
    lay_out(tmp_path / "brats", layout, [f"BraTS20_Training_{number:03d}" for number in range(cases)])
    loose = tmp_path / "brats" / ("all" if layout == "side by side" else "")
    shutil.copytree(loose, task / folder, dirs_exist_ok=True)
    parameters["data"]["on_bad_case"] = "skip"
    for raw in (tmp_path / "raw", task):
        with pytest.raises(InputError, match=f"{TASK} {BOTH.format(f'{folder}.*')}"):
            brats.extract(parameters, raw, tmp_path / "out")


def test_the_decathlon_below_a_case_is_refused(tmp_path, parameters):
    case = write_case(tmp_path / "raw", "BraTS20_Training_001")
    write_task(case)
    with pytest.raises(InputError, match=f"{TASK} {BOTH.format('/BraTS20_Training_001')}"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")


def test_someones_results_in_the_tasks_folder_are_no_cases(tmp_path, parameters, expected):
    task = write_task(tmp_path / "raw")
    shutil.copytree(task / "labelsTr", task / "predictions")
    (task / "BraTS_notes").mkdir()
    same(extracted(parameters, tmp_path / "raw", tmp_path / "out"), expected)
