"""What every training stage shares: its command line, and the way from there to the loop."""

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import torch

from stages.data.store import open_split
from stages.device import leased, only_one
from stages.training.loop import train
from stages.training.objective import Objective
from stages.training.section import Training
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
    training = Training.of(options.parameters[name]["training"])
    store = open_split(options.data, options.split_list, "train")
    with only_one(options.state), leased(options.threads, training.precision) as fabric:
        fabric.seed_everything(options.parameters["seed"], verbose=False)
        run = Run(
            f"train_{name}",
            f"stages.training.{name}",
            options.checkpoint,
            options.log,
            options.state,
            options.parameters,
        )
        train(objective(options.parameters, fabric.device), store, run, training, fabric)
