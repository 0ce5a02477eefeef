"""Simplex noise against values of the package opensimplex, and what the fields that are drawn have in common."""

import numpy as np
import pytest
import torch

from stages.diffusion import simplex
from stages.diffusion.simplex import VECTORS, SimplexNoise, reached

# opensimplex 0.4.5.1: OpenSimplex(seed=3).noise3(x, y, z)
POINTS = [
    *([0.82, -1.38, -2.75], [-2.9, 1.88, 2.48], [0.64, 1.38, 0.26]),
    *([2.61, 1.9, -2.98], [2.14, -2.8, 1.38], [-1.95, 2.18, 0.25]),
]
VALUES = [0.15337033, -0.17647956, 0.39095336, 0.28831711, 0.36301734, -0.07426005]
OCTANTS = [(x, y, z) for z in (1, -1) for y in (1, -1) for x in (-1, 1)]
"""The order of that package's vectors: three to each of these."""

CORNERS = np.array([(11, 4, 4), (4, 11, 4), (4, 4, 11)])


def permutation(seed):
    """The package's permutation of 0..255, by its linear congruential generator of 64 bits."""
    state, source, result = seed, list(range(256)), [0] * 256
    for step in range(-3, 256):
        state = (state * 6364136223846793005 + 1442695040888963407 + 2**63) % 2**64 - 2**63
        if step >= 0:
            last = 255 - step
            place = (state + 31) % (last + 1)
            result[last], source[place] = source[place], source[last]
    return np.array(result)


def hashed(lattice, seed):
    """The vector that the package gives each lattice point (..., 3)."""
    perm = permutation(seed)
    x, y, z = np.moveaxis(lattice, -1, 0)
    number = perm[(perm[(perm[x & 255] + y) & 255] + z) & 255] % 24
    return (np.array(OCTANTS)[:, None] * CORNERS).reshape(24, 3)[number]


def test_a_hash_of_lattice_points_gives_the_values_of_the_package():
    """But for what the package leaves out of a point's neighbours: those that hardly reach it, 1e-4 at most."""
    lattice, displacement, kernel = reached(np.array(POINTS))
    values = (kernel * (hashed(lattice, 3) * displacement).sum(axis=2)).sum(axis=1)
    np.testing.assert_allclose(values, VALUES, atol=1e-4)
    assert sorted(VECTORS.tolist()) == sorted((np.array(OCTANTS)[:, None] * CORNERS).reshape(24, 3).tolist())


def test_a_field_is_the_sum_over_octaves_of_what_reaches_its_pixels():
    noise = SimplexNoise.on(8, octaves=2, persistence=0.5, frequency=8)
    chosen = noise.choose(3, torch.Generator().manual_seed(0))
    fields = noise.of(chosen)
    assert fields.shape == (3, 8, 8)
    # Every point the same vector: what is left is the sum of the kernels' gradients, whatever a point's number is.
    same = noise.of(torch.full((1, noise.points), 5))[0].numpy()
    for y, x in ((0, 0), (3, 6)):
        expected = 0.0
        for octave, wavelength in enumerate((8, 4)):
            place = np.array([[x, y, simplex.PLANE * 8]]) / wavelength
            _, displacement, kernel = reached(place)
            expected += 0.5**octave * (kernel * (displacement @ VECTORS[5])).sum()
        assert same[y, x] == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(noise.of(chosen[1:2])[0], fields[1])


def test_published_octaves_are_alike_all_over_an_image_and_smooth():
    noise = SimplexNoise.on(32, octaves=6, persistence=0.8, frequency=64)
    fields = noise.of(noise.choose(400, torch.Generator().manual_seed(0)))
    deviation = fields.std(dim=0)
    assert 0.4 < deviation.mean() < 0.6
    assert deviation.min() > 0.6 * deviation.max()
    assert fields.mean(dim=0).abs().max() < 5 * 0.56 / 400**0.5
    neighbours = (fields[:, 1:] * fields[:, :-1]).mean() / fields.square().mean()
    assert neighbours > 0.7  # white noise has 0


def test_an_image_draws_from_its_own_generator_or_all_from_one():
    noise, images = SimplexNoise.on(8, octaves=2, persistence=0.8, frequency=8), torch.zeros(4, 2, 8, 8)

    def generators(*seeds):
        return [torch.Generator().manual_seed(seed) for seed in seeds]

    own = noise.like(images, generators(0, 1, 2, 3))
    torch.testing.assert_close(noise.like(images[2:3], generators(2)), own[2:3])
    assert noise.like(images, generators(0)).shape == images.shape
    assert len(own.flatten(2).flatten(0, 1).unique(dim=0)) == 8
