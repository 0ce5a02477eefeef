"""Tiny case folders in the layout of BraTS, which a test can also compute by hand."""

import json
from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
import numpy as np

from stages import digests

SEQUENCES = ("t1", "t1ce", "t2", "flair")
SHAPE = (24, 20, 10)  # X, Y, Z: no two alike, so that no axis can stand in for another
AFFINE = np.diag([-1, -1, 1, 1])
NAMES = (
    *(f"Brats18_2013_{i}_1" for i in range(3)),
    *(f"Brats18_CBICA_A{i}_1" for i in range(6)),
    *(f"Brats18_TCIA0{i}_10{i}_1" for i in range(3)),
)


def volumes_of(name: str) -> dict[str, np.ndarray]:
    """Int16 volumes of a synthetic case, from its name: an off-centre brain in slices 3 to 9, lesions in 4 to 6."""
    generator = np.random.default_rng(list(name.encode()))
    brain = np.zeros(SHAPE, bool)
    brain[3:20, 5:18, 3:] = True
    volumes = {key: np.where(brain, generator.integers(1, 900, SHAPE), 0).astype(np.int16) for key in SEQUENCES}
    mask = np.zeros(SHAPE, np.int16)
    mask[4:9, 12:17, 4:7] = generator.choice([0, 1, 2, 4], (5, 5, 3))
    return {**volumes, "seg": mask}


def write_case(raw: Path, name: str, suffix: str = ".nii.gz", **replaced: np.ndarray) -> Path:
    """Write a case folder below `raw`; `replaced` are sequences to write instead."""
    folder = raw / name
    folder.mkdir(parents=True)
    for key, volume in {**volumes_of(name), **replaced}.items():
        nib.save(nib.Nifti1Image(volume, AFFINE), folder / f"{name}_{key}{suffix}")
    return folder


def write_bids(raw: Path, session: str) -> Path:
    """Write the anatomy of sub-<label> or sub-<label>/ses-<label> as BIDS has it; the volumes are those of its name."""
    name, folder = session.replace("/", "_"), raw / session / "anat"
    folder.mkdir(parents=True)
    for key, volume in volumes_of(name).items():
        nib.save(nib.Nifti1Image(volume, AFFINE), folder / f"{name}_{BIDS[key]}.nii.gz")
    return folder


BIDS = {"t1": "T1w", "t1ce": "ce-gadolinium_T1w", "t2": "T2w", "flair": "FLAIR", "seg": "label-lesion_mask"}
SINCE_2023 = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}
LAYOUTS = {
    "2017 to 2021": "{case}/{case}_{key}.nii.gz",
    "2023 and later": "{case}/{case}-{new}.nii.gz",
    "2021, a folder for each sequence": "{case}/{case}_{key}/00000057_{of}_{key}.nii",
    "2020, x.nii/": "{case}/{case}_{key}.nii/{case}_{key}.nii",
    "2023, x.nii/ and numbers": "{case}/{case}-{new}.nii/00000057_{of}_{key}.nii",
    "FeTS": "{case}/{case}_{of}_{key}.nii.gz",
    "nothing but sequences": "{case}/{key}.nii.gz",
    "folders called like sequences": "{case}/{KEY}/anything.nii.gz",
    "sequence folders": "{key}/{case}.nii.gz",
    "sequence folders with case folders": "{KEY}/{case}/anything.nii.gz",
    "sequence folders, sequences in names": "{new}/{case}-{new}.nii.gz",
    "side by side": "all/{case}_{key}.nii.gz",
}
"""Where releases of BraTS, their copies on Kaggle and other tools put a sequence of a case."""


def lay_out(raw: Path, layout: str, names: Iterable[str]) -> None:
    """Write synthetic cases in one of LAYOUTS."""
    for name in names:
        for key, volume in volumes_of(name).items():
            of = "final" if key == "seg" else "brain"
            path = raw / LAYOUTS[layout].format(case=name, key=key, KEY=key.upper(), new=SINCE_2023[key], of=of)
            path.parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(volume, AFFINE), path)


def strew_litter(raw: Path) -> None:
    """What macOS and Windows leave in a folder and in its archives, beside every file."""
    for path in [path for path in raw.rglob("*") if path.is_file()]:
        copy = raw / "__MACOSX" / path.relative_to(raw).with_name(f"._{path.name}")
        copy.parent.mkdir(parents=True, exist_ok=True)
        for double in (copy, path.with_name(f"._{path.name}")):
            double.write_bytes(b"\0\5\x16\7")
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            path.with_name(name).write_bytes(b"")


def naive_case(name, first, last, pad, size):
    """The recipe in plain loops over pixels: images (n, C, size, size) float64, masks (n, size, size), positions."""
    volumes = volumes_of(name)
    width, height, _ = SHAPE
    left, top, block = (pad - width) // 2, (pad - height) // 2, pad // size
    ranges = {}
    for key in SEQUENCES:
        voxels = np.sort(volumes[key][volumes[key] > 0].astype(float))
        ranks = [(len(voxels) - 1) * q / 100 for q in (1, 99)]
        ranges[key] = [np.interp(rank, np.arange(len(voxels)), voxels) for rank in ranks]
    images, masks, positions = [], [], []
    for z in range(first, last + 1):
        if not any(volumes[key][:, :, z].any() for key in SEQUENCES):
            continue
        image, area = np.zeros((len(SEQUENCES), size, size)), np.zeros((size, size))
        for x in range(width):
            for y in range(height):
                row, column = (y + top) // block, (x + left) // block
                area[row, column] += (volumes["seg"][x, y, z] > 0) / block**2
                for channel, key in enumerate(SEQUENCES):
                    low, high = ranges[key]
                    value = (min(max(volumes[key][x, y, z], low), high) - low) / (high - low)
                    image[channel, row, column] += value / block**2
        images.append(image)
        masks.append(area > 0.5 - 1e-9)
        positions.append(z)
    return np.array(images), np.array(masks), positions


def contents(folder: Path) -> dict[Path, bytes]:
    """All files below a folder, but for the place that digests.json says it lies in."""
    found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return found | {path: json.dumps(digests.read(folder)).encode() for path in found if path.name == digests.FILE}
