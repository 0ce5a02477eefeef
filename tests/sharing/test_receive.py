"""That shared checkpoints come back, and that whatever is not as training would leave it is refused."""

import json
import os
import shutil
import subprocess

import pytest
import torch
from shared_checkpoint import MADE, METRICS, VAE, VALUES

from stages import checkpoint, split_lists
from stages.errors import InputError
from stages.sharing import folder, receive
from stages.split_lists import SplitList

FIRST = "encoder.0.weight"


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


def test_a_card_of_someone_else_is_not_taken(shared, results, elsewhere):
    sealed(lambda folder: (folder / VAE).with_suffix(".md").write_bytes(b"---\n!!python/name:os.system\n\xff"))(shared)
    receive.receive(shared, VALUES, elsewhere)
    card = (elsewhere / "smoke" / VAE).with_suffix(".md").read_text()
    assert "# vae of smoke, fold1-seed0" in card
    assert "metrics.csv | 0.25 |" in card
