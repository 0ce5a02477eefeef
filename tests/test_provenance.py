"""What a job says of itself: its code, parameters, data, seed, packages and devices, and those of its inputs."""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stages import command, digests, provenance
from stages.data.store import COLUMNS, StoreWriter
from stages.errors import InputError

PARAMETERS = {"seed": 7, "methods": {"vae": {"file": "/home/someone/model.py", "grid": [{"k": [1]}]}}}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project's folder, in which jobs run, with a store's digests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results/b/data").mkdir(parents=True)
    np.save(tmp_path / "results/b/data/images.npy", np.zeros(3))
    digests.write(Path("results/b/data"))
    return tmp_path


def options(**named):
    return argparse.Namespace(**{"parameters": PARAMETERS, "output": Path("results/b/maps"), **named})


def made(at, **further):
    """What a job's note of a folder says."""
    at.mkdir(parents=True, exist_ok=True)
    provenance.note(at, **further)
    return provenance.of(at)


def test_a_job_says_what_made_its_results(project):
    named = options(data=Path("results/b/data"), networks=[("vae", Path("/elsewhere/vae.safetensors"))])
    with provenance.job("stages.detection.vae", named):
        found = made(Path("results/b/maps"), devices=["Some card"])
    assert (found.stage, found.seed, found.devices) == ("stages.detection.vae", 7, ["Some card"])
    assert found.inputs == ["results/b/data", "vae.safetensors"]
    assert found.outputs == ["results/b/maps"]
    assert found.parameters_sha256 == provenance.sha256(PARAMETERS)
    assert found.packages["numpy"] == np.__version__
    assert found.data_sha256 == provenance.sha256(digests.read(project / "results/b/data"))
    assert found.started <= found.ended
    text = (project / "results/b/maps/provenance.json").read_text()
    assert "/home" not in text
    assert str(project) not in text
    assert found.parameters["methods"]["vae"]["file"] == "model.py"


def test_the_hash_of_the_data_is_that_of_what_they_hold(project):
    with provenance.job("stages.x", options(data=Path("results/b/data"))):
        first, again = made(Path("one")), made(Path("two"))
        np.save(project / "results/b/data/images.npy", np.ones(3))
        digests.write(Path("results/b/data"))
        other = made(Path("three"))
    assert first.data_sha256 == again.data_sha256 != other.data_sha256


def test_tables_take_over_what_is_known_of_their_maps(project):
    for name, card in (("m1", "Card A"), ("m2", "Card B")):
        with provenance.job("stages.detection.vae", options(data=Path("results/b/data"))):
            expected = made(Path(name), devices=[card])
    with provenance.job("stages.evaluation.comparison_tables", options(parameters={"seed": 3})):
        table = made(Path("tables"), made_from=[Path("m1"), Path("m2"), Path("foreign")])
    assert table.devices == ["Card A", "Card B"]
    assert table.data_sha256 == expected.data_sha256
    assert table.seed == 3
    with provenance.job("stages.detection.join", argparse.Namespace(shards=[Path("m1")], output=Path("joined"))):
        joined = made(Path("joined"))
    assert (joined.seed, joined.parameters_sha256) == (7, expected.parameters_sha256)


def test_a_store_says_which_phantom_it_is_of_and_scores_of_which_repeat(project):
    (project / "data/b").mkdir(parents=True)
    with provenance.job("stages.phantoms.brain", options(parameters={"seed": 5}, output=Path("data/b"))):
        provenance.note(Path("data/b.sha256"), [Path("data/b")])  # beside the folder, which holds cases alone
    row = dict.fromkeys(COLUMNS, "") | {"label": 0, "lesion_pixels": 0}
    extraction = options(parameters={}, raw=Path("data/b"), output=Path("store"))
    with provenance.job("stages.data.brats", extraction), StoreWriter(Path("store"), channels=1, size=2) as writer:
        writer.append(np.ones((1, 1, 2, 2)), np.zeros((1, 2, 2)), [row])
    store = provenance.of(Path("store"))
    assert (store.stage, store.seed, store.inputs) == ("stages.data.brats", 5, ["data/b"])
    assert store.data_sha256 == provenance.sha256(digests.read(Path("store")))
    with provenance.job("stages.detection.vae", options(data=Path("store"))):
        detection = made(Path("maps"), devices=["Some card"])
    later = {"started": "2999-01-01", "ended": "2999-01-01"}
    provenance.beside(Path("maps")).write_text(json.dumps(dataclasses.asdict(detection) | later))
    with provenance.job("stages.evaluation.scores", options(parameters={}, data=Path("store"), maps=Path("maps"))):
        assert made(Path("scores")).seed == 7


def test_inputs_of_several_stores_have_no_hash_in_common(project):
    for name in ("m1", "m2"):
        np.save(project / "results/b/data/images.npy", np.full(3, len(name) + int(name[1])))
        digests.write(Path("results/b/data"))
        with provenance.job("stages.detection.vae", options(data=Path("results/b/data"))):
            made(Path(name))
    with provenance.job("stages.x", options()):
        assert made(Path("tables"), made_from=[Path("m1"), Path("m2")]).data_sha256 is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"stage": "x"}', '{"code": 3}', "[" * 100_000])
def test_a_broken_note_is_none(project, text):
    (project / provenance.FILE).write_text(text)
    assert provenance.of(project) is None


def deep(levels):
    return {"a": deep(levels - 1)} if levels else 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "7"),
        ("seed", True),
        ("seed", 7.0),
        ("ended", 3),
        ("ended", None),
        ("devices", "Some card"),
        ("devices", None),
        ("devices", [["Some card"]]),
        ("packages", ["numpy"]),
        ("packages", {"numpy": 2}),
        ("parameters", []),
        ("parameters", None),
        ("parameters", deep(200)),
        ("parameters", {"a": "\ud800"}),
        ("outputs", [1]),
        ("code", {"version": "1"}),
        ("code", {"version": 1, "commit": None, "modified": None, "sha256": "0"}),
        ("code", {"version": "1", "commit": None, "modified": "no", "sha256": "0"}),
        ("more", 0),
    ],
)
def test_a_note_with_a_value_of_another_kind_is_none(project, key, value):
    with provenance.job("stages.one", options()):
        provenance.note(project)
    place = project / provenance.FILE
    note = json.loads(place.read_text())
    place.write_text(json.dumps(note | {key: value}))
    with pytest.raises(InputError, match=r"provenance\.json is missing or no provenance; make again"):
        provenance.read(place)
    with provenance.job("stages.two", options()):
        assert provenance.current(made_from=[project]).devices == []
    place.write_text(json.dumps(note | {"parameters": deep(20)}))
    assert provenance.read(place).parameters == deep(20)


def test_a_pipe_is_no_note_and_not_waited_for(project):
    os.mkfifo(project / provenance.FILE)
    assert provenance.of(project) is None


def test_a_file_of_a_shared_folder_has_its_own_or_the_folders(project):
    Path("tables").mkdir()
    with provenance.job("stages.one", options()):
        provenance.note(Path("tables"))
    with provenance.job("stages.two", options()):
        provenance.note(Path("tables/trade_off.csv"))
    assert provenance.of(Path("tables/trade_off.csv")).stage == "stages.two"
    assert provenance.of(Path("tables/paired.csv")).stage == "stages.one"


def test_nothing_is_noted_where_no_job_runs(project):
    provenance.note(project)
    assert provenance.current() is None
    assert not (project / provenance.FILE).exists()


def git(folder, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    run = subprocess.run(["git", "-C", folder, *identity, *arguments], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_code_is_a_commit_and_whether_it_was_changed_since(tmp_path, monkeypatch):
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/a.py").write_text("a = 1\n")
    monkeypatch.setattr(provenance, "ROOT", tmp_path.resolve())
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another.git"))  # as in a hook
    archive = provenance.Code.of_now()
    assert (archive.commit, archive.modified) == (None, None)
    monkeypatch.delenv("GIT_DIR")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "start")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another.git"))
    clean = provenance.Code.of_now()
    monkeypatch.delenv("GIT_DIR")
    assert (clean.commit, clean.modified, clean.sha256) == (git(tmp_path, "rev-parse", "HEAD"), False, archive.sha256)
    (tmp_path / "results").mkdir()
    (tmp_path / "results/metrics.json").write_text("{}")  # what runs write is no code
    assert provenance.Code.of_now() == clean
    (tmp_path / "stages/b.py").write_text("b = 1\n")  # a method of one's own, which git does not know yet
    changed = provenance.Code.of_now()
    assert (changed.commit, changed.modified) == (clean.commit, True)
    assert changed.sha256 != clean.sha256
    monkeypatch.setattr(provenance, "ROOT", (tmp_path / "stages").resolve())  # inside of someone else's repository
    assert provenance.Code.of_now().commit is None


def test_every_program_is_a_job(project, monkeypatch):
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", type=Path)
    monkeypatch.setattr(sys, "argv", ["program", "--output", "made"])
    command.run(lambda given: given.output.mkdir() or provenance.note(given.output), parser)
    assert json.loads((project / "made/provenance.json").read_text())["outputs"] == ["made"]
    assert provenance.current() is None
