"""CSVs that list images: what would be taken for something else is refused."""

import pytest
from test_images import extract, picture

from stages.errors import InputError


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image,label\na.png,good\na.png,bad", "lists 'a.png' more than once"),
        ("image,label\na.png,good,\nb.png,bad,", "more fields than its header"),
        ("image;label\na.png;good", "commas between"),
        ("image,label,split\na.png,good,train\nb.png,Validation,train", "the label 'Validation' is"),
        ("image,label,Patient ID\na.png,good,1\nb.png,bad,1", "rename it"),
        ("image,label,subject\n", r"labels\.csv has no rows below its header"),
        ("image,label\na.png,good\nb.png,good", "no image is diseased"),
        ("image,label,subject\na.png,good,P1\nb.png,bad,p1", r"subject 'P1' and b\.png of 'p1', .*in one way in .*csv"),
        ("image,label,subject\na.png,good,1\nb.png,bad,1.0", r"a\.png is of the subject '1' and b\.png of '1\.0'"),
    ],
)
def test_a_table_that_would_be_misread(tmp_path, text, sentence):
    raw = tmp_path / "raw"
    picture(raw / "a.png")
    picture(raw / "b.png", 1)
    (raw / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        extract(raw, table="labels.csv")


def test_blanks_around_what_a_table_says_mean_nothing(tmp_path):
    raw = tmp_path / "raw"
    for number in range(3):
        picture(raw / f"{number}.png", number)
    (raw / "labels.csv").write_text("image, label, subject\n0.png, good,p1\n1.png,good, p1 \n2.png, bad,p2\n")
    manifest = extract(raw, table="labels.csv").manifest
    assert manifest["label"].tolist() == [0, 0, 1]
    assert manifest["subject_id"].tolist() == ["p1", "p1", "p2"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_table_that_is_not_utf_8_is_to_be_saved_as_that(tmp_path, encoding):
    raw = tmp_path / "raw"
    picture(raw / "a.png")
    (raw / "labels.csv").write_text("image,label\na.png,gesund\nb.png,gestört\n", encoding=encoding)
    with pytest.raises(InputError, match=r"labels\.csv .*not UTF-8: save it again as that, in Excel as CSV UTF-8"):
        extract(raw, table="labels.csv")


def test_subjects_that_a_pattern_finds_in_two_spellings(tmp_path):
    raw = tmp_path / "raw"
    picture(raw / "good/P1_a.png")
    picture(raw / "bad/p1_b.png", 1)
    picture(raw / "good/01_c.png", 1)
    with pytest.raises(
        InputError, match=r"P1_a\.png of 'P1', which look like one: .* in their names \(data.images.subj"
    ):
        extract(raw, subject="([Pp]?[0-9]+)_")
    with pytest.raises(InputError, match=r"good/01_c\.png of '01', which look like one"):
        extract(raw, subject="([0-9]+)_")


def test_an_image_in_two_lists_of_a_json_file(tmp_path):
    raw = tmp_path / "raw"
    picture(raw / "a.png")
    (raw / "data.json").write_text('{"train": {"0": ["a.png"]}, "test": {"1": ["a.png"]}}')
    with pytest.raises(InputError, match=r"data\.json lists 'a\.png' more than once: leave one of them$"):
        extract(raw, table="data.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"dev": {"0": ["a.png"], "1": ["b.png"]}}',
        '{"train": {"0": ["a.png"]}, "dev": {"1": ["b.png"]}}',
        '{"train": ["a.png"], "dev": ["b.png"]}',
        '{"0": {"train": ["a.png"]}, "1": {"test": [], "dev": ["b.png"]}}',
    ],
)
def test_a_split_that_is_none_is_refused_in_a_json_file_as_in_a_csv(tmp_path, text):
    raw = tmp_path / "raw"
    picture(raw / "a.png")
    picture(raw / "b.png", 1)
    (raw / "labels.csv").write_text("image,label,split\na.png,0,train\nb.png,1,dev\n")
    (raw / "data.json").write_text(text)
    for table in ("labels.csv", "data.json"):
        with pytest.raises(InputError, match=rf"{table}: 'dev' is no split; it may be train, .*, testing, or "):
            extract(raw, table=table)


def test_classes_without_a_split_in_a_json_file(tmp_path):
    raw = tmp_path / "raw"
    picture(raw / "a.png")
    picture(raw / "b.png", 1)
    (raw / "data.json").write_text('{"0": ["a.png"], "1": ["b.png"]}')
    assert extract(raw, table="data.json").manifest["label"].tolist() == [0, 1]
