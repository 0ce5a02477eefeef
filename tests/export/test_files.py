"""What exported files are called."""

from stages.export.files import case_names, file_names


def test_cases_of_one_name_in_two_folders_keep_their_folders():
    assert case_names(["HGG/a", "LGG/b"]) == ["a", "b"]
    assert file_names(case_names(["HGG/a", "LGG/a"])) == ["HGG_a", "LGG_a"]
    assert case_names(["sub-1/t1.nii.gz", "sub-2/t1.nii"]) == ["sub-1/t1", "sub-2/t1"]
