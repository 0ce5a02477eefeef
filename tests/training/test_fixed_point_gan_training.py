"""Fixed-Point GAN's losses against closed forms, whose weights they move, and runs that are repeated or killed."""

import math
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from runs import kill, train
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from stages import checkpoint, device
from stages.networks import build
from stages.networks.fixed_point_gan import Discriminator, Generator
from stages.training import fixed_point_gan
from stages.training.fixed_point_gan import FixedPointObjective, Weights, gradient_penalty

WEIGHTS = Weights(classification=2, gradient_penalty=3, identity=5, reconstruction=7)
LABELS = torch.tensor([0, 1, 1, 0, 1, 0, 0, 0])


class Still(nn.Module):
    """G = 0."""

    def forward(self, x, c):
        return torch.tanh(x)


class Painter(nn.Module):
    """Fills an image with its class."""

    def forward(self, x, c):
        return c.float()[:, None, None, None].expand_as(x)


class Linear(nn.Module):
    """Realness 3 and a logit of 80 times the mean above one half."""

    def forward(self, x):
        mean = x.mean(dim=(1, 2, 3))
        return 3 * mean[:, None, None, None], 80 * (mean - 0.5)


def terms(player: str, generator: nn.Module, images: torch.Tensor, discriminator: nn.Module | None = None) -> dict:
    objective = FixedPointObjective(generator, discriminator or Linear(), WEIGHTS, 5)
    found = objective.loss(player, objective.players(), images, LABELS, torch.Generator().manual_seed(1))
    return {name: float(value.detach()) for name, value in found.items()}


def painted() -> torch.Tensor:
    return LABELS.float()[:, None, None, None].expand(-1, 2, 4, 4).contiguous()


class Sloping(nn.Module):
    """A critic of four patches, whose sum has the slope `weight`."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([3.0, -4.0, 0.0, 12.0]).reshape(1, 1, 2, 2))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return (self.weight * x).reshape(len(x), 1, 1, 4) + self.bias, None


def test_gradient_penalty_of_a_linear_critic():
    critic = Sloping()
    penalty = gradient_penalty(critic, torch.randn(5, 1, 2, 2))
    assert float(penalty.detach()) == pytest.approx((13 - 1) ** 2)
    (2 * penalty).backward()  # d (|w| - 1)^2 / dw = 2 (|w| - 1) w / |w|
    torch.testing.assert_close(critic.weight.grad, 2 * 2 * (13 - 1) / 13 * critic.weight.detach())
    assert critic.bias.grad is None, "the slope does not depend on it"


def tf32() -> tuple[bool, bool]:
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture
def allowed_tf32():
    before = tf32()
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_gradient_penalty_and_its_derivative_are_taken_without_tf32_which_the_run_allows(allowed_tf32):
    class Flags(TorchDispatchMode):
        """What every convolution, forwards, backwards and backwards again, is allowed."""

        def __init__(self):
            super().__init__()
            self.seen = []

        def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
            if "convolution" in function.__name__:
                self.seen.append((function.__name__, tf32()))
            return function(*arguments, **(keywords or {}))

    critic = Discriminator(8, 1, channels=2, layers=2)
    with Flags() as flags:
        penalty = gradient_penalty(critic, torch.randn(2, 1, 8, 8))
        (10 * penalty).backward()
    names = [name for name, _ in flags.seen]
    assert len([name for name in names if "backward" not in name]) > 3, "the critic's, and its slope's"
    assert len([name for name in names if "backward" in name]) > 3, "of the slope, and of its gradient"
    assert {allowed for _, allowed in flags.seen} == {(False, False)}
    assert tf32() == (True, True)
    assert all(float(layer.weight.grad.abs().max()) > 0 for layer in (critic.main[0], critic.main[2], critic.critic))


def test_gradient_penalty_is_taken_between_real_and_translated_and_averaged_over_images():
    seen = []

    class Square(Linear):
        def forward(self, x):
            seen.append(x.detach())
            return 0.5 * x.square(), super().forward(x)[1]  # the slope is x itself

    found = terms("discriminator", Painter(), torch.full((8, 1, 2, 2), 3.0), Square())
    mixed = seen[-1]
    assert ((mixed >= 0) & (mixed <= 3)).all()
    assert (mixed.flatten(1).std(dim=1) < 1e-6).all(), "one share for all of an image's pixels"
    assert len(mixed[:, 0, 0, 0].unique()) == 8
    norms = mixed.flatten(1).norm(dim=1)
    assert found["gradient_penalty"] == pytest.approx(float((norms - 1).square().mean()), rel=1e-5)


def test_generator_that_adds_nothing():
    x = torch.rand(8, 2, 4, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = terms("generator", Still(), x)
    squashed = torch.tanh(x)
    identity = float((squashed - x).abs().mean())
    reconstruction = float((torch.tanh(squashed) - x).abs().mean())
    assert found["identity"] == pytest.approx(identity)
    for prefix in ("", "same_"):
        assert found[f"{prefix}reconstruction"] == pytest.approx(reconstruction)
        assert found[f"{prefix}adversarial"] == pytest.approx(-3 * float(squashed.mean()), abs=1e-6)
    total = found["adversarial"] + found["same_adversarial"] + 5 * identity + 2 * 7 * reconstruction
    total += 2 * (found["classification"] + found["same_classification"])
    assert found["loss"] == pytest.approx(total, rel=1e-5)
    assert terms("generator", Still(), 0.01 * x)["identity"] < 0.01**3 / 3


def test_each_term_of_the_generator_sees_its_class():
    found = terms("generator", Painter(), painted())
    zero = ("classification", "same_classification", "reconstruction", "same_reconstruction", "identity")
    assert {name: found[name] for name in zero} == dict.fromkeys(zero, pytest.approx(0, abs=1e-6))
    assert found["adversarial"] == found["same_adversarial"] == pytest.approx(-3 * 3 / 8)
    found = terms("generator", Painter(), 1 - painted())
    assert found["classification"] == pytest.approx(0, abs=1e-6)
    for name in ("identity", "reconstruction", "same_reconstruction"):
        assert found[name] == pytest.approx(1)


def test_the_discriminator_classifies_real_images_and_compares_them_with_translated_ones():
    found = terms("discriminator", Painter(), 1 - painted())
    penalty = (3 / math.sqrt(32) - 1) ** 2
    assert found["real"] == pytest.approx(3 * 5 / 8)
    assert found["fake"] == pytest.approx(3 * 3 / 8)
    assert found["classification"] == pytest.approx(40)
    assert found["gradient_penalty"] == pytest.approx(penalty, rel=1e-5)
    assert found["loss"] == pytest.approx(3 * 3 / 8 - 3 * 5 / 8 + 2 * 40 + 3 * penalty, rel=1e-5)
    assert terms("discriminator", Painter(), painted())["classification"] == pytest.approx(0, abs=1e-6)


def test_target_classes_are_the_batch_in_an_order_drawn_from_the_generator():
    seen = []

    class Spy(Painter):
        def forward(self, x, c):
            seen.append(c)
            return super().forward(x, c)

    objective = FixedPointObjective(Spy(), Linear(), WEIGHTS, 5)
    for seed in (1, 1, *range(2, 10)):
        rng = torch.Generator().manual_seed(seed)
        objective.loss("discriminator", objective.players(), painted(), LABELS, rng)
    assert torch.equal(seen[0], seen[1])
    assert len({tuple(targets.tolist()) for targets in seen}) > 5
    assert all(int(targets.sum()) == 3 for targets in seen)


def test_the_generator_moves_at_every_fifth_step():
    objective = FixedPointObjective(Still(), Linear(), WEIGHTS, 5)
    moves = [objective.turns(i) for i in range(10)]
    assert [i for i in range(10) if "generator" in moves[i]] == [4, 9]
    assert all(turns[0] == "discriminator" for turns in moves)


@pytest.fixture
def parameters(tiny_parameters):
    training = {key: value for key, value in tiny_parameters["denoiser"]["training"].items() if key != "iterations"}
    section = {
        "network": {"channels": 4, "residual_blocks": 1},
        "discriminator": {"channels": 4, "layers": 2},
        "loss": {"classification": 1, "gradient_penalty": 10, "identity": 10, "reconstruction": 10},
        "critic_steps": 2,
        "training": training | {"epochs": 8, "betas": [0.5, 0.999], "log_every": 3},
    }
    return {key: tiny_parameters[key] for key in ("seed", "compile", "data")} | {"fixed_point_gan": section}


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_only_the_player_whose_turn_it_is_takes_gradients(parameters, player):
    objective = fixed_point_gan.objective(parameters, torch.device("cpu"))
    players = objective.players()
    for name, network in players.items():
        network.requires_grad_(name == player)  # as the loop does
    images = torch.randn(8, 2, 16, 16)
    objective.loss(player, players, images, LABELS, torch.Generator().manual_seed(0))["loss"].backward()
    for name, network in players.items():
        gradients = [weight.grad for weight in network.parameters()]
        if name == player:
            assert all(gradient is not None and bool((gradient != 0).any()) for gradient in gradients)
        else:
            assert gradients == [None] * len(gradients)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_two_runs_with_one_seed_write_the_same_bytes(parameters, tiny_store, tmp_path, precision, monkeypatch):
    monkeypatch.setattr(device, "_cpu_knows_bfloat16", lambda: True)  # emulated where it does not
    parameters["fixed_point_gan"]["training"]["precision"] = precision
    first = train("fixed_point_gan", parameters, tiny_store, tmp_path / "a")
    assert first == train("fixed_point_gan", parameters, tiny_store, tmp_path / "b")
    assert first != train("fixed_point_gan", parameters | {"seed": 4}, tiny_store, tmp_path / "c")
    metrics = pd.read_csv(tmp_path / "a/log/metrics.csv")
    assert metrics["step"].tolist() == [3, 6, 9, 12]
    names = {"loss", "real", "fake", "classification", "gradient_penalty"}
    assert {f"discriminator_{name}" for name in names} <= set(metrics)
    names = {"adversarial", "classification", "reconstruction"}
    names = {"loss", "identity", *names, *(f"same_{name}" for name in names)}
    assert {f"generator_{name}" for name in names} <= set(metrics)
    assert np.isfinite(metrics).all(axis=None)
    assert (tmp_path / "a/log/sheet.png").stat().st_size > 0
    tensors, _ = checkpoint.load(tmp_path / "a/fixed_point_gan.safetensors")
    generator = build.network(Generator, "fixed_point_gan", parameters).state_dict()
    assert tensors.keys() == generator.keys() | {f"ema.{name}" for name in generator}


def test_a_killed_run_ends_in_the_same_weights(parameters, tiny_store, tmp_path):
    parameters["fixed_point_gan"]["training"]["epochs"] = 40
    whole = train("fixed_point_gan", parameters, tiny_store, tmp_path / "whole")
    kill("fixed_point_gan", parameters, tiny_store, tmp_path / "killed", signal.SIGKILL, saves=4)
    assert train("fixed_point_gan", parameters, tiny_store, tmp_path / "killed") == whole
    a, b = (
        pd.read_csv(tmp_path / run / "log/metrics.csv").drop(columns="images_per_second") for run in ("whole", "killed")
    )
    pd.testing.assert_frame_equal(a, b)


def test_training_learns_to_take_the_square_away(parameters, tiny_store, tiny_slices, tmp_path):
    section = parameters["fixed_point_gan"]
    section["network"]["channels"] = section["discriminator"]["channels"] = 8
    section["training"] |= {"epochs": 150, "batch": 6, "accumulate": 1, "learning_rate": 4e-3, "log_every": 20}
    section["training"]["save_minutes"] = 5
    train("fixed_point_gan", parameters, tiny_store, tmp_path)
    metrics = pd.read_csv(tmp_path / "log/metrics.csv")
    assert metrics["discriminator_classification"].iloc[-1] < metrics["discriminator_classification"].iloc[0] / 5
    assert metrics["generator_classification"].iloc[-1] < metrics["generator_classification"].max() / 2
    generator = build.network(Generator, "fixed_point_gan", parameters)
    checkpoint.load_into(generator, tmp_path / "fixed_point_gan.safetensors")
    images = 2 * torch.from_numpy(np.asarray(tiny_slices.images, np.float32)) - 1
    with torch.no_grad():
        change = (generator(images, torch.zeros(12)) - images).abs().mean(dim=1).numpy()
    mask = np.asarray(tiny_slices.masks) == 1
    assert change[mask].mean() > 0.3  # tanh alone: 0.14
    assert change[~mask].mean() < 0.1
