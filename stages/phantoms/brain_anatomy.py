"""Healthy anatomy of the brain phantom: MNI152 tissue maps, sampled in BraTS' field of view and deformed per case.

Coordinates are millimetres in RAS+ (x to the right, y to the front, z up). BraTS volumes run the other way along the
first two axes (LPS), so that `volume[:, :, z].T` shows an axial slice with the front on top.
"""

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from nilearn import datasets
from scipy import ndimage, sparse

FIELD_OF_VIEW = (240.0, 240.0, 155.0)
"""BraTS: 240 x 240 x 155 voxels of 1 mm."""

# The SRI24 atlas, to which BraTS registers its cases, shows a smaller brain than MNI152. Scale and offset from the
# bounding box of the average BraTS brain mask: 136 x 165 mm, top at 140 mm, against 145 x 181 mm, top at z = 83 mm.
_ATLAS_SCALE = 0.93
_MNI_CENTRE = np.array([0.0, -17.0, 8.0])
_WORLD_CENTRE = np.array([-119.5, 109.5, 71.0])

CSF, GREY, WHITE = range(3)


@dataclass(frozen=True)
class Grid:
    """Voxels of a phantom: `shape` (width, depth, height), spread over BraTS' field of view."""

    shape: tuple[int, int, int]

    @property
    def voxel(self) -> np.ndarray:
        """Voxel size in mm."""
        return np.array(FIELD_OF_VIEW) / self.shape

    @property
    def affine(self) -> np.ndarray:
        """Voxel index to mm: that of BraTS (-1, -1, 1; origin 0, 239, 0), its voxels averaged in blocks."""
        affine = np.diag([*(self.voxel * (-1, -1, 1)), 1.0])
        affine[:3, 3] = np.array([0.0, 239.0, 0.0]) + (self.voxel - 1) / 2 * (-1, -1, 1)
        return affine

    @cached_property
    def positions(self) -> np.ndarray:
        """Voxel centres in mm from the middle of the brain, (3, *shape)."""
        index = np.indices(self.shape, dtype=np.float32)
        diagonal, offset = np.diag(self.affine)[:3], self.affine[:3, 3] - _WORLD_CENTRE
        return (index * diagonal[:, None, None, None] + offset[:, None, None, None]).astype(np.float32)


def smooth_field(random: np.random.Generator, grid: Grid, spacing: float, components: int = 0) -> np.ndarray:
    """A smooth Gaussian field of unit variance: cubic B-splines over a lattice `spacing` mm apart.

    As in free-form deformation (Rueckert et al., IEEE TMI 1999, Eq. 1). The random numbers drawn depend on the field of
    view and the spacing alone, so that one seed gives the same field at every resolution.
    """
    knots = [int(np.ceil(extent / spacing)) + 3 for extent in FIELD_OF_VIEW]
    field = random.standard_normal((components or 1, *knots)).astype(np.float32)
    for axis, (count, length, voxel) in enumerate(zip(knots, grid.shape, grid.voxel, strict=True)):
        at = (np.arange(length) + 0.5) * voxel / spacing + 1  # in knots; the first lies outside the field of view
        distance = np.abs(at[:, None] - np.arange(count))
        near, far = 2 / 3 - distance**2 + distance**3 / 2, (2 - distance) ** 3 / 6
        weights = np.where(distance < 1, near, np.where(distance < 2, far, 0)).astype(np.float32)
        # Four of a row's weights are not zero. Sparse products also give the same bits on any number of threads.
        lines = np.moveaxis(field, axis + 1, 0)
        product = sparse.csr_array(weights) @ lines.reshape(count, -1)
        field = np.moveaxis(product.reshape(length, *lines.shape[1:]), 0, axis + 1)
    field *= (151 / 315) ** -1.5  # mean sum of squared weights along one axis
    return field if components else field[0]


@dataclass(frozen=True)
class Atlas:
    """MNI152 in its own space. Maps are indexed by voxel; `origin` and `step` (mm) turn positions into indices.

    Attributes:
        tissue: CSF, grey and white matter, (3, X, Y, Z) at 1 mm, averaged over the phantom's voxel size.
        coarse: depth below the brain's surface (mm), the three components of the pull towards the ventricles (largest
            length 1) and the distance from the ventricles (mm), (5, X', Y', Z') at 2 mm.
        centres: where a lesion may sit: points of cerebral white matter, (n, 3), MNI mm.
    """

    tissue: np.ndarray
    coarse: np.ndarray
    origin: np.ndarray
    centres: np.ndarray

    def sample(self, maps: np.ndarray, step: float, mni: np.ndarray) -> np.ndarray:
        """Linear interpolation of `maps` (c, ...) at MNI positions (3, ...) in mm; zero outside."""
        index = (mni - self.origin[:, None, None, None].astype(np.float32)) / step
        return np.stack([ndimage.map_coordinates(one, index, order=1, output=np.float32) for one in maps])


@cache
def atlas(voxel: tuple[float, float, float]) -> Atlas:
    """MNI152 (ICBM 2009a, symmetric) for a phantom of that voxel size in mm; loaded once a process.

    CSF is what the brain mask holds beside grey and white matter.
    """
    template = datasets.load_mni152_template(resolution=1)
    grey = datasets.load_mni152_gm_template(resolution=1).get_fdata(dtype=np.float32)
    white = datasets.load_mni152_wm_template(resolution=1).get_fdata(dtype=np.float32)
    brain = ndimage.binary_fill_holes(ndimage.binary_closing((grey + white > 0.2) | (template.get_fdata() > 0.2)))
    tissue = np.stack([np.clip(1 - grey - white, 0, 1), grey, white]) * brain
    # One brain has sharper borders than the average of 152: squared and normalised probabilities.
    tissue **= 2
    tissue /= tissue.sum(0) + 1e-6
    ventricles, depth = _ventricles(tissue[CSF, ::2, ::2, ::2], brain[::2, ::2, ::2])
    pull = np.stack(np.gradient(ndimage.gaussian_filter(ventricles.astype(np.float32), 3)))
    pull /= np.linalg.norm(pull, axis=0).max()
    distance = 2 * ndimage.distance_transform_edt(~ventricles)
    coarse = np.concatenate([depth[None], pull, distance[None]]).astype(np.float32)
    origin = template.affine[:3, 3]
    index = np.argwhere((tissue[WHITE, ::2, ::2, ::2] > 0.6) & (depth > 8))
    x, y, z = (2 * index + origin).T
    # Above the tentorium and off the midline: no cerebellum, brain stem or corpus callosum.
    cerebrum = (z > -16) & (z > np.where(y < -35, 2, -16)) & (np.abs(x) > 12)
    width = np.asarray(voxel) / _ATLAS_SCALE
    tissue = np.stack([ndimage.uniform_filter(one, np.maximum(np.round(width), 1).astype(int)) for one in tissue])
    return Atlas(tissue, coarse, origin, np.stack([x, y, z], axis=1)[cerebrum])


def _ventricles(csf: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ventricles (deep CSF) and the depth below the surface in mm, on the atlas' 2 mm grid."""
    # The atlas ends at z = -72 mm: the cut is no surface, so the lowest slice is repeated below it.
    padded = np.pad(np.pad(brain, ((0, 0), (0, 0), (20, 0)), mode="edge"), 1)
    depth = 2 * ndimage.distance_transform_edt(padded)[1:-1, 1:-1, 21:-1]
    regions, _ = ndimage.label((csf > 0.5) & (depth > 26))
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    return regions == sizes.argmax(), depth


@dataclass(frozen=True)
class Head:
    """The shape of one case's head: from positions in the phantom to MNI152.

    Attributes:
        affine: (3, 3), rotation, scale and shear.
        deformation: smooth displacement in mm, (3, *shape).
        age: 0 young, 1 old: wide ventricles and sulci, gliosis.
        ventricles: how far the ventricles' walls move outwards, in mm.
        atrophy: log odds by which CSF gains at the cortex: wide sulci in the old.
    """

    grid: Grid
    affine: np.ndarray
    deformation: np.ndarray
    age: float
    ventricles: float
    atrophy: float

    @classmethod
    def draw(cls, random: np.random.Generator, grid: Grid, deformation: float) -> "Head":
        """A random head; `deformation` scales how far it is from the atlas (1: about 2.5 mm besides size and pose)."""
        pitch, roll, yaw = np.radians(random.normal(0, [3.0, 1.5, 1.5]) * deformation)
        cos, sin = np.cos, np.sin
        about_x = np.array([[1, 0, 0], [0, cos(pitch), -sin(pitch)], [0, sin(pitch), cos(pitch)]])
        about_y = np.array([[cos(roll), 0, sin(roll)], [0, 1, 0], [-sin(roll), 0, cos(roll)]])
        about_z = np.array([[cos(yaw), -sin(yaw), 0], [sin(yaw), cos(yaw), 0], [0, 0, 1]])
        scale = np.exp(random.normal(0, 0.02 * deformation, 3)) / _ATLAS_SCALE
        wide, fine = smooth_field(random, grid, 45, 3), smooth_field(random, grid, 18, 3)
        age = random.random()
        return cls(
            grid=grid,
            affine=about_x @ about_y @ about_z * scale,
            deformation=deformation * (2.0 * wide + 1.0 * fine),
            age=age,
            ventricles=deformation * (4.5 * age + random.normal(0, 0.7) - 1.0),
            atrophy=deformation * (2.0 * age - 0.9),
        )

    def position_of(self, mni: np.ndarray) -> np.ndarray:
        """Where an MNI position (3,) lies in the phantom, in mm, to within the smooth deformation."""
        return np.linalg.solve(self.affine, mni - _MNI_CENTRE)

    def to_mni(self, positions: np.ndarray) -> np.ndarray:
        """MNI positions of phantom positions, (3, *shape) both, in mm."""
        mni = np.einsum("ij,jxyz->ixyz", self.affine.astype(np.float32), positions) + self.deformation
        return mni + _MNI_CENTRE[:, None, None, None].astype(np.float32)

    def widened(self, mni: np.ndarray, squeeze: np.ndarray) -> np.ndarray:
        """MNI positions, (3, *shape) in mm, with the head's own ventricles, narrower by `squeeze` mm, (*shape)."""
        source = atlas(tuple(self.grid.voxel))
        return mni + (self.ventricles - squeeze) * source.sample(source.coarse[1:4], 2, mni)

    def tissue(self, mni: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Volume fractions of CSF, grey and white matter at MNI positions, (3, *shape); they sum to the brain's share.

        Each case has folds of its own: smooth noise moves the borders between the tissues.
        """
        source = atlas(tuple(self.grid.voxel))
        maps = np.clip(source.sample(source.tissue, 1, mni), 0, 1)
        depth = source.sample(source.coarse[:1], 2, mni)[0]
        brain = maps.sum(0)
        odds = 0.5 * np.stack([smooth_field(random, self.grid, 9) for _ in range(3)])
        odds[CSF] += self.atrophy * np.exp(-(depth / 18)) + 0.5 * (self.atrophy > 0) * smooth_field(
            random, self.grid, 14
        )
        maps *= np.exp(odds)
        return maps * (brain / (maps.sum(0) + 1e-6))
