"""Compiled networks learn what they learn without kernels, also in a run that began without; their files are alike."""

from functools import partial
from pathlib import Path

import pytest
import torch
from runs import train

from stages import checkpoint, device
from stages.networks import compiled
from stages.training import denoiser, ranks
from stages.training.loop import Players
from stages.training.section import Training
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


def learn(parameters: dict, how: str, folder: Path, rank: int) -> torch.Tensor:
    """Two steps of the denoiser on batches that all processes hold: its weights. Each leaves its count of graphs."""
    if rank:
        compiled.BACKEND = "aot_eager"
    assert compiled.can_compile("cpu")
    graphs = torch._dynamo.utils.counters["stats"]
    before = graphs["unique_graphs"]
    torch.manual_seed(0)
    objective = denoiser.objective(parameters, torch.device("cpu"))
    players = Players(objective, Training.of(parameters, "denoiser"), device.Processor(), how)
    for i in range(2):
        generator = torch.Generator().manual_seed(i)
        batches = [(torch.rand(4, 2, 16, 16, generator=generator), torch.arange(4) % 2) for _ in range(2)]
        players.step(i, batches, 1e-3, generator)
    (folder / f"graphs-{rank}").write_text(str(graphs["unique_graphs"] - before))
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
    return torch.cat([tensor.flatten().double() for tensor in players.weights().values()])


def test_two_processes_with_kernels_make_the_steps_of_one_without(parameters, tmp_path, traced):
    one = learn(parameters, "never", tmp_path, 0)
    assert not traced
    work = partial(learn, parameters, "kernels", tmp_path)
    with ranks.joined(2, "gloo", work):
        two = work(0)
    assert [(tmp_path / f"graphs-{rank}").read_text() for rank in range(2)] == ["1", "1"]
    assert len(traced) == 1
    assert 0 < (two - one).norm() < 1e-3 * one.norm()


def apart(one, two, kind=""):
    """How far all tensors of a kind lie apart, as a share of the first ones' norm."""
    one, two = (
        torch.cat([tensor.flatten().double() for name, tensor in sorted(tensors.items()) if kind in name])
        for tensors in (one, two)
    )
    return (two - one).norm() / one.norm()
