"""What exported files are called."""

from stages.export.files import case_names, file_names


def test_cases_of_one_name_in_two_folders_keep_their_folders():
    assert case_names(["HGG/a", "LGG/b"]) == ["a", "b"]
    assert file_names(case_names(["HGG/a", "LGG/a"])) == ["HGG_a", "LGG_a"]
    assert case_names(["sub-1/t1.nii.gz", "sub-2/t1.nii"]) == ["sub-1/t1", "sub-2/t1"]
    assert case_names([]) == []


def test_a_number_is_no_other_ones_name():
    for names in (["x", "x", "x_0001"], ["x_0001", "X", "x"], ["x_0000", "x", "x", "x_0001", "x_0001", "x_0002_"]):
        found = file_names(names)
        assert len({name.lower() for name in found}) == len(names), found


def test_cases_of_bids_are_called_by_subject_and_session():
    assert case_names(["sub-01/ses-1/anat"]) == ["sub-01_ses-1"]
    assert case_names(["/a/site1/sub-01/anat", "/a/site2/sub-01/anat"]) == ["site1/sub-01/anat", "site2/sub-01/anat"]
    assert case_names(["p1/week2", "p2/week2", "p2/week2/again"]) == ["p1_week2", "p2_week2", "again"]
