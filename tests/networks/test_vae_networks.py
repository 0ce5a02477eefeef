"""The variational autoencoder: layers, shapes, divergence."""

import math

import pytest
import torch

from stages.networks import build
from stages.networks.vae import Vae, divergence

WIDTHS = [16, 64, 256, 1024]


@pytest.mark.parametrize(("size", "extent"), [(64, 4), (256, 16)])
def test_parameter_counts_follow_from_the_published_layers(size, extent):
    strided = 16 * (4 * 16 + 16 * 64 + 64 * 256 + 256 * 1024)  # 4 x 4 kernels, no bias: 4,473,856
    full = extent**2 * 1024 * (2 * 128 + 128)  # to mean and deviation, and back from a sample
    with torch.device("meta"):
        network = Vae(size, 4, WIDTHS, 128)
    total = sum(p.numel() for p in network.parameters())
    assert total == 2 * strided + full == {64: 15_239_168, 256: 109_611_008}[size]


def test_shapes_and_sampling():
    torch.manual_seed(0)
    parameters = {
        "data": {"size": 16, "channels": ["t1", "flair"]},
        "vae": {"network": {"widths": [4, 8], "latent": 5}},
    }
    network = build.network(Vae, "vae", parameters)
    x, noise = torch.rand(3, 2, 16, 16), torch.randn(3, 5)
    with torch.no_grad():
        decoded, mean, log_deviation = network(x)
        assert decoded.shape == x.shape
        assert mean.shape == log_deviation.shape == (3, 5)
        torch.testing.assert_close(network(x, torch.zeros(3, 5))[0], decoded)
        z = mean + log_deviation.exp() * noise
        torch.testing.assert_close(network(x, noise)[0], network.decoder(z[:, :, None, None]))
        assert (network(x, noise)[0] - decoded).abs().max() > 1e-4
        torch.testing.assert_close(network(x[1:2])[0], decoded[1:2])  # no image sees another


def test_divergence_is_the_closed_form():
    mean, deviation = torch.tensor([0.0, 1.0, -2.0, 0.0]), torch.tensor([1.0, 1.0, 1.0, math.e])
    expected = torch.tensor([0.0, 0.5, 2.0, (math.e**2 - 1) / 2 - 1])
    torch.testing.assert_close(divergence(mean, deviation.log()), expected)
    prior = torch.distributions.Normal(0, 1)
    posterior = torch.distributions.Normal(torch.randn(50), torch.rand(50) + 0.1)
    torch.testing.assert_close(
        divergence(posterior.mean, posterior.stddev.log()), torch.distributions.kl_divergence(posterior, prior)
    )
