"""A disk that fills up under a stage: one sentence, nothing half-written, and the same result once there is room."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from synthetic_brats import NAMES, SEQUENCES, write_case

from stages import command
from stages.data import brats
from stages.data.store import open_store
from stages.detection import detector, intensity
from stages.detection.resumable import ResumableArrays
from stages.errors import InputError
from stages.training import denoiser

MEGABYTE = 1_000_000


class SmallDisk:
    """A folder on a file system of its own, full but for `left` bytes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.filler = folder / "filler"

    def fill(self, left: int) -> None:
        with self.filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                file.truncate(file.tell() - left)

    def make_room(self) -> None:
        self.filler.unlink()

    def files(self) -> list[str]:
        return [path.name for path in self.folder.rglob("*") if path.is_file() and path != self.filler]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted: {mounted.stderr.strip()}")
    yield SmallDisk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a stage in this process as its command does."""

    def run(start: Callable[[], None], parameters: dict, *options: object) -> None:
        monkeypatch.setattr(sys, "argv", ["stage", "--parameters", json.dumps(parameters), *map(str, options)])
        start()

    return run


def stage(module: ModuleType) -> Callable[[], None]:
    return lambda: command.run(module.main, module.arguments())


def refused(run: Callable[..., None], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    sentence = str(ended.value.code)
    assert sentence.startswith("error: ")
    assert "make room there and start again" in sentence
    assert "\n" not in sentence
    return sentence


def test_extraction(disk, run, tmp_path):
    for name in NAMES:
        write_case(tmp_path / "raw", name)
    brats_keys = {"percentiles": [1, 99], "slices": [2, 7], "step": 1, "pad": 32}
    data = {"reader": "brats", "folder": "raw", "channels": list(SEQUENCES), "size": 32, "on_bad_case": "stop"}
    parameters = {"data": data | {"brats": brats_keys}}
    arguments = (stage(brats), parameters, "--raw", tmp_path / "raw", "--output", disk.folder / "data")
    disk.fill(left=MEGABYTE // 5)
    assert f"no space is left in {disk.folder} " in refused(run, *arguments)
    assert disk.files() == ["data.lock"], "empty, and beside the store"
    disk.make_room()
    run(*arguments)
    assert len(open_store(disk.folder / "data")) == 60


def test_training(disk, run, tmp_path, tiny_store, tiny_split_list, tiny_parameters):
    def arguments(checkpoint: Path, log: Path, state: Path) -> tuple:
        paths = ("--checkpoint", checkpoint / "denoiser.safetensors", "--log", log, "--state", state)
        data = ("--data", tiny_store, "--split-list", tiny_split_list, "--threads", 1)
        return stage(denoiser), tiny_parameters, *data, *paths

    names = ("checkpoint", "log", "state")
    run(*arguments(*(tmp_path / name for name in names)))
    for full in names:
        places = [(disk.folder if name == full else tmp_path / f"full {full}") / name for name in names]
        disk.fill(left=4096)
        assert f"no space is left in {disk.folder}" in refused(run, *arguments(*places))
        assert not [name for name in disk.files() if name.endswith((".partial", ".safetensors"))]
        disk.make_room()
        run(*arguments(*places))
        made, expected = (folder / "denoiser.safetensors" for folder in (places[0], tmp_path / "checkpoint"))
        assert made.read_bytes() == expected.read_bytes()
        shutil.rmtree(disk.folder / full)


def test_detection(disk, run, tiny_store, tiny_split_list, tiny_parameters):
    parameters = tiny_parameters | {
        "detection": {"batch": 5, "precision": "32-true", "weights": "ema"},
        "kept": {"healthy": True, "reconstructions": None},
        "setting": {"view": "plain"},
        "options": {"channel": "flair"},
    }
    data = ("--data", tiny_store, "--split-list", tiny_split_list, "--splits", "train", "--threads", 1)
    paths = ("--output", disk.folder / "maps", "--state", disk.folder / "state")
    arguments = (lambda: detector.run(intensity.Intensity), parameters, *data, *paths)
    disk.fill(left=3 * 4096)
    refused(run, *arguments)
    disk.make_room()
    run(*arguments)
    assert np.load(disk.folder / "maps/train/maps.npy").shape == (12, 16, 16)


def test_a_memory_map_is_refused_and_not_a_bus_error(disk):
    arrays = {"maps": ((1000, 1000), np.uint8)}
    disk.fill(left=MEGABYTE // 5)
    with pytest.raises(InputError, match=r"state needs 1.0 MB for an array, but its disk has 0.2 MB left: make room"):
        ResumableArrays(disk.folder / "state", arrays, {})
    assert disk.files() == []
    disk.make_room()
    resumable = ResumableArrays(disk.folder / "state", arrays, {})
    resumable.write(maps=np.ones((1000, 1000), np.uint8))
    resumable.finish(disk.folder / "maps")
    assert np.load(disk.folder / "maps/maps.npy").sum() == MEGABYTE
