"""Compiled networks learn what they learn without kernels, also in a run that began without; their files are alike."""

import pytest
import torch
from runs import train

from stages import checkpoint
from stages.training.loop import Players
from stages.training.state import State


@pytest.fixture
def parameters(tiny_parameters):
    section = tiny_parameters["denoiser"]
    section["training"] |= {"iterations": 6, "sheet_every": 3}
    tiny_parameters["fixed_point_gan"] = {
        "network": {"channels": 4, "residual_blocks": 1},
        "discriminator": {"channels": 4, "layers": 2},
        "loss": {"classification": 1, "gradient_penalty": 10, "identity": 10, "reconstruction": 10},
        "critic_steps": 2,
        "training": section["training"] | {"betas": [0.5, 0.999]},
    }
    return tiny_parameters


@pytest.mark.parametrize("stage", ["denoiser", "fixed_point_gan"])
def test_a_run_goes_on_compiled_to_the_same_end(stage, parameters, tiny_store, tmp_path, monkeypatch, traced):
    monkeypatch.setattr(State, "clear", lambda self: None)  # its moments are sums of the gradients themselves
    train(stage, parameters, tiny_store, tmp_path / "plain")
    original, steps = Players.step, []

    def dies_at_the_third(self, *arguments):
        steps.append(arguments[0])
        if len(steps) == 3:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(Players, "step", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        train(stage, parameters, tiny_store, tmp_path / "compiled")
    assert not traced
    train(stage, parameters | {"compile": "kernels"}, tiny_store, tmp_path / "compiled")
    assert traced
    assert steps == [0, 1, 2, 2, 3, 4, 5], "it went on from its state"
    runs = [checkpoint.load(tmp_path / run / "state/state.safetensors")[0] for run in ("plain", "compiled")]
    assert runs[0].keys() == runs[1].keys()
    for kind in ("exp_avg", "weights/"):
        assert apart(*runs, kind) < 1e-3, kind
    written = [checkpoint.load(tmp_path / run / f"{stage}.safetensors")[0] for run in ("plain", "compiled")]
    assert written[0].keys() == written[1].keys()
    assert apart(*written) < 1e-3


def apart(one, two, kind=""):
    """How far all tensors of a kind lie apart, as a share of the first ones' norm."""
    one, two = (
        torch.cat([tensor.flatten().double() for name, tensor in sorted(tensors.items()) if kind in name])
        for tensors in (one, two)
    )
    return (two - one).norm() / one.norm()
