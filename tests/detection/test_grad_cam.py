"""Grad-CAM: its formula, written out, and the block that a resolution names."""

import pytest
import torch
from torch.nn import functional

from stages import methods
from stages.data.store import DISEASED, HEALTHY
from stages.detection.detector import Batch
from stages.detection.grad_cam import GradCam
from stages.device import Processor
from stages.networks import build
from stages.networks.unet import EncoderClassifier


@pytest.fixture
def images():
    return torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def detector(parameters, networks):
    def make(resolution):
        job = parameters | {"options": {}, "setting": {"resolution": resolution}}
        checkpoints = {"classifier": networks / "classifier.safetensors"}
        return GradCam(job, Processor(), checkpoints)

    return make


@pytest.mark.parametrize(("resolution", "block"), [(8, "middle_block"), (16, "input_blocks.1")])
def test_the_map_is_the_published_formula(detector, images, resolution, block):
    cam = detector(resolution)
    with torch.no_grad():
        found = cam.detect(Batch(images, ["a", "b", "c"])).maps
    classifier, kept = cam.classifier, []
    classifier.get_submodule(block).register_forward_hook(lambda _, __, features: kept.append(features))
    logits = classifier((2 * images - 1).requires_grad_(), torch.zeros(3, dtype=torch.long))
    (features,) = kept
    (slope,) = torch.autograd.grad((logits[:, DISEASED] - logits[:, HEALTHY]).sum(), features)
    weights = slope.mean(dim=(2, 3), keepdim=True)
    expected = (weights * features).sum(dim=1, keepdim=True).relu()
    assert expected.shape == (3, 1, resolution, resolution)
    assert expected.max() > 0
    expected = functional.interpolate(expected, (16, 16), mode="bilinear")[:, 0]
    torch.testing.assert_close(found, expected.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("residual_blocks", [1, 3])
def test_a_resolutions_block_is_the_last_one_there(parameters, detector, monkeypatch, residual_blocks):
    cam = detector(8)
    section = parameters["classifier"]["network"] | {"residual_blocks": residual_blocks, "multipliers": [1, 2, 2]}
    cam.parameters = parameters | {"classifier": {"network": section}}
    network, sides = build.network(EncoderClassifier, "classifier", cam.parameters), {}
    for name, module in network.named_modules():
        if name == "middle_block" or (name.count(".") == 1 and name.startswith("input_blocks")):
            module.register_forward_hook(lambda _, __, x, name=name: sides.update({name: x.shape[-1]}))
    with torch.no_grad():
        network(torch.zeros(1, 2, 16, 16), torch.zeros(1, dtype=torch.long))
    for resolution in methods.resolutions(section, 16):
        cam.setting = methods.Setting({"resolution": resolution})
        assert cam.last_block() == [name for name, side in sides.items() if side == resolution][-1]
