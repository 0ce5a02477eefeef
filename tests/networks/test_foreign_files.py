"""Files of others: read without running anything, or refused in one sentence that says what to do."""

import io
import os
import pickle
import shlex
import sys
import tarfile
import types
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stages import checkpoint
from stages.errors import InputError
from stages.networks.foreign_files import tensors

STATE = {"out.weight": torch.arange(6.0).reshape(2, 3), "out.bias": torch.ones(2)}


def same(found: dict, prefix: str = "") -> bool:
    return found.keys() == {prefix + name for name in STATE} and all(
        torch.equal(found[prefix + name], value) for name, value in STATE.items()
    )


class Malicious:
    """Touches a file when unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_the_file_is_refused_and_not_run(tmp_path):
    trap = tmp_path / "trap"
    torch.save(STATE | {"extra": Malicious(trap)}, tmp_path / "model.pt")
    with pytest.raises(
        InputError, match=r"model\.pt cannot be read safely \(it asks for .*\); save its state_dict alone"
    ):
        tensors(tmp_path / "model.pt", "cpu")
    assert not trap.exists()


def test_names_of_nested_and_compiled_networks_are_joined(tmp_path):
    held = {
        "epoch": 3,
        "loops": [{"done": None}],
        "state_dict": {f"model._orig_mod.{name}": STATE[name] for name in STATE},
    }
    torch.save(held, tmp_path / "last.ckpt")
    assert same(tensors(tmp_path / "last.ckpt", "cpu"), "state_dict.model.")
    assert tensors(tmp_path / "last.ckpt", "meta")["state_dict.model.out.weight"].shape == (2, 3)


def test_lightning_keeps_hyperparameters_beside_the_weights(tmp_path, monkeypatch):
    module = "pytorch_lightning.utilities.parsing"  # posed: importing Lightning takes seconds
    posed = type("AttributeDict", (dict,), {"__module__": module})
    for name in ("pytorch_lightning", "pytorch_lightning.utilities", module):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules[module].AttributeDict = posed
    torch.save({"hyper_parameters": posed(width=8), "state_dict": STATE}, tmp_path / "last.ckpt")
    assert same(tensors(tmp_path / "last.ckpt", "cpu"), "state_dict.")


def test_safetensors_need_no_conversion(tmp_path):
    save_file(STATE, tmp_path / "model.safetensors")
    assert same(tensors(tmp_path / "model.safetensors", "cpu"))
    checkpoint.save(tmp_path / "own.safetensors", STATE, {})
    with pytest.raises(InputError, match=r"own\.safetensors is a checkpoint of this project; copy it"):
        tensors(tmp_path / "own.safetensors", "cpu")


def test_legacy_files_are_converted_by_the_command_that_the_message_gives(tmp_path):
    path = tmp_path / "it's old.pt"
    torch.save(OrderedDict(STATE), path, _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match=r"before version 1\.6.*save it anew") as refused:
        tensors(path, "cpu")
    python = shlex.split(str(refused.value).partition("import that: ")[2])
    assert python[:2] == ["python", "-c"]
    assert "weights_only=True" in python[2]  # the advice runs nothing from the file either
    exec(python[2], {})
    assert same(tensors(tmp_path / "it's old-converted.pt", "cpu"))


def test_tar_files_are_told_apart(tmp_path):
    with tarfile.open(tmp_path / "model.pt", "w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"), io.BytesIO())
    with pytest.raises(InputError, match=r"tar format .* cannot be read without running what it holds; if you trust"):
        tensors(tmp_path / "model.pt", "cpu")


def test_an_optimiser_is_no_network(tmp_path):
    parameter = torch.nn.Parameter(torch.ones(2))
    optimiser = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimiser.step()
    torch.save(optimiser.state_dict(), tmp_path / "opt050000.pt")
    with pytest.raises(InputError, match=r"opt050000\.pt is the state of an optimiser; name the network's file"):
        tensors(tmp_path / "opt050000.pt", "cpu")


def test_torchscript_is_code(tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        for name in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            archive.writestr(f"model/{name}", b"")
    with pytest.raises(InputError, match="TorchScript archive, which is code; save its state_dict alone"):
        tensors(tmp_path / "model.pt", "cpu")


def test_nothing_named_is_nothing_to_import(tmp_path):
    torch.save({"step": 3}, tmp_path / "model.pt")
    with pytest.raises(InputError, match="holds no named tensors"):
        tensors(tmp_path / "model.pt", "cpu")


def test_a_list_in_itself_and_one_list_many_times_end(tmp_path):
    nested: list = [torch.ones(1)]
    for _ in range(60):  # 2^60 leaves for who follows each
        nested = [nested, nested]
    nested.append(nested)
    torch.save({"bomb": nested}, tmp_path / "model.pt")
    assert len(tensors(tmp_path / "model.pt", "cpu")) == 1


def test_a_truncated_absent_or_other_file_is_refused(tmp_path):
    torch.save(STATE, tmp_path / "model.pt")
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model\.pt is damaged or no file that torch\.save or safetensors wrote"):
        tensors(tmp_path / "model.pt", "cpu")
    with pytest.raises(InputError, match=r"absent\.pt is missing"):
        tensors(tmp_path / "absent.pt", "cpu")
    (tmp_path / "empty.pt").touch()
    with pytest.raises(InputError, match=r"empty\.pt is damaged"):
        tensors(tmp_path / "empty.pt", "cpu")


def rewritten(path: Path, harm: str) -> None:
    """A .pt file whose entries are deflated, or whose pickle calls for a large buffer or is cut."""
    torch.save(STATE, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    kind = zipfile.ZIP_DEFLATED if harm == "deflated" else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in entries.items():
            if name.endswith("data.pkl") and harm == "buffer":
                content = pickle.dumps(bytearray(10), 2).replace(b"__builtin__", b"builtins")
            if name.endswith("data.pkl") and harm == "cut":
                content = content[:-20]
            if name.endswith("data/0") and harm == "short":
                continue
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        ("deflated", "is compressed"),
        ("buffer", "it asks for builtins bytearray"),
        ("cut", "cannot be read safely"),
        ("short", "cannot be read safely"),
    ],
)
def test_what_grows_or_is_damaged_is_refused(tmp_path, harm, sentence):
    rewritten(tmp_path / "model.pt", harm)
    with pytest.raises(InputError, match=sentence):
        tensors(tmp_path / "model.pt", "cpu")


def test_a_pipe_in_place_of_a_checkpoint_blocks_nothing(tmp_path):
    os.mkfifo(tmp_path / "model.pt")
    with pytest.raises(InputError, match="not a regular file"):
        tensors(tmp_path / "model.pt", "cpu")
