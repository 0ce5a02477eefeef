"""Training of the variational autoencoder: terms, healthy slices, masks, determinism, resuming."""

import signal

import numpy as np
import pandas as pd
import pytest
import torch
from runs import kill, train

from stages import checkpoint
from stages.errors import InputError
from stages.training import section, vae


@pytest.fixture
def parameters(tiny_parameters):
    """What train_vae hands to its stage, at the smallest size."""
    training = {
        k: v for k, v in tiny_parameters["denoiser"]["training"].items() if k not in ("max_level", "label_dropout")
    }
    loss = {"kl": 0.01, "kl_gate": True, "context": 0.5, "squares": 3, "side": 0.5}
    section = {"network": {"widths": [4, 8], "latent": 6}, "loss": loss, "training": training}
    return {"seed": 3, "compile": "never", "data": tiny_parameters["data"], "vae": section}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Fixed(torch.nn.Module):
    """Decodes 0.25 whatever it sees, with latents of mean 1 and deviation 1; keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x, noise=None):
        self.seen.append((x, noise))
        return torch.full_like(x, 0.25), torch.ones(len(x), 6), torch.zeros(len(x), 6)


def fixed_objective(parameters, **loss):
    objective = vae.objective(parameters | {"vae": parameters["vae"] | {"loss": loss}}, torch.device("cpu"))
    objective.network = Fixed()
    return objective


def test_the_loss_is_the_published_mixture(parameters):
    loss = {"kl": 0.01, "kl_gate": True, "context": 0.0, "squares": 3, "side": 0.5}
    images = torch.tensor([0.75, 0.25, 0.75, 0.25])[:, None, None, None].expand(4, 2, 16, 16)
    objective = fixed_objective(parameters, **loss)
    terms = objective.loss("network", objective.players(), images, None, generator())
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {"loss": 0.25 + 0.01 * 0.5, "reconstruction": 0.25, "kl": 0.5}
    )
    objective = fixed_objective(parameters, **loss | {"context": 0.25})
    terms = objective.loss("network", objective.players(), images, None, generator())
    assert float(terms["context"]) == pytest.approx(0.25)
    assert float(terms["loss"]) == pytest.approx(0.75 * 0.255 + 0.25 * 0.25)
    (plain, noise), (masked, none) = objective.network.seen
    assert torch.equal(plain, images)
    assert noise.shape == (4, 6)
    assert none is None  # the masked branch decodes the mean
    assert not torch.equal(masked, images)


@pytest.mark.parametrize(("gate", "grey", "counts"), [(True, 0.20, False), (True, 0.23, True), (False, 0.20, True)])
def test_the_divergence_waits_until_the_others_mean_is_beaten_where_it_is_gated(gate, grey, counts, parameters):
    images = torch.tensor([0.0, grey, 0.0, grey])[:, None, None, None].expand(4, 2, 16, 16)
    objective = fixed_objective(parameters, kl=0.01, kl_gate=gate, context=0.0, squares=3, side=0.5)
    terms = objective.loss("network", objective.players(), images, None, generator())
    error = 0.25 - grey / 2  # of 0.25; the mean of the other three errs by 2 / 3 of the distance between the greys
    assert float(terms["reconstruction"]) == pytest.approx(error)
    assert (error < 2 / 3 * grey or not gate) == counts
    assert float(terms["loss"]) == pytest.approx(error + 0.005 * counts)


def test_masks_are_a_few_grey_squares_of_at_most_half_the_side():
    images = torch.full((400, 2, 32, 32), 2.0)
    one = vae.mask_squares(images, 1, 0.5, generator())
    assert torch.equal(images, torch.full_like(images, 2.0))
    sides, greys = [], []
    for image in one:
        assert torch.equal(image[0], image[1])
        covered = image[0] != 2
        rows, columns = covered.any(dim=1).nonzero().flatten(), covered.any(dim=0).nonzero().flatten()
        sides.append(len(rows))
        if len(rows):
            assert len(rows) == len(columns)
            assert covered.sum() == len(rows) ** 2
            assert len(image[0][covered].unique()) == 1
            greys.append(float(image[0][covered][0]))
    assert max(sides) == 16
    assert 0.4 < sides.count(0) / 400 < 0.65  # none half of the time, and a square may have no extent
    assert min(greys) < 0.1
    assert max(greys) > 0.9
    assert max(greys) <= 1
    several = vae.mask_squares(images, 3, 0.5, generator())
    distinct = [len(image[0].unique()) - 1 for image in several]  # greys beside the image's own
    assert set(distinct) <= {0, 1, 2, 3}
    assert distinct.count(3) > 20
    assert torch.equal(several, vae.mask_squares(images, 3, 0.5, generator()))
    assert not torch.equal(several, vae.mask_squares(images, 3, 0.5, generator(1)))


def test_only_healthy_slices_are_learnt_from(parameters, tiny_store, tiny_slices, tmp_path, monkeypatch):
    healthy = {image.tobytes() for image in tiny_slices.images[tiny_slices.manifest["label"].to_numpy() == 0]}
    parameters["vae"]["training"] |= {"mirror": False, "jitter": 0}
    original, seen = vae.ReconstructionObjective.loss, set()

    def spy(self, player, networks, images, labels, generator):
        assert (labels == 0).all()
        seen.update(image.numpy().astype(np.float16).tobytes() for image in images.contiguous())
        return original(self, player, networks, images, labels, generator)

    monkeypatch.setattr(vae.ReconstructionObjective, "loss", spy)
    train("vae", parameters, tiny_store, tmp_path)
    assert seen == healthy


def test_no_healthy_slice_is_one_sentence(parameters, tiny_store, tmp_path, monkeypatch):
    monkeypatch.setattr(section, "HEALTHY", 7)
    with pytest.raises(InputError, match="holds no slice that train_vae learns from"):
        train("vae", parameters, tiny_store, tmp_path)


def test_two_runs_with_one_seed_write_the_same_bytes(parameters, tiny_store, tmp_path):
    first = train("vae", parameters, tiny_store, tmp_path / "a")
    assert first == train("vae", parameters, tiny_store, tmp_path / "b")
    assert first != train("vae", parameters | {"seed": 4}, tiny_store, tmp_path / "c")
    metrics = pd.read_csv(tmp_path / "a/log/metrics.csv")
    assert {"loss", "reconstruction", "kl", "context"} < set(metrics.columns)
    assert (tmp_path / "a/log/sheet.png").stat().st_size > 0
    _, header = checkpoint.load(tmp_path / "a/vae.safetensors")
    assert header["parameters"] == parameters


def test_a_killed_run_ends_in_the_same_weights(parameters, tiny_store, tmp_path):
    parameters["vae"]["training"]["iterations"] = 200
    whole = train("vae", parameters, tiny_store, tmp_path / "whole")
    kill("vae", parameters, tiny_store, tmp_path / "killed", signal.SIGKILL, saves=1)
    assert train("vae", parameters, tiny_store, tmp_path / "killed") == whole


def test_training_learns(parameters, tiny_store, tmp_path):
    parameters["vae"]["training"] |= {"iterations": 150, "accumulate": 1, "log_every": 10, "learning_rate": 3e-3}
    parameters["vae"]["loss"] |= {"context": 0.0}
    train("vae", parameters, tiny_store, tmp_path)
    metrics = pd.read_csv(tmp_path / "log/metrics.csv")
    assert metrics["reconstruction"].iloc[-1] < metrics["reconstruction"].iloc[0] / 3
    assert "context" not in metrics
