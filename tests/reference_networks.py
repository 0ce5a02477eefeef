"""The reference tensors and the two small networks that they hold."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from stages.networks.unet import EncoderClassifier, UNet

REFERENCE = Path(__file__).parents[1] / "../shared/reference"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tensors (../shared) are not here")


def tiny_unet() -> tuple[UNet, dict]:
    return _loaded(UNet(32, 4, 32, [1, 2, 2], 2, attention=[16], heads=1, groups=32), "unet_tiny.safetensors")


def tiny_classifier() -> tuple[EncoderClassifier, dict]:
    network = EncoderClassifier(32, 4, 32, [1, 2, 2], 2, attention=[32, 16], head_channels=32, groups=32)
    return _loaded(network, "classifier_tiny.safetensors")


def _loaded(network: torch.nn.Module, name: str):
    tensors = load_file(REFERENCE / name)
    network.load_state_dict({key[6:]: value for key, value in tensors.items() if key.startswith("state.")})
    return network, tensors


def relative_error(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max() / b.abs().max())
