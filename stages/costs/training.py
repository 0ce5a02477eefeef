"""What training a network takes: one step of each player is counted on the meta device, as the loop would make it."""

import importlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from stages.costs.passes import Pass
from stages.device import Precision
from stages.networks import flops
from stages.training.objective import Objective
from stages.training.section import Training

BATCH = 2
"""Images of the step that is counted; what it takes is proportional to them."""


@dataclass(frozen=True)
class Trained:
    """What a training run takes.

    Attributes:
        steps: of the loop.
        evaluations: images that its networks see, forward passes alone or followed by a backward pass.
        flops: of all passes, gradients included.
        passes: a kind of iteration -> images in the batches of all of them.
        precision: of its arithmetic.
    """

    steps: int
    evaluations: float
    flops: float
    passes: dict[Pass, int]
    precision: Precision


def of(parameters: dict, name: str, labels: np.ndarray) -> Trained:
    """Of the network `name` of a benchmark's merged parameters, on training slices with `labels` (N,)."""
    meta, training = torch.device("meta"), Training.of(parameters, name)
    with meta:
        objective: Objective = importlib.import_module(f"stages.training.{name}").objective(parameters, meta)
    steps = training.steps(len(training.rows(labels)))
    images = training.batch * training.accumulate
    rounds = Counter(tuple(objective.turns(iteration)) for iteration in range(steps))
    players = dict.fromkeys(player for turns in rounds for player in turns)
    taken = {player: _turn(objective, player, parameters, training) for player in players}
    evaluations, operations = (
        images * sum(number * taken[player][place] for turns, number in rounds.items() for player in turns)
        for place in (0, 1)
    )
    passes = {Pass(name, "training", training.precision, turns): number * images for turns, number in rounds.items()}
    return Trained(steps, evaluations, operations, passes, training.precision)


def _turn(objective: Objective, player: str, parameters: dict, training: Training) -> tuple[float, float]:
    """Evaluations of all networks, and operations, for an image in a step of `player`."""
    size, channels = parameters["data"]["size"], len(parameters["data"]["channels"])
    networks = objective.players()
    seen: list[int] = []
    for name, network in networks.items():
        network.requires_grad_(name == player)
    hooks = [network.register_forward_hook(_noting(seen)) for network in networks.values()]
    images = torch.empty(BATCH, channels, size, size, device="meta")
    pixels = (size, size) if training.learns_from == "masks" else ()
    targets = torch.zeros(BATCH, *pixels, dtype=torch.long, device="meta")
    try:
        # The meta device has no generator, and draws nothing.
        operations = flops.counted(
            lambda: objective.loss(player, networks, images, targets, None)["loss"].backward()  # type: ignore[arg-type]
        )
    finally:
        for hook in hooks:
            hook.remove()
    return sum(seen) / BATCH, operations / BATCH


def _noting(seen: list[int]) -> Callable[[nn.Module, tuple, Tensor], None]:
    return lambda _, arguments, __: seen.append(len(arguments[0]))
