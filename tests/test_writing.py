import pytest

from stages.writing import replacing


def test_replacing_is_all_or_nothing(tmp_path):
    path = tmp_path / "folder" / "table.csv"
    with replacing(path) as partial:
        partial.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in path.parent.iterdir()] == ["table.csv"]
