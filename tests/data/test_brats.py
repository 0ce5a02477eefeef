"""Extraction of BraTS case folders into slice stores, as a function and as a command."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_brats import NAMES, SHAPE, contents, naive_case, volumes_of, write_bids, write_case

from stages.data import brats, extraction
from stages.data.brats_case import CaseSlices
from stages.data.brats_tree import Case
from stages.data.split import split
from stages.data.store import open_store
from stages.errors import InputError

REPOSITORY = Path(__file__).parents[2]
REAL = REPOSITORY / "../shared/data/brats2018"


def test_extraction(tmp_path, raw, parameters):
    subjects, bad = brats.extract(parameters, raw, tmp_path / "out")
    assert bad == []
    store = open_store(tmp_path / "out")
    assert store.manifest["subject_id"].unique().tolist() == sorted(NAMES)
    for name, rows in store.manifest.groupby("subject_id"):
        images, masks, positions = naive_case(name, 2, 7, 32, 16)
        assert rows["position"].tolist() == positions
        np.testing.assert_allclose(store.images[rows.index], images, rtol=0, atol=3e-4)
        np.testing.assert_array_equal(store.masks[rows.index], masks)
        assert rows["lesion_pixels"].tolist() == masks.sum(axis=(1, 2)).tolist()
        assert rows["label"].tolist() == masks.any(axis=(1, 2)).astype(int).tolist()
        assert rows["slice_id"].tolist() == [f"{name}_z{z:03d}" for z in positions]
        assert set(rows["source"]) <= {f"HGG/{name}", f"LGG/{name}"}
        assert json.loads(rows["affine"].iloc[0]) == np.diag([-1.0, -1.0, 1.0, 1.0]).tolist()
    table = pd.read_csv(tmp_path / "out/subjects.csv", keep_default_na=False)
    pd.testing.assert_frame_equal(table, subjects, check_dtype=False)
    assert table["subject_id"].tolist() == sorted(NAMES)
    assert table["stratum"].value_counts().to_dict() == {"2013": 3, "CBICA": 6, "TCIA": 3}
    assert table["slices"].tolist() == [5] * 12
    assert table["diseased_slices"].tolist() == store.manifest.groupby("subject_id")["label"].sum().tolist()
    assert (tmp_path / "out/bad_cases.csv").read_text() == "case,file,reason\n"
    diseased = store.manifest["label"].sum()
    assert extraction.summary(subjects, bad) == [f"extracted: 12 subjects, 60 slices, {diseased} of them diseased"]
    names = ["bad_cases.csv", "digests.json", "images.npy", "manifest.csv", "masks.npy", "subjects.csv"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_time_points_are_cases_of_one_subject(tmp_path, parameters):
    names = ["BraTS-GLI-00000-000", "BraTS-GLI-00000-001", "BraTS-GLI-00007-000"]
    for name in names:
        folder = write_case(tmp_path / "raw", name)
        for path in folder.iterdir():  # as BraTS 2023 names its files
            path.rename(folder / path.name.replace(f"{name}_", f"{name}-"))
    subjects, bad = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert bad == []
    manifest = open_store(tmp_path / "out").manifest
    assert manifest["subject_id"].tolist() == ["BraTS-GLI-00000"] * 10 + ["BraTS-GLI-00007"] * 5
    assert manifest["source"].unique().tolist() == names
    assert manifest["slice_id"].iloc[[0, 5]].tolist() == [f"{name}_z003" for name in names[:2]]
    assert subjects["slices"].tolist() == [10, 5]
    assert subjects["diseased_slices"].sum() == manifest["label"].sum()


def test_bids(tmp_path, parameters):
    raw = tmp_path / "raw"
    for session in ("sub-01/ses-1", "sub-01/ses-2", "sub-02"):
        write_bids(raw, session)
    for other in ("sub-02/dwi/sub-02_dwi.nii.gz", "derivatives/x/sub-02/anat/sub-02_desc-brain_mask.nii.gz"):
        (raw / other).parent.mkdir(parents=True)
        (raw / other).write_bytes(b"")
    subjects, _ = brats.extract(parameters, raw, tmp_path / "out")
    assert subjects["subject_id"].tolist() == ["sub-01", "sub-02"]
    assert subjects["slices"].tolist() == [10, 5]
    store = open_store(tmp_path / "out")
    assert store.manifest["source"].unique().tolist() == ["sub-01/ses-1/anat", "sub-01/ses-2/anat", "sub-02/anat"]
    assert store.manifest["slice_id"].iloc[[0, 5, 10]].tolist() == [
        "sub-01_ses-1_z003",
        "sub-01_ses-2_z003",
        "sub-02_z003",
    ]
    images, masks, _ = naive_case("sub-01_ses-2", 2, 7, 32, 16)
    np.testing.assert_allclose(store.images[5:10], images, rtol=0, atol=3e-4)
    np.testing.assert_array_equal(store.masks[5:10], masks)
    with pytest.raises(InputError, match=r"sub-01 is one patient's: set data\.folder to the folder above"):
        brats.extract(parameters, raw / "sub-01", tmp_path / "low")


def test_the_patient_in_names_of_ones_own(tmp_path, parameters):
    for name in ("phantom_a1_week1", "phantom_a1_week9", "phantom_a2_week1"):
        write_case(tmp_path / "raw", name)
    parameters["data"]["brats"]["patient"] = "phantom_(a[0-9])_"
    subjects, _ = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert subjects["subject_id"].tolist() == ["a1", "a2"]
    assert subjects["slices"].tolist() == [10, 5]


def test_every_nth_slice(tmp_path, raw, parameters):
    brats.extract(parameters, raw, tmp_path / "all")
    parameters["data"]["brats"]["step"] = 2
    brats.extract(parameters, raw, tmp_path / "second")
    every, second = open_store(tmp_path / "all"), open_store(tmp_path / "second")
    assert set(second.manifest["position"]) == {4, 6}  # of 2, 4 and 6, where 2 shows no brain
    rows = np.flatnonzero(every.manifest["position"].isin([4, 6]))
    np.testing.assert_array_equal(second.images, every.images[rows])
    np.testing.assert_array_equal(second.masks, every.masks[rows])


def test_one_lesion_pixel_is_a_diseased_slice():
    masks = np.zeros((2, 4, 4), np.uint8)
    masks[1, 2, 3] = 1
    result = CaseSlices(np.zeros((2, 1, 4, 4), np.float16), masks, [7, 80], -np.eye(4))
    rows = brats.manifest_rows(Case(Path("raw/HGG/a"), "HGG/a"), "patient", result)
    assert [(row["slice_id"], row["label"], row["lesion_pixels"]) for row in rows] == [
        ("a_z007", 0, 0),
        ("a_z080", 1, 1),
    ]
    assert {row["subject_id"] for row in rows} == {"patient"}
    assert "-0.0" not in rows[0]["affine"]


def test_channels_come_in_the_order_asked_for(tmp_path, raw, parameters):
    brats.extract(parameters, raw, tmp_path / "four")
    parameters["data"]["channels"] = ["flair", "t1"]
    brats.extract(parameters, raw, tmp_path / "two")
    four, two = (open_store(tmp_path / name).images for name in ("four", "two"))
    np.testing.assert_array_equal(two, four[:, [3, 0]])


def test_outputs_do_not_depend_on_the_number_of_processes(tmp_path, raw, parameters):
    for number in (1, 2):
        brats.extract(parameters, raw, tmp_path / str(number), processes=number)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_a_healthy_subject_is_fine_where_another_has_a_lesion(tmp_path, parameters):
    write_case(tmp_path / "raw", "Phantom_001", seg=np.zeros(SHAPE, np.int16))
    with pytest.raises(InputError, match=r"none of the 5 slices of .*raw is diseased"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert not contents(tmp_path / "out")
    write_case(tmp_path / "raw", "Phantom_002")
    subjects, _ = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert subjects["slices"].tolist() == [5, 5]
    assert subjects["diseased_slices"].tolist() == [0, 3]


@pytest.mark.parametrize(
    "names",
    [
        ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS-GLI-00007-100"],
        ["brats_gli_00005_100", "BraTS-GLI-00005-101_resampled", "case 7"],
        ["Brats17_TCIA_201_1", "Brats17_TCIA_201_2", "Brats17_TCIA_202_1"],
    ],
)
def test_no_split_divides_a_patient(tmp_path, parameters, names):
    for name in names:
        write_case(tmp_path / "raw", name)
    subjects, _ = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert subjects["slices"].tolist() == [10, 5]


def test_folders_of_other_names_with_files_that_kept_theirs(tmp_path, parameters):
    names = ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101", "BraTS2021_00007"]
    for number, name in enumerate(names):
        write_case(tmp_path / "raw", name).rename(tmp_path / f"raw/mine{number}")
    subjects, _ = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert subjects["subject_id"].tolist() == ["BraTS-GLI-00005", "BraTS2021_00007"]
    manifest = open_store(tmp_path / "out").manifest
    assert manifest["source"].unique().tolist() == ["mine0", "mine1", "mine2"]
    assert manifest["slice_id"].iloc[0] == "BraTS-GLI-00005-100_z003"


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["BraTS2021_00005", "BraTS20_Training_001"], "another patient's, and one scan could stand in two splits"),
        (["BraTS-GLI-00005-101", "BraTS-GLI-00005-100"], "another time point of patient BraTS-GLI-00005, and one scan"),
    ],
)
def test_one_scan_under_two_names(tmp_path, parameters, names, sentence):
    for name in names:
        write_case(tmp_path / "raw", name, **volumes_of("one"))
    write_case(tmp_path / "raw", "BraTS2021_00009")
    copy, first = sorted(names, reverse=True)
    with pytest.raises(InputError, match=rf"{copy}: it holds the same images as {first}, {sentence}.*: remove one of"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert not contents(tmp_path / "out")
    parameters["data"]["on_bad_case"] = "skip"
    subjects, bad = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert subjects["slices"].tolist() == [5, 5]
    assert [error.case for error in bad] == pd.read_csv(tmp_path / "out/bad_cases.csv")["case"].tolist() == [copy]


def test_cases_of_one_name_in_two_folders(tmp_path, parameters):
    for name in ("HGG", "LGG"):
        (tmp_path / "raw" / name).mkdir(parents=True)
        write_case(tmp_path, f"case1_{name}").rename(tmp_path / "raw" / name / "case1")
    parameters["data"]["brats"]["patient"] = "^(.+)$"  # as test_brats_patients is offered it
    subjects, _ = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert subjects["subject_id"].tolist() == ["HGG_case1", "LGG_case1"]
    assert open_store(tmp_path / "out").manifest["slice_id"].iloc[[0, 5]].tolist() == [
        "HGG_case1_z003",
        "LGG_case1_z003",
    ]


def test_lesion_labels(tmp_path, parameters):
    seg = np.zeros(SHAPE, np.int16)
    seg[4:12, 6:14, 4], seg[4:12, 6:14, 5] = 3, 4  # a tumour, and a slice with nothing but a resection cavity
    write_case(tmp_path / "raw", "BraTS-GLI-00005-100", seg=seg)
    brats.extract(parameters, tmp_path / "raw", tmp_path / "every")
    parameters["data"]["brats"]["lesion_labels"] = [1, 2, 3]
    brats.extract(parameters, tmp_path / "raw", tmp_path / "tumour")
    every, tumour = open_store(tmp_path / "every").manifest, open_store(tmp_path / "tumour").manifest
    assert every.loc[every["label"] == 1, "position"].tolist() == [4, 5]
    assert tumour.loc[tumour["label"] == 1, "position"].tolist() == [4]
    assert tumour["position"].tolist() == [3, 4, 6, 7]


# --- the command -----------------------------------------------------------------------------------------------------


def test_command_line(tmp_path, raw, parameters):
    command = [sys.executable, "-m", "stages.data.brats", "--parameters", json.dumps(parameters), "--raw", raw]
    done = subprocess.run([*command, "--output", tmp_path / "out"], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["extracted"]
    write_case(raw, "BraTS20_Training_001")
    done = subprocess.run([*command, "--output", tmp_path / "two"], capture_output=True, text=True, cwd=REPOSITORY)
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["extracted", "warning"]
    next(raw.glob(f"*/{NAMES[0]}/*_t1.nii*")).unlink()
    done = subprocess.run([*command, "--output", tmp_path / "bad"], capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "bad").exists()


KILLED = """
import json, sys, time
from pathlib import Path
from stages.data import brats, store

def append(self, *batch, append=store.StoreWriter.append):
    append(self, *batch)
    if self.slices == 10:
        print("in the middle", flush=True)
        time.sleep(60)

store.StoreWriter.append = append
if __name__ == "__main__":
    brats.extract(json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), processes=2)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for its processes in /proc")
def test_killed_in_the_middle(tmp_path, raw, parameters):
    script, out = tmp_path / "killed.py", tmp_path / "out"
    script.write_text(KILLED)
    command = [sys.executable, script, json.dumps(parameters), raw, out]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout.readline() == "in the middle\n"
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
    assert workers
    assert all(path.suffix == ".partial" for path in contents(out))
    deadline = time.monotonic() + 10
    while (alive := [pid for pid in workers if running(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive  # no worker stays behind
    brats.extract(parameters, raw, out)
    brats.extract(parameters, raw, tmp_path / "never killed")
    assert contents(out) == contents(tmp_path / "never killed")


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# --- real patients ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not REAL.exists(), reason="the BraTS 2018 cases are not beside the repo")
def test_twenty_real_cases(tmp_path, parameters):
    parameters["data"] |= {"size": 64, "brats": {"percentiles": [1, 99], "slices": [80, 82], "step": 1, "pad": 256}}
    subjects, _ = brats.extract(parameters, REAL, tmp_path / "data", processes=2)
    counts = {"train": 12, "validation": 3, "test": 5}
    drawn, _ = split({"seed": 0, "data": {"reader": "brats", "split": counts}}, tmp_path / "data")
    table = pd.crosstab(subjects["subject_id"].map(drawn.split_of), subjects["stratum"])
    assert table.loc["test"].to_dict() == {"2013": 1, "CBICA": 3, "TCIA": 1}
    assert table.loc["validation"].to_dict() == {"2013": 0, "CBICA": 2, "TCIA": 1}
    assert table.loc["train"].to_dict() == {"2013": 2, "CBICA": 7, "TCIA": 3}
    store = open_store(tmp_path / "data")
    assert store.images.shape == (60, 4, 64, 64)
    # Every sequence of every slice shows a brain that fills a good part of it, and nothing at its rim.
    assert ((store.images > 0.05).mean(axis=(2, 3)) > 0.15).all()
    assert not store.images[:, :, :2].any()
