"""The intensity baseline: views of one channel, on made and on real slices."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from stages.data.brats_case import Recipe, read_case
from stages.data.brats_tree import find_cases
from stages.detection.intensity import Intensity, equalised, inverted, plain
from stages.evaluation import metrics

REAL = Path(__file__).parents[2] / "../shared/data/brats2018"


def brain(seed: int = 0) -> np.ndarray:
    """A 32 x 32 slice: a background of 0 around a skewed histogram."""
    rng = np.random.default_rng(seed)
    image = np.zeros((32, 32), np.float32)
    image[6:26, 4:28] = rng.gamma(2, 0.08, (20, 24)).clip(1e-3, 1)
    return image


@pytest.mark.parametrize("channel", ["t1", "flair"])
@pytest.mark.parametrize(("view", "expected"), [("plain", lambda x: x), ("inverted", lambda x: 1 - x)])
def test_maps_are_the_named_channel_and_nothing_else(tiny_slices, detected, channel, view, expected):
    result = detected(Intensity, {"view": view}, {"channel": channel}, checkpoints=())
    assert list(result) == ["maps"]  # no reconstruction
    images = tiny_slices.images[:, ["t1", "flair"].index(channel)].astype(np.float32)
    np.testing.assert_allclose(result["maps"], expected(images).astype(np.float16))


def test_equalisation_keeps_order_and_background_and_flattens_the_rest():
    image = brain()
    result = equalised(torch.from_numpy(image[None]))[0].numpy()
    assert result.dtype == np.float32
    foreground = image > 0
    assert (result[~foreground] == 0).all()
    assert result[foreground].min() > 0
    assert result.max() == 1
    assert (np.diff(result.flatten()[np.argsort(image, axis=None)]) >= 0).all()
    share = rankdata(image[foreground], "max") / foreground.sum()
    assert np.abs(result[foreground] - share).max() < 0.06  # the tallest of 256 bins
    assert np.abs(image[foreground] - share).max() > 0.3


def test_equalisation_sees_one_slice_at_a_time():
    images = torch.from_numpy(np.stack([brain(0), 0.3 * brain(1), np.zeros((32, 32), np.float32), np.ones((32, 32))]))
    together = equalised(images.float())
    for one, image in zip(together, images, strict=True):
        assert torch.equal(one, equalised(image[None].float())[0])
    assert (together[2] == 0).all()  # an empty slice
    assert float(together[3].std()) == 0  # a constant one


@pytest.mark.skipif(not REAL.is_dir(), reason="the real cases (../shared) are not here")
def test_flair_finds_real_gliomas():
    """What keeps every other number honest: bright is mostly right, in slices whose lesion is not tiny."""
    recipe = Recipe(("flair",), (1, 99), 70, 100, 256, 128)
    case = next(case for case in find_cases(REAL) if case.name == "Brats18_CBICA_APZ_1")
    found = read_case(case, recipe)
    images, masks = torch.from_numpy(found.images[:, 0]).float(), found.masks
    scored = [n for n in range(len(masks)) if masks[n].sum() > 20]
    areas = {
        view.__name__: np.mean([metrics.auroc(view(images)[n], masks[n]) for n in scored])
        for view in (plain, inverted, equalised)
    }
    assert len(scored) > 10
    assert areas["plain"] > 0.95
    assert areas["equalised"] == pytest.approx(areas["plain"], abs=0.01)  # ranks stay, but for ties in a bin
    assert areas["inverted"] == pytest.approx(1 - areas["plain"], abs=1e-6)
