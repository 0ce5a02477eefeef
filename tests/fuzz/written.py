"""What is fuzzed of the files that rules write and later ones read: notes in JSON, tables, counts."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages import digests, provenance
from stages.data.split import split
from stages.data.store import StoreWriter
from stages.detection import cost, shards
from stages.detection.cost import Cost
from stages.detection.shards import Part
from stages.errors import InputError
from stages.evaluation import pooled, records
from stages.evaluation.records import COLUMNS, NUMBERS, TEXT, Record
from stages.figures import scheme
from stages.pages.tables_page import provenance_html
from stages.provenance import Code, Provenance
from tests.fuzz.targets import NUMBERS as BINARY
from tests.fuzz.targets import PATHS, Target

ODD: list[Any] = [None, True, -1, 0, 1.5, 10**30, float("nan"), float("inf"), "x", "\ud800", [], {}, [[]]]
ODD.append(json.loads("[" * 500 + "]" * 500))
CELLS = (*PATHS, b"nan", b"-1", b"1e999", b"0.5", b"9" * 30, b"{", b"#", b"null")


def with_odd_values(value: Any) -> list[bytes]:
    """A JSON value, and it with each of its parts in turn replaced by each odd value, or left out."""
    return [json.dumps(one).encode() for one in [value, *_with_odd_values(value)]]


def _with_odd_values(value: Any) -> Iterator[Any]:
    yield from ODD
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        rest = value | {} if isinstance(value, dict) else list(value)
        del rest[key]
        yield rest
        for odd in _with_odd_values(value[key]):
            changed = value | {} if isinstance(value, dict) else list(value)
            changed[key] = odd
            yield changed


def note(_: Path) -> Target:
    code = Code("0.1", "0123abcd", False, "00ff")
    parameters = {"seed": 3, "methods": {"vae": {"grid": [{"L": [1]}]}}}
    made = ["a card"], {"numpy": "2"}, ["a"], ["b"], "2026", "2027"
    whole = asdict(Provenance("stages.x", code, parameters, "00ff", 3, "00ff", *made))

    def read(path: Path) -> None:
        found = provenance.read(path)
        json.dumps(asdict(found)), json.dumps(found.without_times())
        provenance_html(found).encode()

    return Target(with_odd_values(whole), read, provenance.FILE, CELLS)


def cost_note(_: Path) -> Target:
    whole = asdict(Cost(0.5, 800.0, "a card")) | {"level": 20, "shards": 2}

    def read(path: Path) -> None:
        found, _ = cost.read(path.parent)
        json.dumps(asdict(Cost.joined([(found, 3)]).after(Cost.of_encoding(path.parent, 10))))
        records.read_cost(path)

    return Target(with_odd_values(whole), read, cost.FILE, CELLS)


def shard_note(_: Path) -> Target:
    def read(path: Path) -> None:
        for part in shards.read(path.parent).values():
            assert 0 <= part.start <= part.stop <= part.of

    whole = {split: Part(2, 4, 7).bounds for split in ("validation", "test")}
    return Target(with_odd_values(json.loads(json.dumps(whole))), read, shards.FILE, CELLS)


def digests_note(folder: Path) -> Target:
    (folder / "maps.csv").write_text("a\n")
    digests.write(folder)
    whole = json.loads((folder / digests.FILE).read_text())
    return Target(with_odd_values(whole), lambda path: digests.check(path.parent, "maps.csv"), digests.FILE, CELLS)


def _store(folder: Path) -> None:
    rows = [
        {
            "slice_id": f"{who}_z{z}",
            "subject_id": who,
            "position": z,
            "label": z,
            "lesion_pixels": z,
            "source": who,
            "affine": "[]",
        }
        for who in "abcd"
        for z in range(2)
    ]
    with StoreWriter(folder, 1, 4, masks=False) as store:
        store.append(np.full((8, 1, 4, 4), 0.5), None, rows)


def store_table(name: str, folder: Path) -> Target:
    """A table of a store's folder, whose digests are those of the changed file, as of a reader of one's own."""
    _store(folder)
    (folder / "subjects.csv").write_text("subject_id,stratum,raw_split\na,x,train\nb,x,train\nc,y,valid\nd,,valid\n")
    (folder / "bad_cases.csv").write_text("file,reason\ne/e_t1.nii,truncated\n")
    counts: dict[str, Any] = {"train": 2, "validation": 1, "test": 1}
    one, none = {"healthy": 1, "diseased": 1}, {"healthy": 0, "diseased": 0}

    def read(path: Path) -> None:
        refused = []
        for asked in (counts, counts | {"test": 9}, {"train": one, "validation": none, "test": one}, "raw"):
            try:
                split({"seed": 0, "data": {"reader": "chexpert", "split": asked}}, path.parent)
            except InputError as error:
                refused.append(error)
        if len(refused) == 4:
            raise refused[0]

    return Target([(folder / name).read_bytes()], read, name, CELLS, prepare=lambda path: digests.write(path.parent, 2))


def trajectory_note(folder: Path) -> Target:
    _store(folder / "data")
    (folder / "split.csv").write_text("subject_id,split\na,test\nb,train\nc,train\nd,unused\n")
    for name in ("encoded", "decoded", "gradient"):
        np.save(folder / f"{name}.npy", np.full((3, 1, 4, 4), 0.5, np.float32))
    digests.write(folder)
    whole = {"slice_id": "a_z1", "split": "test", "levels": [0, 10, 20], "setting": {"L": 20, "s": 5}, "solver": "ddim"}

    def read(path: Path) -> None:
        found = scheme.read(path.parent, path.parent / "data", path.parent / "split.csv", "plain")
        scheme.plt.close(scheme.draw(found, ["flair"]))

    return Target(with_odd_values(whole), read, "trajectory.json", CELLS)


def scores_of_slices() -> pd.DataFrame:
    values = {name: 0.5 for name in NUMBERS} | {"label": 1, "lesion_pixels": 3, "scored": 1}
    return pd.DataFrame([dict.fromkeys(TEXT, "a") | values] * 3)[COLUMNS]


def slice_scores(folder: Path) -> Target:
    records.write_csv(folder / "test.csv", scores_of_slices())
    return Target([(folder / "test.csv").read_bytes()], records.read_slice_scores, "test.csv", CELLS)


def record(folder: Path) -> Target:
    file = "record/fold1-seed0/vae/default.csv"
    slices = scores_of_slices()
    records.write_record(folder / file, Record("00ff", {"validation": slices, "test": slices}))
    whole = (folder / file).read_bytes()
    shared = json.loads(whole.splitlines()[1].partition(b": ")[2])
    first = whole.splitlines()[1]
    seeds = [whole.replace(first, b"# validation: " + one) for one in with_odd_values(shared)]
    return Target([whole, *seeds], records.read_record, file, CELLS)


def pixel_counts(folder: Path) -> Target:
    maps = np.arange(48, dtype=np.float16).reshape(3, 4, 4)
    pooled.write(folder / "test_pixels.npz", pooled.count_pixels(maps, maps > 40, maps > 8, ["a", "a", "b"]))

    def read(path: Path) -> None:
        found = pooled.read(path)
        pooled.estimates(found, np.ones((2, len(found.subjects)), np.int64))

    return Target([(folder / "test_pixels.npz").read_bytes()], read, "test_pixels.npz", (*BINARY, *CELLS))


TARGETS = {
    "provenance": note,
    "cost": cost_note,
    "shard": shard_note,
    "digests": digests_note,
    "trajectory": trajectory_note,
    "manifest": lambda folder: store_table("manifest.csv", folder),
    "subjects": lambda folder: store_table("subjects.csv", folder),
    "bad-cases": lambda folder: store_table("bad_cases.csv", folder),
    "slice-scores": slice_scores,
    "record": record,
    "pixel-counts": pixel_counts,
}
