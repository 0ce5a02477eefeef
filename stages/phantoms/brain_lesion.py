"""A glioma for the brain phantom: necrotic core, enhancing rim, oedema, and the push on the tissue around them."""

from dataclasses import dataclass

import numpy as np
from skimage.graph import MCP_Geometric

from stages.phantoms.brain_anatomy import CSF, GREY, WHITE, Grid, Head, atlas, smooth_field

CORE, OEDEMA, RIM = 1, 2, 4
"""BraTS labels: necrotic and non-enhancing core, oedema, enhancing tumour."""


@dataclass(frozen=True)
class Lesion:
    """Size and place of a lesion, before it grows into a case's tissue. Lengths in mm.

    Attributes:
        centre: (3,), position in the phantom.
        side: -1 left, 1 right hemisphere.
        radius: of the core with its rim.
        stretch: (3, 3), volume-preserving, turns the ball into an ellipsoid.
        rim: thickness of the enhancing rim; 0 for a tumour that does not enhance.
        oedema: reach of the oedema along white matter.
        push: largest displacement of the tissue around.
    """

    centre: np.ndarray
    side: float
    radius: float
    stretch: np.ndarray
    rim: float
    oedema: float
    push: float

    @classmethod
    def draw(cls, random: np.random.Generator, head: Head, enhancing: float) -> "Lesion":
        """A random lesion in the cerebrum of `head`; `enhancing` is the share that has an enhancing rim."""
        centres = atlas(tuple(head.grid.voxel)).centres
        # Centres of 20 BraTS 2018 lesions lie at z = 80 +- 20 mm of 155: MNI z = 17. Drawn a little lower,
        # as more white matter lies above than below.
        weight = np.exp(-0.5 * ((centres[:, 2] - 13) / 20) ** 2)
        mni = centres[random.choice(len(centres), p=weight / weight.sum())] + random.uniform(-1, 1, 3)
        radius = float(np.clip(19.0 * np.exp(random.normal(0, 0.33)), 7, 30))
        axes = np.exp(random.normal(0, 0.16, 3))
        rotation, _ = np.linalg.qr(random.standard_normal((3, 3)))
        rim = random.uniform(0.8, 1.5) * radius**0.5 if random.random() < enhancing else 0.0
        oedema = float(np.clip(7.5 * np.exp(random.normal(0, 0.5)), 3, 26))
        push = random.uniform(0.25, 0.75) * radius
        stretch = rotation * (axes / np.cbrt(axes.prod())) @ rotation.T
        return cls(head.position_of(mni), float(np.sign(mni[0])), radius, stretch, rim, oedema, push)

    def displacement(self, positions: np.ndarray, depth: np.ndarray) -> np.ndarray:
        """Mass effect: where the tissue now at `positions` came from, as an offset in mm, (3, *shape).

        Tissue moves away from the centre, most at the tumour's border, and not at all at the skull: `depth`, (*shape),
        is the distance from it in mm.
        """
        offset = positions - self.centre[:, None, None, None].astype(np.float32)
        distance = np.sqrt((offset**2).sum(0)) + 1e-3
        reach = 1.2 * self.radius + 12
        push = self.push * distance / reach * np.exp(1 - distance / reach) * np.clip(depth / 18, 0, 1)
        return -offset / distance * np.minimum(push, 0.8 * distance)

    def squeeze(self, positions: np.ndarray, mni: np.ndarray) -> np.ndarray:
        """Mass effect: how far it moves the walls of the ventricle on its side inwards, in mm, (*shape)."""
        offset = positions - self.centre[:, None, None, None].astype(np.float32)
        near = np.exp(-(offset**2).sum(0) / (2 * 45**2))
        return 0.8 * self.push * near / (1 + np.exp(-self.side * mni[0] / 2))

    def grow(
        self, grid: Grid, tissue: np.ndarray, mni: np.ndarray, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """The lesion in a case's tissue, (3, *shape), at MNI positions.

        The core is an ellipsoid with a border of smooth noise. Oedema spreads from it by geodesic distance: fast along
        white matter, slowly in grey matter, hardly through CSF, which gives it its fingers and keeps it off the other
        hemisphere. It fades towards its border.

        Returns:
            Volume fractions of core, rim and oedema, (3, *shape), and how much of each looks like it, (3, *shape) in
            [0, 1]: the rest looks like the tissue that was there.
        """
        offset = grid.positions - self.centre[:, None, None, None].astype(np.float32)
        distance = np.sqrt((np.einsum("ij,jxyz->ixyz", self.stretch.astype(np.float32), offset) ** 2).sum(0))
        wide, medium, fine = (smooth_field(random, grid, spacing) for spacing in (30, 16, 9))
        inside = self.radius * (1 + 0.26 * wide + 0.24 * medium + 0.14 * fine) - distance
        across = np.maximum(2 - self.side * mni[0], 0)  # beyond the falx
        inside = inside - 3 * across - 14 * np.clip(tissue[CSF] - 0.5, 0, 1)
        brain = tissue.sum(0)
        soft = float(grid.voxel.max())

        def fraction(level: np.ndarray) -> np.ndarray:
            return np.clip(0.5 + level / soft, 0, 1)

        tumour = fraction(inside) * brain
        thickness = self.rim * (1 + 0.5 * smooth_field(random, grid, 14))
        rim = tumour * (1 - fraction(inside - thickness)) if self.rim else np.zeros_like(tumour)
        roughness = np.exp(0.55 * smooth_field(random, grid, 20) + 0.5 * smooth_field(random, grid, 9))
        speed = (tissue[WHITE] + 0.38 * tissue[GREY] + 0.03 * tissue[CSF] + 0.02) * np.exp(-0.4 * across)
        spread = self.oedema - _geodesic(inside > 0, roughness / speed, grid.voxel, self.oedema + 2 * soft)
        oedema = np.clip(0.5 + spread / (2 * soft), 0, 1) * (1 - fraction(inside)) * (brain - 0.85 * tissue[CSF])
        wetness = np.ones_like(tissue)
        wetness[2] = np.clip(0.6 + spread / 18, 0.45, 1)
        return np.stack([tumour - rim, rim, np.maximum(oedema, 0)]), wetness


def _geodesic(start: np.ndarray, cost: np.ndarray, voxel: np.ndarray, limit: float) -> np.ndarray:
    """Distance from `start` (bool) in mm, weighted by `cost`; `limit` wherever it would be larger."""
    result = np.full(start.shape, limit, np.float32)
    seeds = np.argwhere(start)
    if not len(seeds):
        return result
    # Costs are seldom below one half, so nothing farther than twice the limit can be reached.
    margin = np.ceil(2 * limit / voxel).astype(int)
    box = tuple(slice(max(a, 0), b) for a, b in zip(seeds.min(0) - margin, seeds.max(0) + margin + 1, strict=True))
    paths = MCP_Geometric(np.where(start[box], 1e-6, cost[box]), sampling=tuple(voxel))
    reached, _ = paths.find_costs(np.argwhere(start[box]))
    result[box] = np.minimum(reached, limit)
    return result


def labels(lesion: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """BraTS label map, uint8, (*shape), of volume fractions (core, rim, oedema): the largest, where they hold half."""
    values = np.array([CORE, RIM, OEDEMA], np.uint8)
    return np.where(brain & (lesion.sum(0) > 0.5), values[lesion.argmax(0)], np.uint8(0)).astype(np.uint8)
