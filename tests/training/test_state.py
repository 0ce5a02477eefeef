"""A state that calls itself this run's and does not fit it is refused; what a run left is loaded."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from stages import checkpoint
from stages.device import Processor
from stages.errors import InputError
from stages.training.progress import Progress
from stages.training.state import Run, State

ITERATIONS = 12


@pytest.fixture
def state(tmp_path):
    """A state of a tiny network after one step, saved at iteration 7."""
    network = nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    run = Run("train_tiny", "stages.training.vae", tmp_path / "c", tmp_path / "log", tmp_path / "state", {})
    header = {"parameters": {"seed": 3}}
    average = AveragedModel(network)
    found = State(run, header, {"network": network}, average, {"network": optimizer}, Processor().scaler(), ITERATIONS)
    found.save(Progress(iteration=7))
    return found


def edit(state, change):
    """Write the state anew, digests and all, with what `change` makes of its tensors and header."""
    tensors, header = checkpoint.load(state.path)
    change(tensors, header)
    checkpoint.save(state.path, tensors, header)


def test_a_run_goes_on(state):
    assert state.restore().iteration == 7
    edit(state, lambda tensors, header: header["progress"].update(iteration=ITERATIONS))
    assert state.restore().iteration == ITERATIONS


WRONG = {
    "a weight less": lambda t, h: t.pop("weights/network/bias"),
    "another shape": lambda t, h: t.update({"weights/network/bias": torch.zeros(5)}),
    "a moment's shape": lambda t, h: t.update({"moments/network/0/exp_avg": torch.zeros(5)}),
    "a moment too many": lambda t, h: t.update({"moments/network/9/exp_avg": torch.zeros(5)}),
    "a moment of nothing": lambda t, h: t.update({"moments/network/x/exp_avg": torch.zeros(5)}),
    "no progress": lambda t, h: h.pop("progress"),
    "no precision": lambda t, h: h.pop("precision"),
    "other progress": lambda t, h: h.update(progress=[7]),
    "unknown progress": lambda t, h: h["progress"].update(speed=3),
    "beyond the end": lambda t, h: h["progress"].update(iteration=ITERATIONS + 1),
    "before the start": lambda t, h: h["progress"].update(iteration=-1),
    "a fraction": lambda t, h: h["progress"].update(iteration=1.5),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused(state, case):
    edit(state, WRONG[case])
    with pytest.raises(
        InputError, match=r"state\.safetensors does not fit train_tiny .*; delete it, and the training"
    ) as found:
        state.restore()
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("content", [b"", b"torn"])
def test_a_damaged_file_starts_from_the_beginning_and_says_so(state, content, capsys):
    state.path.write_bytes(content)
    assert state.restore().iteration == 0
    assert "train_tiny: starting from the beginning, since" in capsys.readouterr().out


def test_another_runs_state_is_not_used(state, capsys):
    edit(state, lambda tensors, header: header.pop("run"))
    assert state.restore().iteration == 0
    assert "starting afresh" in capsys.readouterr().out
