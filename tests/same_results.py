"""Whether two runs of the smoke benchmark ended in the same files."""

from pathlib import Path

import pandas as pd
from snakemake_project import Project

RESULTS = Path("results/smoke")
TIMED = (
    "cost.json",
    "provenance.json",
    "*.provenance.json",
    "checkpoints/*/*.md",  # cards say when training ran
    "metrics.csv",
    "runs.csv",
    "_trade_off/digests.json",  # of runs.csv, too
    "trade_off.csv",
    "trade-off.*",
    "comparison.md",
    "comparison.tex",
    "*.html",
)
"""Files that tell how long something took, among other things."""
TIMES = ("seconds", "memory_mb")
"""Columns of tables that do."""


def results(project: Project) -> dict[str, bytes]:
    """The content of every file that is to be the same, by its name: bit for bit, but for columns of times."""
    folder = project.folder / RESULTS
    return {
        str(path.relative_to(folder)): untimed(path) if path.suffix == ".csv" else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.relative_to(folder).parts[0] not in ("logs", "state")
        and not any(path.match(name) for name in TIMED)
    }


def untimed(table: Path) -> bytes:
    """A table as CSV; the lines above that of a record say again what its rows say, and times."""
    frame = pd.read_csv(table, comment="#", keep_default_na=False, dtype=str)
    return frame.drop(columns=[name for name in frame if name.startswith(TIMES)]).to_csv().encode()


def differing(found: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    return [name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)]
