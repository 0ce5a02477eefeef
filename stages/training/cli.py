"""What every training stage shares: its command line, and the way from there to the loop, or to a fit."""

import os
import random
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from stages import methods, provenance
from stages.at_work import only_one
from stages.cards import model_card
from stages.data.store import DISEASED, HEALTHY, SliceStore, open_split
from stages.device import cards, describe, leased
from stages.errors import InputError
from stages.training import ranks
from stages.training.fitting import Fit, fit_model
from stages.training.loop import train
from stages.training.objective import Objective
from stages.training.section import Training, learnt_rows
from stages.training.state import Run


def add_arguments(parser: ArgumentParser, name: str) -> ArgumentParser:
    """Add the paths and threads of a training stage that writes `name`.safetensors."""
    parser.add_argument("--data", type=Path, required=True, help="slice store of the data set")
    parser.add_argument("--split-list", type=Path, required=True, help="CSV that says who is in which split")
    parser.add_argument("--checkpoint", type=Path, required=True, help=f"the result, {name}.safetensors")
    parser.add_argument("--log", type=Path, required=True, help="folder for metrics.csv and sheet.png")
    parser.add_argument("--state", type=Path, required=True, help="folder for what a killed run resumes from")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    return parser


def run_training(options: Namespace, name: str, objective: Callable[[dict, torch.device], Objective]) -> None:
    """Train network `name` as the section of that name in `options.parameters` says.

    Args:
        options: the parsed command line of `add_arguments`.
        name: of the network: its section in params.yaml, its module in stages/training.
        objective: makes what is trained, from the stage's parameters and the device; its weights are drawn from the
            seed of the repeat.
    """
    _open(options, name)  # refused before a card is waited for
    gpus = Training.of(options.parameters, name).gpus
    with only_one(options.state), cards(gpus) as held:
        work = partial(_train, options, name, objective, held)
        with ranks.joined(gpus, "gloo" if None in held else "nccl", work):
            work(0)


def run_fit(options: Namespace, name: str, fit: Fit) -> None:
    """Fit model `name` as the section of that name in `options.parameters` says.

    Args:
        options: the parsed command line of `add_arguments`.
        name: of the model: its section in params.yaml, its module in stages/training.
        fit: makes the model; what it draws from a library's own generator is drawn from the seed of the repeat, too.
    """
    store, learns_from = _open(options, name), methods.learns_from(options.parameters, name)
    with only_one(options.state):
        torch.set_num_threads(options.threads)
        _seed(options.parameters["seed"])
        fit_model(fit, store, _run(options, name), learns_from)
        _describe(options, store, [torch.device("cpu")])


def _open(options: Namespace, name: str) -> SliceStore:
    """The training slices, refused where network `name` cannot learn from them."""
    store, learns_from = (
        open_split(options.data, options.split_list, "train"),
        methods.learns_from(options.parameters, name),
    )
    if methods.needs_both_classes(name):
        _require_both_classes(store, name)
    if store.masks is None and learns_from == "masks":
        raise InputError(f"{store.folder} holds no masks, from which {name} learns: take methods that need none")
    if not len(learnt_rows(store.manifest["label"].to_numpy(), learns_from)):
        raise InputError(f"{store.folder} holds no slice that train_{name} learns from; check data.split")
    return store


def _run(options: Namespace, name: str) -> Run:
    paths = options.checkpoint, options.log, options.state
    return Run(f"train_{name}", methods.training_module(name), *paths, options.parameters)


def _describe(options: Namespace, store: SliceStore, devices: list[torch.device]) -> None:
    """Write the checkpoint's provenance and its model card beside it."""
    provenance.note(options.checkpoint, devices=[describe(device) for device in devices])
    model_card.write(options.checkpoint, options.log / "metrics.csv", options.parameters.get("licence"), store)


def _require_both_classes(store: SliceStore, name: str) -> None:
    """InputError where the training slices are all healthy, or all diseased, which network `name` is to tell apart."""
    labels = set(store.manifest["label"])
    lacking = [word for word, label in (("healthy", HEALTHY), ("diseased", DISEASED)) if label not in labels]
    if lacking:
        raise InputError(
            f"{store.folder} holds no {' and no '.join(lacking)} slice to train {name} on, which tells classes apart: "
            f"change data.split, or take methods whose detector is {', '.join(methods.detectors_of_one_class())}"
        )


def _seed(seed: int) -> None:
    """Seed the generators that libraries draw from on their own, as PyTorch does initial weights."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what others draw from, not this project
    torch.manual_seed(seed)


def _train(
    options: Namespace, name: str, objective: Callable[[dict, torch.device], Objective], held: list, rank: int
) -> None:
    """The work of one of the processes, on its card of those that are `held` (None: on the CPU)."""
    training = Training.of(options.parameters, name)
    store = open_split(options.data, options.split_list, "train")
    threads = max(1, options.threads // len(held))
    with leased(threads, training.precision, held[rank]) as processor:
        _seed(options.parameters["seed"])
        run = _run(options, name)
        if len(held) > 1:
            print(f"{run.name}: {len(held)} such processes share each batch", flush=True)
        train(objective(options.parameters, processor.device), store, run, training, processor)
        if rank == 0:
            cpu = torch.device("cpu")
            _describe(options, store, [cpu if card is None else torch.device("cuda", card) for card in held])
