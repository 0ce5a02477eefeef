"""Cases of BraTS in every layout that people have them in, and what lies beside them."""

import shutil

import nibabel as nib
import numpy as np
import pytest
from synthetic_brats import LAYOUTS, NAMES, SEQUENCES, SHAPE, lay_out, naive_case, strew_litter, write_case

from stages.data.brats_case import Recipe, read_case
from stages.data.brats_tree import Case, case_of, find_cases, layout_of
from stages.data.extraction import BadCaseError
from stages.errors import InputError

FOUND = ("BraTS-GLI-00000-000", "BraTS20_Training_001", "Brats18_2013_0_1")
RECIPE = Recipe(SEQUENCES, (1, 99), 2, 7, 32, 16)


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(tmp_path, layout):
    lay_out(tmp_path / "raw", layout, FOUND)
    strew_litter(tmp_path / "raw")
    cases = find_cases(tmp_path / "raw")
    assert [case.name for case in cases] == list(FOUND)
    found = read_case(cases[0], RECIPE)
    images, masks, positions = naive_case(FOUND[0], 2, 7, 32, 16)
    assert found.positions == positions
    np.testing.assert_allclose(found.images, images, rtol=0, atol=3e-4)
    np.testing.assert_array_equal(found.masks, masks)
    for case in cases:
        again = Case(tmp_path / "raw" / case.source, case.source)  # as the export finds it by the manifest's source
        files = [again.file(sequence) for sequence in (*SEQUENCES, "seg")]
        assert len(set(files)) == 5
        assert all(path.is_file() and case_of(path) == Case(case.folder, case.folder.name) for path in files)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["t1/a.nii", "t1/b.nii", "seg/a.nii"], "a folder for each sequence"),
        (["a_t1.nii", "a_seg.nii", "b_t1.nii"], "all cases in one folder"),
        (["a_t1.nii", "a_seg.nii"], "a folder for each case"),
        (["a-t1n.nii.gz", "a-seg.nii.gz", "QC/pred_seg.nii"], "a folder for each case"),
        (["raw-t1n.nii.gz", "QC/pred_seg.nii"], "a folder for each case"),
        (["raw_t1.nii", "raw_t2.nii", "atlas_t1.nii"], "a folder for each case"),
        (["t1/a.nii", "t2/a.nii"], "a folder for each case"),
        (["a/a_t1.nii", "b/b_t1.nii"], None),
        (["a/a_t1.nii", "atlas.nii"], None),
        (["a/a_t1.nii", "MNI152_t1.nii"], None),
        (["notes.txt", "t1.json"], None),
    ],
)
def test_layout_of(tmp_path, files, name):
    touch(tmp_path / "raw", *files)
    layout = layout_of(tmp_path / "raw")
    assert (layout and layout.name) == name


def test_layouts_may_differ_from_case_to_case(tmp_path):
    for layout, name in zip(list(LAYOUTS)[:6], NAMES, strict=False):
        lay_out(tmp_path / "raw/HGG", layout, [name])
    assert [case.source for case in find_cases(tmp_path / "raw")] == sorted(f"HGG/{name}" for name in NAMES[:6])


def test_a_case_of_its_own_beside_other_volumes(tmp_path):
    folder = write_case(tmp_path, "BraTS2021_00000")
    touch(folder, "prediction_seg.nii.gz", "BraTS2021_00000_t1.json", "atlas.nii.gz")
    assert Case(folder, "x").file("seg").name == "BraTS2021_00000_seg.nii.gz"
    assert Case(folder, "x").file("t1").name == "BraTS2021_00000_t1.nii.gz"


def test_a_sequence_that_brats_lacks(tmp_path):
    touch(tmp_path / "x", "x_adc.nii.gz", "x_t1.nii.gz", "notadc.nii.gz")
    assert Case(tmp_path / "x", "x").file("adc").name == "x_adc.nii.gz"
    with pytest.raises(BadCaseError, match=r"nothing of this case ends in dwi\.nii\[\.gz\]"):
        Case(tmp_path / "x", "x").file("dwi")


def test_the_odd_mask_of_brats_2020(tmp_path):
    name = "BraTS20_Training_355"
    folder = write_case(tmp_path, name, ".nii")
    (folder / f"{name}_seg.nii").rename(folder / "W39_1998.09.19_Segm.nii")
    assert Case(folder, name).file("seg").name == "W39_1998.09.19_Segm.nii"
    assert read_case(Case(folder, name), RECIPE).masks.any()


def test_cases_are_found_at_any_depth_and_through_links(tmp_path, raw):
    (raw / ".trash").mkdir()
    shutil.copytree(raw / "LGG" / NAMES[0], raw / ".trash" / "Brats18_2013_99_1")
    (raw / "loop").symlink_to(raw)
    link = tmp_path / "data"
    link.symlink_to(raw)
    cases = find_cases(link)
    assert [case.name for case in cases] == sorted(NAMES)
    assert cases[0].source == f"LGG/{NAMES[0]}"


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (["x_t1.nii.gz"], r"x_t2\.nii\.gz: the file is missing: nothing of this case ends in t2\.nii\[\.gz\] or t2w"),
        (["t1.nii.gz"], r"x/t2\.nii\.gz: the file is missing: .* \(there is t1\.nii\.gz\); repair"),
        (
            ["x-seg.nii", "x-t1n.nii"],
            r"x/x-t2w\.nii: the file is missing: .* is x-seg\.nii, x-t1n\.nii\); repair",
        ),
        (["T1/a.nii"], r"x/T2: the file is missing: .* \(there is T1\); repair"),
        (["a.nii"], r"\(there is a\.nii\); expected: a folder for each case \(<case>/<case>_t1\.nii\.gz, "),
        ([f"{i}.nii" for i in range(9)], r"4\.nii, 5\.nii and 3 more\); expected: all cases in one folder \(<case>_t1"),
        ([], r"the file is missing: .*; expected: a folder for each case"),
        (["x_t2.nii", "x_t2.nii.gz"], r"x: two files for the sequence t2 \(x_t2\.nii and x_t2\.nii\.gz\)"),
        (["x-t2w.nii", "x_t2.nii"], "two files for the sequence t2"),
        (["x_t2.nii/a.nii", "x_t2.nii/b.nii"], r"x_t2\.nii: the folder stands for one volume but holds a\.nii, b\.nii"),
        (["x_t2.nii/readme.txt"], "the folder stands for one volume but holds nothing: put it there"),
    ],
)
def test_a_case_without_a_sequence(tmp_path, files, sentence):
    (tmp_path / "x").mkdir()
    touch(tmp_path / "x", *files)
    with pytest.raises(BadCaseError, match=sentence):
        Case(tmp_path / "x", "x").file("t2")


def test_a_case_of_shared_folders_without_a_sequence(tmp_path):
    lay_out(tmp_path, "side by side", NAMES[:2])
    (tmp_path / f"all/{NAMES[0]}_t2.nii.gz").unlink()
    case, other = find_cases(tmp_path)
    assert other.file("t2").is_file()
    with pytest.raises(BadCaseError, match=rf"all/{NAMES[0]}_t2\.nii\.gz: the file is missing: nothing of this case"):
        case.file("t2")


def test_sequence_folders_without_a_sequence(tmp_path):
    touch(tmp_path, "T1/a/x.nii", "T1/b/x.nii")
    case, _ = find_cases(tmp_path)
    with pytest.raises(BadCaseError, match=r"/T2/a: the file is missing: nothing .* \(there is T1/a\)"):
        case.file("t2")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            ["T1/a/x.nii", "T1/a/y.nii", "T1/b/x.nii", "T2/a/x.nii", "T2/b/x.nii"],
            r"T1/a: the folder stands for one volume but holds x\.nii, y\.nii: leave one there, or let the name of one "
            r"end in t1\.nii\.gz; expected: a folder for each sequence \(t1/<case>\.nii\.gz, seg/<case>\.nii\.gz\)",
        ),
        (
            ["T1/a.nii", "T1/b.nii", "T1/c/2019/x.nii", "T1/c/2020/x.nii"],
            r"T1/c: .* holds 2019/x\.nii, 2020/x\.nii: leave",
        ),
    ],
)
def test_several_files_in_a_sequences_folder_of_a_case(tmp_path, files, sentence):
    touch(tmp_path, *files)
    case = next(case for case in find_cases(tmp_path) if sentence.startswith(f"T1/{case.name}:"))
    with pytest.raises(BadCaseError, match=sentence):
        case.file("t1")


def test_sequence_folders_that_hold_files_and_folders(tmp_path):
    touch(tmp_path, "T1/a.nii.gz", "T1/b/x.nii", "T1/c/2019/x.nii", "T1/d/d_t1.nii", "T1/d/brain.nii", "T1/notes/x.txt")
    touch(tmp_path, "d2/d2_t1.nii", "d2/d2_seg.nii", "d2/d2_t2.nii", "results/a_seg.nii")
    found = find_cases(tmp_path)
    assert [case.name for case in found] == ["a", "b", "c", "d", "d2"]
    files = [case.file("t1").relative_to(tmp_path).as_posix() for case in found]
    assert files == ["T1/a.nii.gz", "T1/b/x.nii", "T1/c/2019/x.nii", "T1/d/d_t1.nii", "d2/d2_t1.nii"]
    assert [case_of(tmp_path / file).folder for file in files] == [case.folder for case in found]


def test_cases_beside_those_that_share_a_folder(tmp_path):
    touch(
        tmp_path,
        "a_t1.nii",
        "a_seg.nii",
        "b_t1.nii",
        "c/c_t1.nii",
        "c/c_t2.nii",
        "results/a_seg.nii",
        "results/b_seg.nii",
    )
    assert [case.source for case in find_cases(tmp_path)] == ["a", "b", "c"]


def test_time_points_may_be_called_like_sequences(tmp_path):
    touch(tmp_path, *(f"p/T{n}/{name}.nii" for n in (1, 2) for name in ("t1", "t1ce", "p_t2", "flair")))
    assert [case.source for case in find_cases(tmp_path)] == ["p/T1", "p/T2"]


def test_a_folder_without_a_case_says_what_it_holds(tmp_path):
    touch(tmp_path, "a.h5", "b.h5", "volumes.zip", ".DS_Store")
    with pytest.raises(InputError, match=r"holds no case \(2 \.h5, 1 \.zip\); put the case folders .*or a folder for"):
        find_cases(tmp_path)


def test_names_beside_no_volume_are_none(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros(SHAPE), np.eye(4)), tmp_path / "atlas.nii")
    write_case(tmp_path, NAMES[0])
    assert [case.name for case in find_cases(tmp_path)] == [NAMES[0]]


def test_a_masks_origin_need_not_be_the_images(tmp_path):
    folder = write_case(tmp_path, NAMES[0], ".nii")
    path = folder / f"{NAMES[0]}_seg.nii"
    expected = read_case(Case(folder, NAMES[0]), RECIPE)
    mask = nib.load(path)
    affine = mask.affine.copy()
    affine[:3, 3] += 5
    nib.save(nib.Nifti1Image(np.array(mask.dataobj), affine), path)  # a copy: the file is mapped
    read = read_case(Case(folder, NAMES[0]), RECIPE)
    np.testing.assert_array_equal(read.masks, expected.masks)
    np.testing.assert_array_equal(read.affine, expected.affine)
