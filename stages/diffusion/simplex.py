"""Simplex noise in octaves, the noise of AnoDDPM (Wyatt et al., CVPR Workshops 2022), drawn many fields at a time.

OpenSimplex noise in three dimensions (Spencer 2014), on a plane: a lattice point p near a pixel, d = pixel - p, adds

    (2 - |d|^2)^4 (g_p . d) / 103   where |d|^2 < 2,

g_p being one of 24 vectors, at random. Points i of the integer lattice lie at i + sum(i) / 3. The published programs,
among them the package opensimplex, hash a seed and i to a vector; here every point of a field draws its own. So a field
is a linear map of random vectors that depends on the grid of pixels alone, and is computed once.
"""

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_CORNERS = ((11, 4, 4), (4, 11, 4), (4, 4, 11))
VECTORS = np.array([np.multiply(corner, signs) for signs in product((-1, 1), repeat=3) for corner in _CORNERS])
"""(24, 3): the corners of a rhombicuboctahedron."""
NEAR = np.array([*product(range(-1, 3), repeat=3)])
"""(64, 3): lattice points, from that at the lower corner of a point's cell, among which are all that reach it."""
PLANE = 0.37
"""z of the plane, in wavelengths of the first octave. At 0 the first pixel would lie on a lattice point of each octave,
where noise is 0; here the standard deviation differs little in an image (.43 to .56 at 64 px, the published octaves).
The authors take z = t, a plane a noise level; as vectors are drawn anew for each field, planes differ in phase."""


@dataclass(frozen=True)
class SimplexNoise:
    """Noise on a square image: sum over octaves k of persistence^k times noise of wavelength frequency / 2^k.

    Its standard deviation is below 1 and not normalised, as in the authors' code (github.com/Julian-Wyatt/AnoDDPM,
    `generate_simplex_noise`; octaves 6, persistence .8, frequency 64).

    Attributes:
        size: pixels of the image's side.
        points: number of lattice points, of all octaves together.
        index: (size^2, M) which components (3 p, 3 p + 1, 3 p + 2) of points' vectors reach a pixel.
        weight: (size^2, M) with which weights, float32.
    """

    size: int
    points: int
    index: Tensor
    weight: Tensor

    @classmethod
    def on(
        cls, size: int, octaves: int, persistence: float, frequency: float, device: torch.device | str = "cpu"
    ) -> Self:
        """On the pixels of an image of side `size`; the wavelength of the first octave is `frequency`, in pixels."""
        points, indices, weights = 0, [], []
        y, x = np.mgrid[:size, :size].reshape(2, -1)
        pixels = np.stack([x, y, np.full(x.shape, PLANE * frequency)], axis=1)
        for octave in range(octaves):
            lattice, displacement, kernel = reached(pixels * 2**octave / frequency)
            lattice = lattice - lattice.min(axis=(0, 1))
            number = np.ravel_multi_index(tuple(np.moveaxis(lattice, 2, 0)), tuple(lattice.max(axis=(0, 1)) + 1))
            names, found = np.unique(number, return_inverse=True)
            components = 3 * (points + found.reshape(number.shape)[..., None]) + np.arange(3)
            indices.append(components.reshape(len(pixels), -1))
            weights.append((persistence**octave * kernel[..., None] * displacement).reshape(len(pixels), -1))
            points += len(names)
        index, weight = (torch.from_numpy(np.concatenate(parts, axis=1)).to(device) for parts in (indices, weights))
        return cls(size, points, index, weight.float())

    def choose(self, fields: int, generator: torch.Generator) -> Tensor:
        """Which of `VECTORS` every lattice point has, in some fields: (fields, points)."""
        return torch.randint(len(VECTORS), (fields, self.points), generator=generator, device=self.index.device)

    def of(self, chosen: Tensor) -> Tensor:
        """The fields (N, size, size), float32, whose lattice points have the vectors `chosen` (N, points)."""
        vectors = torch.from_numpy(VECTORS).to(chosen.device, torch.float32)[chosen]  # (N, points, 3)
        table = vectors.flatten(1).T.contiguous()
        values = functional.embedding_bag(self.index, table, per_sample_weights=self.weight, mode="sum")
        return values.T.reshape(-1, self.size, self.size)

    def like(self, images: Tensor, generators: list[torch.Generator]) -> Tensor:
        """A field a channel of each of the images (N, C, H, W), which draw from one generator or from one each."""
        share = len(images) // len(generators) * images.shape[1]
        return self.of(torch.cat([self.choose(share, one) for one in generators])).view(images.shape)


def reached(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The lattice points that reach `points` (P, 3), as many for each as reach any: (P, K, 3) whole numbers.

    With them the displacements d (P, K, 3) and the kernels (2 - |d|^2)^4 / 103 (P, K), which are 0 for points too many.
    """
    corner = np.floor(points - points.sum(axis=1, keepdims=True) / 6).astype(np.int64)
    candidates = corner[:, None] + NEAR
    displacement = points[:, None] - candidates - candidates.sum(axis=2, keepdims=True) / 3
    reach = 2 - np.square(displacement).sum(axis=2)
    most = (reach > 0).sum(axis=1).max()
    chosen = np.argpartition(-reach, most, axis=1)[:, :most]
    lattice, displacement = (np.take_along_axis(of, chosen[..., None], axis=1) for of in (candidates, displacement))
    return lattice, displacement, np.take_along_axis(reach, chosen, axis=1).clip(min=0) ** 4 / 103
