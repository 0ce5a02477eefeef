"""The command that brings a foreign checkpoint in, and the one that counts networks."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stages import checkpoint
from stages.errors import InputError
from stages.networks import build
from stages.networks.import_checkpoint import arguments, main
from stages.networks.unet import UNet
from stages.parameters import reading

ROOT = Path(__file__).parents[2]


def smoke_unet(seed: int) -> UNet:
    torch.manual_seed(seed)
    return build.network(UNet, "denoiser", reading.benchmark(reading.load(ROOT / "params.yaml"), "smoke"))


def run(source: Path, target: Path, *options: str) -> None:
    words = [str(source), str(target), "--benchmark=smoke", f"--params={ROOT / 'params.yaml'}", *options]
    main(arguments().parse_args(words))


def test_command_writes_a_checkpoint_that_loads(tmp_path, capsys):
    network = smoke_unet(2)
    torch.save(network.state_dict(), tmp_path / "model.pt")
    target = tmp_path / "denoiser.safetensors"
    run(tmp_path / "model.pt", target, "--healthy-class=1")
    loaded = smoke_unet(3)
    for weights in ("raw", "ema"):
        header = checkpoint.load_into(loaded, target, weights)
        assert torch.equal(loaded.label_emb.weight, network.label_emb.weight.flip(0))
        assert torch.equal(loaded.input_blocks[0][0].weight, network.input_blocks[0][0].weight)
    assert (header["source"], header["healthy_class"]) == ("model.pt", 1)
    assert re.search(r"not show it: heads \d+, groups \d+, inputs in \[", capsys.readouterr().out)


def test_averaged_weights_come_from_their_own_file(tmp_path):
    raw, averaged = smoke_unet(2), smoke_unet(3)
    torch.save(raw.state_dict(), tmp_path / "model050000.pt")
    torch.save(averaged.state_dict(), tmp_path / "ema_0.9999_050000.pt")
    target = tmp_path / "denoiser.safetensors"
    run(tmp_path / "model050000.pt", target, "--healthy-class=0", f"--ema={tmp_path / 'ema_0.9999_050000.pt'}")
    loaded = smoke_unet(4)
    for weights, network in (("raw", raw), ("ema", averaged)):
        header = checkpoint.load_into(loaded, target, weights)
        assert torch.equal(loaded.label_emb.weight, network.label_emb.weight)
    assert header["ema_source"] == "ema_0.9999_050000.pt"


def test_averaged_weights_lie_in_the_same_file_below_another_prefix(tmp_path):
    raw, averaged = smoke_unet(2), smoke_unet(3)
    torch.save({"model": raw.state_dict(), "ema": averaged.state_dict()}, tmp_path / "last.pt")
    target = tmp_path / "denoiser.safetensors"
    run(tmp_path / "last.pt", target, "--healthy-class=0", "--prefix=model.", "--ema-prefix=ema.")
    loaded = smoke_unet(4)
    for weights, network in (("raw", raw), ("ema", averaged)):
        checkpoint.load_into(loaded, target, weights)
        assert torch.equal(loaded.label_emb.weight, network.label_emb.weight)


def test_a_checkpoint_that_is_there_stays(tmp_path):
    torch.save(smoke_unet(2).state_dict(), tmp_path / "model.pt")
    target = tmp_path / "denoiser.safetensors"
    target.write_bytes(b"days of training")
    with pytest.raises(InputError, match=r"denoiser\.safetensors is there already: move it away or delete it"):
        run(tmp_path / "model.pt", target, "--healthy-class=0")
    assert target.read_bytes() == b"days of training"


def test_an_optimiser_leaves_nothing_written(tmp_path):
    torch.save({"state": {}, "param_groups": []}, tmp_path / "opt050000.pt")
    with pytest.raises(InputError, match="state of an optimiser"):
        run(tmp_path / "opt050000.pt", tmp_path / "denoiser.safetensors", "--healthy-class=0")
    assert [path.name for path in tmp_path.iterdir()] == ["opt050000.pt"]


def test_a_network_without_classes_is_said(tmp_path, capsys):
    state = smoke_unet(2).state_dict()
    state.pop("label_emb.weight")
    torch.save(state, tmp_path / "model.pt")
    run(tmp_path / "model.pt", tmp_path / "denoiser.safetensors")
    assert "It has no classes" in capsys.readouterr().out


def test_a_damaged_configuration_is_said(tmp_path):
    torch.save({"conv_in.weight": torch.zeros(1)}, tmp_path / "model.pt")
    (tmp_path / "config.json").write_text(json.dumps([1])[:-1])
    with pytest.raises(InputError, match=r"lay its config\.json beside it"):
        run(tmp_path / "model.pt", tmp_path / "denoiser.safetensors")


def test_networks_are_counted_on_the_command_line():
    printed = subprocess.run(
        [sys.executable, "-m", "stages.networks", "brats2020"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"denoiser +113,681,160 +497\.\d+", printed)
    assert re.search(r"classifier +5,452,962", printed)
