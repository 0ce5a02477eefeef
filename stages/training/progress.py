"""How far a training run has come, and what metrics.csv says of the way."""

import csv
import math
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from stages.writing import replacing

RATES = ("learning_rate", "images_per_second")
"""The last columns of metrics.csv."""


@dataclass
class Progress:
    """How far a run has come; it is saved with the state."""

    iteration: int = 0  # optimiser steps made
    table: list[dict[str, str]] = field(default_factory=list)  # the rows of metrics.csv
    sums: dict[str, Tensor | float] = field(default_factory=dict)  # of the losses since the table's last row
    counts: dict[str, int] = field(default_factory=dict)  # of what is in the sums

    def advance(self, losses: dict[str, Tensor]) -> None:
        """Count an iteration with its `losses`, scalars each."""
        self.iteration += 1
        for name, value in losses.items():  # stays on the device: reading it would make a GPU wait
            self.sums[name] = self.sums.get(name, 0.0) + value.double()
            self.counts[name] = self.counts.get(name, 0) + 1

    def finite(self) -> bool:
        """Whether every loss since the table's last row was a finite number."""
        return all(math.isfinite(total) for total in self.sums.values())

    def add_row(self, learning_rate: float, images_per_second: float) -> None:
        """Add a row with the mean losses since the last one."""
        means = {name: f"{total / self.counts[name]:.6g}" for name, total in self.sums.items()}
        rates = dict(zip(RATES, (f"{learning_rate:.4g}", f"{images_per_second:.1f}"), strict=True))
        self.table.append({"step": str(self.iteration)} | means | rates)
        self.sums, self.counts = {}, {}

    def write_table(self, path: Path) -> None:
        """Write the rows as CSV, whole or not at all; no file where there is no row yet."""
        if not self.table:
            return
        # A player may have had no turn between two rows.
        terms = {name for row in self.table for name in row} - {"step", *RATES}
        with replacing(path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["step", *sorted(terms), *RATES], restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.table)
