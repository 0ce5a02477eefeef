"""Foreign checkpoints: read without unpickling code, refused in one sentence where they do not fit."""

import os
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from stages import checkpoint
from stages.errors import InputError
from stages.networks.import_checkpoint import arguments, main, read_foreign
from stages.networks.unet import UNet

ROOT = Path(__file__).parents[2]


@pytest.fixture
def network() -> UNet:
    torch.manual_seed(1)
    return UNet(16, 2, 8, [1, 2], 1, attention=[8], heads=1, groups=4)


def test_weights_come_through_unchanged(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / "model.pt")
    tensors = read_foreign(tmp_path / "model.pt", network)
    assert all(torch.equal(tensors[name], value) for name, value in network.state_dict().items())


class Malicious:
    """Touches a file when unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_the_file_is_refused_and_not_run(tmp_path, network):
    trap = tmp_path / "trap"
    torch.save(network.state_dict() | {"extra": Malicious(trap)}, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt cannot be read safely"):
        read_foreign(tmp_path / "model.pt", network)
    assert not trap.exists()


def missing(state):
    state.pop("out.2.bias")


def other_shape(state):
    state["out.2.bias"] = torch.zeros(7)


def unknown(state):
    state["teapot"] = torch.zeros(1)


def expanded(state):
    state["out.2.weight"] = torch.zeros(1).expand(state["out.2.weight"].shape)


def a_number(state):
    state["step"] = 3


def not_finite(state):
    state["out.2.bias"] = torch.full_like(state["out.2.bias"], torch.nan)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (missing, r"lacks out\.2\.bias"),
        (other_shape, r"out\.2\.bias has shape \(7,\)"),
        (unknown, "holds teapot"),
        (expanded, r"out\.2\.weight is not a plain"),
        (a_number, "more than named tensors"),
        (not_finite, r"out\.2\.bias is not finite"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, network, harm, sentence):
    state = dict(network.state_dict())
    harm(state)
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(InputError, match=sentence):
        read_foreign(tmp_path / "model.pt", network)


def test_a_truncated_or_absent_file_is_refused(tmp_path, network):
    torch.save(network.state_dict(), tmp_path / "model.pt")
    whole = (tmp_path / "model.pt").read_bytes()
    (tmp_path / "model.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"model\.pt"):
        read_foreign(tmp_path / "model.pt", network)
    with pytest.raises(InputError, match=r"absent\.pt is missing"):
        read_foreign(tmp_path / "absent.pt", network)


def test_command_writes_a_checkpoint_that_loads(tmp_path):
    from stages.networks import build
    from stages.parameters import reading

    values = reading.benchmark(reading.load(ROOT / "params.yaml"), "smoke")
    torch.manual_seed(2)
    network = build.network(UNet, "denoiser", values)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    target = tmp_path / "denoiser.safetensors"
    main(
        arguments().parse_args(
            [str(tmp_path / "model.pt"), str(target), "--benchmark=smoke", f"--params={ROOT / 'params.yaml'}"]
        )
    )
    loaded = build.network(UNet, "denoiser", values)
    for weights in ("raw", "ema"):
        header = checkpoint.load_into(loaded, target, weights)
        assert torch.equal(loaded.out[2].weight, network.out[2].weight)
    assert header["source"] == "model.pt"


def test_networks_are_counted_on_the_command_line():
    printed = subprocess.run(
        [sys.executable, "-m", "stages.networks", "brats2020"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"denoiser +113,681,160 +497\.\d+", printed)
    assert re.search(r"classifier +5,452,962", printed)


def rewritten(path: Path, network: UNet, harm: str) -> None:
    """A .pt file whose entries are deflated, or whose pickle calls for a large buffer or is cut."""
    torch.save(network.state_dict(), path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    kind = zipfile.ZIP_DEFLATED if harm == "deflated" else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in entries.items():
            if name.endswith("data.pkl") and harm == "buffer":
                content = pickle.dumps(bytearray(10), 2).replace(b"__builtin__", b"builtins")
            if name.endswith("data.pkl") and harm == "cut":
                content = content[:-20]
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [("deflated", "is compressed"), ("buffer", "it asks for builtins bytearray"), ("cut", "cannot be read safely")],
)
def test_what_grows_or_is_damaged_is_refused(tmp_path, network, harm, sentence):
    rewritten(tmp_path / "model.pt", network, harm)
    with pytest.raises(InputError, match=sentence):
        read_foreign(tmp_path / "model.pt", network)


def test_a_pipe_in_place_of_a_checkpoint_blocks_nothing(tmp_path, network):
    os.mkfifo(tmp_path / "model.pt")
    with pytest.raises(InputError, match="not a regular file"):
        read_foreign(tmp_path / "model.pt", network)
