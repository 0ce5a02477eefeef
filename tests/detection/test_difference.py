"""The difference between image and reconstruction, as it is and of both images scaled, against loops."""

import numpy as np
import pytest
import torch

from stages.detection.difference import DIFFERENCES, anomaly_map


def by_hand(x: np.ndarray, reconstruction: np.ndarray, difference: str) -> np.ndarray:
    """The map of images (N, C, H, W), a channel at a time."""
    maps = np.zeros((len(x), *x.shape[2:]))
    for n, pair in enumerate(zip(x.astype(float), reconstruction.astype(float), strict=True)):
        for channels in zip(*pair, strict=True):
            if difference == "min-max":
                channels = [(c - c.min()) / (c.max() - c.min()) if c.max() > c.min() else 0 * c for c in channels]
            maps[n] += np.abs(channels[0] - channels[1])
    return maps


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_maps_are_those_made_by_hand(difference):
    rng = np.random.default_rng(0)
    x, reconstruction = rng.uniform(0, 1, (5, 3, 6, 7)), rng.normal(0.5, 2, (5, 3, 6, 7))
    x[1, 2], reconstruction[2, 0], x[3], reconstruction[3] = 0.7, -1, 0.2, 0.9
    x, reconstruction = x.astype(np.float32), reconstruction.astype(np.float32)
    found = anomaly_map(torch.from_numpy(x), torch.from_numpy(reconstruction), difference)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, by_hand(x, reconstruction, difference), atol=1e-12)


def test_min_max_sees_shape_alone_and_each_slice_alone():
    x = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert anomaly_map(x, 3 * x - 1, "min-max").abs().max() < 1e-12
    assert anomaly_map(x, 3 * x - 1, "plain").min() > 0
    together = anomaly_map(x, x.flip(3), "min-max")
    assert torch.equal(together[2:3], anomaly_map(x[2:3], x.flip(3)[2:3], "min-max"))


def test_two_constant_images_do_not_differ():
    maps = anomaly_map(torch.full((1, 2, 4, 4), 0.1), torch.full((1, 2, 4, 4), 0.9), "min-max")
    assert torch.equal(maps, torch.zeros(1, 4, 4, dtype=torch.float64))
