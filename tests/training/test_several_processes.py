"""Processes that train one network together: the steps of a single one, one writer, nobody left waiting."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch
from runs import command, train

from stages import checkpoint
from stages.training.batches import one_ahead
from stages.training.loop import Players
from stages.training.state import State

FAILING = """
import sys, time
from torch import distributed
from stages.training import ranks

def work(rank):
    if rank:
        raise ValueError("the companion's own message")
    if sys.argv[1] == "collective":
        distributed.barrier()
    time.sleep(250)  # until it is ended: on a busy machine the companion takes long to start

if __name__ == "__main__":
    ranks.GRACE_SECONDS = 1 if sys.argv[1] == "asleep" else 30
    with ranks.joined(2, "gloo", work):
        work(0)
"""


def living(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [row[2] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


@pytest.fixture
def parameters(tiny_parameters):
    for network in ("denoiser", "classifier"):
        tiny_parameters[network]["training"] |= {"iterations": 6, "sheet_every": 99}
    training = dict(tiny_parameters["denoiser"]["training"])
    loss = {"kl": 0.01, "kl_gate": True, "context": 0.5, "squares": 3, "side": 0.5}
    tiny_parameters["vae"] = {"network": {"widths": [4, 8], "latent": 6}, "loss": loss, "training": dict(training)}
    tiny_parameters["fixed_point_gan"] = {
        "network": {"channels": 4, "residual_blocks": 1},
        "discriminator": {"channels": 4, "layers": 2},
        "loss": {"classification": 1, "gradient_penalty": 10, "identity": 10, "reconstruction": 10},
        "critic_steps": 2,
        "training": training | {"betas": [0.5, 0.999]},
    }
    return tiny_parameters


@pytest.mark.parametrize("stage", ["denoiser", "classifier", "vae", "fixed_point_gan"])
def test_two_processes_make_the_steps_of_one(stage, parameters, tiny_store, tmp_path, monkeypatch):
    monkeypatch.setattr(State, "clear", lambda self: None)  # its moments are sums of the gradients themselves
    runs = {}
    for gpus in (1, 2):
        parameters[stage]["training"]["gpus"] = gpus
        train(stage, parameters, tiny_store, tmp_path / str(gpus))
        runs[gpus], header = checkpoint.load(tmp_path / str(gpus) / "state/state.safetensors")
        assert header["progress"]["iteration"] == 6
    for kind, share in {"exp_avg": 1e-4, "exp_avg_sq": 1e-4, "weights/": 1e-3}.items():
        one, two = (
            torch.cat([tensor.flatten().double() for name, tensor in sorted(tensors.items()) if kind in name])
            for tensors in runs.values()
        )
        # As a whole: where a gradient is 0 but for rounding, as a key's bias has it, Adam steps by the rounding's sign.
        assert (two - one).norm() < share * one.norm(), kind
    one, two = (
        pd.read_csv(tmp_path / str(gpus) / "log/metrics.csv").drop(columns="images_per_second") for gpus in (1, 2)
    )
    pd.testing.assert_frame_equal(one, two, rtol=1e-3)


def weights(folder: Path) -> torch.Tensor:
    """Of the network in a run's last state."""
    tensors, header = checkpoint.load(folder / "state/state.safetensors")
    assert header["progress"]["iteration"] == 6
    return torch.cat([tensor.flatten().double() for name, tensor in sorted(tensors.items()) if "weights/" in name])


def test_a_killed_run_goes_on_with_another_number_of_processes(parameters, tiny_store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(State, "clear", lambda self: None)
    train("classifier", parameters, tiny_store, tmp_path / "whole")
    original = Players.step

    def step(self, iteration, *arguments):
        if iteration == 3:
            raise ConnectionError
        return original(self, iteration, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Players, "step", step)
        with pytest.raises(ConnectionError):
            train("classifier", parameters, tiny_store, tmp_path / "killed")
    parameters["classifier"]["training"]["gpus"] = 2
    train("classifier", parameters, tiny_store, tmp_path / "killed")
    assert "going on from iteration 3" in capsys.readouterr().out
    whole, resumed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert (resumed - whole).norm() < 1e-3 * whole.norm()


def test_two_processes_make_the_steps_of_one_in_float16(parameters, tiny_store, tmp_path, monkeypatch):
    """In float32 where this CPU would emulate float16."""
    monkeypatch.setattr(State, "clear", lambda self: None)
    parameters["classifier"]["training"]["precision"] = "16-mixed"
    found = {}
    for gpus in (1, 2):
        parameters["classifier"]["training"]["gpus"] = gpus
        train("classifier", parameters, tiny_store, tmp_path / str(gpus))
        found[gpus] = weights(tmp_path / str(gpus))
    assert (found[2] - found[1]).norm() < 1e-2 * found[1].norm()


@pytest.mark.parametrize("notices", ["collective", "asleep"])
def test_a_companion_that_fails_ends_the_job_with_its_message(notices, tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    run = subprocess.run(
        [sys.executable, str(tmp_path / "failing.py"), notices],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 1
    assert "the companion's own message" in run.stderr
    assert "ended before its time" in run.stderr


def test_sigterm_to_all_ends_all_with_their_state_saved(parameters, tiny_store, tmp_path):
    parameters["denoiser"]["training"] |= {"iterations": 400, "gpus": 2}
    arguments = command("denoiser", parameters, tiny_store, tmp_path)
    process = subprocess.Popen([sys.executable, "-m", "stages.training.denoiser", *arguments], start_new_session=True)
    state = tmp_path / "state/state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGTERM)  # as a terminal or a scheduler does
    assert process.wait(60) == 128 + signal.SIGTERM
    _, header = checkpoint.load(state)
    done = header["progress"]["iteration"]
    assert 0 < done < 400
    deadline = time.monotonic() + 20
    while (left := living(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_the_next_one_is_made_while_the_last_is_used_and_in_order():
    made = []
    results = one_ahead(lambda n: made.append(n) or n, range(4))
    assert next(results) == 0
    time.sleep(0.2)
    assert made == [0, 1]
    assert list(results) == [1, 2, 3]
