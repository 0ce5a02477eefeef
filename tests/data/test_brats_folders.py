"""Raw folders of BraTS cases with links in them, and those that are not quite the data set's."""

import pytest
from synthetic_brats import NAMES, lay_out, write_case

from stages.data import brats
from stages.errors import InputError


def test_links_that_stay_inside(tmp_path, parameters):
    pool, link = tmp_path / "set/pool", tmp_path / "link"
    for name in NAMES[:2]:
        write_case(pool, name)
    (tmp_path / "set/cases").mkdir()
    (tmp_path / "set/cases" / NAMES[0]).symlink_to(pool / NAMES[0])
    link.symlink_to(tmp_path / "set")
    subjects, _ = brats.extract(parameters, link, tmp_path / "out")
    assert subjects["subject_id"].tolist() == list(NAMES[:2])


@pytest.mark.parametrize("what", ["HGG", f"HGG/{NAMES[0]}", f"HGG/{NAMES[0]}/{NAMES[0]}_t2.nii.gz"])
def test_links_that_lead_out(tmp_path, parameters, what):
    raw, elsewhere = tmp_path / "raw", tmp_path / "elsewhere"
    write_case(raw, NAMES[1])
    write_case(raw / "HGG", NAMES[0])
    (raw / what).rename(elsewhere)
    (raw / what).symlink_to(elsewhere)
    with pytest.raises(InputError, match=rf"{what}: is a link that leads out of the data set's folder: copy it"):
        brats.extract(parameters, raw, tmp_path / "out")
    parameters["data"]["on_bad_case"] = "skip"
    subjects, bad = brats.extract(parameters, raw, tmp_path / "out")
    assert (len(subjects), len(bad)) == (1, 1)


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize(
    ("folder", "part"),
    [
        ("BraTS20_Training_001", "one patient's"),
        ("p1", "one case"),
        ("t1", "one sequence of many cases"),
    ],
)
def test_a_folder_too_low(tmp_path, parameters, folder, part, link):
    if folder == "t1":
        lay_out(tmp_path / "raw", "sequence folders", NAMES[:2])
    else:
        write_case(tmp_path / "raw", folder)
    raw = tmp_path / "raw" / folder
    if link:
        raw = tmp_path / "link"
        raw.symlink_to(tmp_path / "raw" / folder)
    with pytest.raises(InputError, match=rf"{raw} is {part}: set data\.folder to the folder above, {tmp_path}/raw, or"):
        brats.extract(parameters, raw, tmp_path / "out")


def test_a_release_with_its_validation_cases(tmp_path, parameters):
    write_case(tmp_path / "raw", "BraTS20_Training_001")
    (write_case(tmp_path / "raw", "BraTS20_Validation_001") / "BraTS20_Validation_001_seg.nii.gz").unlink()
    with pytest.raises(InputError, match=r"validation cases have none \(set data.folder to the training cases\)"):
        brats.extract(parameters, tmp_path / "raw", tmp_path / "out")
