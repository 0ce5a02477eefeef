"""Every bad input of the BraTS extraction: one sentence under `stop`, one row of the report under `skip`."""

import gzip
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from synthetic_brats import AFFINE, NAMES, contents, volumes_of, write_case

from stages.data import brats, extraction
from stages.data.store import open_store
from stages.errors import InputError

ORACLE = Path(__file__).parents[2] / "../shared/data/preprocessing-oracle"


TURNED = np.array([[0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
SHIFTED = AFFINE + np.outer([5, 0, 0, 0], [0, 0, 0, 1])
SCALED = AFFINE @ np.diag([1.1, 1, 1, 1])


def changed(sequence, change, affine=AFFINE):
    """Damage one sequence of the case folder: the volume goes through `change`, and gets an affine."""

    def damage(folder):
        volume = change(volumes_of(folder.name)[sequence])
        nib.save(nib.Nifti1Image(volume, affine), folder / f"{folder.name}_{sequence}.nii.gz")

    return damage


def rewritten(sequence, change):
    """Damage the bytes of one file of the case folder."""

    def damage(folder):
        path = folder / f"{folder.name}_{sequence}.nii.gz"
        path.write_bytes(change(path.read_bytes()))

    return damage


def with_voxel(value):
    def change(volume):
        volume = volume.astype(np.float32)
        volume[5, 6, 9] = value  # outside the slices: the whole volume is checked
        return volume

    return change


def z_scores(volume):
    brain = volume > 0
    return np.where(brain, (volume - volume[brain].mean()) / volume[brain].std(), 0).astype(np.float32)


def without_checksum_match(content):
    return content[:-6] + bytes([content[-6] ^ 1]) + content[-5:]


def remove_all(folder):
    for path in folder.iterdir():
        path.unlink()


def second_file(folder):
    name = f"{folder.name}_t2.nii"
    (folder / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))


DAMAGE = {
    "missing sequence": (lambda f: (f / f"{f.name}_t2.nii.gz").unlink(), "_t2.nii.gz", "the file is missing"),
    "missing mask": (lambda f: (f / f"{f.name}_seg.nii.gz").unlink(), "_seg.nii.gz", "the file is missing"),
    "empty folder": (remove_all, "_t1.nii.gz", "the file is missing"),
    "two files": (second_file, "", "two files for the sequence t2"),
    "shapes differ": (changed("flair", lambda v: v[:-1]), "_flair.nii.gz", r"shape \(23, 20, 10\) differs from"),
    "mask's shape": (changed("seg", lambda v: v[..., :-1]), "_seg.nii.gz", r"shape \(24, 20, 9\) differs from"),
    "4 axes": (changed("t1", lambda v: v[..., None].repeat(2, 3)), "_t1.nii.gz", "holds 2 volumes"),
    "truncated gzip": (rewritten("t1ce", lambda c: c[: len(c) // 2]), "_t1ce.nii.gz", "truncated"),
    "gzip's end cut": (rewritten("t1ce", lambda c: c[:-3]), "_t1ce.nii.gz", "truncated"),
    "checksum": (rewritten("t1", without_checksum_match), "_t1.nii.gz", "truncated, damaged"),
    "truncated volume": (rewritten("t1", lambda c: gzip.compress(gzip.decompress(c)[:-9])), "_t1.nii.gz", "truncated"),
    "header only": (rewritten("t1", lambda c: gzip.compress(gzip.decompress(c)[:100])), "_t1.nii.gz", "truncated"),
    "not NIfTI": (rewritten("t2", lambda c: b"<html>quota exceeded</html>" * 40), "_t2.nii.gz", "not NIfTI"),
    "empty file": (rewritten("t2", lambda c: b""), "_t2.nii.gz", "truncated, damaged or not NIfTI"),
    "all zero": (changed("t1", np.zeros_like), "_t1.nii.gz", "no voxel above zero"),
    "degenerate": (changed("t1", lambda v: (v > 0).astype(np.int16)), "_t1.nii.gz", "degenerate"),
    "NaN": (changed("flair", with_voxel(np.nan)), "_flair.nii.gz", "NaN or infinite"),
    "infinite": (changed("flair", with_voxel(np.inf)), "_flair.nii.gz", "NaN or infinite"),
    "label 5": (changed("seg", with_voxel(5)), "_seg.nii.gz", "the mask holds 5, and labels are the integers 0 to 4"),
    "label 1.5": (changed("seg", with_voxel(1.5)), "_seg.nii.gz", r"the mask holds 1\.5, and labels are the integers"),
    "label -1": (changed("seg", with_voxel(-1)), "_seg.nii.gz", "the mask holds -1, and labels are the integers"),
    "z-scores": (
        changed("t2", z_scores),
        "_t2.nii.gz",
        r"[34]\d% of the voxels that are not 0 are below 0, as in stand",
    ),
    "-1 to 1": (changed("t2", lambda v: v / 450 - 1), "_t2.nii.gz", "below 0, as in standardised volumes"),
    "mirrored": (
        changed("seg", lambda v: v, np.diag([1, -1, 1, 1])),
        "_seg.nii.gz",
        "orientation RPS differs from LPS",
    ),
    "turned": (
        changed("flair", lambda v: v, TURNED),
        "_flair.nii.gz",
        "orientation PLS differs from LPS of .*_t1.nii.gz",
    ),
    "elsewhere": (changed("t2", lambda v: v, SHIFTED), "_t2.nii.gz", "its affine puts it 5 mm away from the space of"),
    "scaled": (changed("seg", lambda v: v, SCALED), "_seg.nii.gz", "its affine puts it .* mm away from the space of"),
}


@pytest.fixture
def damaged(tmp_path, request):
    """Four cases without a centre, the second one damaged."""
    for number in range(1, 5):
        folder = write_case(tmp_path / "raw", f"BraTS2021_0000{number}")
        if number == 2:
            DAMAGE[request.param][0](folder)
    return request.param


@pytest.mark.parametrize("damaged", DAMAGE, indirect=True)
def test_bad_cases_stop_or_are_skipped(tmp_path, parameters, damaged):
    _, ending, reason = DAMAGE[damaged]
    with pytest.raises(InputError, match=reason) as caught:
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    path = tmp_path / "raw/BraTS2021_00002"
    assert str(caught.value).startswith(str(path / f"BraTS2021_00002{ending}") if ending else str(path))
    assert str(caught.value).endswith(
        "; repair the case, or leave bad ones out: set data.on_bad_case to skip in params.yaml (or, now and in later "
        """runs, snakemake --config run=NAME 'paper={"data": {"on_bad_case": "skip"}}')"""
    )
    assert "\n" not in str(caught.value)
    assert not contents(tmp_path / "out")

    parameters["data"]["on_bad_case"] = "skip"
    subjects, bad = brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/bad_cases.csv")
    assert table["case"].tolist() == ["BraTS2021_00002"]
    assert table["file"].item() == (f"BraTS2021_00002/BraTS2021_00002{ending}" if ending else "BraTS2021_00002")
    assert subjects["subject_id"].tolist() == [f"BraTS2021_0000{number}" for number in (1, 3, 4)]
    assert extraction.summary(subjects, bad)[-1] == "bad cases: 1, listed in bad_cases.csv"
    assert len(open_store(tmp_path / "out")) == 15


def test_skip_without_bad_cases_is_stop(tmp_path, raw, parameters):
    brats.extract(parameters, raw, tmp_path / "stop")
    parameters["data"]["on_bad_case"] = "skip"
    brats.extract(parameters, raw, tmp_path / "skip", processes=2)
    assert contents(tmp_path / "stop") == contents(tmp_path / "skip")


@pytest.mark.parametrize("copy", ["LGG/Brats18_TCIA00_100_1", "HGG/Brats17_TCIA00_100_1"])
@pytest.mark.parametrize(
    ("volumes", "left", "reason"),
    [
        ("Brats18_TCIA00_100_1", 12, "more than once (also as {}): remove this copy"),
        ("another", 11, "more than once (also as {}): keep the right one"),
    ],
)
def test_one_patient_twice(tmp_path, raw, parameters, copy, volumes, left, reason):
    path = raw / "copies" / copy
    write_case(path.parent, path.name, **volumes_of(volumes))
    with pytest.raises(InputError, match="more than once"):
        brats.extract(parameters, raw, tmp_path / "out")
    parameters["data"]["on_bad_case"] = "skip"
    subjects, bad = brats.extract(parameters, raw, tmp_path / "out")
    assert len(subjects) == left
    assert len(bad) == len(pd.read_csv(tmp_path / "out/bad_cases.csv")) == 13 - left
    others = {f"copies/{copy}", "HGG/Brats18_TCIA00_100_1"} - {Path(bad[0].file).relative_to(raw).as_posix()}
    assert bad[0].reason.endswith(reason.format(*others))


def test_all_cases_are_bad(tmp_path, parameters):
    remove_all(write_case(tmp_path / "raw", "BraTS2021_00001"))
    parameters["data"]["on_bad_case"] = "skip"
    with pytest.raises(InputError, match=r"the only case is bad: .*_t1\.nii\.gz: the file is missing"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert not contents(tmp_path / "out")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pad", 16, r"slices of 24 x 20 do not fit data\.brats\.pad \(16\)"),
        ("slices", [2, 10], r"data\.brats\.slices reaches 10, but the volume's last slice is 9"),
        ("slices", [0, 2], r"no brain in slices 0 to 2"),
        (
            "slices",
            [7, 9],
            r"none of the 36 slices of .*raw is diseased, and so nothing could be scored: check its masks",
        ),
        ("patient", "^Brats18_(TCIA.*)", r"finds no patient in the path of the case LGG/Brats18_2013_0_1"),
    ],
)
def test_parameters_that_do_not_fit(tmp_path, raw, parameters, key, value, message):
    parameters["data"]["brats"][key] = value
    with pytest.raises(InputError, match=message):
        brats.extract(parameters, raw, tmp_path / "out")
    assert not contents(tmp_path / "out")


def test_raw_folder_missing_or_empty(tmp_path, parameters):
    with pytest.raises(InputError, match=r"raw is missing; put the case folders .*CBICA.*Synapse.*Kaggle"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
    (tmp_path / "raw").mkdir()
    with pytest.raises(InputError, match=r"raw holds no case \(it is empty\); put the case folders"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("name", ["scandir", "open"])
def test_unreadable(tmp_path, raw, parameters, monkeypatch, name):
    def refuse(path, *flags):  # root may read everything, so permissions would show nothing in a container
        if Path(path).name.startswith(NAMES[0]):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path, *flags)

    original = getattr(os, name)
    monkeypatch.setattr(os, name, refuse)
    with pytest.raises(InputError, match=rf"{NAMES[0]}.*cannot be read \(Permission denied\)"):
        brats.extract(parameters, raw, tmp_path / "out")


@pytest.mark.skipif(not ORACLE.exists(), reason="the oracle is not beside the repo")
def test_oracle_lacks_sequences_and_is_refused(tmp_path, parameters):
    with pytest.raises(InputError, match=r"BraTS20_Training_001_t1ce\.nii\.gz: the file is missing"):
        brats.extract(parameters, ORACLE, tmp_path / "out")
    assert not (tmp_path / "out").exists()
