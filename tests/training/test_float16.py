"""Training in float16: steps that overflow are left out of the average, and the loss's scale outlives a killed run."""

from contextlib import contextmanager
from functools import partial

import pytest
import torch
from runs import train

from stages import checkpoint
from stages.device import Processor
from stages.training import cli
from stages.training.loop import Players


@pytest.fixture
def in_float16(monkeypatch):
    """Stages compute in float16 on this CPU, with a scale so high that steps overflow, and that rises again soon."""

    @contextmanager
    def leased(*_):
        yield Processor(precision="16-mixed")

    scaler = partial(torch.amp.GradScaler, init_scale=2.0**26, growth_interval=2)
    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    monkeypatch.setattr(cli, "leased", leased)


@pytest.fixture
def weights(monkeypatch):
    """The network's after each iteration."""
    original, after = Players.step, []

    def step(self, *arguments):
        losses = original(self, *arguments)
        after.append({name: tensor.clone() for name, tensor in self.objective.network.state_dict().items()})
        return losses

    monkeypatch.setattr(Players, "step", step)
    return after


def test_a_step_that_overflows_is_left_out_of_the_average(in_float16, weights, tiny_store, tiny_parameters, tmp_path):
    tiny_parameters["classifier"]["training"] |= {"iterations": 24, "ema": 0.9}
    train("classifier", tiny_parameters, tiny_store, tmp_path)
    name = "out.2.c_proj.weight"
    made = [b[name] for a, b in zip([None, *weights], weights, strict=False) if a and not torch.equal(a[name], b[name])]
    assert 4 < len(made) < len(weights) - 2
    shares = torch.tensor([0.9 ** (len(made) - n) for n in range(1, len(made) + 1)])
    expected = sum(share * weight for share, weight in zip(shares / shares.sum(), made, strict=True))
    tensors, _ = checkpoint.load(tmp_path / "classifier.safetensors")
    torch.testing.assert_close(tensors[f"ema.{name}"], expected, rtol=1e-4, atol=1e-6)


def test_a_killed_run_ends_in_the_same_weights(in_float16, tiny_store, tiny_parameters, tmp_path, monkeypatch):
    tiny_parameters["classifier"]["training"] |= {"iterations": 24}
    whole = train("classifier", tiny_parameters, tiny_store, tmp_path / "whole")
    original = Players.step

    def step(self, iteration, *arguments):
        if iteration == 13:
            raise ConnectionError
        return original(self, iteration, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Players, "step", step)
        with pytest.raises(ConnectionError):
            train("classifier", tiny_parameters, tiny_store, tmp_path / "killed")
    _, header = checkpoint.load(tmp_path / "killed/state/state.safetensors")
    assert header["precision"]["scale"] < 2.0**26
    assert train("classifier", tiny_parameters, tiny_store, tmp_path / "killed") == whole
