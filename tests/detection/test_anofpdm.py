"""AnoFPDM: the maps of its authors' code, and its rules written out over all levels at once."""

import numpy as np
import pytest
import torch
from scipy.ndimage import median_filter
from torch import nn

from stages.detection import anofpdm
from stages.detection.anofpdm import AnoFpdm, aggregated, median
from stages.detection.detector import Batch
from stages.detection.diffusion_model import DiffusionModel
from stages.device import Processor
from stages.networks.unet import NO_CLASS

SIZE, SLICES = (3, 3, 8, 8), ["a", "b", "c"]

# get_mask_batch_FPDM of github.com/SoloChe/AnoFPDM (94e838c) on xstarts of its calc_pred_xstart_loop, of `images` and
# `Analytic` with `noise` for randn_like: 40 levels, of which 20 are passed, w = 2, modality [0, 2]. Row 3 of each map.
ORIGINAL = [
    [0.0086621791, 0.0092105800, 0.0090459306, 0.0090459306, 0.0089662997, 0.0087772198, 0.0078631826, 0.0075248061],
    [0.0135554904, 0.0135322949, 0.0135322949, 0.0118049551, 0.0116933677, 0.0116933677, 0.0127076022, 0.0110181766],
    [0.0147739947, 0.0145456977, 0.0160080083, 0.0159804150, 0.0159804150, 0.0160620082, 0.0148250433, 0.0148250433],
]
ORIGINAL_MEANS = [0.008891947567462921, 0.013456117361783981, 0.015202818438410759]
ORIGINAL_ENDS = [[14, 14], [19, 18], [19, 19]]
"""t_e of each slice and channel: timesteps, which are levels less 1."""


class Analytic(nn.Module):
    """A denoiser that is a formula, and counts the images that it is given."""

    seen = 0

    def forward(self, x, t, y):
        self.seen += len(x)
        share = t[:, None, None, None] / 40
        of_class = torch.where(y == NO_CLASS, 0.1, 0.4)[:, None, None, None]
        epsilon = (0.3 + 0.5 * share) * x + of_class * torch.cos(4 * x + 9 * share)
        return torch.cat([epsilon, epsilon], dim=1)


def sequence(divisor):
    i = torch.arange(np.prod(SIZE), dtype=torch.float64).reshape(SIZE)
    return i * i / divisor


def images():
    """In [0, 1]; the networks see them as sin(i^2 / 50) in [-1, 1]."""
    return ((torch.sin(sequence(50)) + 1) / 2).float()


@pytest.fixture
def detector(parameters, monkeypatch):
    """Makes the detector with the formula for its denoiser and known noise."""
    monkeypatch.setattr(DiffusionModel, "noise", lambda *_: lambda: (2 * torch.cos(sequence(70))).float())
    monkeypatch.setattr(AnoFpdm, "load", lambda *_: Analytic())

    def make(convention, stride=1, channels=("t1", "flair"), weight=3, solver="ddim"):
        job = parameters | {"data": {"size": 8, "channels": ["t1", "t2", "flair"]}}
        job |= {"options": {"channels": list(channels)}, "setting": {"L": 20, "w": weight}}
        job["detection"] = parameters["detection"] | {"convention": convention, "stride": stride, "solver": solver}
        return AnoFpdm(job, Processor(), {})

    return make


def stacked(detector):
    """Levels (K,), squares (N, K, C, H, W) and differences (N, K, C) of all steps."""
    levels, squares, differences = zip(*detector.steps(Batch(images(), SLICES)), strict=True)
    return list(levels), torch.stack(squares, 1), torch.stack(differences, 1)


def test_the_released_codes_convention_gives_the_authors_maps(detector):
    found = detector("released-code").detect(Batch(images(), SLICES)).maps
    expected = torch.tensor(ORIGINAL, dtype=torch.float64)
    torch.testing.assert_close(found[:, 3].double(), expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(found.double().mean((1, 2)), torch.tensor(ORIGINAL_MEANS).double(), rtol=1e-4, atol=0)


def test_the_released_codes_convention_ends_where_the_authors_does(detector):
    levels, _, differences = stacked(detector("released-code"))
    assert levels == list(range(1, 21))
    assert differences.argmax(dim=1).tolist() == ORIGINAL_ENDS


@pytest.mark.parametrize("convention", ["paper", "released-code"])
def test_the_map_is_the_mean_below_the_slices_own_end(detector, convention):
    """As the authors write it, over all levels at once."""
    made = detector(convention)
    _, squares, differences = stacked(made)
    ends = differences.argmax(dim=1)
    assert len(set(ends.flatten().tolist())) > 1, "every slice ends alike: this tests nothing"
    expected = torch.stack(
        [
            torch.stack([squares[n, : max(1, int(end)), c].mean(0) for c, end in enumerate(ends[n])]).mean(0)
            for n in range(len(ends))
        ]
    )
    expected = np.stack([median_filter(one.numpy(), size=5, mode="mirror") for one in expected])
    found = made.detect(Batch(images(), SLICES)).maps
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_a_step_counts_for_the_levels_since_the_one_before():
    squares, difference = torch.rand(3, 2, 1, 4, 4), torch.tensor([[[1.0], [5.0]], [[2.0], [1.0]], [[3.0], [5.0]]])
    found = aggregated(zip([1, 2, 4], squares, difference, strict=True))
    torch.testing.assert_close(found[0], (squares[0, 0] + squares[1, 0]) / 2)  # ends at 4, the third
    torch.testing.assert_close(found[1], squares[0, 1])  # ends at 1, the first of two that are equally high
    later = torch.cat([difference, torch.full((1, 2, 1), 9.0)])
    found = aggregated(zip([1, 2, 4, 10], torch.cat([squares, squares[:1]]), later, strict=True))
    torch.testing.assert_close(found, (squares[0] + squares[1] + 2 * squares[2]) / 4)


def test_a_stride_visits_fewer_levels_and_gives_nearly_the_same_map(detector):
    levels, _, _ = stacked(detector("paper", stride=5))
    assert levels == [1, 2, 4, 5, 10, 15, 20]
    every, fifth = (detector("paper", stride).detect(Batch(images(), SLICES)).maps for stride in (1, 5))
    assert float((every - fifth).abs().mean() / every.mean()) < 0.15


def test_predictions_are_clipped_to_the_networks_range(detector, monkeypatch):
    made = detector("paper", weight=500)
    seen = []
    monkeypatch.setattr(anofpdm, "predict_x_0", lambda *_: seen.append(torch.full(SIZE, 1e3)) or seen[-1])
    _, squares, differences = stacked(made)
    assert float(squares.max()) <= 4
    assert float(differences.max()) == 0, "both predictions are the same where both are clipped"
    assert seen


def test_channels_are_those_that_are_named_and_count_alike(detector):
    batch = Batch(images(), SLICES)
    one, other = (aggregated(detector("paper", channels=[name]).steps(batch)) for name in ("t1", "flair"))
    both = aggregated(detector("paper").steps(batch))
    torch.testing.assert_close(both, torch.cat([one, other], dim=1))


@pytest.mark.parametrize(("convention", "solver", "passes"), [
    ("paper", "ddim", 2 * 7 + 1),  # both classes at each level; the clean image once, the last level has no way on
    ("paper", "adams-bashforth", 2 * 7 + 1),
    ("released-code", "ddim", 2 * 20 + 19),  # its steps ask at the next level's timestep
])  # fmt: skip
def test_encoding_does_not_ask_again_what_a_prediction_asked(detector, convention, solver, passes):
    made = detector(convention, stride=5 if convention == "paper" else 1, solver=solver)
    made.detect(Batch(images(), SLICES))
    assert made.model.denoiser.seen == passes * len(SLICES)


def test_the_median_is_the_authors():
    """Their median_pool: windows of a reflected image, whose edge is not repeated."""
    maps = torch.rand(2, 7, 9, dtype=torch.float64)
    padded = nn.functional.pad(maps[:, None], (2, 2, 2, 2), mode="reflect")
    windows = padded.unfold(2, 5, 1).unfold(3, 5, 1).reshape(2, 7, 9, 25)
    assert torch.equal(median(maps), windows.median(dim=-1)[0])
