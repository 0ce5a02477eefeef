"""The file from which a training run goes on after it was killed."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import stages
from stages import checkpoint, imports
from stages.data.store import SliceStore
from stages.errors import InputError
from stages.parameters.inert import without_inert
from stages.training.progress import Progress


@dataclass
class Run:
    """Where a training run keeps what it writes, and what identifies it.

    Attributes:
        name: train_<network>, for progress, messages and the checkpoint's header.
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

    def header(self, store: SliceStore) -> dict:
        """What the checkpoint says of its training on `store`."""
        repeat = checkpoint.repeat_of(self.checkpoint)
        return {
            "stage": self.name,
            "repeat": repeat.name if repeat else None,
            "parameters": self.parameters,
            "data_sha256": store.content_hash(),
            "version": stages.__version__,
            "code_sha256": imports.fingerprint(self.module),
        }


class State:
    """What a killed run resumes from: weights, average, moments and float16's loss scale in one safetensors file."""

    def __init__(
        self,
        run: Run,
        header: dict,
        players: dict[str, nn.Module],
        average: AveragedModel,
        optimizers: dict[str, torch.optim.Optimizer],
        scaler: torch.amp.GradScaler,
        iterations: int,
    ):
        self.path = run.state / "state.safetensors"
        self.name = run.name
        self.identity = header | {"parameters": without_inert(header["parameters"])}
        self.modules = {**players, "average": average}
        self.optimizers = optimizers
        self.scaler = scaler
        self.iterations = iterations

    def restore(self) -> Progress:
        """Load the last state of the same run; start afresh where there is none, or it is damaged or another run's.

        Raises:
            InputError: it calls itself this run's and does not fit its networks.
        """
        if not self.path.exists():
            return Progress()
        try:
            tensors, header = checkpoint.load(self.path)
        except InputError as error:
            print(f"{self.name}: starting from the beginning, since {error}", flush=True)
            return Progress()
        if header.get("run") != self.identity:
            print(f"{self.name}: parameters, data or code changed since {self.path}; starting afresh", flush=True)
            return Progress()
        try:
            progress = self._load(tensors, header)
        except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.path} does not fit {self.name} ({type(error).__name__}: {reason}); delete it, and the training "
                "starts from the beginning"
            ) from error
        print(f"{self.name}: going on from iteration {progress.iteration}", flush=True)
        return progress

    def _load(self, tensors: dict[str, Tensor], header: dict) -> Progress:
        for name, module in self.modules.items():
            module.load_state_dict(_below(tensors, f"weights/{name}/"))
        for name, optimizer in self.optimizers.items():
            _load_moments(optimizer, _below(tensors, f"moments/{name}/"))
        if header["precision"]:
            self.scaler.load_state_dict(header["precision"])
        progress = Progress(**header["progress"])
        if type(progress.iteration) is not int or not 0 <= progress.iteration <= self.iterations:
            raise ValueError(f"iteration {progress.iteration} of {self.iterations}")
        return progress

    def save(self, progress: Progress) -> None:
        """Write all that a resumed run needs, whole or not at all."""
        tensors: dict[str, Tensor] = {}
        for name, module in self.modules.items():
            tensors |= {f"weights/{name}/{key}": tensor for key, tensor in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"moments/{name}/{index}/{key}": tensor for key, tensor in moments.items()}
        sums = {name: float(value) for name, value in progress.sums.items()}
        header = {"run": self.identity, "progress": vars(progress) | {"sums": sums}}
        checkpoint.save(self.path, tensors, header | {"precision": self.scaler.state_dict()})

    def clear(self) -> None:
        """Remove the file: the run is over."""
        self.path.unlink(missing_ok=True)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _load_moments(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, _, name = key.partition("/")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            # The fused step walks memory, so a moment must lie in it as its parameter does (channels last).
            tensor = torch.empty_like(parameter).copy_(tensor)
        elif tensor.ndim:  # a step's count has none
            raise ValueError(f"{key} has shape {tuple(tensor.shape)} where {tuple(parameter.shape)} is expected")
        moments.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
