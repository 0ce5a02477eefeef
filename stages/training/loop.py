"""The one training loop: every network of the benchmark is trained here.

Nothing random is carried from one iteration to the next: iteration i draws from generators seeded with (seed, i). A
run that is killed and started again therefore needs only its weights and moments to go on as if nothing had happened.
"""

import csv
import math
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

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


class Objective(Protocol):
    """What a network is trained for."""

    network: nn.Module

    def loss(self, network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Scalars of a batch: "loss", which is minimised, and whatever else is worth a column in metrics.csv.

        `images` (B, C, H, W) are in the networks' intensity range, `labels` (B,) are 0 (healthy) or 1 (diseased).
        """

    def sheet(self, network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Columns of the sheet that shows what the network does: each (B, C, H, W) in [0, 1], the input first."""


@dataclass
class Run:
    """Where a training run keeps what it writes, and what identifies it.

    Attributes:
        name: the rule, for progress and messages.
        module: the stage's module, whose code is part of the run's identity.
        checkpoint: the result.
        log: folder of metrics.csv and sheet.png.
        state: folder of what a killed run resumes from; emptied at the end.
        parameters: the stage's part of params.yaml.
    """

    name: str
    module: str
    checkpoint: Path
    log: Path
    state: Path
    parameters: dict


@dataclass
class Progress:
    """How far a run has come; it is saved with the state."""

    iteration: int = 0
    table: list[list[str]] = field(default_factory=list)  # metrics.csv, its header first
    sums: dict[str, Tensor | float] = field(default_factory=dict)  # of the losses since the table's last row


def train(objective: Objective, store: SliceStore, run: Run, training: dict, fabric: Fabric) -> None:
    """Train `objective.network` on `store` and write its checkpoint.

    Args:
        objective: network and loss.
        store: training slices.
        run: paths and identity.
        training: the `training` section of params.yaml (iterations, batch, learning_rate, ...).
        fabric: device and precision.

    Raises:
        InputError: the loss is no longer finite.
    """
    seed, iterations = run.parameters["seed"], training["iterations"]
    network = objective.network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=training["weight_decay"], fused=True)
    network, optimizer = fabric.setup(network, optimizer)
    average = AveragedModel(network.module, multi_avg_fn=get_ema_multi_avg_fn(training["ema"]))
    header = {
        "stage": run.name,
        "parameters": run.parameters,
        "data_sha256": content_hash(store.folder),
        "version": stages.__version__,
        "code_sha256": imports.fingerprint(run.module),
    }
    state = _State(run, header, network.module, average, optimizer)
    progress = state.restore()
    _write_metrics(run.log / "metrics.csv", progress.table)
    sheet_slices = _slices_to_show(store, seed)

    def draw_sheet() -> None:
        images, labels = _load(store, sheet_slices, run.parameters, fabric.device)
        with torch.no_grad():
            columns = objective.sheet(network.module, images, labels, _generator(seed, 0, fabric.device))
        write_sheet(run.log / "sheet.png", columns)

    batch, accumulate = training["batch"], training["accumulate"]
    started = saved = time.monotonic()
    first = progress.iteration
    with (
        _StopOnSignal() as stop,
        command.progress(run.name, iterations, first) as bar,
    ):
        while progress.iteration < iterations:
            i = progress.iteration
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(i, training)
            generator = _generator(seed, i, fabric.device)
            losses: dict[str, Tensor] = {}
            for part in range(accumulate):
                indices = batch_indices(len(store), batch, i * accumulate + part, seed)
                images, labels = _load(store, indices, run.parameters, fabric.device)
                images = augment(images, training, run.parameters["diffusion"]["intensity"], generator)
                with fabric.no_backward_sync(network, enabled=part + 1 < accumulate):
                    terms = objective.loss(network, images, labels, generator)
                    fabric.backward(terms["loss"] / accumulate)
                for name, value in terms.items():
                    losses[name] = losses.get(name, 0) + value.detach() / accumulate
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            average.update_parameters(network.module)
            progress.iteration += 1

            for name, value in losses.items():  # stays on the device: reading it would make a GPU wait
                progress.sums[name] = progress.sums.get(name, 0.0) + value.double()
            bar.update()
            if i % 10 == 0 and not bar.disable:
                speed = (progress.iteration - first) * batch * accumulate / (time.monotonic() - started)
                bar.set_postfix_str(f"loss {float(losses['loss']):.4f}, {speed:.1f} images/s", refresh=False)
            if progress.iteration % training["log_every"] == 0 or progress.iteration == iterations:
                if not math.isfinite(progress.sums["loss"]):
                    raise InputError(
                        f"{run.name}: the loss is no longer finite at iteration {progress.iteration}; lower "
                        "learning_rate, or set precision to 32-true"
                    )
                speed = (progress.iteration - first) * batch * accumulate / (time.monotonic() - started)
                _log(progress, training["log_every"], list(losses), speed, learning_rate(i, training))
                _write_metrics(run.log / "metrics.csv", progress.table)
            if progress.iteration % training["sheet_every"] == 0:
                draw_sheet()
            if stop.asked or time.monotonic() - saved > 60 * training["save_minutes"]:
                state.save(progress)
                saved = time.monotonic()
            if stop.asked:
                raise SystemExit(128 + stop.asked)

    draw_sheet()
    tensors = dict(network.module.state_dict())
    tensors |= {checkpoint.EMA + name: tensor for name, tensor in average.module.state_dict().items()}
    checkpoint.save(run.checkpoint, tensors, header | {"step": iterations})
    state.clear()
    print(f"{run.name}: {iterations} iterations, {run.checkpoint}", flush=True)


def learning_rate(iteration: int, training: dict) -> float:
    """Step size at an iteration: linear warm-up, then constant or a half cosine to zero."""
    warmup = min(1.0, (iteration + 1) / (training["warmup"] + 1))
    decay = 1.0
    if training["schedule"] == "cosine":
        decay = 0.5 * (1 + math.cos(math.pi * iteration / training["iterations"]))
    return training["learning_rate"] * warmup * decay


def batch_indices(slices: int, batch: int, number: int, seed: int) -> np.ndarray:
    """Rows of batch `number`: consecutive pieces of one endless sequence of shuffled epochs, (batch,)."""
    positions = np.arange(number * batch, (number + 1) * batch)
    rows = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(positions // slices):
        here = positions // slices == epoch
        rows[here] = np.random.default_rng([seed, int(epoch)]).permutation(slices)[positions[here] % slices]
    return rows


def augment(images: Tensor, training: dict, intensity: list[float], generator: torch.Generator) -> Tensor:
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


def _load(store: SliceStore, rows: np.ndarray, parameters: dict, device: torch.device) -> tuple[Tensor, Tensor]:
    low, high = parameters["diffusion"]["intensity"]
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


def _log(progress: Progress, every: int, terms: list[str], speed: float, rate: float) -> None:
    """Add a row with the means since the last one."""
    if not progress.table:
        progress.table.append(["step", *terms, "learning_rate", "images_per_second"])
    since = progress.iteration % every or every
    means = [f"{progress.sums[name] / since:.6g}" for name in terms]
    progress.table.append([str(progress.iteration), *means, f"{rate:.4g}", f"{speed:.1f}"])
    progress.sums = {}


def _write_metrics(path: Path, table: list[list[str]]) -> None:
    if not table:
        return
    with replacing(path) as partial, partial.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(table)


def _without(value: object, keys: tuple[str, ...]) -> object:
    """A header without the keys that change nothing in the result."""
    if isinstance(value, dict):
        return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}
    return value


class _State:
    """What a killed run resumes from: weights, average and moments in one safetensors file."""

    def __init__(
        self, run: Run, header: dict, network: nn.Module, average: AveragedModel, optimizer: torch.optim.Optimizer
    ):
        self.path = run.state / "state.safetensors"
        self.name = run.name
        self.identity = _without(header, ("save_minutes", "sheet_every"))
        self.network, self.average, self.optimizer = network, average, optimizer

    def restore(self) -> Progress:
        """Load the last state of the same run; start afresh where there is none or it is another run's."""
        if not self.path.exists():
            return Progress()
        try:
            tensors, header = checkpoint.load(self.path)
        except InputError as error:
            print(f"{self.name}: starting from the beginning, since {error}", flush=True)
            return Progress()
        if header["run"] != self.identity:
            print(f"{self.name}: parameters, data or code changed since {self.path}; starting afresh", flush=True)
            return Progress()
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, tensor in tensors.items():
            part, _, key = name.partition("/")
            parts[part][key] = tensor
        self.network.load_state_dict(parts["network"])
        self.average.load_state_dict(parts["average"])
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["optimizer"].items():
            index, _, name = key.partition("/")
            parameter = parameters[int(index)]
            if tensor.shape == parameter.shape:
                # The fused step walks memory, so a moment must lie in it as its parameter does (channels last).
                tensor = torch.empty_like(parameter).copy_(tensor)
            moments.setdefault(int(index), {})[name] = tensor
        self.optimizer.load_state_dict({"state": moments, "param_groups": self.optimizer.state_dict()["param_groups"]})
        progress = Progress(**header["progress"])
        print(f"{self.name}: going on from iteration {progress.iteration}", flush=True)
        return progress

    def save(self, progress: Progress) -> None:
        tensors = {f"network/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{index}/{name}": tensor for name, tensor in moments.items()}
        sums = {name: float(value) for name, value in progress.sums.items()}
        checkpoint.save(self.path, tensors, {"run": self.identity, "progress": vars(progress) | {"sums": sums}})

    def clear(self) -> None:
        self.path.unlink(missing_ok=True)


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
