"""Generate the brain phantom: MRI of made-up patients with gliomas, in the layout of BraTS.

Each case is a folder <output>/<case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz: four skull-stripped sequences (int16, the
background 0) and the label map (uint8: 1 necrotic core, 2 oedema, 4 enhancing rim). The anatomy comes from the MNI152
tissue maps that ship inside nilearn, deformed for each case; contrasts were set beside BraTS 2018. A case depends on
the seed, its number and the phantom's parameters, never on how many cases there are: more cases extend the set.
"""

import argparse
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from stages import command
from stages.phantoms.brain_anatomy import CSF, Grid, Head, atlas, smooth_field
from stages.phantoms.brain_lesion import Lesion, labels
from stages.phantoms.shared import arguments as phantom_arguments
from stages.phantoms.shared import has_lesion, replacing_folder, section
from stages.processes import in_order

SEQUENCES = ("t1", "t1ce", "t2", "flair")

# Signal (one row a sequence) of each tissue and of each part of a lesion, and how much it varies from case to case, on
# the scale of BraTS' intensity recipe: 0 and 1 near the 1st and 99th percentile of a volume. Set so that the tissues'
# percentiles and the labels' means and deviations come close to those of 20 BraTS 2018 cases.
_TISSUE = np.array(  # CSF, grey matter, white matter, vessels, remnants of dura and fat at the skull base
    [
        [0.14, 0.61, 0.79, 0.90, 1.00],
        [0.10, 0.42, 0.51, 1.10, 1.10],
        [0.92, 0.33, 0.20, 0.00, 0.00],
        [0.08, 0.50, 0.43, 0.35, 1.00],
    ]
)
_TISSUE_SPREAD = np.array(
    [
        [0.06, 0.04, 0.03, 0.10, 0.10],
        [0.04, 0.03, 0.03, 0.15, 0.15],
        [0.06, 0.03, 0.03, 0.03, 0.03],
        [0.05, 0.04, 0.04, 0.05, 0.12],
    ]
)
# How bright the brain as a whole, lesion included, stands between CSF and dura.
_LEVEL_SPREAD = np.array([[0.02], [0.07], [0.05], [0.07]])
_TISSUE_TEXTURE = 0.02
_LESION = np.array(  # core, rim, oedema
    [
        [0.50, 0.64, 0.61],
        [0.28, 0.78, 0.37],
        [0.70, 0.47, 0.57],
        [0.73, 0.75, 0.88],
    ]
)
_LESION_SPREAD = np.array([[0.07, 0.06, 0.05], [0.05, 0.10, 0.04], [0.11, 0.08, 0.10], [0.15, 0.12, 0.09]])
_LESION_TEXTURE = np.array([[0.05, 0.05, 0.05], [0.05, 0.06, 0.04], [0.09, 0.06, 0.07], [0.06, 0.06, 0.07]])
_STEP = 600.0
"""Stored units between signals 0 and 1; a case's gain multiplies it."""


@dataclass(frozen=True)
class Phantom:
    """The parameters `phantom` of a benchmark; voxels spread over BraTS' 240 x 240 x 155 mm.

    Attributes:
        cases: how many.
        shape: voxels of a volume, [60, 60, 52] being 4 x 4 x 3 mm each.
        lesion_fraction: share of the cases with a lesion.
        enhancing: share of the lesions with an enhancing rim.
        deformation: how far heads differ from the atlas; 0: not at all, 1: as patients do.
        contrast: how far tissue contrasts differ between cases; 0: not at all, 1: as between scanners.
        bias_field: standard deviation of the field's logarithm.
        noise: standard deviation of the (Rician) noise, of the range between signals 0 and 1.
    """

    cases: int
    shape: tuple[int, int, int]
    lesion_fraction: float
    enhancing: float
    deformation: float
    contrast: float
    bias_field: float
    noise: float


@dataclass(frozen=True)
class Case:
    """One made-up patient: images (4, *shape) int16 in the order of SEQUENCES, labels (*shape) uint8."""

    images: np.ndarray
    labels: np.ndarray
    affine: np.ndarray


def case_name(index: int) -> str:
    """The folder of a case.

    >>> case_name(0)
    'Phantom_001'
    """
    return f"Phantom_{index + 1:03d}"


def make_case(seed: int, index: int, phantom: Phantom) -> Case:
    """Generate one case in memory."""
    # A stream each, so that a change to one part leaves the others' draws alone.
    for_head, for_lesion, for_contrast, for_noise = np.random.default_rng([seed, index]).spawn(4)
    grid = Grid(phantom.shape)
    source = atlas(tuple(grid.voxel))
    head = Head.draw(for_head, grid, phantom.deformation)
    mni = head.to_mni(grid.positions)
    lesion = None
    if has_lesion(seed, index, phantom.lesion_fraction):
        lesion = Lesion.draw(for_lesion, head, phantom.enhancing)
        depth = source.sample(source.coarse[:1], 2, mni)[0]
        push = lesion.displacement(grid.positions, depth)
        mni = mni + np.einsum("ij,jxyz->ixyz", head.affine.astype(np.float32), push)
    tissue = head.tissue(mni, for_head)
    brain = tissue.sum(0) > 0.35
    tissue *= brain
    parts = lesion.grow(grid, tissue, mni, for_lesion) if lesion else np.zeros_like(tissue)
    depth = source.sample(source.coarse[:1], 2, mni)[0]
    extras = _extras(grid, tissue[CSF], mni, depth, for_contrast)
    signal = _signal(grid, tissue, extras, parts, for_contrast, phantom.contrast)
    images = _acquire(grid, signal, brain, for_contrast, for_noise, phantom)
    return Case(images, labels(parts, brain), grid.affine)


def _extras(grid: Grid, csf: np.ndarray, mni: np.ndarray, depth: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Share of each voxel, (2, *shape), that is vessel, and dura or fat left by skull stripping.

    Vessels (sagittal sinus, surface veins, choroid plexus) take up contrast agent without a lesion. The remnants at the
    skull base are what the 99th percentile of a volume sees, and the 1st in T2.
    """
    x, y, z = mni
    width = float(grid.voxel[0])
    sinus = np.clip(4 / width, 0, 1) * np.exp(-((x / max(2.5, 0.6 * width)) ** 2))
    sinus = sinus * (depth < 7) * (z > 0) * np.clip(0.7 - y / 60, 0.2, 1)
    veins = np.clip(smooth_field(random, grid, 7) - 1.3, 0, 1) * (depth < 12) * csf
    plexus = np.clip(smooth_field(random, grid, 8) - 1.0, 0, 1) * (depth > 26) * csf
    base = (
        np.clip(2 * smooth_field(random, grid, 10), 0, 1) * np.clip((9 - depth) / 6, 0, 1) * np.clip(-1 - z / 12, 0, 1)
    )
    strength = random.uniform([0.2, 0.2, 0.2, 0.85], [0.9, 0.8, 0.6, 1.0])
    vessels = np.clip(strength[0] * sinus + strength[1] * veins + strength[2] * plexus, 0, 1)
    base = strength[3] * base
    return np.stack([vessels * (1 - base), base])


def _signal(
    grid: Grid,
    tissue: np.ndarray,
    extras: np.ndarray,
    parts: np.ndarray,
    random: np.random.Generator,
    contrast: float,
) -> np.ndarray:
    """Signal of the four sequences, (4, *shape): tissues, extras and the lesion's parts mix by volume."""
    level = contrast * _LEVEL_SPREAD * random.standard_normal((4, 1))
    value = _TISSUE + contrast * _TISSUE_SPREAD * random.standard_normal(_TISSUE.shape) + level * (0, 1, 1, 0, 0)
    brain = tissue.sum(0)
    mixture = np.concatenate([tissue * (1 - extras.sum(0)), extras * brain])
    signal = np.einsum("st,txyz->sxyz", value.astype(np.float32), mixture)
    signal *= 1 + _TISSUE_TEXTURE * smooth_field(random, grid, 12)
    # What is wetter shows in every sequence at once: a part of the spread is common to all four.
    common, own = random.standard_normal((1, 3)), random.standard_normal(_LESION.shape)
    wetter = np.array([[-1], [-1], [1], [1]])
    value = _LESION + level + contrast * _LESION_SPREAD * (0.5 * wetter * common + 0.87 * own)
    texture = [0.8 * smooth_field(random, grid, 14) + 0.6 * smooth_field(random, grid, 8) for _ in range(3)]
    signal *= np.clip(1 - parts.sum(0) / np.maximum(brain, 1e-3), 0, 1)
    for part, share in enumerate(parts):
        for sequence in range(4):
            signal[sequence] += share * (value[sequence, part] + _LESION_TEXTURE[sequence, part] * texture[part])
    return signal


def _acquire(
    grid: Grid,
    signal: np.ndarray,
    brain: np.ndarray,
    random: np.random.Generator,
    for_noise: np.random.Generator,
    phantom: Phantom,
) -> np.ndarray:
    """Stored images, (4, *shape) int16: gain, bias field, Rician noise; the background stays 0."""
    images = np.zeros(signal.shape, np.int16)
    for sequence, clean in enumerate(signal):
        bias = np.exp(phantom.bias_field * smooth_field(random, grid, 90))
        first, second = phantom.noise * for_noise.standard_normal((2, *grid.shape)).astype(np.float32)
        magnitude = np.hypot(np.maximum(clean, 0) * bias + first, second)
        gain = _STEP * random.uniform(0.6, 1.8)
        images[sequence] = np.where(brain, np.clip(np.round(magnitude * gain), 1, 32767), 0)
    return images


def write_case(case: Case, folder: Path) -> None:
    """Write `folder`/<its name>_<sequence>.nii.gz; equal cases give equal bytes."""
    folder.mkdir(parents=True)
    for sequence, volume in [*zip(SEQUENCES, case.images, strict=True), ("seg", case.labels)]:
        image = nibabel.Nifti1Image(volume, case.affine)
        image.header.set_xyzt_units("mm")
        nibabel.save(image, folder / f"{folder.name}_{sequence}.nii.gz")  # which writes neither name nor time


def _generate_one(index: int, seed: int, phantom: Phantom, output: Path) -> None:
    write_case(make_case(seed, index, phantom), output / case_name(index))


def generate(seed: int, phantom: Phantom, output: Path, processes: int = 1) -> None:
    """Write all cases below `output`, in place of an earlier phantom; nothing is left behind on failure.

    An InputError says where `output` holds anything else than a phantom, or cannot be written.
    """
    with replacing_folder(output, _is_phantom) as folder:
        one = partial(_generate_one, seed=seed, phantom=phantom, output=folder)
        results = in_order(one, range(phantom.cases), min(processes, phantom.cases))
        for _ in command.progress("brain phantom", phantom.cases, unit="case", over=results):
            pass


def _is_phantom(folder: Path) -> bool:
    """Whether only case folders of a phantom lie there (and hidden files: Snakemake marks folders with one)."""
    return all(re.fullmatch(r"Phantom_\d{3}|\..*", path.name) for path in folder.iterdir())


def arguments() -> argparse.ArgumentParser:
    return phantom_arguments(__doc__, "cases")


def main(options: argparse.Namespace) -> None:
    generate(options.parameters["seed"], section(options, Phantom), options.output, options.processes)


if __name__ == "__main__":
    command.run(main, arguments())
