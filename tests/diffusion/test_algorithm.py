"""Loss and both conventions of Algorithm 1 against the reference tensors."""

import pytest
import torch
from reference_networks import REFERENCE, needs_reference, relative_error, tiny_classifier, tiny_unet
from safetensors.torch import load_file

from stages.detection.detector import anomaly_map
from stages.diffusion import ddim
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.objective import hybrid_loss
from stages.networks.unet import log_probability

SCHEDULE = NoiseSchedule.linear(1000, (1e-4, 0.02))
pytestmark = needs_reference


@pytest.fixture(scope="module")
def networks():
    unet, classifier = (network.eval().requires_grad_(False) for network, _ in (tiny_unet(), tiny_classifier()))

    def epsilon(x, t):
        return unet(x, t, torch.zeros_like(t)).chunk(2, dim=1)[0]

    return epsilon, lambda x, t: log_probability(classifier, x, t, 0)


def test_noising_and_hybrid_loss():
    unet, _ = tiny_unet()
    tensors = load_file(REFERENCE / "hybrid_loss.safetensors")
    level = tensors["t"] + 1
    assert relative_error(SCHEDULE.alpha_bar[1:], tensors["alphas_cumprod"]) < 1e-12
    x_t = SCHEDULE.add_noise(tensors["x0"], level, tensors["noise"])
    assert relative_error(x_t, tensors["x_t"]) < 1e-6
    with torch.no_grad():
        output = unet(tensors["x_t"], tensors["t"], tensors["y"])
    mse, vb = hybrid_loss(output, tensors["x0"], tensors["x_t"], level, tensors["noise"], SCHEDULE)
    assert relative_error(mse, tensors["mse"]) < 1e-4
    assert relative_error(vb, tensors["vb_bits_per_dim"]) < 1e-4


@pytest.mark.parametrize("level", [5, 20])
@pytest.mark.parametrize("scale", [0, 100, 1000])
def test_algorithm_1_as_the_paper_has_it(networks, level, scale):
    epsilon, log_healthy = networks
    tensors = load_file(REFERENCE / "algorithm1_paper.safetensors")
    expected = {name: tensors[f"L{level}.s{scale}.{name}"] for name in ("x_L", "x_0", "anomaly_map")}
    with torch.no_grad():
        x_level = dict(ddim.encode(epsilon, tensors["x"], level, SCHEDULE))[level]
        x_0 = ddim.last(ddim.decode(epsilon, log_healthy, x_level, level, scale, SCHEDULE))
    assert relative_error(x_level, expected["x_L"]) < 1e-4
    assert relative_error(x_0, expected["x_0"]) < 1e-4
    assert (anomaly_map(tensors["x"], x_0) - expected["anomaly_map"]).abs().max() < 1e-5


@pytest.mark.parametrize("level", [5, 20])
@pytest.mark.parametrize("scale", [0, 100, 1000])
def test_algorithm_1_as_the_released_code_runs_it(networks, level, scale):
    epsilon, log_healthy = networks
    tensors = load_file(REFERENCE / "algorithm1_released_code.safetensors")
    start, expected = tensors[f"L{level}.s{scale}.x_start"], tensors[f"L{level}.s{scale}.x_0"]
    with torch.no_grad():
        x_level = dict(ddim.encode_released(epsilon, start, level, SCHEDULE))[level]
        x_0 = ddim.last(ddim.decode_released(epsilon, log_healthy, x_level, level, scale, SCHEDULE))
    assert relative_error(x_0.float(), expected) < 1e-4
