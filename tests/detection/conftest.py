"""Random networks as checkpoints, and the stages of detection on the tiny store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch

from stages import checkpoint
from stages.detection import detector, latents, selected
from stages.detection.resumable import ResumableArrays
from stages.networks import build
from stages.networks.unet import EncoderClassifier, UNet

LEVELS = [10, 20]
Result = TypeVar("Result")


@pytest.fixture
def parameters(tiny_parameters):
    detection = {"convention": "paper", "solver": "ddim", "stride": 5, "batch": 5}
    detection |= {"weights": "ema", "precision": "32-true", "difference": "plain"}
    return tiny_parameters | {"detection": detection, "kept": {"healthy": True, "reconstructions": None}}


@pytest.fixture
def networks(parameters, tmp_path):
    """Folder with checkpoints of random networks, raw weights unlike the averaged ones."""
    torch.manual_seed(0)
    for name, kind in {"denoiser": UNet, "classifier": EncoderClassifier}.items():
        tensors = {}
        for prefix in ("", "ema."):
            network = build.network(kind, name, parameters)
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
            tensors |= {prefix + key: value for key, value in network.state_dict().items()}
        checkpoint.save(tmp_path / f"{name}.safetensors", tensors, {})
    return tmp_path


@pytest.fixture
def data(tiny_store, tiny_split_list):
    """How a stage is told of the tiny store."""
    return ["--data", str(tiny_store), "--split-list", str(tiny_split_list)]


@pytest.fixture
def encoded(parameters, data, networks):
    """Encodes to noise and returns the folder of latents."""

    def run(out="latents", encode_class="none", levels=LEVELS, shard="1-of-1", splits=("train",)) -> Path:
        options = ["--encode-class", encode_class, *data, "--splits", *splits, "--threads", "1"]
        options += ["--shard", shard]
        options += ["--denoiser", str(networks / "denoiser.safetensors")]
        options += ["--output", str(networks / out), "--state", str(networks / "s")]
        text = json.dumps(parameters | {"levels": levels})
        latents.main(latents.arguments().parse_args(["--parameters", text, *options]))
        return networks / out

    return run


@pytest.fixture
def train_shown(monkeypatch):
    """Reconstructions are kept of the split that these tests go through."""
    monkeypatch.setattr(selected, "SHOWN", "train")


@pytest.fixture
def detected(parameters, data, networks, train_shown):
    """Runs a detector as its module would, on latents where it encodes; returns the first split's arrays."""

    def run(
        method: type[detector.Detector],
        setting: dict,
        options: dict,
        checkpoints: tuple[str, ...] = ("denoiser",),
        out: str = "maps",
        shard: str = "1-of-1",
        splits: tuple[str, ...] = ("train",),
    ) -> dict[str, np.ndarray]:
        text = json.dumps(parameters | {"options": options, "setting": setting})
        line = ["--parameters", text, *data, "--splits", *splits, "--threads", "1", "--shard", shard]
        line += ["--networks", *(f"{name}={networks / f'{name}.safetensors'}" for name in checkpoints)]
        line += ["--latents", str(networks / "latents")] if "encode_class" in options else []
        line += ["--output", str(networks / out), "--state", str(networks / "s")]
        detector.detect(method, detector.arguments(method).parse_args(line))
        return {path.stem: np.load(path) for path in (networks / out / splits[0]).glob("*.npy")}

    return run


@pytest.fixture
def small_card(monkeypatch):
    """Has no memory for more than two slices, as the denoiser notices above noise level 6; returns its batches."""
    original, seen = UNet.forward, []

    def forward(self, x, t, y):
        seen.append(len(x))
        if len(x) > 2 and t[0] > 5:
            raise torch.OutOfMemoryError
        return original(self, x, t, y)

    monkeypatch.setattr(UNet, "forward", forward)
    return seen


@pytest.fixture
def killed(networks, monkeypatch):
    """Does work twice: killed at its second write, with nothing at its output, then to the end.

    Returns what the second time gives, and how many rows were there before each write of both.
    """

    def run(work: Callable[[], Result], output: str = "maps") -> tuple[Result, list[int]]:
        original, starts = ResumableArrays.write, []

        def dies_at_the_second(self, **rows):
            starts.append(self.done)
            if len(starts) == 2:
                raise KeyboardInterrupt
            original(self, **rows)

        monkeypatch.setattr(ResumableArrays, "write", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            work()
        assert not (networks / output).exists()
        return work(), starts

    return run
