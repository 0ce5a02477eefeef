"""Nothing on a trajectory asks its device for a value, for which the host would wait: these tensors have none."""

import pytest
import torch

from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.diffusion import ancestral, ddim
from stages.diffusion.solvers import SOLVERS
from stages.networks.unet import EncoderClassifier, UNet

META = torch.device("meta")
LEVEL, STRIDE = 20, 5


def model(solver: str, convention: str = "paper") -> DiffusionModel:
    sampler = Sampler(0, (-1, 1), 40, (1e-4, 0.02), convention, 1 if convention != "paper" else STRIDE, solver)
    with META:
        denoiser = UNet(8, 1, 8, [1, 2], 1, attention=[4], heads=2, groups=4)
        classifier = EncoderClassifier(8, 1, 8, [1, 2], 1, attention=[4], head_channels=8, groups=4)
    return DiffusionModel(sampler, META, denoiser.requires_grad_(False), classifier.requires_grad_(False))


@pytest.fixture
def images():
    return torch.empty(2, 1, 8, 8, device=META)


def test_a_value_of_such_a_tensor_cannot_be_had(images):
    with pytest.raises(RuntimeError, match="meta"):
        images.sum().item()
    with pytest.raises(RuntimeError, match="meta"):
        bool((images > 0).all())


@pytest.mark.parametrize("solver", SOLVERS)
def test_neither_encoding_nor_guided_decoding_waits(solver, images):
    found = model(solver)
    with torch.no_grad():
        passed = found.encode(images, ["a", "b"], "none", [LEVEL - STRIDE, LEVEL])
        below = passed[LEVEL - STRIDE] if SOLVERS[solver].decodes_from_two else None
        assert found.decode(found.epsilon("healthy"), passed[LEVEL], LEVEL, 3.0, below).shape == images.shape


def test_classifier_free_guidance_and_the_released_code_do_not_wait(images):
    with torch.no_grad():
        found = model("ddim")
        assert found.decode(found.classifier_free_epsilon(2), images, LEVEL).shape == images.shape
        found = model("ddim", "released-code")
        last = ddim.last(found.decode_path(found.epsilon("healthy"), images, LEVEL, 3.0))
        assert last.shape == images.shape


def test_ancestral_sampling_does_not_wait(images):
    found = model("ddim")
    with torch.no_grad():
        sampled = ancestral.sample(
            found.prediction("healthy"),
            found.log_probability(),
            images,
            LEVEL,
            3.0,
            found.schedule,
            lambda: torch.empty_like(images),
            STRIDE,
        )
    assert sampled.shape == images.shape
