"""A shared folder: what is in it, what is refused, and that its checkpoints come back."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from stages import checkpoint, split_lists
from stages.data.store import StoreWriter, open_split
from stages.errors import InputError
from stages.networks import build
from stages.networks.vae import Vae
from stages.parameters import reading, sections
from stages.repeats import Repeat
from stages.sharing import croissant, folder, receive, share
from stages.split_lists import SplitList
from stages.training.section import Training

ROOT = Path(__file__).parents[2]
VALUES = reading.load(ROOT / "params.yaml")
SMOKE = reading.benchmark(VALUES, "smoke")
MADE = "checkpoints/fold1-seed0/vae.provenance.json"
METRICS = "training/fold1-seed0/vae/metrics.csv"
FIRST = "encoder.0.weight"
VAE = "checkpoints/fold1-seed0/vae.safetensors"


def trained_vae(here):
    """Tensors and header of a checkpoint as training leaves it."""
    network = build.network(Vae, "vae", SMOKE)
    raw = network.state_dict()
    store = open_split(here / "data", here / "split/fold1.csv", "train")
    parameters = sections.section(SMOKE, "train", "vae", repeat=Repeat(1, 0))
    header = {
        "stage": "train_vae",
        "repeat": "fold1-seed0",
        "step": Training.of(parameters, "vae").steps(len(store)),
        "parameters": parameters,
        "data_sha256": store.content_hash(),
    }
    return raw | {f"ema.{name}": tensor.clone() for name, tensor in raw.items()}, header


@pytest.fixture
def results(tmp_path):
    """Store, split list and one checkpoint of smoke."""
    here = tmp_path / "results/smoke"
    with StoreWriter(here / "data", channels=4, size=16) as writer:
        for name in ("a", "b"):
            row = {"slice_id": name, "subject_id": name, "position": 0, "label": 0, "lesion_pixels": 0}
            row |= {"source": "", "affine": ""}
            writer.append(np.full((1, 4, 16, 16), 0.5), np.zeros((1, 16, 16)), [row])
    split_lists.write(here / "split/fold1.csv", SplitList("subject_id", {"a": "train", "b": "test"}))
    checkpoint.save(here / VAE, *trained_vae(here))
    metrics = here / "training/fold1-seed0/vae/metrics.csv"
    metrics.parent.mkdir(parents=True)
    metrics.write_text("step,loss,learning_rate\n8,0.25,0.001\n")
    return here


@pytest.fixture
def shared(results, tmp_path):
    output = tmp_path / "a folder"
    assert share.share("smoke", SMOKE, results, output) == 1
    return output


@pytest.fixture
def elsewhere(results, tmp_path):
    """Other results with the same store and split list, and no checkpoint."""
    other = tmp_path / "other"
    for name in ("data", "split"):
        shutil.copytree(results / name, other / "smoke" / name)
    return other


def test_the_card_says_data_budget_seed_losses_limits_and_licence(shared):
    card = (shared / VAE).with_suffix(".md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["license"], head["library_name"]) == ("mit", "pytorch")
    for words in ("# vae of smoke, fold1-seed0", "| budget | 1 steps |", "| seed | 0 |", "1 slices of 1 subjects"):
        assert words in card
    for words in (
        "metrics.csv | 0.25 |",
        "no medical device",
        "made-up images alone",
        "no patient is in it",
        "\n11,264 param",
    ):
        assert words in card
    assert yaml.safe_load((shared / "README.md").read_text().split("---\n")[1])["license"] == "mit"


def test_the_folder_comes_back(shared, results, elsewhere):
    assert receive.receive(shared, VALUES, elsewhere) == [elsewhere / "smoke" / VAE]
    assert (elsewhere / "smoke" / VAE).read_bytes() == (results / VAE).read_bytes()
    assert (elsewhere / "smoke" / VAE).with_suffix(".md").exists()
    assert receive.receive(shared, VALUES, elsewhere), "again"
    if shutil.which("sha256sum"):
        assert subprocess.run(["sha256sum", "-c", "--quiet", folder.SUMS], cwd=shared, check=False).returncode == 0


def sealed(spoil):
    """A function that changes a shared folder and notes its hashes anew, as whoever means harm does."""

    def again(shared):
        spoil(shared)
        (shared / folder.SUMS).unlink()
        folder.seal(shared)

    return again


def about(text):
    """A function that writes benchmark.json anew."""
    return sealed(lambda shared: (shared / folder.ABOUT).write_text(text))


@sealed
def other_parameters(shared):
    about = json.loads((shared / folder.ABOUT).read_text())
    about["data"]["extract"]["data"]["size"] = 99
    (shared / folder.ABOUT).write_text(json.dumps(about))


def header(**values):
    """A function that changes a checkpoint's header, whose digest is then right."""

    def spoil(shared):
        tensors, found = checkpoint.load(shared / VAE)
        checkpoint.save(shared / VAE, tensors, found | values)

    return sealed(spoil)


def weights(change):
    """A function that changes a checkpoint's tensors, whose digest is then right."""

    def spoil(shared):
        tensors, found = checkpoint.load(shared / VAE)
        checkpoint.save(shared / VAE, change(tensors), found)

    return sealed(spoil)


def without(tensors, name):
    return {other: tensor for other, tensor in tensors.items() if other != name}


def metrics(content):
    """A function that writes metrics.csv anew."""
    return sealed(lambda shared: (shared / METRICS).write_bytes(content))


def link(name, to):
    """A function that puts a link in a file's place; what it leads to is what was there."""

    def spoil(shared):
        outside = shared.parent / "outside"
        shutil.move(shared / name, outside)
        (shared / name).symlink_to(to or outside)

    return spoil


def pipe(shared):
    (shared / folder.SUMS).unlink()
    os.mkfifo(shared / folder.SUMS)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda shared: (shared / VAE).write_bytes(b"x"), "vae.safetensors is not what was shared: download it again"),
        (lambda shared: (shared / VAE).unlink(), "vae.safetensors is missing: download the folder again"),
        (lambda shared: (shared / folder.SUMS).unlink(), "cannot be read: name a folder that `make share` has made"),
        (lambda shared: (shared / folder.SUMS).write_text("0  ../x\n"), "names ../x, outside of the folder"),
        (other_parameters, "was made with other parameters than params.yaml has: extract.data.size is 99 there and 16"),
        (lambda shared: (shared / folder.SUMS).write_text("0  a\0b\n"), "is missing: download the folder again"),
        (lambda shared: (shared / folder.SUMS).write_text(""), "benchmark.json does not say whose checkpoints"),
        (pipe, "SHA256SUMS cannot be read"),
        (about('{"benchmark": [], "data": {}}'), "benchmark.json does not say whose checkpoints"),
        (header(parameters=[]), "vae.safetensors does not say that it is a vae of fold1-seed0 and how it was trained"),
        (header(stage="train_denoiser"), "vae.safetensors does not say that it is a vae of fold1-seed0 and how it was"),
        (header(repeat=None), "vae.safetensors does not say that it is a vae of fold1-seed0 and how it was trained"),
        (header(parameters={"data": 3}), "vae.safetensors was made with other parameters than params.yaml has: "),
        (header(step="x"), 'vae.safetensors says that it was trained for "x" steps, where params.yaml makes 1: take'),
        (header(step=True), "vae.safetensors says that it was trained for true steps"),
        (header(step=2), "vae.safetensors says that it was trained for 2 steps, where params.yaml makes 1"),
        (weights(lambda found: {FIRST: found[FIRST]}), "vae.safetensors lacks "),
        (weights(lambda found: without(found, f"ema.{FIRST}")), "vae.safetensors lacks encoder.0.weight"),
        (weights(lambda found: found | {"more": found[FIRST].clone()}), "vae.safetensors holds more, which"),
        (weights(lambda found: found | {FIRST: found[FIRST][:1]}), "encoder.0.weight has shape (1, "),
        (weights(lambda found: found | {FIRST: found[FIRST] / 0}), "encoder.0.weight (raw) holds a number that is not"),
        (
            weights(lambda found: found | {FIRST: found[FIRST].to(torch.complex64)}),
            "encoder.0.weight holds torch.complex64 where torch.float32 is needed",
        ),
        (metrics(b"\0\xff"), "metrics.csv is no table of a training's losses"),
        (
            metrics(b"a,b\n1,2\n"),
            "metrics.csv is no table of a training's losses (its columns are not step",
        ),
        (metrics(b"step,loss\n8,=cmd()\n"), "metrics.csv is no table of a training's losses (could not convert"),
        (metrics(b"step,loss\n8,nan\n"), "metrics.csv is no table of a training's losses (a row is not of finite"),
        (metrics(b"step,loss\n8\n"), "metrics.csv is no table of a training's losses"),
        (sealed(lambda shared: (shared / MADE).write_text("{}")), "vae.provenance.json is missing or no provenance"),
        (lambda shared: (shared / MADE).write_text("{}"), "vae.provenance.json is not among what was shared"),
        (link(VAE, None), "vae.safetensors is a link that leads out of the folder: do not use it"),
        (link(folder.SUMS, None), "SHA256SUMS is a link that leads out of the folder: do not use it"),
        (link(VAE, "vae.safetensors"), "vae.safetensors is missing: download the folder again"),
        (link(folder.SUMS, folder.SUMS), "SHA256SUMS cannot be read"),
        (
            about('{"benchmark": "theirs", "data": {}}'),
            "holds checkpoints of 'theirs', which is no benchmark of params.yaml",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_placed(shared, elsewhere, spoil, sentence):
    spoil(shared)
    with pytest.raises(InputError) as refused:
        receive.receive(shared, VALUES, elsewhere)
    assert sentence in str(refused.value)
    assert {path.name for path in (elsewhere / "smoke").iterdir()} == {"data", "split"}


def test_other_slices_are_refused(shared, elsewhere):
    split_lists.write(elsewhere / "smoke/split/fold1.csv", SplitList("subject_id", {"a": "test", "b": "train"}))
    with pytest.raises(InputError, match="was trained on other slices than"):
        receive.receive(shared, VALUES, elsewhere)


def test_what_nobody_has_licensed_is_not_shared(results, tmp_path):
    own = {key: value for key, value in SMOKE.items() if key != "phantom"}
    with pytest.raises(InputError, match=r"benchmarks.smoke.data.licence does not say under which terms"):
        share.share("smoke", own, results, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_of_brats_the_terms_are_said_and_no_image_is_shared(results, tmp_path):
    brats = {**SMOKE, "data": SMOKE["data"] | {"licence": "brats"}}
    del brats["phantom"]
    share.share("smoke", brats, results, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.npy"))
    for card in ("README.md", VAE.replace("safetensors", "md")):
        text = (tmp_path / "out" / card).read_text()
        assert "license: other" in text
        assert "register with its organisers" in text
        assert "Menze et al." in text


@pytest.mark.parametrize(
    ("target", "given", "said"),
    [
        (
            "share",
            "BENCHMARK=-x $(shell touch made)`touch made`'",
            "benchmarks has no '-x $(shell touch made)`touch made`''",
        ),
        (
            "checkpoints",
            "FROM=-x $(shell touch made)`touch made`'",
            "-x $(shell touch made)`touch made`'/SHA256SUMS cannot be read",
        ),
    ],
)
def test_make_takes_names_as_they_are(tmp_path, target, given, said):
    for name in ("Makefile", "pyproject.toml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
    command = ["make", "--old-file=env", target, given]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert said in run.stderr, run.stderr
    assert not (tmp_path / "made").exists()


def test_a_place_that_cannot_be_made_is_one_sentence(results, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"/file is no folder to write to \(File exists\): name another"):
        share.share("smoke", SMOKE, results, tmp_path / "file/out")


def test_sharing_leaves_alone_what_lies_beside(results, tmp_path):
    mine = tmp_path / "out.partial/mine"
    mine.parent.mkdir()
    mine.write_text("kept")
    share.share("smoke", SMOKE, results, tmp_path / "out")
    (results / METRICS).write_text("junk")
    with pytest.raises(InputError, match=r"metrics\.csv is no table"):
        share.share("smoke", SMOKE, results, tmp_path / "second")
    assert mine.read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.partial", "results"]
    assert (tmp_path / "out").stat().st_mode == mine.parent.stat().st_mode, "as the umask has it"


def test_a_card_of_someone_else_is_not_taken(shared, results, elsewhere):
    sealed(lambda folder: (folder / VAE).with_suffix(".md").write_bytes(b"---\n!!python/name:os.system\n\xff"))(shared)
    receive.receive(shared, VALUES, elsewhere)
    card = (elsewhere / "smoke" / VAE).with_suffix(".md").read_text()
    assert "# vae of smoke, fold1-seed0" in card
    assert "metrics.csv | 0.25 |" in card


def test_the_validator_accepts_the_data_card(shared):
    """In an environment of its own (MLCROISSANT: its mlcroissant), since it brings many packages."""
    validator = os.environ.get("MLCROISSANT") or shutil.which("mlcroissant")
    if validator is None:
        pytest.skip("needs mlcroissant: pipx install mlcroissant")
    card = str(shared / "data" / croissant.FILE)
    run = subprocess.run([validator, "validate", "--jsonld", card], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
