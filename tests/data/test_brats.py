"""Extraction of BraTS case folders into slice stores, as a function and as a command."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic_brats import NAMES, SHAPE, contents, naive_case, write_case

from stages.data import brats
from stages.data.brats_case import Case, CaseSlices
from stages.data.store import open_store

REPOSITORY = Path(__file__).parents[2]
REAL = REPOSITORY / "../shared/data/brats2018"


def test_extraction(tmp_path, raw, parameters):
    subjects, bad = brats.extract(parameters, raw, tmp_path / "out")
    assert bad == []
    stores = {split: open_store(tmp_path / "out" / split) for split in ("train", "validation", "test")}
    owners = [set(store.manifest["subject_id"]) for store in stores.values()]
    assert [len(owner) for owner in owners] == [6, 2, 3]
    assert len(set.union(*owners)) == 11  # no subject in two splits
    for store in stores.values():
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
    assert table["subject_id"].tolist() == sorted(NAMES)
    assert Counter(table["split"]) == {"train": 6, "validation": 2, "test": 3, "unused": 1}
    assert set(table["stratum"]) == {"2013", "CBICA", "TCIA"}
    used = table[table["split"] != "unused"]
    assert used["slices"].astype(int).tolist() == [5] * 11
    assert table[table["split"] == "unused"]["slices"].item() == ""
    assert (tmp_path / "out/bad_cases.csv").read_text() == "case,file,reason\n"
    lines = brats.summary(subjects, bad, {"train": 16205})
    diseased = stores["train"].manifest["label"].sum()
    assert (
        lines[0] == f"train: 6 subjects, 30 slices, {diseased} of them diseased; slices differ from the paper's 16,205"
    )
    assert lines[2].startswith("test: 3 subjects, 15 slices")
    assert "paper" not in lines[2]
    assert brats.summary(subjects, bad, {"train": 30})[0].endswith("; slices as the paper's 30")
    assert lines[3] == "left out: 1 of 12 good cases, beyond the counts of data.split"


def test_one_lesion_pixel_is_a_diseased_slice():
    masks = np.zeros((2, 4, 4), np.uint8)
    masks[1, 2, 3] = 1
    result = CaseSlices(np.zeros((2, 1, 4, 4), np.float16), masks, [7, 80], -np.eye(4))
    rows = brats.manifest_rows(Case(Path("raw/HGG/a"), "HGG/a"), result)
    assert [(row["slice_id"], row["label"], row["lesion_pixels"]) for row in rows] == [
        ("a_z007", 0, 0),
        ("a_z080", 1, 1),
    ]
    assert "-0.0" not in rows[0]["affine"]


def test_channels_come_in_the_order_asked_for(tmp_path, raw, parameters):
    brats.extract(parameters, raw, tmp_path / "four")
    parameters["data"]["channels"] = ["flair", "t1"]
    brats.extract(parameters, raw, tmp_path / "two")
    four, two = (open_store(tmp_path / name / "test").images for name in ("four", "two"))
    np.testing.assert_array_equal(two, four[:, [3, 0]])


def test_outputs_do_not_depend_on_the_number_of_processes(tmp_path, raw, parameters):
    for number in (1, 2):
        brats.extract(parameters, raw, tmp_path / str(number), processes=number)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_a_split_of_an_earlier_run_goes(tmp_path, raw, parameters):
    brats.extract(parameters, raw, tmp_path / "out")
    parameters["data"]["split"]["validation"] = 0
    brats.extract(parameters, raw, tmp_path / "out")
    assert not (tmp_path / "out/validation/manifest.csv").exists()
    assert (tmp_path / "out/test/manifest.csv").exists()


def test_a_healthy_subject_is_fine(tmp_path, parameters):
    write_case(tmp_path / "raw", "Phantom_001", seg=np.zeros(SHAPE, np.int16))
    parameters["data"]["split"] = {"train": 0, "validation": 0, "test": 1}
    subjects, _ = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert subjects.to_dict("records") == [
        {"subject_id": "Phantom_001", "stratum": "none", "split": "test", "slices": 5, "diseased_slices": 0}
    ]


# --- the command -----------------------------------------------------------------------------------------------------


def test_command_line(tmp_path, raw, parameters):
    command = [sys.executable, "-m", "stages.data.brats", "--parameters", json.dumps(parameters), "--raw", raw]
    done = subprocess.run([*command, "--output", tmp_path / "out"], capture_output=True, text=True, cwd=REPOSITORY)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["train", "validation", "test", "left out"]
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
    if (self.folder.name, self.slices) == ("train", 10):
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
    parameters["data"] |= {"size": 64, "brats": {"percentiles": [1, 99], "slices": [80, 82], "pad": 256}}
    parameters["data"]["split"] = {"train": 12, "validation": 3, "test": 5}
    subjects, _ = brats.extract(parameters, REAL, tmp_path, processes=2)
    table = pd.crosstab(subjects["split"], subjects["stratum"])
    assert table.loc["test"].to_dict() == {"2013": 1, "CBICA": 3, "TCIA": 1}
    assert table.loc["validation"].to_dict() == {"2013": 0, "CBICA": 2, "TCIA": 1}
    assert table.loc["train"].to_dict() == {"2013": 2, "CBICA": 7, "TCIA": 3}
    for split, count in (("train", 36), ("validation", 9), ("test", 15)):
        store = open_store(tmp_path / split)
        assert store.images.shape == (count, 4, 64, 64)
        # Every sequence of every slice shows a brain that fills a good part of it, and nothing at its rim.
        assert ((store.images > 0.05).mean(axis=(2, 3)) > 0.15).all()
        assert not store.images[:, :, :2].any()
