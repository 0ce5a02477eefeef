"""Whoever opens what rules or others have written waits for no pipe, and holds no JSON that goes on too deep."""

import json
import os
import signal
from argparse import Namespace

import numpy as np
import pytest

from stages import digests
from stages.detection.resumable import ResumableArrays
from stages.errors import InputError
from stages.evaluation import pooled, records
from stages.networks import import_checkpoint
from stages.regular_files import first_line

DEEP = "[" * 100_000


@pytest.fixture(autouse=True)
def impatient():
    """Whoever waits for a pipe fails."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it waits"))
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def pipe(tmp_path):
    """A function that makes a pipe of a name."""

    def make(name):
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    return make


READERS = {
    "digests.json": lambda path: digests.read(path.parent),
    "slices.csv": lambda path: records.read_csv(path, ["slice_id"], []),
    "vae.csv": lambda path: records.read_record(path.parent / "record/fold1-seed0/vae" / path.name),
    "test_pixels.npz": pooled.read,
}


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_is_refused_by_name(tmp_path, pipe, name):
    (tmp_path / "record/fold1-seed0/vae").mkdir(parents=True)
    path = pipe(name)
    (tmp_path / "record/fold1-seed0/vae" / name).symlink_to(path)
    with pytest.raises(InputError, match=name.replace(".", r"\.")):
        READERS[name](path)


def test_where_the_first_line_is_asked_for_a_pipe_has_none(tmp_path, pipe):
    assert records.record_identity(pipe("a.csv")) is None
    assert records.scores_identity(pipe(records.IDENTITY_FILE).parent) is None
    with pytest.raises(OSError, match="not a regular file"):
        first_line(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_bytes(b"# identity: 0123\r\nmore\n")
    assert first_line(tmp_path / "b.csv") == "# identity: 0123"
    assert first_line(tmp_path / "b.csv", most=3) == "# i"


@pytest.mark.parametrize("note", [None, DEEP, '{"seconds": 1' + "0" * 400 + "}"], ids=["pipe", "deep", "huge"])
def test_a_detection_starts_afresh_where_its_note_is_none(tmp_path, note, capsys):
    arrays = {"maps": ((2, 4), np.float16)}
    resumable = ResumableArrays(tmp_path / "state", arrays, {})
    resumable.write(maps=np.ones((1, 4)))
    path = tmp_path / "state/progress.json"
    written = json.loads(path.read_text())
    path.unlink()
    if note is None:
        os.mkfifo(path)
    else:
        path.write_text(note if note == DEEP else json.dumps(written | json.loads(note)))
    assert ResumableArrays(tmp_path / "state", arrays, {}).done == 0
    assert "starting from the first slice, since" in capsys.readouterr().out


@pytest.mark.parametrize("config", [None, DEEP], ids=["pipe", "deep"])
def test_a_configuration_beside_a_foreign_checkpoint_that_is_none(tmp_path, pipe, config):
    if config is None:
        pipe("config.json")
    else:
        (tmp_path / "config.json").write_text(config)
    options = Namespace(head_channels=None, healthy_class=None, norm_eps=None, variance=None)
    assert import_checkpoint.told_by(options, tmp_path / "model.pt", None).config is None


@pytest.mark.parametrize("shared", [DEEP, json.dumps(dict.fromkeys(records.OF_SPLIT, 10**400))], ids=["deep", "huge"])
def test_what_rows_of_a_record_share_is_refused_where_no_number_holds_it(tmp_path, shared):
    path = tmp_path / "record/fold1-seed0/vae/default.csv"
    path.parent.mkdir(parents=True)
    numbers = [name for name in records.NUMBERS if name not in records.OF_SPLIT]
    head = ",".join(["split", *records.TEXT, *numbers])
    row = ",".join(["test", "a", "a", "a", *"0" * len(numbers)])
    path.write_text(f"{records.IDENTITY}0\n# test: {shared}\n{head}\n{row}\n")
    with pytest.raises(InputError, match="does not say average_otsu, "):
        records.read_record(path)
