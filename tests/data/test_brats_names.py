import pytest

from stages.data.brats_names import NO_CENTRE, patient, stratum
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
        ("Brats18_TCIA01_201_1", "Brats18_TCIA01_201_1"),
        ("BraTS20_Training_001", "BraTS20_Training_001"),
        ("BraTS2021_00000", "BraTS2021_00000"),
        ("Phantom_001", "Phantom_001"),
    ],
)
def test_patient(name, expected):
    assert patient(name) == expected


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
