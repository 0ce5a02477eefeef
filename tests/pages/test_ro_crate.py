"""The RO-Crate of results: every file with its digest, every noted job as an action, valid by its profile."""

import argparse
import hashlib
import json
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from stages import digests, provenance
from stages.errors import InputError
from stages.pages import ro_crate

RESULTS = Path("results/b")
CONTEXT = "https://w3id.org/ro/crate/1.1/context"


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Results of jobs, one of them of a table whose name a URL cannot hold as it is; returns the metadata."""
    monkeypatch.chdir(tmp_path)
    maps = RESULTS / "maps/fold1-seed0/vae/k1"
    for folder in (RESULTS / "data", maps / "test", RESULTS / "tables", RESULTS / "logs", RESULTS / "state/x"):
        folder.mkdir(parents=True)
    np.save(RESULTS / "data/images.npy", np.zeros(4))
    np.save(maps / "test/maps.npy", np.ones(4))
    (RESULTS / "tables/a b%.csv").write_text("x\n1\n")
    (RESULTS / "logs/a.log").write_text("said")
    (RESULTS / "state/x/provenance.json").write_text("{}")
    (RESULTS / "tables/.snakemake_timestamp").write_text("")
    digests.write(RESULTS / "data")
    digests.write(maps)
    made_before = {
        "phantoms.brain": Path("data/b.sha256"),  # not in this folder, and so in no crate
        "data.brats": RESULTS / "data",
        "data.split": RESULTS / "split/fold1.csv",
        "training.vae": RESULTS / "checkpoints/fold1-seed0/vae.safetensors",
    }
    for module, path in made_before.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.write_text(module)
        with provenance.job(f"stages.{module}", argparse.Namespace(parameters={"seed": 0})):
            provenance.note(path)
    options = {"data": RESULTS / "data", "networks": [("vae", Path("/elsewhere/vae.safetensors"))], "output": maps}
    with provenance.job("stages.detection.vae", argparse.Namespace(parameters={"seed": 4}, **options)):
        provenance.note(maps, devices=["Some card"])
    with provenance.job("stages.evaluation.x", argparse.Namespace(parameters={"seed": 0}, maps=maps)):
        provenance.note(RESULTS / "tables", [RESULTS / "tables/a b%.csv", RESULTS / "tables/gone.csv"])
    output = RESULTS / ro_crate.FILE
    for _ in range(2):
        first = output.read_bytes() if output.exists() else None
        arguments = ["--benchmark", "b", "--results", str(RESULTS), "--output", str(output)]
        ro_crate.main(ro_crate.arguments().parse_args(arguments))
    assert output.read_bytes() == first
    return json.loads(output.read_text())


def entities(metadata, kind):
    return {entity["@id"]: entity for entity in metadata["@graph"] if entity["@type"] == kind}


def test_every_file_is_listed_with_its_size_and_digest(made):
    files = entities(made, "File")
    found = {unquote(name): entity for name, entity in files.items()}
    left_out = {RESULTS / ro_crate.FILE, RESULTS / "logs/a.log", RESULTS / "state/x/provenance.json"}
    expected = {path for path in RESULTS.rglob("*") if path.is_file() and path.name[0] != "."} - left_out
    assert {RESULTS / name for name in found} == expected
    for name, entity in found.items():
        content = (RESULTS / name).read_bytes()
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert int(entity["contentSize"]) == len(content)
    parts = {part["@id"] for part in entities(made, "Dataset")["./"]["hasPart"]}
    assert files.keys() <= parts


def test_each_noted_job_is_an_action(made):
    actions = {action["description"].split(";")[0]: action for action in entities(made, "CreateAction").values()}
    made_by = {name.removeprefix("python -m stages."): action["result"]["@id"] for name, action in actions.items()}
    assert made_by == {
        "data.brats": "data/",
        "data.split": "split/fold1.csv",
        "training.vae": "checkpoints/fold1-seed0/vae.safetensors",
        "detection.vae": "maps/fold1-seed0/vae/k1/",
        "evaluation.x": "tables/a%20b%25.csv",  # what is gone is not said
    }
    detection, table = actions["python -m stages.detection.vae"], actions["python -m stages.evaluation.x"]
    assert {"@id": "data/"} in detection["object"]
    assert "Some card" in detection["description"]
    assert {"@id": "maps/fold1-seed0/vae/k1/"} in table["object"]
    note = provenance.of(RESULTS / "tables")
    assert (table["startTime"], table["endTime"]) == (note.started, note.ended)
    everything = {entity["@id"] for entity in made["@graph"]}
    for action in actions.values():
        objects = action["object"] if isinstance(action["object"], list) else [action["object"]]
        named = [action["instrument"], *objects, action["result"]]
        assert {entity["@id"] for entity in named} <= everything
    (software,) = [item for item in entities(made, "SoftwareApplication").values() if "softwareRequirements" in item]
    assert note.code.sha256 in software["softwareVersion"]


def test_no_place_of_this_machine_is_in_it(made, tmp_path):
    text = json.dumps(made)
    assert str(tmp_path) not in text
    assert "/elsewhere" not in text


def test_results_that_nobody_has_noted_are_refused(tmp_path):
    (tmp_path / "tables").mkdir()
    with pytest.raises(InputError, match=r"holds no provenance.json: make its results again"):
        ro_crate.crate_of("b", tmp_path)


def test_the_validator_accepts_it(made):
    """In an environment of its own (pipx install roc-validator): its bounds clash with the lock."""
    validator = shutil.which("rocrate-validator")
    if validator is None:
        pytest.skip("needs roc-validator: pipx install roc-validator")
    command = [validator, "-y", "validate", "--no-cache", "-p", "process-run-crate-0.5", str(RESULTS)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "URLError" in run.stdout or "ConnectionError" in run.stdout:
        pytest.skip(f"the validator reads {CONTEXT}: needs a network")
    assert run.returncode == 0, run.stdout
