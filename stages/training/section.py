"""The `training` section of a network in params.yaml, typed."""

from dataclasses import dataclass, fields
from math import ceil
from typing import Literal

import numpy as np

from stages import methods
from stages.data.store import HEALTHY
from stages.device import Precision


@dataclass(frozen=True, kw_only=True)
class Training:
    """How any network is trained; what it learns, and the section's further keys, are its objective's.

    Values come from params.yaml alone. One of `iterations` and `epochs` is given; the other is 0.
    """

    iterations: int = 0  # optimiser steps
    epochs: float = 0  # or passes over the slices that are learnt from
    batch: int  # images in one forward pass
    accumulate: int  # forward passes whose gradients make one step
    learns_from: str  # healthy, labels or masks, as stages.methods has it
    gpus: int  # cards that share each batch
    learning_rate: float  # of AdamW, at its highest
    betas: tuple[float, float]  # of AdamW: decay a step of its first and second moments
    warmup: int  # steps over which the learning rate rises
    schedule: Literal["constant", "decay", "cosine"]  # of the learning rate after them
    weight_decay: float  # decoupled
    ema: float  # decay a step of the averaged weights, once their average has warmed up
    mirror: bool  # images left to right, half of the time
    jitter: float  # spread of the contrast change
    precision: Precision  # of forward and backward passes
    log_every: int  # steps from one row of metrics.csv to the next
    sheet_every: int  # steps from one sheet of pictures to the next
    save_minutes: float  # from one saved state to the next

    @classmethod
    def of(cls, parameters: dict, network: str) -> "Training":
        """The keys of a network's checked `training` section that every network has."""
        section = parameters[network]["training"]
        common = {field.name: section[field.name] for field in fields(cls) if field.name in section}
        learns_from = methods.learns_from(parameters, network)
        return cls(**common | {"betas": tuple(section["betas"]), "learns_from": learns_from})

    def rows(self, labels: np.ndarray) -> np.ndarray:
        """The slices that are learnt from, as row numbers, given the labels (N,) of all."""
        return learnt_rows(labels, self.learns_from)

    def steps(self, slices: int) -> int:
        """Optimiser steps over `slices` slices: `iterations`, or as many as `epochs` need."""
        return self.iterations or ceil(self.epochs * slices / (self.batch * self.accumulate))


def learnt_rows(labels: np.ndarray, learns_from: str) -> np.ndarray:
    """The slices that are learnt from, as row numbers, given the labels (N,) of all and what a network learns from."""
    return np.flatnonzero(labels == HEALTHY) if learns_from == "healthy" else np.arange(len(labels))
