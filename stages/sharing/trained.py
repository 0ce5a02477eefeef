"""What a checkpoint has to be, to be given to others or taken from them: one that this benchmark could have trained."""

import importlib
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from stages import checkpoint, methods, provenance, repeats
from stages.data.store import SliceStore, open_split
from stages.errors import InputError
from stages.parameters import inert, sections
from stages.repeats import Repeat
from stages.sharing import folder
from stages.training.objective import Objective
from stages.training.section import Training

WEIGHTS = ("raw", "ema")


def wanted(parameters: dict) -> list[tuple[Repeat, str, str]]:
    """Each repeat and network of a benchmark, and where its checkpoint lies below its results."""
    used = methods.networks_in_use(parameters)
    every = [(repeat, network) for repeat in repeats.repeats(parameters) for network in used]
    return [(repeat, network, f"checkpoints/{repeat.name}/{network}.safetensors") for repeat, network in every]


def beside(repeat: Repeat, network: str) -> tuple[str, str]:
    """Where the provenance and the metrics of a checkpoint lie below a benchmark's results."""
    return f"checkpoints/{repeat.name}/{network}.{provenance.FILE}", f"training/{repeat.name}/{network}/metrics.csv"


def slices_of(results: Path) -> Callable[[int], tuple[SliceStore, str]]:
    """A function of a fold: what a benchmark trains on, and its hash, each read once.

    Args:
        results: the benchmark's folder, which holds its store and split lists.
    """
    return cache(partial(_slices, results))


def _slices(results: Path, fold: int) -> tuple[SliceStore, str]:
    store = open_split(results / "data", results / f"split/fold{fold}.csv", "train")
    return store, store.content_hash()


def require(path: Path, parameters: dict, network: str, repeat: Repeat, slices: tuple[SliceStore, str]) -> None:
    """Refuse a checkpoint that is not what training `network` in `repeat` of a benchmark leaves.

    Args:
        path: of the file.
        parameters: of the benchmark, merged.
        network, repeat: which it is said to be.
        slices: of `slices_of`, for the repeat's fold.

    Raises:
        InputError: it is damaged, another network's, or of other parameters, slices or steps; or what it holds is not
            the network that `parameters` describe, in finite numbers.
    """
    tensors, header = checkpoint.load(path)
    if "data_sha256" not in header:
        raise InputError(
            f"{path} does not say of which data it learnt (data_sha256 in its header): if it was brought in from "
            "elsewhere, share it from where it comes"
        )
    there, store = header.get("parameters"), slices[0]
    whose = header.get("stage"), header.get("repeat")
    if whose != (f"train_{network}", repeat.name) or not isinstance(there, dict):
        raise InputError(
            f"{path} does not say that it is a {network} of {repeat.name} and how it was trained: it is another file"
        )
    section = json.loads(json.dumps(sections.section(parameters, "train", network, repeat=repeat)))
    folder.require_same(str(path), inert.without_inert(there), inert.without_inert(section))
    if header["data_sha256"] != slices[1]:
        raise InputError(
            f"{path} was trained on other slices than fold {repeat.fold} of {store.folder} holds: use the raw data set "
            "and the versions of packages that its provenance.json names"
        )
    if methods.is_fitted(network):
        for name, tensor in tensors.items():
            checkpoint.require_finite(tensor, name, path)
    else:
        _require_trained_to_its_end(path, header.get("step"), section, network, store)
        described = _network(section, network)
        for weights in WEIGHTS:
            checkpoint.weights_for(described, tensors, path, weights)


def _require_trained_to_its_end(path: Path, step: Any, section: dict, network: str, store: SliceStore) -> None:
    training = Training.of(section, network)
    steps = training.steps(len(training.rows(store.manifest["label"].to_numpy())))
    if type(step) is not int or step != steps:  # True is 1, and 8.0 is 8
        raise InputError(
            f"{path} says that it was trained for {json.dumps(step)} steps, where params.yaml makes {steps}: take one "
            "that was trained to its end"
        )


def _network(section: dict, network: str) -> nn.Module:
    """What training makes, without memory for its weights."""
    with torch.device("meta"):
        module = importlib.import_module(methods.training_module(network))
        objective: Objective = module.objective(section, torch.device("meta"))
    return objective.network
