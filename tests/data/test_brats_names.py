from pathlib import Path

import pytest

from stages.data.brats_names import NO_CENTRE, named, released, released_patient, stratum


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Brats17_2013_10_1", "2013"),
        ("Brats18_2013_11_1", "2013"),
        ("Brats18_CBICA_APZ_1", "CBICA"),
        ("Brats18_TCIA01_201_1", "TCIA"),
        ("Brats17_TCIA_138_1", "TCIA"),
        ("BraTS19_TMC_06290_1", "TMC"),
        ("BraTS20_Training_001", NO_CENTRE),
        ("BraTS2021_00000", NO_CENTRE),
        ("BraTS-GLI-00000-000", NO_CENTRE),
        ("Phantom_001", NO_CENTRE),
    ],
)
def test_stratum(name, expected):
    assert stratum(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BraTS-GLI-00000-000", "BraTS-GLI-00000"),
        ("BraTS-GLI-00000-001", "BraTS-GLI-00000"),
        ("BraTS-MET-00012-101", "BraTS-MET-00012"),
        ("BraTS-GLI-00000", "BraTS-GLI-00000"),
        ("BraTS-PED-00003-00091", "BraTS-PED-00003"),
        ("BraTS-MEN-RT-0001-1", "BraTS-MEN-RT-0001"),
        ("brats_gli_00005_101", "BraTS-GLI-00005"),
        ("my BraTS-GLI-00005-101 (1)", "BraTS-GLI-00005"),
        ("Brats18_TCIA01_201_1", "Brats18_TCIA01_201_1"),
        ("Brats18_TCIA01_201_2", "Brats18_TCIA01_201_1"),
        ("Brats17_2013_10_1_n4", "Brats17_2013_10_1"),
        ("BraTS20_Training_001_flirt", "BraTS20_Training_001"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00000", "BraTS2021_00000"),
        ("Phantom_001", ""),
        ("FeTS21_Training_001", "FeTS21_Training_001"),
        ("FeTS2022_00011", "FeTS2022_00011"),
        ("brats_tcia_pat103_0180", "brats_tcia_pat103"),
        ("brats_2013_pat0001_1", "brats_2013_pat0001"),
    ],
)
def test_patient(name, expected):
    assert released_patient(name) == expected


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Brats17_TCIA_1_1", "Brats18_TCIA_1_1"),
        ("BraTS-GLI-00005-101", "copy of brats_gli_00005_101"),
        ("BraTS2021_00005", "BraTS2021_00005 (1)"),
    ],
)
def test_one_scan_of_two_names(name, other):
    assert released(name) == released(other) != ""


@pytest.mark.parametrize(
    ("name", "case", "sequence"),
    [
        ("sub-01_ses-1_T1w.nii.gz", "sub-01_ses-1", "t1"),
        ("sub-01_acq-mprage_ce-gadolinium_T1w.nii.gz", "sub-01", "t1ce"),
        ("sub-01_space-MNI_T2w.nii", "sub-01", "t2"),
        ("sub-01_FLAIR.nii.gz", "sub-01", "flair"),
        ("sub-01_ses-1_space-T1w_label-lesion_mask.nii.gz", "sub-01_ses-1", "seg"),
        ("sub-01_desc-tumor_dseg.nii.gz", "sub-01", "seg"),
        ("sub-01_seg.nii.gz", "sub-01", "seg"),
        ("sub-01_desc-brain_mask.nii.gz", "", ""),
        ("sub-01_dseg.nii.gz", "", ""),  # of tissues
    ],
)
def test_files_of_bids(name, case, sequence):
    assert named(Path(name))[:2] == (case, sequence)
