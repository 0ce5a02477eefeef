"""What is fuzzed of a folder that someone else has shared, its hashes noted anew each time, as whoever means harm does.

Model cards are not among it: they are for people, and nothing here reads them.
"""

import json
import shutil
from argparse import Namespace
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load as deserialised
from safetensors.torch import save as serialised

from stages import checkpoint, provenance
from stages.evaluation import records
from stages.parameters import sections
from stages.sharing import receive, share
from stages.sharing.folder import ABOUT, SUMS, seal
from tests.fuzz.targets import NUMBERS as BINARY
from tests.fuzz.targets import PATHS, Target
from tests.fuzz.written import CELLS, ODD, with_odd_values
from tests.shared_checkpoint import METRICS, SMOKE, VAE, VALUES, write_results

LINES = (*PATHS, b"../", b"0" * 64 + b"  ", b"  ", b"./", b"README.md", b"/")


def _shared(folder: Path) -> Path:
    """A shared folder, and beside it the results that are to take it: store and split list, no checkpoint."""
    write_results(folder / "results/smoke")
    share.share("smoke", SMOKE, folder / "results/smoke", folder / "shared")
    for name in ("checkpoints", "training"):
        shutil.rmtree(folder / "results/smoke" / name)
    return folder / "shared"


def _target(
    folder: Path, seeds: list[bytes], file: str, words: tuple[bytes, ...], prepare: Callable[[Path], object]
) -> Target:
    read = lambda _: receive.accept(folder / "shared", VALUES, folder / "results")  # noqa: E731
    return Target(seeds, read, file, words, prepare)


def _in_place_of(target: Path, path: Path) -> None:
    """A new file: what was loaded of the old one is mapped into memory still."""
    target.unlink()
    shutil.copyfile(path, target)


def _sealed(folder: Path) -> None:
    (folder / SUMS).unlink()
    seal(folder)


def sums(folder: Path) -> Target:
    seed = (_shared(folder) / SUMS).read_bytes()
    return _target(folder, [seed], f"shared/{SUMS}", LINES, lambda path: None)


def about(folder: Path) -> Target:
    whole = json.loads((_shared(folder) / ABOUT).read_text())
    seeds = [json.dumps(whole).encode(), *with_odd_values(whole)[::20]]
    return _target(folder, seeds, f"shared/{ABOUT}", CELLS, lambda path: _sealed(path.parent))


def metrics(folder: Path) -> Target:
    seed = (_shared(folder) / METRICS).read_bytes()
    words = (*CELLS, b"\r", b"step", b"," * 50)
    return _target(folder, [seed], f"shared/{METRICS}", words, lambda _: _sealed(folder / "shared"))


def header(folder: Path) -> Target:
    """A checkpoint whose header is changed and bears the right digests."""
    tensors, whole = checkpoint.load(_shared(folder) / VAE)
    odd = [whole | {key: value} for key in ("parameters", "repeat", "stage", "step") for value in ODD[::2]]

    def prepare(path: Path) -> None:
        _in_place_of(folder / "shared" / VAE, path)
        with suppress(ValueError, TypeError, RecursionError):
            checkpoint.save(folder / "shared" / VAE, tensors, json.loads(path.read_bytes()))
        _sealed(folder / "shared")

    return _target(folder, [json.dumps(one).encode() for one in (whole, *odd)], "header.json", CELLS, prepare)


def weights(folder: Path) -> Target:
    """A checkpoint whose tensors are changed, with the right digests."""
    tensors, whole = checkpoint.load(_shared(folder) / VAE)

    def prepare(path: Path) -> None:
        _in_place_of(folder / "shared" / VAE, path)
        with suppress(SafetensorError, KeyError, RuntimeError, ValueError):
            checkpoint.save(folder / "shared" / VAE, deserialised(path.read_bytes()), whole)
        _sealed(folder / "shared")

    words = (*BINARY, b"I32", b"U32", b"F64", b"F16", b"BOOL", b"[1]", b"[]", b"ema.")
    return _target(folder, [serialised(tensors)], "tensors.safetensors", words, prepare)


def scores(folder: Path) -> Target:
    """The comparison that goes into cards."""
    rows = {"method": ["vae", "guided-ddim"], "setting": ["default", "L20_s5"]}
    rows |= {name: [0.5, np.nan] for name in share.COLUMNS}
    table = folder / "tables/comparison.csv"
    records.write_csv(table, pd.DataFrame(rows))
    with provenance.job("stages.x", Namespace(parameters=sections.section(SMOKE, "comparison_tables"))):
        provenance.note(table.parent)
    read = lambda _: share.in_cards(share.comparison(SMOKE, folder, []), SMOKE, "vae")  # noqa: E731
    return Target([table.read_bytes()], read, "tables/comparison.csv", CELLS)


TARGETS = {
    "shared-sums": sums,
    "shared-benchmark": about,
    "shared-metrics": metrics,
    "shared-header": header,
    "shared-weights": weights,
    "shared-scores": scores,
}
