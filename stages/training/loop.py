"""The one training loop: every network of the benchmark is trained here.

`train` tells the whole story. A run that is killed and started again goes on from its weights, their average and its
moments as if nothing had happened, since no generator's state is carried from one iteration to the next (batches.py).
Where several processes train together, all of them iterate alike, and rank 0 alone writes.
"""

import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel

from stages import checkpoint, command
from stages.data.store import SliceStore
from stages.device import InPrecision, Processor
from stages.errors import InputError
from stages.networks.compiled import Compile, compile_forward
from stages.training.batches import Batches, one_ahead
from stages.training.division import add_gradients, divided
from stages.training.objective import Objective
from stages.training.section import Training
from stages.training.sheets import write_sheet
from stages.training.state import Run, State


def train(objective: Objective, store: SliceStore, run: Run, training: Training, processor: Processor) -> None:
    """Train `objective.network` on `store` and write its checkpoint.

    Args:
        objective: network and loss.
        store: training slices.
        run: paths and identity.
        training: sizes, optimiser, intervals.
        processor: device and precision.

    Raises:
        InputError: a loss is no longer finite.
    """
    metrics, sheet = run.log / "metrics.csv", run.log / "sheet.png"

    # What is learnt from, and for how long.
    rows = training.rows(store.manifest["label"].to_numpy())
    batches = Batches(store, rows, objective.intensity, training, run.parameters["seed"], processor.device)
    iterations = training.steps(len(rows))

    # Networks, optimisers and averaged weights: new ones, or as a killed run left them.
    players = Players(objective, training, processor, run.parameters["compile"])
    header = run.header(store)
    networks, optimizers, scaler = objective.players(), players.optimizers, players.scaler
    state = State(run, header, networks, players.average, optimizers, scaler, iterations)
    progress = state.restore()
    first = progress.iteration

    def learn() -> Iterator[tuple[float, dict[str, Tensor]]]:
        """An iteration at a time, a step of each player whose turn it is: the learning rate and the losses."""
        for i, read in enumerate(one_ahead(batches.read, range(first, iterations)), first):
            rate = learning_rate(i, iterations, training.learning_rate, training.warmup, training.schedule)
            generator = batches.generator(i)
            yield rate, players.step(i, batches.draw(read, generator), rate, generator)

    if distributed.is_initialized() and distributed.get_rank() > 0:
        for _ in learn():
            pass
        return

    progress.write_table(metrics)
    started = saved = time.monotonic()
    with _StopOnSignal() as stop, command.progress(run.name, iterations, first) as bar:
        for rate, losses in learn():
            progress.advance(losses)

            # What is seen of it: the bar, metrics.csv, the sheet.
            images = (progress.iteration - first) * training.batch * training.accumulate
            speed = images / (time.monotonic() - started)
            if bar.update():  # now and then: a card is waited for where the loss is read
                name, loss = next(iter(losses.items()))
                bar.set_postfix_str(f"{name} {float(loss):.4f}, {speed:.1f} images/s", refresh=False)
            if progress.iteration % training.log_every == 0 or progress.iteration == iterations:
                if not progress.finite():
                    raise InputError(
                        f"{run.name}: the loss is no longer finite at iteration {progress.iteration}; lower "
                        "learning_rate, or set precision to 32-true where the line about the device says another"
                    )
                progress.add_row(rate, speed)
                progress.write_table(metrics)
            if progress.iteration % training.sheet_every == 0:
                _draw_sheet(sheet, objective, batches)

            # What a killed run goes on from.
            if stop.asked or time.monotonic() - saved > 60 * training.save_minutes:
                state.save(progress)
                saved = time.monotonic()
            if stop.asked:
                raise SystemExit(128 + stop.asked)

    # The result.
    _draw_sheet(sheet, objective, batches)
    checkpoint.save(run.checkpoint, players.weights(), header | {"step": iterations})
    state.clear()
    print(f"{run.name}: {iterations} iterations, {run.checkpoint}", flush=True)


class Players:
    """The networks of an objective as they are trained: in the run's precision, each with an optimiser of its own.

    Args:
        objective: networks and losses.
        training: sizes and optimiser.
        processor: device and precision.
        how: whether kernels are made for the networks.

    Attributes:
        optimizers: by the player's name.
        scaler: of the losses, in float16.
        average: the moving average of the network that the checkpoint holds.
    """

    def __init__(self, objective: Objective, training: Training, processor: Processor, how: Compile):
        self.objective = objective
        self.accumulate = training.accumulate
        self.scaler = processor.scaler()
        self.networks: dict[str, nn.Module] = {}
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        for name, module in objective.players().items():
            module.to(processor.device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it
            self.networks[name] = InPrecision(module, processor)
            self.optimizers[name] = torch.optim.AdamW(
                module.parameters(), betas=training.betas, weight_decay=training.weight_decay, fused=True
            )

        def move(averaged: PARAM_LIST, current: PARAM_LIST, _: object) -> None:
            moving_average(averaged, current, self._steps, self._made, training.ema)

        self.average = AveragedModel(objective.network, multi_avg_fn=move)
        # A replayed graph would write over the gradients that the pass before has left to add to.
        how = "kernels" if how == "graphs" and training.accumulate > 1 else how
        for module in objective.players().values():
            compile_forward(module, how, processor.device)

    def step(
        self, iteration: int, batches: list[tuple[Tensor, Tensor]], rate: float, generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Let each player whose turn it is make a step on all of `batches`, at the learning rate `rate`.

        Returns:
            The losses' means over the batches, named as in metrics.csv: by player where there is more than one.
        """
        losses: dict[str, Tensor] = {}
        for player in self.objective.turns(iteration):
            prefix = f"{player}_" if len(self.networks) > 1 else ""
            optimizer = self.optimizers[player]
            for group in optimizer.param_groups:
                group["lr"] = rate
            for name, network in self.networks.items():
                network.requires_grad_(name == player)
            for images, labels in batches:
                with divided(self.objective.players().values()):
                    terms = self.objective.loss(player, self.networks, images, labels, generator)
                self.scaler.scale(terms["loss"] / self.accumulate).backward()
                for name, value in terms.items():
                    share = value.detach() / self.accumulate
                    losses[prefix + name] = losses.get(prefix + name, 0) + share
            add_gradients(self.objective.players()[player].parameters())
            before = _steps(optimizer)
            self.scaler.step(optimizer)
            self.scaler.update()
            optimizer.zero_grad(set_to_none=True)
            if self.objective.players()[player] is self.objective.network:
                self._steps = _steps(optimizer)
                self._made = self._steps - before
                self.average.update_parameters(self.objective.network)
        return losses

    def weights(self) -> dict[str, Tensor]:
        """What the checkpoint holds: raw weights, and averaged ones under `ema.`."""
        averaged = {checkpoint.EMA + name: tensor for name, tensor in self.average.module.state_dict().items()}
        return self.objective.network.state_dict() | averaged


def learning_rate(iteration: int, iterations: int, peak: float, warmup: int, schedule: str) -> float:
    """Step size at an iteration out of `iterations`: linear warm-up, and then what `schedule` says.

    - constant: as in the paper.
    - decay: constant for the first half, then linearly to zero, as StarGAN's authors write (Choi et al., CVPR 2018: 10
      epochs and 10) and the options of Fixed-Point GAN's code ask for (num_iters 200000, num_iters_decay 100000). That
      code (solver.py) takes off an iteration's share only once in 1000 iterations: it ends at .999 of the rate.
    - cosine: half a cosine to zero.

    >>> [learning_rate(i, 100, peak=2.0, warmup=3, schedule="constant") for i in (0, 1, 2, 3, 99)]
    [0.5, 1.0, 1.5, 2.0, 2.0]
    >>> [round(learning_rate(i, 100, peak=2.0, warmup=3, schedule="cosine"), 3) for i in (3, 25, 50, 75, 99)]
    [1.996, 1.707, 1.0, 0.293, 0.0]
    >>> [round(learning_rate(i, 100, peak=2.0, warmup=3, schedule="decay"), 3) for i in (0, 3, 50, 75, 99)]
    [0.5, 2.0, 2.0, 1.0, 0.04]
    """
    rise = min(1.0, (iteration + 1) / (warmup + 1))
    passed = iteration / iterations
    falls = {"constant": 1.0, "decay": min(1.0, 2 * (1 - passed)), "cosine": 0.5 * (1 + math.cos(math.pi * passed))}
    return peak * rise * falls[schedule]


def _steps(optimizer: torch.optim.Optimizer) -> Tensor:
    """The steps that it has made, a scalar on its device; one that overflows in float16 is left out and not counted."""
    states = iter(optimizer.state.values())
    return next(states, {"step": torch.zeros(())})["step"].double()


@torch.no_grad()
def moving_average(averaged: PARAM_LIST, current: PARAM_LIST, steps: Tensor, made: Tensor, decay: float) -> None:
    """Add `current` to the average of all earlier steps' weights, in place: sum_i d^(n-i) c_i / sum_i d^(n-i).

    The exponential average with Adam's correction of its bias (Kingma and Ba 2015, section 3), so that the initial
    weights have no share in it; without, .9999 would leave them .37 of it after 10,000 steps.

    Args:
        averaged, current: weights.
        steps: n, a scalar on the weights' device, where reading it would make the processor wait.
        made: 1, or 0 where the last step was left out: then the average stays.
        decay: d.

    >>> averaged, made = [torch.tensor([1.0])], torch.tensor(1.0)
    >>> for n, weight in ((2, 2.0), (3, 4.0)):  # d = 1 / 2: (1 / 2 + 2) / (3 / 2), (1 / 4 + 1 + 4) / (7 / 4)
    ...     moving_average(averaged, [torch.tensor([weight])], torch.tensor(n), made, decay=0.5)
    ...     print(f"{averaged[0].item():.4f}")
    1.6667
    3.0000
    """
    share = made * (1 - decay) / (1 - decay ** steps.double().clamp(min=1))
    torch._foreach_lerp_(averaged, current, [share.to(weight.dtype) for weight in averaged])


def _draw_sheet(path: Path, objective: Objective, batches: Batches) -> None:
    """A few slices, and beside them what the network makes of them (`Objective.sheet`)."""
    images, labels = batches.shown()
    # A few images, now and then: kernels for a batch of their number would not pay.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        columns = objective.sheet(images, labels, batches.generator(0))
    low, high = objective.intensity
    write_sheet(path, [(images - low) / (high - low), *columns])


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
