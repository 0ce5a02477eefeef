"""Shards: cut between batches, joined to what one job writes, bit for bit."""

import json
from argparse import ArgumentTypeError
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages import digests
from stages.detection import join
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.shards import Shard
from stages.errors import InputError

OPTIONS = {"encode_class": "none", "decode_class": "healthy"}
SPLITS = ("train", "test")
KEPT = [
    {"healthy": True, "reconstructions": None},
    {"healthy": False, "reconstructions": 0},
]


@pytest.fixture(params=KEPT, ids=["all", "diseased"])
def kept(request, parameters):
    """Which slices get maps; batches of two slices, so that all shards hold some."""
    parameters["kept"] = request.param
    parameters["detection"]["batch"] = 2
    return request.param


@pytest.fixture
def decoded(networks, detected):
    def run(out="maps", shard="1-of-1"):
        detected(GuidedDdim, {"L": 20, "s": 3.0}, OPTIONS, ("denoiser", "classifier"), out, shard, SPLITS)
        return networks / out

    return run


def joined(folder: Path, make, count: int) -> Path:
    """The shards that `make` makes, joined."""
    names = [f"{number}-of-{count}" for number in range(1, count + 1)]
    line = ["--shards", *(str(make(f"shards/{name}", shard=name)) for name in names), "--output", str(folder)]
    join.main(join.arguments().parse_args(line))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but for what was measured, and their digests."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in {"cost.json", digests.FILE}]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths} | {digests.FILE: digests.read(folder)}


@pytest.mark.parametrize("count", [2, 3, 40])
def test_joined_maps_are_those_of_one_job(kept, networks, encoded, decoded, count):
    encoded(splits=SPLITS)
    whole = decoded("whole")
    found = contents(joined(networks / "joined", decoded, count))
    assert found == contents(whole)
    assert {"train/maps.npy", "train/images.npy", "test/maps.npy"} <= found.keys()
    assert ("train/slices.csv" in found) == (not kept["healthy"])
    assert json.loads((networks / "joined/cost.json").read_text())["shards"] == count


@pytest.mark.parametrize("count", [3, 40])
def test_joined_latents_are_those_of_one_job(parameters, networks, encoded, count):
    parameters["detection"]["batch"] = 2
    whole = contents(encoded("whole", splits=SPLITS))

    def make(out, shard):
        return encoded(out, shard=shard, splits=SPLITS)

    assert contents(joined(networks / "joined", make, count)) == whole
    cost = json.loads((networks / "joined/cost.json").read_text())
    assert (cost["level"], cost["shards"]) == (20, count)


def test_lists_name_the_rows(parameters, tiny_slices, networks, encoded, decoded):
    parameters["kept"] = {"healthy": False, "reconstructions": 0}
    encoded(splits=SPLITS)
    folder = decoded() / "train"
    diseased = tiny_slices.manifest["slice_id"][tiny_slices.manifest["label"] == 1].tolist()
    assert pd.read_csv(folder / "slices.csv")["slice_id"].tolist() == diseased
    assert pd.read_csv(folder / "images.csv")["slice_id"].tolist() == []
    assert np.load(folder / "maps.npy").shape == (6, 16, 16)
    assert np.load(folder / "images.npy").shape == (0, 2, 16, 16)


def test_a_killed_shard_goes_on_from_its_last_batch(parameters, networks, encoded, decoded, killed):
    parameters["detection"]["batch"] = 2
    encoded(splits=SPLITS)
    whole = contents(decoded("whole", "1-of-2"))
    _, starts = killed(lambda: decoded("maps", "1-of-2"))
    assert starts == [0, 2, 2, 4]
    assert contents(networks / "maps") == whole


def test_costs_are_means_over_images_and_the_highest_peak(networks, encoded, decoded):
    encoded(splits=SPLITS)
    shards = [decoded(f"shards/{name}", name) for name in ("1-of-2", "2-of-2")]
    for folder, cost in zip(shards, [(2, 700, "a"), (5, 900, "b")], strict=True):
        (folder / "cost.json").write_text(json.dumps(dict(zip(("seconds", "memory_mb", "device"), cost, strict=True))))
    join.main(join.arguments().parse_args(["--shards", *map(str, shards), "--output", str(networks / "out")]))
    # Batches of 5: three of the twelve slices to train, one of the two to test.
    expected = (2 * 10 + 5 * 4) / 14
    found = json.loads((networks / "out/cost.json").read_text())
    assert found == {"seconds": pytest.approx(expected), "memory_mb": 900, "device": "a, b", "shards": 2}


def test_shards_that_do_not_fit_together_are_refused(parameters, networks, encoded, decoded):
    encoded(splits=SPLITS)
    first = decoded("shards/1-of-2", "1-of-2")
    parameters["detection"]["batch"] = 2
    second = decoded("shards/2-of-2", "2-of-2")
    line = ["--shards", str(first), str(second), "--output", str(networks / "out")]
    with pytest.raises(InputError, match="do not make up the slices of train"):
        join.main(join.arguments().parse_args(line))
    (first / "shard.json").unlink()
    with pytest.raises(InputError, match=r"shard\.json is missing or damaged"):
        join.main(join.arguments().parse_args(line))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_shards_cover_every_row_once_in_whole_batches(count):
    lengths = {"validation": 7, "test": 10}
    parts = [Shard(number, count).rows(lengths, 4) for number in range(1, count + 1)]
    for split, length in lengths.items():
        assert [row for part in parts for row in range(part[split].start, part[split].stop)] == list(range(length))
        assert all(part[split].start % 4 == 0 for part in parts if len(part[split]))
    batches = [sum(-(-len(part) // 4) for part in found.values()) for found in parts]
    assert sum(batches) == 5
    assert max(batches[: min(count, 5)]) - min(batches[: min(count, 5)]) <= 1


@pytest.mark.parametrize("text", ["2", "0-of-3", "4-of-3", "a-of-b", ""])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(ArgumentTypeError, match="expected NUMBER-of-COUNT"):
        Shard.named(text)
