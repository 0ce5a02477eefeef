"""The brain phantom: layout, determinism, anatomy, and which cases have lesions."""

import argparse
import json
import subprocess
import sys
from dataclasses import replace

import nibabel
import numpy as np
import pytest
from synthetic_brats import contents

from stages.errors import InputError
from stages.phantoms import brain
from stages.phantoms.brain import SEQUENCES, Phantom, generate, make_case
from stages.phantoms.brain_anatomy import Grid, Head, smooth_field
from stages.phantoms.shared import has_lesion, section

SECTION = {"anatomy": "brain", "cases": 2, "shape": [30, 30, 26], "lesion_fraction": 0.85, "enhancing": 0.85}
SECTION |= {"deformation": 1.0, "contrast": 1.0, "bias_field": 0.05, "noise": 0.015}
SMALL = section(argparse.Namespace(parameters={"phantom": SECTION}), Phantom)
T1, _, T2, FLAIR = range(4)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "brain"
    generate(0, SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def cases():
    phantom = replace(SMALL, shape=(60, 60, 52), enhancing=1.0)
    return [make_case(0, index, phantom) for index in range(8)]


def test_layout_types_and_affine(written):
    assert sorted(path.name for path in written.iterdir()) == ["Phantom_001", "Phantom_002"]
    for folder in written.iterdir():
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            f"{folder.name}_{part}.nii.gz" for part in (*SEQUENCES, "seg")
        )
        for part in (*SEQUENCES, "seg"):
            image = nibabel.load(folder / f"{folder.name}_{part}.nii.gz")
            assert image.shape == (30, 30, 26)
            assert image.get_data_dtype() == (np.uint8 if part == "seg" else np.int16)
            np.testing.assert_allclose(np.diag(image.affine), [-8, -8, 155 / 26, 1], rtol=1e-6)
            assert image.header.get_xyzt_units()[0] == "mm"


def test_affine_is_that_of_brats_at_full_size():
    np.testing.assert_array_equal(
        Grid((240, 240, 155)).affine, [[-1, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]]
    )


def test_same_seed_same_bytes_whatever_the_number_of_cases_and_processes(written, tmp_path):
    generate(0, replace(SMALL, cases=3), tmp_path / "more", processes=2)
    more = contents(tmp_path / "more")
    assert {name: more[name] for name in contents(written)} == contents(written)
    assert len(more) == 15


def test_other_seed_and_other_case_differ(written):
    stored = nibabel.load(written / "Phantom_001" / "Phantom_001_flair.nii.gz").get_fdata()
    np.testing.assert_array_equal(make_case(0, 0, SMALL).images[FLAIR], stored)
    assert (make_case(1, 0, SMALL).images[FLAIR] != stored).any()
    assert (make_case(0, 1, SMALL).images[FLAIR] != stored).any()


def test_an_earlier_phantom_is_replaced_and_nothing_left_beside_it(tmp_path):
    folder = tmp_path / "brain"
    (folder / "Phantom_009").mkdir(parents=True)
    (folder / ".snakemake_timestamp").touch()
    (tmp_path / ".brain.01234567.partial/Phantom_001").mkdir(parents=True)  # of a generator that was killed
    generate(0, replace(SMALL, cases=1), folder)
    assert [path.name for path in folder.iterdir()] == ["Phantom_001"]
    assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "brats" / "BraTS20_Training_001").mkdir(parents=True)
    with pytest.raises(InputError, match="something else than a phantom"):
        generate(0, SMALL, tmp_path / "brats")
    assert (tmp_path / "brats" / "BraTS20_Training_001").exists()


def test_nothing_is_left_when_a_case_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(brain, "make_case", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate(0, SMALL, tmp_path / "brain")
    assert not list(tmp_path.iterdir())


def test_labels_lie_in_the_brain_and_the_background_is_zero(cases):
    for case in cases:
        assert case.images.dtype == np.int16
        assert case.labels.dtype == np.uint8
        assert set(np.unique(case.labels)) <= {0, 1, 2, 4}
        brain = case.images > 0
        assert (brain == brain[0]).all()
        assert not case.images[:, 0].any()
        assert not case.images[:, :, 0].any()
        assert (case.labels[~brain[0]] == 0).all()
        voxel = abs(np.linalg.det(case.affine)) / 1e6  # litres
        assert 1.2 < brain[0].sum() * voxel < 1.9


def test_most_cases_have_a_lesion_and_some_have_none(cases):
    diseased = [case.labels.any() for case in cases]
    assert diseased == [has_lesion(0, index, 0.85) for index in range(8)]
    assert 0 < sum(diseased) < len(cases)
    for seed in range(20):
        assert 49 <= sum(has_lesion(seed, index, 0.85) for index in range(60)) <= 53
    assert not any(make_case(0, index, replace(SMALL, lesion_fraction=0.0)).labels.any() for index in range(2))


def test_every_case_has_slices_without_lesion_among_those_used(cases):
    lesion = np.stack([case.labels.any((0, 1)) for case in cases])
    assert not lesion[:, 44:47].any(1).all()
    assert not lesion.all(1).any()
    assert 0.25 < lesion[:, 27:44].mean() < 0.75


def test_tissues_and_orientation_are_those_of_a_head():
    plain = replace(SMALL, shape=(60, 60, 52), lesion_fraction=0.0, deformation=0.0, contrast=0.0, bias_field=0.0)
    images = make_case(0, 0, plain).images.astype(float)
    grid = Grid(plain.shape)
    mni = Head.draw(np.random.default_rng(0), grid, 0.0).to_mni(grid.positions)

    def near(x: float, y: float, z: float) -> np.ndarray:
        """The four signals at an MNI position."""
        voxel = np.unravel_index(((mni.T - (x, y, z)) ** 2).sum(-1).T.argmin(), grid.shape)
        return images[:, *voxel]

    ventricle, white = near(-8, 20, 6), near(-26, -20, 28)  # frontal horn, centrum semiovale
    assert ventricle[T1] < 0.5 * white[T1]
    assert ventricle[FLAIR] < 0.6 * white[FLAIR]
    assert ventricle[T2] > 2 * white[T2]
    # `volume[:, :, z].T`, as the pipeline shows it: the front on top, the right hemisphere on the left.
    assert mni[1, 30, 10, 28] > mni[1, 30, 50, 28]
    assert mni[0, 10, 30, 28] > mni[0, 50, 30, 28]
    # Low down lies the cerebellum, at the back.
    row = [np.argwhere(images[T1, :, :, z] > 0)[:, 1].mean() for z in (6, 30)]
    assert row[0] > row[1] + 2


def test_smooth_field_has_unit_variance_at_every_resolution():
    coarse = smooth_field(np.random.default_rng(3), Grid((30, 30, 26)), 20)
    fine = smooth_field(np.random.default_rng(3), Grid((90, 90, 78)), 20)
    assert fine.std() == pytest.approx(1, abs=0.1)
    np.testing.assert_allclose(fine[1::3, 1::3, 1::3], coarse, atol=1e-4)


def test_command_line(written, tmp_path):
    command = [
        sys.executable,
        "-m",
        "stages.phantoms.brain",
        "--parameters",
        json.dumps({"seed": 0, "phantom": SECTION}),
    ]
    subprocess.run([*command, "--output", tmp_path / "brain", "--processes", "2"], check=True)
    assert contents(tmp_path / "brain") == contents(written)
    (tmp_path / "brain" / "notes.txt").touch()
    done = subprocess.run([*command, "--output", tmp_path / "brain"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'brain'}: holds something else than a phantom")
    assert len(done.stderr.splitlines()) == 1
