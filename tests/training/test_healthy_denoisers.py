"""The denoisers of AnoDDPM and pDDPM: their losses, what they are told, and that they learn and repeat."""

import pandas as pd
import pytest
import torch
from runs import train
from torch import nn

from stages.training import patched_denoiser, simplex_denoiser

MODULES = {"simplex_denoiser": simplex_denoiser, "patched_denoiser": patched_denoiser}


@pytest.fixture
def parameters(tiny_parameters):
    """What rule train hands to both stages, at the smallest size."""
    section = {
        "network": tiny_parameters["denoiser"]["network"],
        "noise": {"octaves": 3, "persistence": 0.8, "frequency": 16},
        "training": tiny_parameters["classifier"]["training"] | {"accumulate": 1, "log_every": 10, "iterations": 60},
    }
    shared = {key: tiny_parameters[key] for key in ("seed", "data", "compile", "noise_schedule")}
    return shared | {"simplex_denoiser": section, "patched_denoiser": section | {"patches": 2}}


class Spy(nn.Module):
    """Predicts what it is told to; keeps what it was given."""

    def __init__(self, output):
        super().__init__()
        self.output, self.seen = output, []

    def forward(self, x, t):
        self.seen.append((x, t))
        return torch.full_like(x, self.output)


def generator():
    return torch.Generator().manual_seed(0)


def test_the_noise_is_what_anoddpm_predicts(parameters):
    objective, spy = simplex_denoiser.objective(parameters, torch.device("cpu")), Spy(0.25)
    images = torch.zeros(64, 2, 16, 16)
    loss = objective.loss("network", {"network": spy}, images, None, generator())["loss"]
    ((x_t, t),) = spy.seen
    assert set(t.tolist()) <= set(range(20))
    assert len(set(t.tolist())) > 10
    noise = x_t / (1 - objective.schedule.at(t + 1)).sqrt()  # of a black image nothing else is left
    assert float(loss) == pytest.approx(float((noise - 0.25).square().mean()), rel=1e-4)
    neighbours = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
    assert neighbours > 0.5  # white noise has 0


def test_one_patch_is_noised_and_counts(parameters):
    objective, spy = patched_denoiser.objective(parameters, torch.device("cpu")), Spy(0.5)
    images = torch.full((64, 2, 16, 16), 0.25)
    images[:, :, :8] = -0.25
    loss = objective.loss("network", {"network": spy}, images, None, generator())["loss"]
    ((x_t, _),) = spy.seen
    noised = (x_t != images).any(dim=1)
    quarters = torch.stack(
        [part.flatten(1).float().mean(1) for half in noised.chunk(2, 1) for part in half.chunk(2, 2)]
    )
    assert ((quarters > 0.9).sum(dim=0) == 1).all()
    assert ((quarters == 0).sum(dim=0) == 3).all()
    above = (quarters[:2] > 0).any(dim=0).float().mean()  # the share of patches where the image is -.25
    assert 0.2 < above < 0.8
    assert float(loss) == pytest.approx(0.75 * float(above) + 0.25 * (1 - float(above)), rel=1e-5)


@pytest.mark.parametrize("name", MODULES)
def test_they_learn_from_healthy_slices_and_the_same_bytes_again(name, parameters, tiny_store, tmp_path, monkeypatch):
    kind = type(MODULES[name].objective(parameters, torch.device("cpu")))
    original = kind.loss

    def spy(self, player, networks, images, labels, generator):
        assert (labels == 0).all()
        return original(self, player, networks, images, labels, generator)

    monkeypatch.setattr(kind, "loss", spy)
    first = train(name, parameters, tiny_store, tmp_path / "a")
    assert first == train(name, parameters, tiny_store, tmp_path / "b")
    losses = pd.read_csv(tmp_path / "a/log/metrics.csv")["loss"]
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]
