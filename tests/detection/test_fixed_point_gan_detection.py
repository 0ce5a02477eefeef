"""Fixed-Point GAN as a detector: the map, and its weights."""

import numpy as np
import pytest
import torch

from stages import checkpoint
from stages.data.store import HEALTHY
from stages.detection.fixed_point_gan import FixedPointGan
from stages.networks import build
from stages.networks.fixed_point_gan import Generator


@pytest.fixture
def parameters(parameters):
    return parameters | {"fixed_point_gan": {"network": {"channels": 4, "residual_blocks": 1}}}


@pytest.fixture
def translate(parameters, networks, detected):
    """Runs the detector with a random generator, raw weights unlike the averaged ones."""
    torch.manual_seed(0)
    tensors = {}
    for prefix in ("", "ema."):
        generator = build.network(Generator, "fixed_point_gan", parameters)
        tensors |= {prefix + name: tensor for name, tensor in generator.state_dict().items()}
    checkpoint.save(networks / "fixed_point_gan.safetensors", tensors, {})

    def run(weights: str, **told) -> dict[str, np.ndarray]:
        parameters["detection"]["weights"] = weights
        found = detected(FixedPointGan, {}, told, ("fixed_point_gan",))
        return {name: array.astype(np.float64) for name, array in found.items()}

    return run


@pytest.mark.parametrize("weights", ["raw", "ema"])
def test_the_map_is_the_distance_to_the_healthy_translation(parameters, tiny_slices, networks, translate, weights):
    found = translate(weights)
    images = np.asarray(tiny_slices.images, np.float32)
    generator = build.network(Generator, "fixed_point_gan", parameters)
    checkpoint.load_into(generator, networks / "fixed_point_gan.safetensors", weights)
    with torch.no_grad():
        translated = generator(2 * torch.from_numpy(images) - 1, torch.full((12,), HEALTHY))
    translated = (translated.numpy() + 1) / 2
    assert np.abs(images - translated).max() > 0.05
    np.testing.assert_allclose(found["images"], translated, atol=2e-3)
    np.testing.assert_allclose(found["maps"], np.abs(images - translated).sum(axis=1), atol=5e-3)


def test_a_map_of_some_channels_is_eq_8_over_these(tiny_slices, translate):
    found = translate("raw", channels=["flair"])
    images = np.asarray(tiny_slices.images, np.float64)
    assert found["images"].shape == images.shape, "what is shown has every channel"
    np.testing.assert_allclose(found["maps"], np.abs(images - found["images"])[:, 1], atol=5e-3)
