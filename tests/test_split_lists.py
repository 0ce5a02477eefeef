"""Split lists: what is written is read, every fault is one sentence, and which splits data.split gives anything."""

from pathlib import Path

import pytest

from stages import split_lists
from stages.errors import InputError
from stages.split_lists import SplitList


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with the published list `other` of three subjects, where the test runs."""
    monkeypatch.chdir(tmp_path)
    split_lists.write(
        split_lists.published("other"), SplitList("subject_id", {"c": "train", "a": "test", "b": "unused"})
    )
    return tmp_path


def test_what_is_written_is_read(folder):
    path = folder / "workflow/splits/other.csv"
    assert path.read_text() == "subject_id,split\na,test\nb,unused\nc,train\n"
    assert split_lists.read(path) == SplitList("subject_id", {"a": "test", "b": "unused", "c": "train"})
    split_lists.write(folder / "new/slices.csv", SplitList("slice_id", {"a, z": "train"}))
    assert split_lists.read(folder / "new/slices.csv") == SplitList("slice_id", {"a, z": "train"})


@pytest.mark.parametrize(
    "text",
    ["split,subject_id\ntrain,a\n", "\ufeffsubject_id,split\r\na,train\r\n", "subject_id,split\n\na,train\n\n"],
)
def test_lists_that_other_programs_write(tmp_path, text):
    (tmp_path / "list.csv").write_bytes(text.encode())
    assert split_lists.read(tmp_path / "list.csv").split_of == {"a": "train"}


HEAD = "subject_id,split\n"
FAULTS = {
    "missing": (None, "is missing: put the split list there"),
    "bytes": (b"subject_id,split\na,\xff\xfe", "is not a readable CSV file"),
    "quote": (HEAD.encode() + b'"a,train\n', "is not a readable CSV file"),
    "empty": (b"", "must have the columns subject_id,split or slice_id,split, not none"),
    "no unit": (b"name,split\na,train\n", "must have the columns .*, not name,split"),
    "no split": (b"subject_id\na\n", "must have the columns"),
    "two units": (b"subject_id,slice_id,split\na,b,train\n", "must have the columns"),
    "short row": (HEAD.encode() + b"a\n", r"has a row without two values \(a\)"),
    "long row": (HEAD.encode() + b"a,train,3\n", "has a row without two values"),
    "no name": (HEAD.encode() + b",train\n", "has a row without two values"),
    "word": (HEAD.encode() + b"a,valid\n", "has the split 'valid' for a: it must be train, validation, test or unused"),
    "twice": (HEAD.encode() + b"a,train\na,train\n", "names a twice, in train: leave one"),
    "two splits": (HEAD.encode() + b"a,train\na,test\n", "names a twice, in train and in test: leave one"),
    "no rows": (HEAD.encode(), "names no subject and no slice"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_are_one_sentence(tmp_path, kind):
    content, message = FAULTS[kind]
    path = tmp_path / "list.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        split_lists.read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


MANIFEST = {"slice_id": ["a1", "a2", "b1"], "subject_id": ["a", "a", "b"]}


def test_the_split_of_each_slice():
    by_subject = SplitList("subject_id", {"b": "train", "a": "unused"})
    assert by_subject.splits_of(MANIFEST, Path("x")) == ["unused", "unused", "train"]
    by_slice = SplitList("slice_id", {"a1": "unused", "a2": "test", "b1": "train"})
    assert by_slice.splits_of(MANIFEST, Path("x")) == ["unused", "test", "train"]


@pytest.mark.parametrize(
    ("split_list", "message"),
    [
        (SplitList("subject_id", {"a": "train"}), "x.csv lacks the subject b: add it, as unused if"),
        (
            SplitList("subject_id", {"a": "train", "b": "test", "c": "unused"}),
            "x.csv names the subject c, which the data",
        ),
        (SplitList("slice_id", {"a1": "train", "b1": "test"}), "x.csv lacks the slice a2"),
        (
            SplitList("slice_id", {"a1": "train", "a2": "validation", "b1": "test"}),
            "x.csv puts slices of a into train and validation: choose one",
        ),
    ],
)
def test_lists_of_another_data_set(split_list, message):
    with pytest.raises(InputError, match=message):
        split_list.splits_of(MANIFEST, Path("x.csv"))


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"train": 3, "validation": 0, "test": 2}, {"train", "test"}),
        (
            {
                "train": {"healthy": 3, "diseased": 0},
                "validation": {"healthy": 0, "diseased": 0},
                "test": {"healthy": 0, "diseased": 1},
            },
            {"train", "test"},
        ),
        ("other", {"train", "test"}),
        ("raw", {"train", "test"}),
    ],
)
def test_which_splits_there_are(folder, split, expected):
    data = {"reader": "chexpert", "split": split}
    assert {name for name in split_lists.SPLITS if split_lists.has(data, name)} == expected


def test_a_list_and_a_raw_split_that_are_not_there(folder):
    with pytest.raises(InputError, match=r"workflow/splits/mine\.csv is missing"):
        split_lists.has({"reader": "brats", "split": "mine"}, "test")
    with pytest.raises(InputError, match=r"not raw: stages/data/brats\.py has no RAW_SPLITS"):
        split_lists.has({"reader": "brats", "split": "raw"}, "test")
