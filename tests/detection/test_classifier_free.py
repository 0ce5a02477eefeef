"""Classifier-free translation: its two ends are DDIM, and between and beyond them one pass of twice the images."""

import numpy as np
import pytest
import torch

from stages.detection import trained
from stages.detection.classifier_free import ClassifierFree
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.detection.guided_ddim import GuidedDdim
from stages.networks.unet import UNet

OPTIONS = {"encode_class": "none"}


@pytest.fixture
def translated(detected):
    """Runs the method with guidance weight w on the latents."""
    return lambda w, out="maps": detected(ClassifierFree, {"L": 20, "w": w}, OPTIONS, out=out)


@pytest.mark.parametrize(("weight", "decode_class"), [(0, "none"), (1, "healthy")])
def test_weights_0_and_1_are_unguided_ddim(encoded, detected, translated, weight, decode_class):
    encoded()
    result = translated(weight)
    expected = detected(GuidedDdim, {"L": 20, "s": 0}, OPTIONS | {"decode_class": decode_class}, out="ddim")
    assert all(result[name].tobytes() == expected[name].tobytes() for name in ("maps", "images"))


def test_every_weight_matters(encoded, translated):
    encoded()
    assert len({translated(w)["maps"].tobytes() for w in (0, 0.5, 1, 3)}) == 4


@pytest.mark.parametrize(("weight", "images"), [(0, 3), (1, 3), (2.5, 6)])
def test_guidance_is_its_formula_in_one_pass(parameters, networks, weight, images):
    device = torch.device("cpu")
    unet, _ = trained.network(UNet, "denoiser", parameters, networks / "denoiser.safetensors", device)
    unet.label_emb.weight *= 100  # so that the classes differ clearly
    model = DiffusionModel(Sampler.of(parameters), device, unet)
    x, t = torch.randn(3, 2, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 7, 30])
    seen = []
    unet.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    with torch.no_grad():
        guided = model.classifier_free_epsilon(weight)(x, t)
        assert seen == [images]
        none, healthy = model.epsilon("none")(x, t), model.epsilon("healthy")(x, t)
    assert float((healthy - none).abs().max()) > 0.01
    torch.testing.assert_close(guided, none + weight * (healthy - none), rtol=1e-4, atol=1e-5)


def test_it_runs_under_the_released_codes_convention(parameters, encoded, translated):
    parameters["detection"] |= {"convention": "released-code", "stride": 1}
    encoded()
    assert np.isfinite(translated(2)["maps"]).all()
