"""The one training loop: every network of the benchmark is trained here.

Nothing random is carried from one iteration to the next: iteration i draws from generators seeded with (seed, i). A
run that is killed and started again therefore needs only its weights and moments to go on as if nothing had happened.
"""

import csv
import math
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

import stages
from stages import checkpoint, command, imports
from stages.data.store import SliceStore, content_hash, replacing
from stages.errors import InputError
from stages.training.sheets import write_sheet
from stages.training.state import Progress, Run, State

RATES = ("learning_rate", "images_per_second")
"""The last columns of metrics.csv."""


class Objective(ABC):
    """What is trained, and for what. Most objectives train one network; an adversarial one trains several in turns.

    Attributes:
        network: what the checkpoint holds, and what is averaged.
        intensity: the interval as which the networks see an image's [0, 1].
    """

    network: nn.Module
    intensity: Sequence[float]

    def players(self) -> dict[str, nn.Module]:
        """The networks, each with an optimiser of its own; `network` is one of them."""
        return {"network": self.network}

    def turns(self, iteration: int) -> list[str]:
        """Which players make a step at an iteration, in this order, all on the same batch."""
        return list(self.players())

    def rows(self, labels: np.ndarray) -> np.ndarray:
        """The slices that are learnt from, as row numbers, given the labels (N,) of all."""
        return np.arange(len(labels))

    @abstractmethod
    def loss(
        self, player: str, networks: dict[str, nn.Module], images: Tensor, labels: Tensor, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Scalars of a batch: "loss", which `player` minimises, and whatever else is worth a column in metrics.csv.

        `networks` are the players as they compute in the run's precision; only `player`'s weights take gradients.
        `images` (B, C, H, W) are in the networks' intensity range, `labels` (B,) are 0 (healthy) or 1 (diseased).
        """

    @abstractmethod
    def sheet(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Columns of the sheet that shows what the network does, beside the images: each (B, C, H, W) in [0, 1]."""


def train(objective: Objective, store: SliceStore, run: Run, training: dict, fabric: Fabric) -> None:
    """Train `objective.network` on `store` and write its checkpoint.

    Args:
        objective: network and loss.
        store: training slices.
        run: paths and identity.
        training: the `training` section of params.yaml (iterations or epochs, batch, learning_rate, ...).
        fabric: device and precision.

    Raises:
        InputError: there is nothing to learn from, or a loss is no longer finite.
    """
    seed, batch, accumulate = run.parameters["seed"], training["batch"], training["accumulate"]
    rows = objective.rows(store.manifest["label"].to_numpy())
    if not len(rows):
        raise InputError(f"{store.folder} holds no slice that {run.name} learns from; check data.split")
    iterations = training.get("iterations") or math.ceil(training["epochs"] * len(rows) / (batch * accumulate))
    networks, optimizers = {}, {}
    for name, module in objective.players().items():
        module.to(memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(
            module.parameters(), betas=training["betas"], weight_decay=training["weight_decay"], fused=True
        )
        networks[name], optimizers[name] = fabric.setup(module, optimizer)
    average = AveragedModel(objective.network, multi_avg_fn=get_ema_multi_avg_fn(training["ema"]))
    header = {
        "stage": run.name,
        "parameters": run.parameters,
        "data_sha256": content_hash(store.folder),
        "version": stages.__version__,
        "code_sha256": imports.fingerprint(run.module),
    }
    state = State(run, header, objective.players(), average, optimizers)
    progress = state.restore()
    _write_metrics(run.log / "metrics.csv", progress.table)
    sheet_slices = _slices_to_show(store, seed)

    def draw_sheet() -> None:
        images, labels = _load(store, sheet_slices, objective.intensity, fabric.device)
        with torch.no_grad():
            columns = objective.sheet(images, labels, _generator(seed, 0, fabric.device))
        low, high = objective.intensity
        write_sheet(run.log / "sheet.png", [(images - low) / (high - low), *columns])

    started = saved = time.monotonic()
    first = progress.iteration
    with (
        _StopOnSignal() as stop,
        command.progress(run.name, iterations, first) as bar,
    ):
        while progress.iteration < iterations:
            i = progress.iteration
            generator = _generator(seed, i, fabric.device)
            batches = []
            for part in range(accumulate):
                indices = rows[batch_indices(len(rows), batch, i * accumulate + part, seed)]
                images, labels = _load(store, indices, objective.intensity, fabric.device)
                batches.append((augment(images, training, objective.intensity, generator), labels))
            turns = objective.turns(i)
            losses: dict[str, Tensor] = {}
            for player in turns:
                optimizer = optimizers[player]
                for name, network in networks.items():
                    network.requires_grad_(name == player)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate(i, iterations, training)
                for images, labels in batches:
                    terms = objective.loss(player, networks, images, labels, generator)
                    fabric.backward(terms["loss"] / accumulate)
                    for name, value in terms.items():
                        column = name if len(networks) == 1 else f"{player}_{name}"
                        losses[column] = losses.get(column, 0) + value.detach() / accumulate
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                if objective.players()[player] is objective.network:
                    average.update_parameters(objective.network)
            progress.iteration += 1

            for name, value in losses.items():  # stays on the device: reading it would make a GPU wait
                progress.sums[name] = progress.sums.get(name, 0.0) + value.double()
                progress.counts[name] = progress.counts.get(name, 0) + 1
            bar.update()
            speed = (progress.iteration - first) * batch * accumulate / (time.monotonic() - started)
            if i % 10 == 0 and not bar.disable:
                name = next(iter(losses))
                bar.set_postfix_str(f"{name} {float(losses[name]):.4f}, {speed:.1f} images/s", refresh=False)
            if progress.iteration % training["log_every"] == 0 or progress.iteration == iterations:
                if not all(math.isfinite(total) for total in progress.sums.values()):
                    raise InputError(
                        f"{run.name}: the loss is no longer finite at iteration {progress.iteration}; lower "
                        "learning_rate, or set precision to 32-true"
                    )
                _log(progress, learning_rate(i, iterations, training), speed)
                _write_metrics(run.log / "metrics.csv", progress.table)
            if progress.iteration % training["sheet_every"] == 0:
                draw_sheet()
            if stop.asked or time.monotonic() - saved > 60 * training["save_minutes"]:
                state.save(progress)
                saved = time.monotonic()
            if stop.asked:
                raise SystemExit(128 + stop.asked)

    draw_sheet()
    tensors = dict(objective.network.state_dict())
    tensors |= {checkpoint.EMA + name: tensor for name, tensor in average.module.state_dict().items()}
    checkpoint.save(run.checkpoint, tensors, header | {"step": iterations})
    state.clear()
    print(f"{run.name}: {iterations} iterations, {run.checkpoint}", flush=True)


def learning_rate(iteration: int, iterations: int, training: dict) -> float:
    """Step size at an iteration out of `iterations`: linear warm-up, then constant or a half cosine to zero."""
    warmup = min(1.0, (iteration + 1) / (training["warmup"] + 1))
    decay = 1.0
    if training["schedule"] == "cosine":
        decay = 0.5 * (1 + math.cos(math.pi * iteration / iterations))
    return training["learning_rate"] * warmup * decay


def batch_indices(slices: int, batch: int, number: int, seed: int) -> np.ndarray:
    """Rows of batch `number`: consecutive pieces of one endless sequence of shuffled epochs, (batch,)."""
    positions = np.arange(number * batch, (number + 1) * batch)
    rows = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(positions // slices):
        here = positions // slices == epoch
        rows[here] = np.random.default_rng([seed, int(epoch)]).permutation(slices)[positions[here] % slices]
    return rows


def augment(images: Tensor, training: dict, intensity: Sequence[float], generator: torch.Generator) -> Tensor:
    """Left-right mirroring and intensity jitter, each where params.yaml asks for it.

    The jitter raises each channel of each image to a random power and scales it, both by about `jitter`: a change of
    contrast that leaves the background at 0.
    """
    n, channels = images.shape[:2]
    if training["mirror"]:
        flip = torch.rand(n, 1, 1, 1, generator=generator, device=images.device) < 0.5
        images = torch.where(flip, images.flip(-1), images)
    if training["jitter"] > 0:
        low, high = intensity
        normal = torch.randn(2, n, channels, 1, 1, generator=generator, device=images.device)
        gamma, gain = (training["jitter"] * normal).exp()
        images = low + (high - low) * ((images - low) / (high - low)).clamp(0, 1).pow(gamma) * gain
    return images


def _load(
    store: SliceStore, rows: np.ndarray, intensity: Sequence[float], device: torch.device
) -> tuple[Tensor, Tensor]:
    low, high = intensity
    images = torch.from_numpy(store.images[rows].astype(np.float32)).to(device)
    labels = torch.from_numpy(store.manifest["label"].to_numpy()[rows]).to(device)
    return (low + (high - low) * images).contiguous(memory_format=torch.channels_last), labels


def _slices_to_show(store: SliceStore, seed: int, each: int = 3) -> np.ndarray:
    """Rows of a few healthy and a few diseased training slices, always the same."""
    rng = np.random.default_rng(seed)
    labels = store.manifest["label"].to_numpy()
    rows = [rng.permutation(np.flatnonzero(labels == label))[:each] for label in (0, 1)]
    return np.concatenate(rows)


def _generator(seed: int, iteration: int, device: torch.device) -> torch.Generator:
    # SeedSequence spreads neighbouring (seed, iteration) pairs over the whole state space.
    state = np.random.SeedSequence([seed, iteration]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state))


def _log(progress: Progress, rate: float, speed: float) -> None:
    """Add a row with the means since the last one."""
    means = {name: f"{total / progress.counts[name]:.6g}" for name, total in progress.sums.items()}
    rates = dict(zip(RATES, (f"{rate:.4g}", f"{speed:.1f}"), strict=True))
    progress.table.append({"step": str(progress.iteration)} | means | rates)
    progress.sums, progress.counts = {}, {}


def _write_metrics(path: Path, table: list[dict[str, str]]) -> None:
    if not table:
        return
    terms = {name for row in table for name in row} - {"step", *RATES}  # a player may have had no turn in some row
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", *sorted(terms), *RATES], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


class _StopOnSignal:
    """Turns SIGTERM and Ctrl-C into a question that the loop answers after the iteration at hand, its state saved."""

    asked: int = 0

    def __enter__(self) -> "_StopOnSignal":
        self._previous = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: object) -> None:
        self.asked = number
