"""Which images are found in what is named, and what cannot be one, or is doubted."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import synthetic_brats
import synthetic_chexpert
from PIL import Image
from synthetic_brats import NAMES, volumes_of, write_bids, write_case
from synthetic_decathlon import CASES, TEST, as_nnunet, write_task
from synthetic_nih import LABELS, name_of, write_release

from stages.errors import InputError
from stages.export.inputs import find_images, find_radiographs, find_volumes, read_radiograph, read_slices, reader

BRATS = {
    "channels": list(synthetic_brats.SEQUENCES),
    "size": 16,
    "brats": {"percentiles": [1, 99], "slices": [2, 7], "step": 2, "pad": 32},
}
NIH = {"reader": "nih", "channels": ["xray"], "size": 16, "nih": {"healthy": "No Finding", "diseased": "Effusion"}}
IMAGES = {"reader": "images", "folder": "raw", "channels": ["red", "green", "blue"], "size": 16}
CHEXPERT = {"reader": "chexpert", "channels": ["xray"], "size": 16, "chexpert": {"masks": "_mask.png"}}


def without_mask(raw: Path, name: str, **replaced: np.ndarray) -> Path:
    folder = write_case(raw, name, **replaced)
    (folder / f"{name}_seg.nii.gz").unlink()
    return folder


def read_one(path: Path, positions=None):
    ((name, case),) = find_volumes([path], BRATS).items()
    return read_slices(name, case, BRATS, positions)


# --- volumes ---------------------------------------------------------------------------------------------------------


def test_a_case_a_file_of_it_and_a_folder_of_cases_are_each_case_once(tmp_path, monkeypatch):
    for name in NAMES[:3]:
        without_mask(tmp_path / "raw", name)
    one = tmp_path / "raw" / NAMES[0]
    assert list(find_volumes([one, one / f"{NAMES[0]}_t2.nii.gz"], BRATS)) == [NAMES[0]]
    assert list(find_volumes([tmp_path / "raw"], BRATS)) == list(NAMES[:3])
    monkeypatch.chdir(one)
    assert list(find_volumes([Path()], BRATS)) == [NAMES[0]]
    assert list(find_volumes([Path(f"{NAMES[0]}_t1.nii.gz")], BRATS)) == [NAMES[0]]


def test_the_decathlons_cases_by_file_and_by_folder(tmp_path):
    task = write_task(tmp_path)
    assert list(find_volumes([task], BRATS)) == list(CASES)
    assert list(find_volumes([task / "imagesTs"], BRATS)) == [TEST]
    assert list(find_volumes([task / f"imagesTr/{CASES[2]}.nii.gz"], BRATS)) == [CASES[2]]
    as_nnunet(task)
    assert list(find_volumes([task / f"imagesTr/{CASES[2]}_0001.nii.gz"], BRATS)) == [CASES[2]]
    (task / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"dataset\.json is missing, which says which sequence is which"):
        find_volumes([task / f"imagesTr/{CASES[2]}_0001.nii.gz"], BRATS)


def test_the_readers_own_sentence_says_what_is_wrong_with_a_layout(tmp_path):
    task = write_task(tmp_path)
    write_case(tmp_path, NAMES[0])
    with pytest.raises(InputError, match=r"Task01_BrainTumour is the Medical .* have the same patients under"):
        find_volumes([tmp_path], BRATS)
    shutil.rmtree(tmp_path / NAMES[0])
    described = (task / "dataset.json").read_text()
    for text, sentence in (
        (
            described.replace(', "3": "T2w"', ""),
            r"dataset\.json: its sequences are flair, t1, t1ce, and not t2: change data\.channels;",
        ),
        (described.replace("T2w", "ADC"), r"dataset\.json names the sequences FLAIR, T1w, t1gd, ADC, where"),
        ("{", r"dataset\.json is no readable JSON file"),
    ):
        (task / "dataset.json").write_text(text)
        with pytest.raises(InputError, match=sentence):
            find_volumes([task / f"imagesTr/{CASES[0]}.nii.gz"], BRATS)
    (task / "dataset.json").unlink()
    with pytest.raises(InputError, match=r"dataset\.json is missing, which says which sequence is which"):
        find_volumes([task], BRATS)


def test_a_file_of_another_number_of_volumes_is_named(tmp_path):
    task = write_task(tmp_path)
    file = task / f"imagesTr/{CASES[0]}.nii.gz"
    nib.save(nib.Nifti1Image(nib.load(file).get_fdata()[..., :3], nib.load(file).affine), file)
    with pytest.raises(InputError, match=r"BRATS_001\.nii\.gz: the file holds 3 volumes .* names 4 sequences"):
        read_one(file)
    alone = tmp_path / "here" / "scan.nii.gz"
    alone.parent.mkdir()
    shutil.copy(file, alone)
    with pytest.raises(InputError, match=r"there is scan\.nii\.gz\).* or a 4-D volume in imagesTr or imagesTs, beside"):
        find_volumes([alone], BRATS)


def test_two_cases_of_one_name_have_two_names(tmp_path):
    paths = [without_mask(tmp_path / visit, NAMES[0]) for visit in "ab"]
    names = list(find_volumes(paths, BRATS))
    assert len(names) == len(set(names)) == 2


def test_cases_of_bids_are_called_by_subject_and_session(tmp_path):
    anatomy = [write_bids(tmp_path, session) for session in ("sub-01/ses-1", "sub-01/ses-2", "sub-02/ses-1")]
    names = ["sub-01_ses-1", "sub-01_ses-2", "sub-02_ses-1"]
    assert list(find_volumes([tmp_path], BRATS)) == list(find_volumes(anatomy, BRATS)) == names
    assert list(find_volumes([anatomy[1] / "sub-01_ses-2_FLAIR.nii.gz"], BRATS)) == names[1:2]
    shutil.copytree(tmp_path / "sub-02", tmp_path / "other/sub-02")
    both = [tmp_path / "sub-02", tmp_path / "other/sub-02"]
    assert list(find_volumes(both, BRATS)) == ["sub-02_ses-1_anat", "other_sub-02_ses-1_anat"]


def test_every_slice_of_the_range_that_shows_brain_or_those_asked_for(tmp_path):
    path = without_mask(tmp_path, NAMES[0])
    everything = read_one(path)
    expected, _, positions = synthetic_brats.naive_case(NAMES[0], 2, 7, 32, 16)
    assert everything.grid.positions.tolist() == positions == [3, 4, 5, 6, 7]
    np.testing.assert_allclose(everything.images, expected, atol=1e-3)
    assert everything.doubts == []
    some = read_one(path, [6, 3, 6])
    assert some.slice_ids == [f"{NAMES[0]}_z003", f"{NAMES[0]}_z006"]
    np.testing.assert_array_equal(some.images, everything.images[[0, 3]])
    with pytest.raises(InputError, match=r"has no slice 2 to translate: .* are 3 to 7, so ask for some of these"):
        read_one(path, [2])


def test_what_is_no_case(tmp_path):
    for path, sentence in (
        (tmp_path / "gone", "gone is not there: name a file or a folder$"),
        (tmp_path, r"holds no case \(it is empty\); put the case folders \(<case>/<case>_<sequence>"),
    ):
        with pytest.raises(InputError, match=sentence):
            find_volumes([path], BRATS)
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"photo\.jpg is no NIfTI file, which this benchmark takes: a case is"):
        find_volumes([tmp_path / "photo.jpg"], BRATS)
    (without_mask(tmp_path / "raw", NAMES[0]) / f"{NAMES[0]}_t2.nii.gz").unlink()
    with pytest.raises(InputError, match=r"_t2\.nii\.gz: the file is missing: .*; a case is a folder with"):
        find_volumes([tmp_path / "raw"], BRATS)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda t1: np.where(t1 > 500, np.nan, t1).astype(np.float32),
            "holds NaN or infinite values: save it without$",
        ),
        (lambda t1: np.zeros_like(t1), "the volume has no voxel above zero: put the scan there$"),
        (lambda t1: np.pad(t1, ((0, 0), (0, 20), (0, 0))), "slices of 24 x 40 do not fit data.brats.pad"),
        (lambda t1: t1[:, :, :7], "data.brats.slices reaches 7, but the volume's last slice is 6"),
        (lambda t1: t1[..., None], r"has 4 axes \(shape \(24, 20, 10, 1\)\), where a volume has 3"),
        (lambda t1: np.stack([t1, t1], -1), r"holds 2 volumes \(shape .*\), where 1 is expected"),
        (lambda t1: t1 - 300, "below 0, as in standardised volumes"),
    ],
)
def test_a_volume_that_does_not_fit_is_refused(tmp_path, make, sentence):
    path = without_mask(tmp_path, NAMES[0], t1=make(volumes_of(NAMES[0])["t1"]))
    with pytest.raises(InputError, match=f"_t1.nii.gz: .*{sentence}"):
        read_one(path)


def test_a_volume_unlike_those_that_the_networks_know_is_doubted(tmp_path):
    def doubts(name, **replaced):
        return read_one(without_mask(tmp_path, name, **replaced)).doubts

    (doubt,) = doubts("b", flair=(volumes_of("b")["flair"] + 7).astype(np.int16))
    assert "b_flair.nii.gz is 0 in only 0% of its voxels" in doubt
    small = {key: volume[4:18, 5:18] for key, volume in volumes_of("c").items()}
    assert sum("has slices of 14 x 13 voxels" in doubt for doubt in doubts("c", **small)) == 4


# --- radiographs -----------------------------------------------------------------------------------------------------


def test_images_of_a_tree_are_called_as_in_the_manifest_and_masks_are_none(tmp_path):
    synthetic_chexpert.write_tree(tmp_path, masks=True)
    found = find_radiographs([tmp_path], CHEXPERT)
    assert len(found) == 6 * 2 + 5 + 2
    assert found["patient00004_study2_view1"] == tmp_path / synthetic_chexpert.path_of(4, 2)
    image = read_radiograph("x", found["patient00004_study2_view1"], CHEXPERT, None)
    naive = synthetic_chexpert.naive_slice(synthetic_chexpert.image_of(4, 2).astype(float), 16)
    expected = (naive - naive.min()) / (naive.max() - naive.min())
    np.testing.assert_allclose(image.images[0, 0], expected, atol=1e-3)
    assert image.slice_ids == ["patient00004_study2_view1"]
    alone = shutil.copy(found["patient00004_study2_view1"], tmp_path / "mine.png")
    assert read_radiograph("mine", Path(alone), CHEXPERT, None).slice_ids == ["mine"]


def test_what_is_no_radiograph(tmp_path):
    def refused(pixels: np.ndarray, sentence: str) -> None:
        Image.fromarray(pixels).save(tmp_path / "x.tiff")
        with pytest.raises(InputError, match=rf"x\.tiff {sentence}$"):
            read_radiograph("x", tmp_path / "x.tiff", CHEXPERT, None)

    grey = np.random.default_rng(0).integers(0, 255, (20, 20), np.uint8)
    refused(np.stack([grey, grey, 255 - grey], 2), "is in colour, where a grey image is expected: save it as one")
    refused(grey[:10], r"has 20 x 10 pixels, fewer than data\.size \(16\): lower that")
    refused(np.full((20, 20), 7, np.uint8), r"is constant \(every pixel is 7\), and cannot be scaled: take it out")
    refused(np.full((20, 20), np.nan, np.float32), "holds NaN or infinite values: save it without")
    (tmp_path / "x.tiff").write_bytes(b"")
    with pytest.raises(InputError, match="is truncated, damaged or no image"):
        read_radiograph("x", tmp_path / "x.tiff", CHEXPERT, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty holds no image"):
        find_radiographs([tmp_path / "empty"], CHEXPERT)
    with pytest.raises(InputError, match="--slices are those of a volume"):
        read_radiograph("x", tmp_path / "x.tiff", CHEXPERT, [3])


def test_folders_of_radiographs_are_walked_as_the_readers_walk_theirs(tmp_path):
    raw, elsewhere = tmp_path / "raw", tmp_path / "elsewhere"
    kept = synthetic_chexpert.write_image(raw, "here/a.png", synthetic_chexpert.image_of(1, 1))
    for litter in ("here/._a.png", "__MACOSX/a.png", ".hidden/a.png", "Thumbs.db"):
        synthetic_chexpert.write_image(raw, f"{litter}/x.png", synthetic_chexpert.image_of(1, 1))
    synthetic_chexpert.write_image(elsewhere, "b.png", synthetic_chexpert.image_of(2, 1))
    assert find_radiographs([raw], CHEXPERT) == {"a": kept}
    (raw / "link").symlink_to(raw / "here")
    assert find_radiographs([raw], CHEXPERT) == {"a": raw / "link/a.png"}, "once, by the link's name"
    (raw / "out").symlink_to(elsewhere)
    with pytest.raises(InputError, match="out is a link that leads out of the data set's folder"):
        find_radiographs([raw], CHEXPERT)


def test_images_of_nih_are_called_as_in_the_manifest(tmp_path):
    write_release(tmp_path)
    found = find_radiographs([tmp_path], NIH)
    assert sorted(found) == sorted(name_of(*key).removesuffix(".png") for key in LABELS)
    image = reader(NIH).read("x", found["00000003_001"], NIH, None)
    assert image.slice_ids == ["00000003_001"]


def test_a_strip_is_doubted(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 41), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    (doubt,) = read_radiograph("x", tmp_path / "x.png", CHEXPERT, None).doubts
    assert "has 41 x 20 pixels: the networks know radiographs that are about square" in doubt


# --- images of a folder ----------------------------------------------------------------------------------------------


def colour(path: Path, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).integers(0, 255, (24, 20, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return values


def test_images_of_the_raw_folder_are_called_as_in_the_manifest_and_masks_are_none(tmp_path):
    raw, elsewhere = tmp_path / "raw", tmp_path / "mine"
    for name in ("train/good/000.png", "test/crack/000.png", "ground_truth/crack/000_mask.png"):
        colour(raw / name)
        colour(elsewhere / name)
    colour(elsewhere / "test/crack/._000.png")
    data = IMAGES | {"folder": str(raw), "images": {"masks": {"folder": "ground_truth", "ending": "_mask"}}}
    assert list(find_images([raw], data)) == ["test_crack_000", "train_good_000"]
    assert list(find_images([raw / "test", raw / "test/crack/000.png"], data)) == ["test_crack_000"]
    assert len(find_images([elsewhere], data)) == 2
    (name, path), *_ = find_images([elsewhere / "test"], data).items()
    assert (name, reader(data).read(name, path, data, None).slice_ids) == ("000", ["000"])
    with pytest.raises(InputError, match="the folder ground_truth is called as if it held masks; name it in"):
        find_images([elsewhere], IMAGES | {"folder": str(raw)})


def test_an_image_is_read_as_the_benchmark_reads_it(tmp_path):
    values = colour(tmp_path / "x.png")
    data = IMAGES | {"folder": str(tmp_path / "raw"), "size": 4, "images": {"scale": [0, 127.5]}}
    image = reader(data).read("x", tmp_path / "x.png", data, None)
    blocks = np.clip(values / 127.5, 0, 1).reshape(4, 6, 4, 5, 3).mean((1, 3))
    np.testing.assert_allclose(image.images[0], np.moveaxis(blocks, -1, 0), atol=1e-3)
    assert image.grid.shape == (24, 20)


def test_what_is_no_image_of_the_benchmark(tmp_path):
    read = reader(IMAGES).read
    colour(tmp_path / "x.png")
    grey = IMAGES | {"channels": ["grey"]}
    with pytest.raises(InputError, match=r"x\.png is in colour, where data\.channels names one channel"):
        read("x", tmp_path / "x.png", grey, None)
    with pytest.raises(InputError, match=r"x\.png has 20 x 24 pixels, fewer than data\.size \(64\)"):
        read("x", tmp_path / "x.png", IMAGES | {"size": 64}, None)
    with pytest.raises(InputError, match="--slices are those of a volume"):
        read("x", tmp_path / "x.png", IMAGES, [3])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty holds no image \(\.png, .*\.npy\): name an image or its folder"):
        find_images([tmp_path / "empty"], IMAGES)


def test_another_reader_has_no_single_images():
    with pytest.raises(InputError, match=r"for data\.reader brats, chexpert, nih, images, not for mine"):
        reader({"reader": "mine"})
