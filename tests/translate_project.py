"""A project with raw images and random networks, in which single images are translated."""

from pathlib import Path

import numpy as np
import synthetic_brats
import synthetic_chexpert
import torch
import yaml
from PIL import Image

from stages import checkpoint
from stages.networks import build
from stages.networks.unet import EncoderClassifier, UNet
from stages.parameters import reading

ROOT = Path(__file__).resolve().parents[1]
CASES = synthetic_brats.NAMES[:2]
BENCHMARKS = {
    "brain": {
        "inherits": "smoke",
        "phantom": None,
        "data": {"folder": "raw", "brats": {"slices": [2, 7], "step": 2}},
        "detection": {"batch": 3},
        "methods": {"intensity": {"setting": {"view": "plain"}}},
    },
    "chest": {
        "inherits": "smoke",
        "phantom": None,
        "data": {
            "reader": "chexpert",
            "folder": "raw",
            "channels": ["xray"],
            "split": {split: {"healthy": 1, "diseased": 1} for split in ("train", "validation", "test")},
        },
        "methods": {"intensity": {"options": {"channel": "xray"}, "grid": [{"view": ["plain"]}]}},
        "trade_off": None,
        "figures": {"method": "guided-ddpm"},
    },
    "photos": {
        "inherits": "smoke",
        "phantom": None,
        "data": {"reader": "images", "folder": "photos", "channels": ["red", "green", "blue"]},
        "methods": {
            "intensity": {"options": {"channel": "red"}, "grid": [{"view": ["plain"]}], "setting": {"view": "plain"}}
        },
    },
}
PHOTOS = ["good/000.png", "good/001.png", "broken/000.png"]


def make(folder: Path) -> Path:
    """Fill a folder with params.yaml, raw images, and checkpoints of random networks of BENCHMARKS."""
    config = yaml.safe_load((ROOT / "params.yaml").read_text())
    config |= {"run": ["brain"], "benchmarks": {"smoke": config["benchmarks"]["smoke"]} | BENCHMARKS}
    (folder / "params.yaml").write_text(yaml.safe_dump(config))
    for case in CASES:
        synthetic_brats.write_case(folder / "raw", case)
    synthetic_chexpert.write_tree(folder / "raw")
    for seed, name in enumerate(PHOTOS):
        (folder / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (40, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / name)
    torch.manual_seed(0)
    for benchmark in BENCHMARKS:
        for name, kind in {"denoiser": UNet, "classifier": EncoderClassifier}.items():
            network = build.network(kind, name, parameters_of(folder, benchmark))
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
            path = folder / "results" / benchmark / "checkpoints/fold1-seed0" / f"{name}.safetensors"
            checkpoint.save(path, network.state_dict(), {})
    return folder


def parameters_of(folder: Path, benchmark: str) -> dict:
    return reading.benchmark(reading.load(folder / "params.yaml"), benchmark)
