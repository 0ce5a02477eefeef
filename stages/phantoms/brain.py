"""Generate the brain phantom: MRI of made-up patients with gliomas, in the layout of BraTS.

Each case is a folder <output>/<case>/<case>_{t1,t1ce,t2,flair,seg}.nii.gz: four skull-stripped sequences (int16, the
background 0) and the label map (uint8: 1 necrotic core, 2 oedema, 4 enhancing rim). The anatomy comes from the MNI152
tissue maps that ship inside nilearn, deformed for each case; lesions were made as hard to tell from the brain as those
of BraTS 2018. A case depends on the seed, its number and the phantom's parameters, never on how many cases there are:
more cases extend the set.
"""

import argparse
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import nibabel
import numpy as np

from stages import command
from stages.phantoms.brain_anatomy import Grid, Head, atlas
from stages.phantoms.brain_lesion import Lesion, labels
from stages.phantoms.brain_signal import SEQUENCES, acquire, extras, signal
from stages.phantoms.shared import arguments as phantom_arguments
from stages.phantoms.shared import has_lesion, replacing_folder, section, write_digest
from stages.processes import in_order


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
    lesion, squeeze = None, np.zeros(grid.shape, np.float32)
    if has_lesion(seed, index, phantom.lesion_fraction):
        lesion = Lesion.draw(for_lesion, head, phantom.enhancing)
        depth = source.sample(source.coarse[:1], 2, mni)[0]
        push = lesion.displacement(grid.positions, depth)
        squeeze = lesion.squeeze(grid.positions, mni)
        mni = mni + np.einsum("ij,jxyz->ixyz", head.affine.astype(np.float32), push)
    mni = head.widened(mni, squeeze)
    tissue = head.tissue(mni, for_head)
    brain = tissue.sum(0) > 0.12  # as where voxels of a real brain are averaged: its edge is dim
    tissue *= brain
    parts, wetness = lesion.grow(grid, tissue, mni, for_lesion) if lesion else (np.zeros_like(tissue), np.ones(()))
    other = extras(head, tissue, mni, for_contrast)
    clean = signal(grid, tissue, other, parts * wetness, mni, for_contrast, phantom.contrast)
    images = acquire(grid, clean, brain, for_contrast, for_noise, phantom.bias_field, phantom.noise)
    return Case(images, labels(parts, brain), grid.affine)


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
    write_digest(options.output, options.digest)


if __name__ == "__main__":
    command.run(main, arguments())
