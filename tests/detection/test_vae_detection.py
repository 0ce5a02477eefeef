"""Maps of the variational autoencoder: three scores, each slice on its own."""

import json

import numpy as np
import pytest
import torch

from stages import checkpoint
from stages.detection import vae
from stages.detection.detector import arguments, detect
from stages.errors import InputError
from stages.networks import build
from stages.networks.vae import Vae, divergence


@pytest.fixture
def parameters(tiny_parameters, train_shown):
    section = {"network": {"widths": [4, 8], "latent": 6}}
    detection = {"batch": 5, "weights": "raw", "precision": "32-true", "difference": "plain"}
    kept = {"healthy": True, "reconstructions": None}
    job = {"seed": 3, "compile": "never", "data": tiny_parameters["data"], "kept": kept, "setting": {}}
    return job | {"detection": detection, "vae": section}


@pytest.fixture
def network(parameters, tmp_path):
    torch.manual_seed(0)
    network = build.network(Vae, "vae", parameters)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.15)
    checkpoint.save(tmp_path / "vae.safetensors", network.state_dict(), {})
    return network.eval()


def run(parameters, data, folder, score, checkpoints=True, **told):
    parameters = parameters | {"options": {"score": score, **told}}
    options = ["--parameters", json.dumps(parameters), *data, "--splits", "train"]
    options += ["--networks", f"vae={folder / 'vae.safetensors'}"] if checkpoints else []
    options += ["--output", str(folder / "maps"), "--state", str(folder / "state"), "--threads", "1"]
    detect(vae.VaeDetector, arguments(vae.VaeDetector).parse_args(options))
    return [np.load(folder / "maps/train" / f"{name}.npy").astype(np.float64) for name in ("maps", "images")]


@pytest.fixture
def images(tiny_slices) -> torch.Tensor:
    return torch.from_numpy(np.asarray(tiny_slices.images, np.float32))


def test_reconstruction_is_of_the_latent_mean(parameters, network, data, images, tmp_path):
    maps, decoded = run(parameters, data, tmp_path, "reconstruction")
    x = images
    with torch.no_grad():
        expected = network(x)[0]
    np.testing.assert_allclose(decoded, expected, atol=1e-3)
    np.testing.assert_allclose(maps, (x - expected).abs().sum(dim=1), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("score", "told", "some"),
    [("gradient", {}, [0, 1]), ("combined", {}, [0, 1]), ("combined", {"channels": ["flair"]}, [1])],
)
def test_scores_follow_their_definition(score, told, some, parameters, network, data, images, tmp_path):
    maps, decoded = run(parameters, data, tmp_path, score, **told)
    x = images
    for row in (0, 3, 11):
        image = x[row : row + 1].clone().requires_grad_()
        output, mean, log_deviation = network(image)
        error, kl = (image - output).abs(), divergence(mean, log_deviation).mean()
        (slope,) = torch.autograd.grad(kl * image.numel(), image)
        expected = vae.smoothed(slope[:, some].abs().sum(dim=1))[0].numpy()
        if score == "combined":
            expected = expected * error[:, some].sum(dim=1)[0].detach().double().numpy()
        assert expected.max() > 1e-3
        np.testing.assert_allclose(maps[row], expected, rtol=2e-3, atol=1e-3 * expected.max())
        np.testing.assert_allclose(decoded[row], output[0].detach(), atol=1e-3)


def test_smoothing_is_the_authors_kernel():
    maps = torch.zeros(2, 15, 15)
    maps[0, 7, 7] = 1
    kernel = torch.exp(-torch.arange(-3, 4).double().square() / (2 * 3**2))
    kernel = torch.outer(kernel, kernel) / kernel.sum() ** 2
    smoothed = vae.smoothed(maps)
    torch.testing.assert_close(smoothed[0, 4:11, 4:11], kernel)
    assert float(smoothed.sum()) == pytest.approx(1)
    assert not smoothed[1].any()


def test_bad_parameters_are_one_sentence(parameters, network, data, tmp_path):
    with pytest.raises(InputError, match="--networks names no vae"):
        run(parameters, data, tmp_path, "gradient", checkpoints=False)
    parameters["vae"]["network"]["latent"] = 7
    with pytest.raises(InputError, match="correct the network's keys"):
        run(parameters, data, tmp_path, "gradient")
    assert not (tmp_path / "maps").exists()
