"""One BraTS case: the recipe against plain loops and against the authors' published slices."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from synthetic_brats import NAMES, SEQUENCES, naive_case, volumes_of, write_case

from stages.data.brats_case import Recipe, pad_and_resample, read_case, read_volume, scaled_slices
from stages.data.brats_tree import Case

SHARED = Path(__file__).parents[2] / "../shared/data"
ORACLE = SHARED / "preprocessing-oracle"
PUBLISHED = SHARED / "published-samples/brats/training"


@pytest.mark.skipif(not (ORACLE.exists() and PUBLISHED.exists()), reason="the authors' slices are not beside the repo")
@pytest.mark.parametrize("sequence", ["t1", "flair"])
def test_slices_are_the_authors_bit_for_bit(sequence):
    name = "BraTS20_Training_001"
    volume, _ = read_volume(ORACLE / name / f"{name}_{sequence}.nii.gz", name)
    slices = scaled_slices(volume, (1, 99), 80, 83)
    for number, found in enumerate(slices, start=1):
        path = PUBLISHED / f"{number:06d}" / f"brats_train_001_{sequence}_{79 + number:03d}_w.nii.gz"
        published = nib.load(path).get_fdata()
        assert found.dtype == published.dtype == np.float64
        np.testing.assert_array_equal(found, published)


@pytest.mark.parametrize(("pad", "size"), [(32, 16), (24, 24), (32, 8), (26, 13), (27, 9)])
def test_case_follows_the_recipe(tmp_path, pad, size):
    case = Case(write_case(tmp_path, NAMES[0]), NAMES[0])
    result = read_case(case, Recipe(SEQUENCES, (1, 99), 2, 7, pad, size))
    images, masks, positions = naive_case(NAMES[0], 2, 7, pad, size)
    assert result.positions == positions == [3, 4, 5, 6, 7]  # slice 2 shows no brain
    assert result.images.dtype == np.float16
    np.testing.assert_allclose(result.images, images, rtol=0, atol=3e-4)  # half a unit in float16's last place at 1
    np.testing.assert_array_equal(result.masks, masks)
    assert result.masks.any()
    np.testing.assert_array_equal(result.affine, np.diag([-1, -1, 1, 1]))


def test_resampling_counts_from_one_half():
    mask = np.zeros((1, 4, 4))
    mask[0, 0, 0:2] = 1  # half of the first block
    mask[0, 2, 2] = 1  # a quarter of the last
    area = pad_and_resample(mask, 4, 2)
    np.testing.assert_array_equal(area >= 0.5, [[[True, False], [False, False]]])


def test_pad_is_centred():
    padded = pad_and_resample(np.ones((1, 2, 3)), 6, 6)[0]
    assert np.argwhere(padded).min(axis=0).tolist() == [2, 1]
    assert np.argwhere(padded).max(axis=0).tolist() == [3, 3]


def test_percentiles_are_the_whole_volumes():
    volume = np.zeros((4, 4, 3))
    volume[..., 1], volume[..., 2] = 1 + np.arange(16).reshape(4, 4), 100
    scaled = scaled_slices(volume, (0, 100), 1, 1)
    assert scaled.max() == 15 / 99


def test_a_slice_with_brain_in_one_sequence_is_kept(tmp_path):
    flair = volumes_of(NAMES[0])["t1"].copy()
    flair[..., 4] = 0  # the others have some there
    t1 = volumes_of(NAMES[0])["t1"].copy()
    t1[5, 6, 2] = 300  # the others have none there
    case = Case(write_case(tmp_path, NAMES[0], t1=t1, flair=flair), NAMES[0])
    assert read_case(case, Recipe(SEQUENCES, (1, 99), 0, 5, 24, 24)).positions == [2, 3, 4, 5]
