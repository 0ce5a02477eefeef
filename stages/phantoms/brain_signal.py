"""What the four sequences show of the brain phantom: contrasts, what looks like a lesion and is none, and the scanner.

Signals are on the scale of BraTS' intensity recipe: 0 and 1 near the 1st and 99th percentile of a volume. The tables
were set beside 20 BraTS 2018 cases in 64 x 64 slices: the healthy tissues' percentiles, the labels' means and
deviations, and how well FLAIR alone ranks the lesion's pixels in the brain (mean AUROC of a diseased slice: .97).
"""

import numpy as np

from stages.phantoms.brain_anatomy import CSF, GREY, WHITE, Grid, Head, atlas, smooth_field

SEQUENCES = ("t1", "t1ce", "t2", "flair")
FLAIR = SEQUENCES.index("flair")

# One row a sequence: the signal and how much it varies from case to case.
_TISSUE = np.array(  # CSF, grey and white matter, vessels, remnants of dura and fat at the skull base, gliosis
    [
        [0.08, 0.57, 0.78, 0.90, 1.00, 0.66],
        [0.06, 0.37, 0.46, 1.10, 1.10, 0.39],
        [0.76, 0.25, 0.16, 0.00, 0.00, 0.38],
        [0.03, 0.51, 0.45, 0.35, 1.00, 0.74],
    ]
)
_TISSUE_SPREAD = np.array(
    [
        [0.04, 0.05, 0.03, 0.10, 0.10, 0.05],
        [0.04, 0.03, 0.03, 0.15, 0.15, 0.04],
        [0.08, 0.03, 0.03, 0.03, 0.03, 0.06],
        [0.03, 0.03, 0.03, 0.05, 0.12, 0.06],
    ]
)
# How bright the brain stands between CSF and dura, and how far tissues and lesion follow: in FLAIR a lesion is about as
# bright whatever the brain is, so that where the brain is bright, little tells them apart.
_LEVEL_SPREAD = np.array([[0.03], [0.12], [0.06], [0.12]])
_TISSUE_FOLLOWS = np.array([0, 1, 1, 0, 0, 0.7])
_LESION_FOLLOWS = np.array([[1.5], [0.8], [0.7], [0.2]])
# Uneven tissue: standard deviation over about 40 mm (coil, region) and 12 mm, as a share of the signal.
_TISSUE_TEXTURE = np.array([[0.02, 0.03], [0.03, 0.05], [0.06, 0.08], [0.07, 0.06]])
_LESION = np.array(  # core, rim, oedema
    [
        [0.46, 0.54, 0.48],
        [0.31, 0.70, 0.32],
        [0.50, 0.43, 0.51],
        [0.72, 0.73, 0.88],
    ]
)
_LESION_SPREAD = np.array([[0.10, 0.08, 0.07], [0.07, 0.09, 0.05], [0.11, 0.09, 0.10], [0.08, 0.08, 0.05]])
_LESION_TEXTURE = np.array([[0.06, 0.06, 0.07], [0.07, 0.08, 0.05], [0.13, 0.07, 0.09], [0.12, 0.09, 0.09]])
_STEP = 600.0
"""Stored units between signals 0 and 1; a case's gain multiplies it."""

# Grey matter that is brighter in FLAIR in everyone: place (MNI mm, right side), extent, share of the signal. And the
# pallidum, dark with iron.
_LIMBIC = ((38, 6, 0, 12, 0.15), (6, 30, 26, 13, 0.2), (6, -20, 40, 13, 0.15), (26, -10, -18, 12, 0.2))
_PALLIDUM = (20, -4, 0, 7)
# Caps of the lateral ventricles at frontal horn, trigone and body: place (MNI mm, right side), extent, strength.
_CAPS = ((17, 30, 12, 11, 1.0), (28, -48, 18, 13, 1.0), (22, -10, 26, 18, 0.45))


def _near(mni: np.ndarray, x: float, y: float, z: float, extent: float) -> np.ndarray:
    """Gaussian around a place on either side of the midline, (*shape)."""
    return np.exp(-(((np.abs(mni[0]) - x) ** 2 + (mni[1] - y) ** 2 + (mni[2] - z) ** 2) / (2 * extent**2)))


def extras(head: Head, tissue: np.ndarray, mni: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Share of each voxel, (3, *shape), that is vessel; dura or fat left by skull stripping; or gliosis.

    Vessels (sagittal sinus, surface veins, choroid plexus) take up contrast agent without a lesion. The remnants at the
    skull base are what the 99th percentile of a volume sees, and the 1st in T2. Gliosis is bright in FLAIR without
    being a lesion: caps on the ventricles' horns, which everyone has, and spots in the white matter of the old.

    Args:
        head: the case's, for its grid and age.
        tissue: volume fractions, (3, *shape).
        mni: MNI positions in mm, (3, *shape).
        random: source of the case's vessels and spots.
    """
    grid, source = head.grid, atlas(tuple(head.grid.voxel))
    depth, distance = source.sample(source.coarse[[0, 4]], 2, mni)
    x, y, z = mni
    width = float(grid.voxel[0])
    sinus = np.clip(4 / width, 0, 1) * np.exp(-((x / max(2.5, 0.6 * width)) ** 2))
    sinus = sinus * (depth < 7) * (z > 0) * np.clip(0.7 - y / 60, 0.2, 1)
    veins = np.clip(smooth_field(random, grid, 7) - 1.3, 0, 1) * (depth < 12) * tissue[CSF]
    plexus = np.clip(smooth_field(random, grid, 8) - 1.0, 0, 1) * (depth > 26) * tissue[CSF]
    base = (
        np.clip(2 * smooth_field(random, grid, 10), 0, 1) * np.clip((9 - depth) / 6, 0, 1) * np.clip(-1 - z / 12, 0, 1)
    )
    strength = random.uniform([0.2, 0.2, 0.2, 0.85], [0.9, 0.8, 0.6, 1.0])
    vessels = np.clip(strength[0] * sinus + strength[1] * veins + strength[2] * plexus, 0, 1)
    base = strength[3] * base
    horns = sum(cap * _near(mni, *place) for *place, cap in _CAPS)
    caps = (
        np.exp(-((distance / 7) ** 2)) * horns * np.clip(0.2 + 0.6 * head.age + 0.15 * random.standard_normal(), 0, 1)
    )
    rarity = 2.5 - 0.7 * head.age
    spots = np.clip(1.2 * (smooth_field(random, grid, 8) - rarity), 0, 1) * np.clip((depth - 8) / 6, 0, 1)
    gliosis = np.clip(caps + spots, 0, 1) * tissue[WHITE]
    return np.stack([vessels * (1 - base), base, gliosis * (1 - base) * (1 - vessels)])


def signal(
    grid: Grid,
    tissue: np.ndarray,
    other: np.ndarray,
    parts: np.ndarray,
    mni: np.ndarray,
    random: np.random.Generator,
    contrast: float,
) -> np.ndarray:
    """Signal of the four sequences, (4, *shape): tissues, extras and the lesion's parts mix by volume.

    Args:
        grid: the voxels.
        tissue: volume fractions of CSF, grey and white matter without the lesion, (3, *shape).
        other: share of each voxel that is one of the extras, (3, *shape).
        parts: volume fractions of core, rim and oedema, (3, *shape).
        mni: MNI positions in mm, (3, *shape).
        random: source of the case's contrasts and textures.
        contrast: how far contrasts differ between cases, 0 to 2.
    """
    # Healthy brain. No real one is so bright in FLAIR that a lesion drowns in it, so the level is bounded above.
    level = contrast * _LEVEL_SPREAD * np.clip(random.standard_normal((4, 1)), -1.5, 1.0)
    value = _TISSUE + contrast * _TISSUE_SPREAD * random.standard_normal(_TISSUE.shape) + level * _TISSUE_FOLLOWS
    brain = tissue.sum(0)
    mixture = np.concatenate([tissue * (1 - other.sum(0)), other * brain])
    result = np.einsum("st,txyz->sxyz", value.astype(np.float32), mixture)
    limbic = sum(share * _near(mni, *place) for *place, share in _LIMBIC) * tissue[GREY]
    result[FLAIR] *= 1 + limbic * random.uniform(0.5, 1.5)
    result[2:] *= 1 - 0.3 * _near(mni, *_PALLIDUM)
    for sequence, (wide, fine) in enumerate(_TISSUE_TEXTURE):
        result[sequence] *= 1 + wide * smooth_field(random, grid, 40) + fine * smooth_field(random, grid, 12)
    # The lesion. What is wetter shows in every sequence at once: a part of the spread is common to all four.
    common, own = (np.clip(random.standard_normal(size), -1.8, 1.8) for size in ((1, 3), _LESION.shape))
    wetter = np.array([[-1], [-1], [1], [1]])
    value = _LESION + level * _LESION_FOLLOWS + contrast * _LESION_SPREAD * (0.5 * wetter * common + 0.87 * own)
    texture = [0.8 * smooth_field(random, grid, 14) + 0.6 * smooth_field(random, grid, 8) for _ in range(3)]
    result *= np.clip(1 - parts.sum(0) / np.maximum(brain, 1e-3), 0, 1)
    for part, share in enumerate(parts):
        for sequence in range(4):
            result[sequence] += share * (value[sequence, part] + _LESION_TEXTURE[sequence, part] * texture[part])
    return result


def acquire(
    grid: Grid,
    clean: np.ndarray,
    brain: np.ndarray,
    random: np.random.Generator,
    for_noise: np.random.Generator,
    bias_field: float,
    noise: float,
) -> np.ndarray:
    """Stored images, (4, *shape) int16: gain, bias field, Rician noise; outside `brain` (*shape) they are 0.

    Args:
        grid: the voxels.
        clean: the sequences' signal, (4, *shape).
        brain: where the brain is, bool.
        random: source of bias fields and gains.
        for_noise: source of the noise.
        bias_field: standard deviation of the field's logarithm.
        noise: standard deviation of the noise, of the range between signals 0 and 1.
    """
    images = np.zeros(clean.shape, np.int16)
    for sequence, one in enumerate(clean):
        bias = np.exp(bias_field * smooth_field(random, grid, 90))
        first, second = noise * for_noise.standard_normal((2, *grid.shape)).astype(np.float32)
        magnitude = np.hypot(np.maximum(one, 0) * bias + first, second)
        gain = _STEP * random.uniform(0.6, 1.8)
        images[sequence] = np.where(brain, np.clip(np.round(magnitude * gain), 1, 32767), 0)
    return images
