"""How much of a weak noise a denoiser leaves in an image."""

import pytest
import torch

from stages.diffusion.noise_schedule import NoiseSchedule
from stages.export.familiarity import NOISE, level, noise_left

PARAMETERS = {"seed": 0, "intensity": [-1, 1], "noise_schedule": {"timesteps": 1000, "beta": [1e-4, 0.02]}}
SCHEDULE = NoiseSchedule.linear(1000, (1e-4, 0.02))
LEVEL = level(SCHEDULE, (-1, 1))
KNOWN = torch.linspace(0, 1, 64 * 64).reshape(1, 1, 64, 64)


class Knowing(torch.nn.Module):
    """A denoiser that takes every image for KNOWN, whatever the noise."""

    def forward(self, x, t, labels):
        assert (t == LEVEL - 1).all()
        alpha_bar = SCHEDULE.at(LEVEL)
        epsilon = (x - alpha_bar.sqrt() * (2 * KNOWN - 1)) / (1 - alpha_bar).sqrt()
        return torch.cat([epsilon, 0 * epsilon], dim=1)


class Ignorant(torch.nn.Module):
    """One that finds no noise."""

    def forward(self, x, t, labels):
        return torch.cat([0 * x, 0 * x], dim=1)


def test_what_is_left_is_the_distance_to_what_is_known_in_units_of_the_noise():
    images = torch.cat([KNOWN, KNOWN + NOISE, KNOWN - 2 * NOISE])
    found = noise_left(Knowing(), images, ["a", "b", "c"], PARAMETERS)
    torch.testing.assert_close(found, torch.tensor([0.0, 1.0, 4.0]), rtol=0.05, atol=1e-4)


def test_all_of_it_is_left_where_none_is_found_and_each_slice_has_its_own():
    found = noise_left(Ignorant(), KNOWN.repeat(2, 1, 1, 1), ["a", "b"], PARAMETERS)
    assert found.tolist() == pytest.approx([1, 1], abs=0.1)
    assert found[0] != found[1]
    assert noise_left(Ignorant(), KNOWN, ["b"], PARAMETERS)[0] == found[1]
