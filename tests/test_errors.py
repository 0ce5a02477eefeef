"""Sentences of one line, whatever they quote."""

from stages.data.extraction import BadCaseError
from stages.errors import InputError


def test_a_sentence_is_one_line():
    assert str(InputError("a.csv: expected 3 fields,\n  saw 4\r\n")) == "a.csv: expected 3 fields, saw 4"
    assert str(InputError("a\x1b[31m\udcff")) == "a\\x1b[31m\\xff"
    assert str(BadCaseError("case", "a\nb.nii", "is\nbad")).startswith("a b.nii: is bad; ")
    assert len(str(InputError("9" * 10**6))) < 2100
