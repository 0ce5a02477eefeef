"""Back into a subject's own voxels: the mask, sent the maps' way, must fall on the raw segmentation."""

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_brats import NAMES, SEQUENCES, SHAPE, volumes_of
from synthetic_decathlon import CASES, TASK, write_task

from stages.data.brats import manifest_rows
from stages.data.brats_case import Recipe, axial_slices, pad_and_resample, read_case
from stages.data.brats_tree import MASK, Case, find_cases
from stages.data.radiographs import resample, to_unit_range
from stages.errors import InputError
from stages.export import native_space
from stages.export.native_space import brats_grid, other_grid, read_header, to_radiograph, to_volume, write_nifti

REAL = Path(__file__).parents[2] / "../shared/data/brats2018"
# Oblique, with three voxel sizes and a shift: nothing can be swapped or mirrored unseen.
TURN = nib.eulerangles.euler2mat(0.3, -0.2, 0.5)
OBLIQUE = nib.affines.from_matvec(TURN @ np.diag([-0.9, 1.1, 2.5]), [31.5, -40.25, 7])
SCANNER = nib.affines.from_matvec(TURN @ np.diag([-0.9, 1.1, 2.5]), [1, 2, 3])


def section(pad: int, size: int, channels=SEQUENCES, slices=(2, 7), step=1) -> dict:
    own = {"percentiles": [1, 99], "slices": list(slices), "step": step, "pad": pad}
    return {"reader": "brats", "channels": list(channels), "size": size, "brats": own}


def write_oblique(raw: Path, name: str, suffix: str = ".nii.gz", **replaced: np.ndarray) -> Path:
    """A case with an oblique sform, another qform, micrometres, a description, and an extension with a secret."""
    folder = raw / name
    folder.mkdir(parents=True, exist_ok=True)
    for key, volume in {**volumes_of(name), **replaced}.items():
        image = nib.Nifti1Image(volume, OBLIQUE)
        image.set_sform(OBLIQUE, code=4)
        image.set_qform(SCANNER, code=1)
        image.header.set_xyzt_units("micron", "sec")
        image.header["descrip"] = b"acquired on a Tuesday"
        image.header["cal_max"], image.header["intent_code"] = 77, 3
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Patient: Jane Doe"))
        nib.save(image, folder / f"{name}_{key}{suffix}")
    return folder


def extracted(raw: Path, name: str, data: dict):
    """A subject's slices and rows of the manifest, as the reader makes them."""
    case = next(case for case in find_cases(raw) if case.name == name)
    result = read_case(case, Recipe.from_parameters(data))
    return result, pd.DataFrame(manifest_rows(case, case.name, result))


def written(tmp_path: Path, *volume, **options) -> nib.Nifti1Image:
    path = tmp_path / "exported.nii.gz"
    write_nifti(path, *volume, **options)
    assert not [entry for entry in tmp_path.iterdir() if entry.name.startswith("tmp")], "nothing temporary stays"
    return nib.load(path)


@pytest.mark.parametrize(("pad", "suffix"), [(24, ".nii"), (33, ".nii.gz")])  # 33: an odd rest on both sides
def test_mask_falls_on_the_raw_segmentation(tmp_path, pad, suffix):
    data, name = section(pad, pad), NAMES[0]
    write_oblique(tmp_path / "raw/HGG", name, suffix)
    result, rows = extracted(tmp_path / "raw", name, data)
    grid = brats_grid(tmp_path / "raw", rows, result.images, data)
    found = written(tmp_path, grid.volume(result.masks), grid, 1, "mask", label=True)
    raw = nib.load(grid.path)
    assert grid.path.name == f"{name}_t1{suffix}"
    expected = volumes_of(name)["seg"] > 0
    np.testing.assert_array_equal(np.asarray(found.dataobj), expected.astype(np.uint8))  # lesions in 4 to 6, all within
    assert expected.any()
    # The same place for every viewer, whichever of the two forms it goes by.
    assert found.shape == raw.shape == SHAPE
    np.testing.assert_array_equal(found.affine, raw.affine)
    for form in ("get_sform", "get_qform"):
        (ours, our_code), (theirs, their_code) = (getattr(image, form)(coded=True) for image in (found, raw))
        np.testing.assert_array_equal(ours, theirs)
        assert our_code == their_code
    assert found.header.get_xyzt_units() == ("micron", "sec")
    np.testing.assert_array_equal(found.header.get_zooms(), raw.header.get_zooms())
    # What is not about space is the export's own.
    assert (found.header["cal_min"], found.header["cal_max"]) == (0, 1)
    assert found.header.get_intent()[0] == "label"
    assert found.header["descrip"].item() == b"mask"
    assert b"Jane Doe" not in gzip.decompress((tmp_path / "exported.nii.gz").read_bytes())


def test_of_a_file_of_several_volumes_the_one_grid_is_taken(tmp_path):
    data, name = section(24, 24), CASES[1]
    write_task(tmp_path / "raw", affine=OBLIQUE)
    result, rows = extracted(tmp_path / "raw", name, data)
    grid = brats_grid(tmp_path / "raw", rows, result.images, data)
    assert grid.path == tmp_path / "raw" / TASK / f"imagesTr/{name}.nii.gz"
    found = written(tmp_path, grid.volume(result.masks), grid, 1, "mask", label=True)
    assert found.shape == grid.header.get_data_shape() == SHAPE
    np.testing.assert_array_equal(np.asarray(found.dataobj), volumes_of(name)["seg"] > 0)
    np.testing.assert_allclose(found.affine, OBLIQUE, rtol=1e-6)
    nib.save(nib.Nifti1Image(np.zeros((*SHAPE, 3), np.float32), OBLIQUE), grid.path)
    with pytest.raises(
        InputError, match=r"BRATS_002\.nii\.gz: the file holds 3 volumes .* names 4 sequences, .*: put it"
    ):
        brats_grid(tmp_path / "raw", rows, result.images, data)


def test_of_every_second_slice_the_others_stay_empty(tmp_path):
    data, name = section(24, 24, step=2), NAMES[0]
    write_oblique(tmp_path / "raw", name)
    result, rows = extracted(tmp_path / "raw", name, data)
    grid = brats_grid(tmp_path / "raw", rows, result.images, data)
    expected = volumes_of(name)["seg"] > 0
    assert grid.positions.tolist() == [4, 6]  # there is no brain at 2
    assert expected[:, :, 5].any()
    expected[:, :, 5] = False
    np.testing.assert_array_equal(grid.volume(result.masks), expected)


def test_every_voxel_comes_back_at_full_resolution(tmp_path):
    """Numbers that name their voxel go through the recipe and back."""
    labels = np.arange(np.prod(SHAPE), dtype=np.float64).reshape(SHAPE)
    slices = pad_and_resample(axial_slices(labels, 3, 8), 27, 27)
    back = to_volume(slices[[0, 2, 5]], np.array([3, 5, 8]), SHAPE, 27)
    for z in range(SHAPE[2]):
        np.testing.assert_array_equal(back[:, :, z], labels[:, :, z] if z in (3, 5, 8) else 0)


def test_pixels_cover_their_blocks():
    slices = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    volume = to_volume(slices, np.array([1]), (4, 2, 2), 4)  # X = 4, Y = 2: one row of padding above and below
    np.testing.assert_array_equal(volume[:, :, 1].T, [[1, 1, 2, 2], [3, 3, 4, 4]])
    assert not volume[:, :, 0].any()


def test_header_without_forms_keeps_its_voxel_size(tmp_path):
    """Neither qform nor sform: the voxel sizes are all that there is."""
    image = nib.Nifti1Image(np.ones(SHAPE, np.int16), None)
    image.header.set_zooms((0.5, 0.75, 3))
    nib.save(image, tmp_path / "raw.nii")
    raw = nib.load(tmp_path / "raw.nii")
    grid = native_space.VolumeGrid(tmp_path / "raw.nii", read_header(tmp_path / "raw.nii"), np.array([4]), 32)
    found = written(tmp_path, np.zeros(SHAPE, np.float32), grid, 2.5, "map")
    np.testing.assert_array_equal(found.affine, raw.affine)
    np.testing.assert_array_equal(found.header.get_zooms(), (0.5, 0.75, 3))
    assert (found.header["qform_code"], found.header["sform_code"]) == (0, 0)
    assert found.get_data_dtype() == np.float32
    assert found.header["cal_max"] == 2.5


def test_scale_of_the_raw_file_is_not_taken_over(tmp_path):
    """A raw file stored as integers with slope and intercept, big-endian, compressed under a plain name."""
    raw = nib.Nifti1Image(np.ones(SHAPE, np.int16), OBLIQUE, nib.Nifti1Header(endianness=">"))
    raw.header.set_slope_inter(0.01, -5)
    (tmp_path / "raw.nii").write_bytes(gzip.compress(raw.to_bytes()))
    grid = native_space.VolumeGrid(tmp_path / "raw.nii", read_header(tmp_path / "raw.nii"), np.array([0]), 32)
    values = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    np.testing.assert_array_equal(written(tmp_path, values, grid, 1, "map").get_fdata(), values)
    content = (tmp_path / "exported.nii.gz").read_bytes()
    assert content[3:8] == bytes(5)  # gzip's flags and time: neither a name nor a date
    write_nifti(tmp_path / "another.nii.gz", values, grid, 1, "map")
    assert (tmp_path / "another.nii.gz").read_bytes() == content


def test_nothing_is_half_written(tmp_path, monkeypatch):
    def stopped(image, path):
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    grid = native_space.VolumeGrid(tmp_path / "raw.nii", nib.Nifti1Header(), np.array([0]), 32)
    monkeypatch.setattr(nib, "save", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_nifti(tmp_path / "export/a_map.nii.gz", np.zeros(SHAPE, np.float32), grid, 1, "map")
    assert not list((tmp_path / "export").iterdir())


def test_changed_missing_and_damaged_raw_volumes(tmp_path):
    data, name = section(32, 16), NAMES[1]
    folder = write_oblique(tmp_path / "raw", name)
    result, rows = extracted(tmp_path / "raw", name, data)
    volumes, first = volumes_of(name), folder / f"{name}_t1.nii.gz"
    good = first.read_bytes()
    for change in (volumes["t1"][:, ::-1], volumes["t1"][:, :, :5], np.zeros(SHAPE, np.int16), np.ones((40, 40, 10))):
        nib.save(nib.Nifti1Image(change, OBLIQUE), first)
        with pytest.raises(InputError, match="is not the volume that was extracted: put that one back"):
            brats_grid(tmp_path / "raw", rows, result.images, data)
    nib.save(nib.Nifti1Image(volumes["t1"], np.diag([2, 2, 2, 1])), first)  # the same voxels, elsewhere
    with pytest.raises(InputError, match="is not the volume that was extracted"):
        brats_grid(tmp_path / "raw", rows, result.images, data)
    first.write_bytes(good[: len(good) // 2])
    with pytest.raises(InputError, match=rf"{name}_t1.nii.gz: the file is truncated, .* put it back"):
        brats_grid(tmp_path / "raw", rows, result.images, data)
    first.unlink()
    with pytest.raises(InputError, match=rf"{name}_t1.nii.gz: the file is missing: .* put it back") as error:
        brats_grid(tmp_path / "raw", rows, result.images, data)
    assert "on_bad_case" not in str(error.value)


def someone_elses(tmp_path, transform=lambda slices: slices, **changes):
    """A store that another reader made of a NIfTI file: another scaling, a pad of its own, two of six slices."""
    name = NAMES[2]
    folder = write_oblique(tmp_path / "raw", name)
    volume = nib.load(folder / f"{name}_flair.nii.gz").get_fdata()
    slices = np.zeros((2, 26, 26))
    slices[:, 3:23, 1:25] = np.sqrt(volume[:, :, [6, 4]] / volume.max()).transpose(2, 1, 0)
    slices = transform(slices.reshape(2, 13, 2, 13, 2).mean(axis=(2, 4)))
    row = {"source": f"{name}/{name}_flair.nii.gz", "affine": json.dumps(OBLIQUE.tolist())} | changes
    rows = pd.DataFrame([row | {"position": 6}, row | {"position": 4}])
    images = np.stack([np.zeros_like(slices), slices], axis=1).astype(np.float16)
    data = {"reader": "mine", "channels": ["nothing", "flair"], "size": 13, "mine": {"pad": 26}}
    return other_grid(tmp_path / "raw", rows, images, data)


def test_someone_elses_volumes_are_recognised(tmp_path):
    grid = someone_elses(tmp_path)
    assert grid.positions.tolist() == [6, 4]
    assert grid.pad == 26
    assert someone_elses(tmp_path, source=NAMES[2]).path.name.endswith("_flair.nii.gz")


@pytest.mark.parametrize(
    ("transform", "changes"),
    [
        (lambda slices: slices[:, ::-1], {}),  # a reader that turns slices upside down
        (lambda slices: slices.transpose(0, 2, 1), {}),
        (lambda slices: np.roll(slices, 3, axis=1), {}),
        (lambda slices: slices[::-1], {}),  # or stacks them from the top
        (lambda slices: np.zeros_like(slices), {}),
        (lambda slices: slices, {"affine": "[]"}),
        (lambda slices: slices, {"affine": json.dumps(np.eye(4).tolist())}),
        (lambda slices: slices, {"affine": "{}"}),
        (lambda slices: slices, {"source": "subject.npz"}),
        (lambda slices: slices, {"source": ""}),
    ],
)
def test_what_cannot_be_placed_is_not(tmp_path, transform, changes):
    assert someone_elses(tmp_path, transform, **changes) is None


def test_radiograph_pixels():
    """Centres of pixels: exact where blocks are whole, the nearest elsewhere."""
    pixels = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(to_radiograph(pixels, (4, 6)), pixels.repeat(2, axis=0).repeat(2, axis=1))
    np.testing.assert_array_equal(to_radiograph(pixels, (3, 5))[:, 0], [0, 3, 3])  # centres .5, 1.5, 2.5 of 3
    np.testing.assert_array_equal(to_radiograph(pixels, (3, 5))[0], [0, 0, 1, 2, 2])


def test_changed_and_missing_radiographs(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (40, 48)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "view.png")
    image = to_unit_range(resample(grey.astype(float), 16)).astype(np.float16)
    assert native_space.radiograph_shape(tmp_path / "view.png", image) == (40, 48)
    with pytest.raises(InputError, match=r"view\.png is not the image that was extracted"):
        native_space.radiograph_shape(tmp_path / "view.png", image[::-1])
    with pytest.raises(InputError, match=r"other\.png is missing, .* put it back"):
        native_space.radiograph_shape(tmp_path / "other.png", image)


@pytest.mark.skipif(not REAL.exists(), reason="the real volumes are not beside the repository")
@pytest.mark.parametrize("name", ["Brats18_CBICA_APZ_1", "Brats18_2013_20_1"])
def test_real_volumes_at_both_resolutions(name, tmp_path):
    case = Case(REAL / name, name)
    segmentation = np.asarray(nib.load(case.file(MASK)).dataobj) > 0
    for size in (256, 64):
        data = section(256, size, ["flair"], (70, 128))
        result, rows = extracted(REAL, name, data)
        grid = brats_grid(REAL, rows, result.images, data)
        found = written(tmp_path, grid.volume(result.masks), grid, 1, "mask", label=True)
        raw = nib.load(case.file("flair"))
        np.testing.assert_array_equal(found.affine, raw.affine)
        ours, inside = np.asarray(found.dataobj) > 0, segmentation[:, :, result.positions]
        assert not ours[:, :, np.setdiff1d(np.arange(155), result.positions)].any()
        ours = ours[:, :, result.positions]
        assert inside.any()
        if size == 256:
            np.testing.assert_array_equal(ours, inside)
            continue
        # 240 + 2 * 8 = 256, so no block of 4 x 4 is cut. It counts whole from a half on: only a block with both kinds
        # of voxel can be wrong, in at most half of its 16, which bounds Dice = 1 - |A xor B| / (|A| + |B|) from below.
        blocks = inside.reshape(60, 4, 60, 4, -1).sum(axis=(1, 3))
        np.testing.assert_array_equal(ours, (blocks >= 8).repeat(4, axis=0).repeat(4, axis=1))
        mixed = np.count_nonzero((blocks > 0) & (blocks < 16))
        dice = 2 * np.count_nonzero(ours & inside) / (np.count_nonzero(ours) + np.count_nonzero(inside))
        assert dice >= 1 - 8 * mixed / (np.count_nonzero(ours) + np.count_nonzero(inside)) > 0.5
