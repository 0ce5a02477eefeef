"""Models that are fitted at once, not trained in steps: PCA, a Gaussian a pixel, anything of scikit-learn.

The module stages/training/<network>.py defines `fit` where another defines `objective`; what is around it - slices,
seed, checkpoint and its header, metrics.csv, model card - is the same (cli.py).
"""

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from stages import checkpoint, methods
from stages.data.rows import Rows
from stages.data.store import SliceStore
from stages.errors import InputError
from stages.training.section import learnt_rows
from stages.training.state import Run
from stages.writing import replacing


@dataclass(frozen=True)
class Fitted:
    """What `fit` makes.

    Attributes:
        arrays: the model: numbers of any shape by names of its own, as `Detector.load_fitted` gives them back.
        metrics: what is worth a column of metrics.csv, and so a line of the model card.
    """

    arrays: Mapping[str, np.ndarray | float]
    metrics: Mapping[str, float] = field(default_factory=dict)


Fit: TypeAlias = Callable[[Rows, np.ndarray | Rows, dict[str, Any]], Fitted]
"""What makes a model of images (N, C, H, W) float16 in [0, 1], their targets, and the job's part of params.yaml.

Images are those that LEARNS_FROM says, read from the disk where they are indexed (`np.asarray` reads all). Targets are
labels (N,), 0 (healthy) or 1 (diseased), or masks (N, H, W) of 0 and 1 where LEARNS_FROM is masks. The parameters hold
`seed`, the repeat's, and the model's own section.
"""


def fit_model(fit: Fit, store: SliceStore, run: Run, learns_from: str) -> None:
    """Fit a model to `store`; write its checkpoint, and metrics.csv with the number of slices and what it reports.

    Args:
        fit: makes the model.
        store: training slices.
        run: paths and identity.
        learns_from: healthy, labels or masks, as stages.methods has it.

    Raises:
        InputError: what `fit` returns is no model.
    """
    rows = learnt_rows(store.manifest["label"].to_numpy(), learns_from)
    masks = store.masks if learns_from == "masks" else None
    targets = store.manifest["label"].to_numpy()[rows] if masks is None else Rows(masks, rows)
    tensors, metrics = _checked(fit(Rows(store.images, rows), targets, run.parameters), run)
    with replacing(run.log / "metrics.csv") as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["slices", *metrics])
        writer.writerow([len(rows), *(f"{value:.6g}" for value in metrics.values())])
    checkpoint.save(run.checkpoint, tensors, run.header(store))
    print(f"{run.name}: fitted to {len(rows):,} slices, {run.checkpoint}", flush=True)


def _checked(found: Fitted, run: Run) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The arrays and metrics of a model, in the types that are stored; refused where they are no numbers."""
    fit = f"{methods.TRAINERS[1]} of {run.module}"
    if not isinstance(found, Fitted):
        raise InputError(
            f"{fit} gave {type(found).__name__}: return Fitted(arrays, metrics) of stages.training.fitting"
        )
    if not found.arrays:
        raise InputError(f"{fit} gave no array: name those that its detector needs")
    tensors = {}
    for name, value in found.arrays.items():
        array = np.array(value, order="C")
        try:
            tensors[name] = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
        except (TypeError, ValueError) as error:
            kind = type(value).__name__
            raise InputError(f"{fit} gave {name} as {kind}: a checkpoint holds arrays of numbers alone") from error
        if not tensors[name].isfinite().all():
            raise InputError(f"{fit} gave {name} with a number that is not finite: look at what it divides by")
    try:
        metrics = {name: float(value) for name, value in found.metrics.items()}
    except (TypeError, ValueError) as error:
        raise InputError(f"{fit} gave metrics that are no numbers ({error})") from error
    if unclear := [name for name, value in metrics.items() if not math.isfinite(value)]:
        raise InputError(f"{fit} gave {unclear[0]} as {metrics[unclear[0]]}: metrics are finite numbers")
    return tensors, metrics
