import pytest

from stages.data.brats_names import NO_CENTRE, patient, refuse_doubtful, released, stratum
from stages.errors import InputError


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
        ("Phantom_001", "Phantom_001"),
    ],
)
def test_patient(name, expected):
    assert patient(name) == expected


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
    ("name", "other"),
    [
        ("00005-100", "00005-101"),
        ("GLI_00005_100", "GLI_00005_101"),
        ("UPENN-GBM-00001_11", "upenn-gbm-00001_21"),
        ("sub-01_ses-1", "sub-01_ses-2"),
        ("patient7 week 1", "patient7 week 12"),
        ("p1_preop", "p1_post-op"),
        ("p1_baseline", "p1_followup2"),
    ],
)
def test_names_that_may_hold_time_points_are_asked_about(name, other):
    with pytest.raises(
        InputError, match=f"{name}.* may be time points of one patient, .* say in data.brats.patient"
    ) as asked:
        refuse_doubtful([name, other, "p9_1"])
    assert "\n" not in str(asked.value)
    for pattern, same in (("^(.*?[0-9]+)", True), ("^(.+)$", False)):  # what the sentence offers
        assert pattern in str(asked.value)
        assert (patient(name.lower(), pattern) == patient(other.lower(), pattern)) is same


@pytest.mark.parametrize(
    "names",
    [
        ["Phantom_001", "Phantom_002"],
        ["BraTS20_Training_001", "BraTS20_Training_002"],
        ["BraTS2021_00000", "BraTS2021_00001"],
        ["Brats18_TCIA01_201_1", "Brats18_TCIA01_202_1"],
        ["BraTS-GLI-00005-100", "BraTS-GLI-00005-101"],
        ["case1_a", "case1_b", "a b", "it's"],
        ["12_a_7", "13_a_7"],
    ],
)
def test_names_that_are_clear(names):
    refuse_doubtful(names)


def test_patient_of_other_names():
    assert patient("site3_p012_week4", r"_(p\d+)_") == "p012"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (r"(q\d+)", "finds no patient in the name of the case site3_p012_week4: change it"),
        (r"(q?)", "finds no patient"),
    ],
)
def test_patterns_that_do_not_fit(pattern, message):
    with pytest.raises(InputError, match=message) as caught:
        patient("site3_p012_week4", pattern)
    assert "\n" not in str(caught.value)
