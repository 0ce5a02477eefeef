"""The gradient baseline: captum's saliency where there is no noise, the closed form of a quadratic where there is."""

import pytest
import torch
from captum.attr import Saliency

from stages.data.store import DISEASED, HEALTHY
from stages.detection.detector import Batch
from stages.detection.gradient import Gradient
from stages.detection.noise import noise
from stages.device import Processor
from stages.networks.unet import log_probability

SLICES = ["a", "b", "c"]


@pytest.fixture
def images():
    return torch.rand(3, 2, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def detector(parameters, networks):
    """Makes the detector at a setting, with the classifier of the checkpoint or another."""

    def make(samples, sigma, classifier=None):
        job = parameters | {"options": {}, "setting": {"samples": samples, "sigma": sigma}}
        checkpoints = {"classifier": networks / "classifier.safetensors"}
        result = Gradient(job, Processor(), checkpoints)
        result.classifier = classifier or result.classifier
        return result

    return make


def maps(detector, images):
    with torch.no_grad():
        return detector.detect(Batch(images, SLICES)).maps


def test_without_noise_it_is_the_saliency_of_the_two_scores_difference(detector, images):
    gradient = detector(1, 0)
    t = torch.zeros(3, dtype=torch.long)

    def difference(x):
        logits = gradient.classifier(x, t)
        return logits[:, DISEASED] - logits[:, HEALTHY]

    expected = Saliency(difference).attribute((2 * images - 1).requires_grad_(), abs=True).sum(dim=1)
    torch.testing.assert_close(maps(gradient, images), expected)


def test_log_probabilitys_slope_is_the_same_map_times_the_other_classs_probability(detector, images):
    gradient = detector(1, 0)
    x, t = (2 * images - 1).requires_grad_(), torch.zeros(3, dtype=torch.long)
    found = log_probability(gradient.classifier, x, t, DISEASED)
    (slope,) = torch.autograd.grad(found.sum(), x)
    healthy = 1 - found.detach().exp()
    torch.testing.assert_close(slope.abs().sum(dim=1), healthy[:, None, None] * maps(gradient, images))


@pytest.mark.parametrize(("samples", "sigma"), [(1, 0.3), (4, 0.1)])
def test_smoothgrad_is_the_slope_at_the_mean_of_the_copies_where_the_score_is_quadratic(
    detector, images, samples, sigma
):
    """S = sum of x^2: d S / d x = 2 x, whose mean over copies is 2 (x + mean of the noise)."""
    gradient = detector(samples, sigma, lambda x, t: torch.stack([x.flatten(1).sum(1) * 0, (x**2).sum((1, 2, 3))], 1))
    x = 2 * images - 1
    draw = noise(gradient.parameters["seed"], SLICES, x)
    mean = sum(draw() for _ in range(samples)) / samples
    expected = (2 * (x + 2 * sigma * mean)).abs().sum(dim=1)  # the range [-1, 1] is 2 wide
    torch.testing.assert_close(maps(gradient, images), expected)
