"""Whose case it is: what is joined, what is asked about, and what the answers that the question offers do."""

import re
from pathlib import Path

import pytest

from stages.data.brats_called import case_name
from stages.data.brats_doubts import APART, mixed_releases
from stages.data.brats_patients import patients
from stages.data.brats_tree import Case
from stages.errors import InputError

RELEASES = {
    "2015": [f"brats_tcia_pat{number:03d}_{scan}" for number in range(100, 300) for scan in ("0001", "0180")],
    "2013": [f"brats_2013_pat{number:04d}_1" for number in range(1, 31)],
    "2017": [f"Brats17_TCIA_{number}_1" for number in range(100, 300)],
    "2018": [f"HGG/Brats18_{centre}_1" for centre in ("2013_10", "2013_1", "CBICA_APZ", "TCIA01_201", "TCIA13_615")],
    "2019": [f"LGG/BraTS19_TMC_{number:05d}_1" for number in range(6000, 6200)],
    "2020": [f"BraTS20_Training_{number:03d}" for number in range(1, 370)],
    "2021": [f"BraTS2021_{number:05d}" for number in range(1667)],
    "GLI": [f"BraTS-GLI-{number:05d}-000" for number in range(1667)],
    "2024": [f"BraTS-GLI-{number:05d}-{scan}" for number in range(500) for scan in (100, 101)],
    "MEN-RT": [f"BraTS-MEN-RT-{number:04d}-1" for number in range(1, 501)],
    "four": [f"BraTS-{kind}-{number:05d}-000" for kind in ("GLI", "MEN", "MET", "PED") for number in range(100)],
    "GoAT": [f"BraTS-GoAT-{number:05d}" for number in range(1351)],
    "FeTS21": [f"FeTS21_Training_{number:03d}" for number in range(1, 342)],
    "FeTS22": [f"FeTS2022_{number:05d}" for number in range(1251)],
    "Decathlon": [f"Task01_BrainTumour/imagesTr/BRATS_{number:03d}" for number in range(1, 485)],
    "phantom": [f"Phantom_{number:03d}" for number in range(1, 481)],
    "UPENN": [f"UPENN-GBM-{number:05d}_{scan}" for number in range(1, 600) for scan in (11, 21)],
    "UCSF": [f"UCSF-PDGM-{number:04d}_nifti" for number in range(1, 500)],
    "TCGA": [f"TCGA-{site}-{number:04d}_1996.08.23" for site in ("02", "06", "CS") for number in range(100)],
}
SCANS = {"2015": 2, "2024": 2, "UPENN": 2}
"""Of each patient, where not one."""


def cases_of(paths, tmp_path):
    return [Case(tmp_path / path, path) for path in paths]


@pytest.mark.parametrize("release", RELEASES)
def test_no_release_is_asked_about(release, tmp_path):
    paths = RELEASES[release]
    found = patients(cases_of(paths, tmp_path))
    assert len(set(found)) == len(paths) // SCANS.get(release, 1)
    assert mixed_releases(found) == []


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["patient1/time1", "patient1/time2", "patient2/time1"], "patient1 patient1 patient2"),
        (["Patient-001/week-000-1", "Patient-001/week-000-2"], "Patient-001 Patient-001"),
        (["p1/2019-03-01", "p1/20190401", "p2/pre"], "p1 p1 p2"),
        (["week1/p1", "week2/p1", "week2/p2"], "p1 p1 p2"),
        (["sub-01/anat", "sub-02/ses-1/anat", "sub-02/ses-2/anat"], "sub-01 sub-02 sub-02"),
        (["ses-1_sub-01", "ses-2_sub-01", "sub-02_ses-1"], "sub-01 sub-01 sub-02"),
        (["patient7 week 1", "Patient7 week 12"], "patient7 patient7"),
        (["p1_preop", "p1_post-op", "p2_baseline"], "p1 p1 p2"),
        (["100118/100118_time1", "100118/100118_time2"], "100118 100118"),
        (["p5_20190301", "p5_20190401", "case_20190301"], "p5 p5 case_20190301"),
        (["UCSF-PDGM-0429_FU003d_nifti", "UCSF-PDGM-0429_nifti"], "UCSF-PDGM-0429 UCSF-PDGM-0429"),
        (["Brats17_TCIA_201_1", "Brats18_TCIA01_201_2"], "Brats17_TCIA_201_1 Brats17_TCIA_201_1"),
        (["brats_gli_00005_100", "BraTS-GLI-00005-101_resampled"], "BraTS-GLI-00005 BraTS-GLI-00005"),
        (["my-sub-sample_001", "my-sub-sample_002"], "my-sub-sample_001 my-sub-sample_002"),
        (["a b", "it's", "12_a_7", "13_a_7"], "a b,it's,12_a_7,13_a_7"),
        (["1a2b3c", "1d4e5f"], "1a2b3c 1d4e5f"),
        (["case_scan1", "case_scan2", "case_scan3"], "case_scan1 case_scan2 case_scan3"),
        (["smith_20190101", "jones_20190101"], "smith_20190101 jones_20190101"),
        (["anna/before", "anna/after", "bob"], "anna anna bob"),
        (["before/p1", "after/p1", "p2"], "p1 p1 p2"),
        (["p1_pretreatment", "p1_post-op", "p1_3months"], "p1 p1 p1"),
        (["HGG/001", "HGG/002", "LGG/003"], "001 002 003"),
        (["8", "9", "100"], "8 9 100"),
        (["HGG_1", "HGG_2", "HGG_12", "LGG_3"], "HGG_1 HGG_2 HGG_12 LGG_3"),
        (["001_2019", "002_2019", "003_2020"], "001_2019 002_2019 003_2020"),
        (["001_v300", "002_v300", "003_v300"], "001_v300 002_v300 003_v300"),
    ],
)
def test_what_is_clear(paths, expected, tmp_path):
    assert patients(cases_of(paths, tmp_path)) == expected.split("," if "," in expected else " ")


@pytest.mark.parametrize(
    ("one", "other", "third"),
    [
        ("P005-A", "P005-B", "P006-A"),
        ("pat005a", "pat005b", "pat006a"),
        ("GLI00005100", "GLI00005101", "GLI00007100"),
        ("p00520190301", "p00520200301", "p00620190301"),
        ("00005", "00005-2", "00006"),
        ("00005-100", "00005-101", "00007-100"),
        ("GLI_00005_100", "GLI_00005_101", "GLI_00007_100"),
        ("BraTS-GLI-00005-100", "00005-101", "00006-100"),
        ("BraTS-GLI-00005-100", "GLI00005101", "GLI00006100"),
        ("BraTS-GLI-00005-000", "BraTS2021_00005", "BraTS2021_00007"),
        ("P5_post", "P5_pre", "P6_pre"),
        ("HGG/case1", "LGG/case1", "LGG/case2"),
        ("siteA/sub-01/anat", "siteB/sub-01/anat", "siteB/sub-02/anat"),
        ("p1/1", "p1/2", "p2/3"),
        ("p1/scan1", "p1/scan2", "p2/scan1"),
        ("raw1/P005-A", "raw1/P005-B", "raw1/P006-A"),
        ("smith_20190101", "smith_20200305", "jones_20190101"),
        ("20190101_smith", "20200305_smith", "20190101_jones"),
        ("PatientA_scan1", "PatientA_scan2", "PatientB_scan1"),
        ("Patient-A-exam1", "Patient-A-exam2", "Patient-B-exam1"),
        ("jones_post", "jones_pre", "smith_pre"),
        ("smith_t0", "smith_t1", "jones_t0"),
        ("smith/MR1", "smith/MR2", "jones/MR5"),
        ("100-GLI-00005", "101-GLI-00005", "100-GLI-00007"),
        ("GLI_100_00005", "GLI_100_00007", "GLI_101_00005"),
        ("bl_00005", "fu_00005", "bl_00006"),
        ("00005/100", "00005/101", "00006/102"),
        ("t0_patientA", "t1_patientA", "patientB"),
        ("t0_patient1", "t1_patient1", "t0_patient2"),
        ("smith", "smith_t1", "jones"),
        ("smith_1", "smith_2", "jones_1"),
        ("smith_initial", "smith_recurrence", "jones_initial"),
        ("anna/x", "anna/y", "bob"),
        ("anna/first", "anna/second", "bob"),
        ("site/anna/x", "site/anna/y", "site/bob"),
        ("t0", "t1", "patientB"),
    ],
)
def test_what_may_be_one_patient_is_asked_about(one, other, third, tmp_path):
    cases = cases_of([other, third, one], tmp_path)
    with pytest.raises(InputError, match=f"the cases {one} and {other} may be time points of one patient") as asked:
        patients(cases)
    assert "\n" not in str(asked.value)
    joining, apart = re.search(
        r"data\.brats\.patient .*?, '([^']+)' if they are, (?:.+, )?'([^']+)' if each case", str(asked.value)
    ).groups()
    of_other, of_third, of_one = patients(cases, joining)
    assert of_one == of_other != of_third
    assert apart == APART
    assert len(set(patients(cases, apart))) == 3


@pytest.mark.parametrize(
    "names", ["time1 time2", "1 2 patientB", "before after patientB", "baseline followup patientB", "post pre"]
)
def test_time_points_without_a_patient_belong_in_a_folder_of_theirs(names, tmp_path):
    one, other, *_ = sorted(names.split())
    sentence = rf"{one} and {other} may be time points of one patient, .*(put them into a folder of the|'\^\(\[\^0-9)"
    with pytest.raises(InputError, match=sentence):
        patients(cases_of(names.split(), tmp_path))


def test_the_other_reading_of_a_name_is_offered_as_well(tmp_path):
    cases = cases_of(["S1-00005", "S1-00006", "S2-00005"], tmp_path)
    with pytest.raises(InputError) as asked:
        patients(cases)
    start, number = re.search(
        r"'([^']+)' if they are, '([^']+)' if rather S1-00005 and S2-00005", str(asked.value)
    ).groups()
    assert patients(cases, start) == ["S1", "S1", "S2"]
    assert patients(cases, number) == ["00005", "00006", "00005"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("raw/HGG/BraTS20_Training_001", "BraTS20_Training_001"),
        ("raw/patient1/time1", "patient1_time1"),
        ("raw/sub-01/ses-1/anat", "sub-01_ses-1"),
        ("raw/sub-01/anat", "sub-01"),
        ("raw/week1/p1", "p1"),
    ],
)
def test_case_name(path, name):
    assert case_name(path.split("/")) == name


def test_the_pattern_sees_the_path(tmp_path):
    cases = cases_of(["site3/p012/week4", "site3/p013/week4"], tmp_path)
    assert patients(cases, r"(p\d+)/") == ["p012", "p013"]
    assert patients(cases, r"(site.*)/") == ["site3_p012", "site3_p013"]


@pytest.mark.parametrize("pattern", [r"(q\d+)", r"(q?)"])
def test_patterns_that_do_not_fit(pattern, tmp_path):
    with pytest.raises(InputError, match=r"finds no patient in the path of the case a/p012: change it") as caught:
        patients(cases_of(["a/p012"], tmp_path), pattern)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["BraTS20_Training_001", "BraTS2021_00001", "BraTS-GLI-00002-000"],
            "BraTS20_Training_001, BraTS2021_00001, BraTS-GLI-00002 ",
        ),
        (["Brats18_TCIA01_201_1", "a/braTS20_Validation_007"], "Brats18_TCIA01_201_1, braTS20_Validation_007 "),
        (["brats_tcia_pat100_0001", "Brats17_2013_10_1"], "brats_tcia_pat100, Brats17_2013_10_1 "),
        (["FeTS21_Training_001", "FeTS2022_00003"], "FeTS21_Training_001, FeTS2022_00003 "),
        (["BraTS-GoAT-00001", "BraTS-MEN-00002-000"], "BraTS-GOAT-00001, BraTS-MEN-00002 "),
        (["BraTS-GLI-00002-000", "BraTS-MEN-00003-000", "BraTS21_Training_1"], "BraTS-GLI-00002, BraTS21_Training_1 "),
        (["Brats17_TCIA_201_1", "Brats18_TCIA01_202_1", "BraTS19_TMC_06290_1"], ""),
        (["BraTS20_Training_001", "BraTS20_Validation_001", "p1"], ""),
        (["BraTS2021_00001", "BraTS-MEN-00002-000", "BraTS-PED-00003-000", "BraTS-MEN-RT-0004-1"], ""),
    ],
)
def test_releases_that_number_patients_anew_are_warned_of(names, said, tmp_path):
    assert [line.partition(" are of ")[0] + " " for line in mixed_releases(patients(cases_of(names, tmp_path)))] == (
        [f"warning: {said}"] if said else []
    )


def test_who_says_who_is_who_is_not_warned_of_releases(tmp_path):
    cases = cases_of(["p1/BraTS20_Training_001", "p1/BraTS2021_00001", "p2/BraTS2021_00002"], tmp_path)
    assert mixed_releases(patients(cases, "^(p[0-9]+)/")) == []
    assert len(mixed_releases(patients(cases, APART))) == 1


@pytest.mark.parametrize("names", [["s01v1", "s01v2", "s02v1"], ["c12w3", "c12w7"], ["p1/m0", "p1/m12"]])
def test_letters_and_numbers_may_be_time_points(names):
    with pytest.raises(InputError, match="may be time points of one patient"):
        patients([Case(Path("raw") / name, name) for name in names])


def test_names_alike_in_folders_ask_whether_the_folder_is_the_patient():
    cases = [Case(Path("raw") / name, name) for name in ("anna/first", "anna/second", "bob/first")]
    with pytest.raises(InputError) as asked:
        patients(cases)
    assert r"'([^/]+)/[^/]+$' if the folder around a case is" in str(asked.value)
    assert patients(cases, "([^/]+)/[^/]+$") == ["anna", "anna", "bob"]
