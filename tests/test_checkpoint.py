"""Checkpoints: what was changed after it was written is refused, header and weights alike."""

import json
import os
import shutil
import struct

import pytest
import torch
from safetensors.torch import save_file

from stages import checkpoint
from stages.errors import InputError
from stages.networks import foreign_files

HEADER = {"stage": "train_vae", "parameters": {"seed": 3}, "step": 12, "levels": {10: 1, 9: 2}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "vae.safetensors"
    checkpoint.save(path, {"weight": torch.arange(100.0)}, HEADER)
    return path


def rewrite_header(path, change):
    """Change the project's header inside the file's own and leave the weights as they are."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    outer = json.loads(content[8 : 8 + size])
    header = json.loads(outer["__metadata__"]["header"])
    outer["__metadata__"]["header"] = json.dumps(change(header))
    text = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])


def test_what_is_written_is_read(path):
    tensors, header = checkpoint.load(path)
    torch.testing.assert_close(tensors["weight"], torch.arange(100.0))
    assert {key: header[key] for key in ("stage", "parameters", "step")} == {
        key: HEADER[key] for key in ("stage", "parameters", "step")
    }
    rewrite_header(path, lambda header: header)  # other spaces and order, nothing else
    assert checkpoint.load(path)[1] == header


@pytest.mark.parametrize("change", [{"step": 13}, {"parameters": {"seed": 4}}, {"new": 0}, {"tensors_sha256": "0"}])
def test_an_edited_header_is_refused(path, change):
    rewrite_header(path, lambda header: header | change)
    with pytest.raises(InputError, match=r"vae\.safetensors was changed after it was written: its .*; delete it"):
        checkpoint.load(path)


@pytest.mark.parametrize("header", [None, [], 3, {}, {"tensors_sha256": "0"}])
def test_a_header_that_nothing_verifies_is_refused(path, header):
    rewrite_header(path, lambda _: header)
    with pytest.raises(InputError, match=r"damaged, or of a version before headers were verified; delete it and train"):
        checkpoint.load(path)


def test_advice_does_not_lead_in_a_circle(path, tmp_path):
    """What `load` sends to `import_checkpoint`, that takes; what it sends back, `load` does not send there again."""
    save_file({"weight": torch.arange(100.0)}, tmp_path / "foreign.safetensors")
    with pytest.raises(InputError, match=r"bring a foreign checkpoint in with `python -m stages.networks.import_check"):
        checkpoint.load(tmp_path / "foreign.safetensors")
    assert foreign_files.tensors(tmp_path / "foreign.safetensors", "cpu").keys() == {"weight"}
    rewrite_header(path, lambda header: {key: value for key, value in header.items() if key != "header_sha256"})
    with pytest.raises(InputError, match="is a checkpoint of this project; copy it, there is nothing to import"):
        foreign_files.tensors(path, "cpu")
    with pytest.raises(InputError, match="headers were verified; delete it and train again"):
        checkpoint.load(path)


def test_a_checkpoint_belongs_to_its_repeat(tmp_path):
    for repeat in ("fold1-seed0", "fold2-seed0"):
        checkpoint.save(tmp_path / repeat / "vae.safetensors", {"weight": torch.ones(1)}, HEADER | {"repeat": repeat})
        checkpoint.load(tmp_path / repeat / "vae.safetensors")
    shutil.copytree(tmp_path / "fold2-seed0", tmp_path / "mine")  # to translate with
    checkpoint.load(tmp_path / "mine/vae.safetensors")
    shutil.copy(tmp_path / "fold2-seed0/vae.safetensors", tmp_path / "fold1-seed0/vae.safetensors")
    with pytest.raises(InputError, match=r"fold1-seed0/vae\.safetensors was trained as fold2-seed0, .*: move it back"):
        checkpoint.load(tmp_path / "fold1-seed0/vae.safetensors")


def test_what_was_imported_is_of_any_repeat(path, tmp_path):
    (tmp_path / "fold1-seed0").mkdir()
    shutil.copy(path, tmp_path / "fold1-seed0")
    checkpoint.load(tmp_path / "fold1-seed0/vae.safetensors")


def test_a_pipe_is_refused_and_not_waited_for(path):
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="no regular file"):
        checkpoint.load(path)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_the_umask_says_who_may_read(path, mask, mode):
    before = os.umask(mask)
    try:
        checkpoint.save(path, {"weight": torch.zeros(1)}, {})
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == mode
