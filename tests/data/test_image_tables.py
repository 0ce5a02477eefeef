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
