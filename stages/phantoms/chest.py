"""Generate the chest phantom: radiographs of made-up patients with pleural effusions, in the layout of CheXpert.

Below <output>/CheXpert-v1.0-small: train.csv and valid.csv with CheXpert's columns, and for each patient one frontal
image {train,valid}/patientNNNNN/study1/view1_frontal.jpg (8 bits, grey) with its mask view1_frontal_mask.png beside it
(255 where there is fluid). Every tenth patient is in valid. An image is a projection through simple solids (Beer and
Lambert's law); it depends on the seed, the patient's number and the phantom's parameters, never on how many patients
there are: more patients extend the set.

A pixel of the mask is lesion where the fluid's thickness along the ray exceeds 20 % of the thoracic cavity's depth
there, and 8 mm.
"""

import argparse
import csv
import io
import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from stages import command
from stages.phantoms.chest_anatomy import FIELD_OF_VIEW, project
from stages.phantoms.chest_shape import LEFT, RIGHT, Chest, Effusion
from stages.phantoms.shared import arguments as phantom_arguments
from stages.phantoms.shared import has_lesion, replacing_folder, section, write_digest
from stages.processes import in_order

TREE = "CheXpert-v1.0-small"
LABEL = "phantom.json"
"""A file beside the tree that tells a phantom from a real data set of the same name."""

COLUMNS = (
    *("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly"),
    *("Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax"),
    *("Pleural Effusion", "Pleural Other", "Fracture", "Support Devices"),
)

# Linear attenuation at about 70 keV, in 1/mm: water; lung of a quarter of its density; what bone has beyond water.
_SOFT, _LUNG, _BONE = 0.0193, 0.0048, 0.030
_FLUID_SHARE, _FLUID_LEAST = 0.20, 8.0


@dataclass(frozen=True)
class Phantom:
    """The parameters `phantom` of a benchmark.

    Attributes:
        patients: how many, one frontal image each.
        size: edge of the radiograph, in pixels.
        effusion_fraction: share of the patients with a pleural effusion.
        variation: how far patients differ in shape and pose; 0: not at all, 1: as patients do.
        exposure: how far radiographs differ in brightness and contrast; 0: not at all, 1: as between machines.
        noise: standard deviation of the noise, of the range from black to white.
    """

    patients: int
    size: int
    effusion_fraction: float
    variation: float
    exposure: float
    noise: float


@dataclass(frozen=True)
class Radiograph:
    """One made-up patient's image: (size, size) uint8, bone white; mask (size, size) bool, where there is fluid."""

    image: np.ndarray
    mask: np.ndarray


def make_radiograph(seed: int, index: int, phantom: Phantom) -> Radiograph:
    """Generate one patient's radiograph in memory."""
    # A stream each, so that a change to one part leaves the others' draws alone.
    for_chest, for_fluid, for_texture, for_exposure, for_noise = np.random.default_rng([seed, index]).spawn(5)
    chest = Chest.draw(for_chest, phantom.variation)
    effusions = {}
    if has_lesion(seed, index, phantom.effusion_fraction):
        sides = ((RIGHT,), (LEFT,), (RIGHT, LEFT))[for_fluid.choice(3, p=(0.38, 0.32, 0.30))]
        effusions = {side: Effusion.draw(for_fluid) for side in sides}
    fine = 2 * phantom.size if phantom.size <= 256 else phantom.size  # two rays a pixel along each axis
    rays = project(chest, effusions, fine, for_texture, phantom.variation)
    lesion = rays.fluid > np.maximum(_FLUID_SHARE * rays.cavity, _FLUID_LEAST)
    depth = _SOFT * (rays.soft + rays.vessels) + _LUNG * rays.lung + _BONE * rays.bone
    image = _expose(depth, for_exposure, for_noise, phantom)
    return Radiograph(image, _shrink(lesion.astype(np.float32), phantom.size) >= 0.5)


def _shrink(image: np.ndarray, size: int) -> np.ndarray:
    block = len(image) // size
    return image.reshape(size, block, size, block).mean(axis=(1, 3))


def _expose(
    depth: np.ndarray, random: np.random.Generator, for_noise: np.random.Generator, phantom: Phantom
) -> np.ndarray:
    """The radiograph of an optical depth (H, W): blur, scatter, a film's curve, noise, and 8 bits."""

    def about(mean: float, deviation: float) -> float:
        return mean + phantom.exposure * deviation * float(np.clip(random.standard_normal(), -2.5, 2.5))

    pixel = FIELD_OF_VIEW / len(depth)  # mm
    # Scatter lifts what is dark behind much tissue; digital radiography lifts fine detail.
    local = ndimage.gaussian_filter(depth, 22 / pixel, truncate=2.5)
    signal = depth + about(0.3, 0.12) * (depth - local)
    signal = _shrink(ndimage.gaussian_filter(signal, about(0.9, 0.2) / pixel), phantom.size)
    inside = signal[depth[:: len(depth) // phantom.size, :: len(depth) // phantom.size] > 0.3]
    centre = np.percentile(inside, 30) + about(0, 0.2)
    curve = 1 / (1 + np.exp(-(signal - centre) / about(0.85, 0.12)))
    grain = ndimage.gaussian_filter(for_noise.standard_normal(curve.shape), 0.45) / 0.72  # its standard deviation
    # Fewer photons pass where the body is dense: quantum noise grows with the optical depth.
    curve = curve + phantom.noise * grain * np.exp(0.15 * (np.clip(signal, 0, 6) - 3))
    low, high = about(0.03, 0.015), about(0.97, 0.015)
    return np.round(255 * np.clip(low + (high - low) * curve, 0, 1)).astype(np.uint8)


def image_path(index: int) -> str:
    """Path of a patient's image below the output folder, as the column Path has it.

    >>> image_path(9)
    'CheXpert-v1.0-small/valid/patient00010/study1/view1_frontal.jpg'
    """
    return f"{TREE}/{'valid' if index % 10 == 9 else 'train'}/patient{index + 1:05d}/study1/view1_frontal.jpg"


def _write_one(index: int, seed: int, phantom: Phantom, output: Path) -> None:
    made = make_radiograph(seed, index, phantom)
    path = output / image_path(index)
    path.parent.mkdir(parents=True)
    mask = Image.fromarray(np.where(made.mask, 255, 0).astype(np.uint8))
    for name, image, options in (
        ("view1_frontal.jpg", Image.fromarray(made.image), {"format": "JPEG", "quality": 92}),
        ("view1_frontal_mask.png", mask, {"format": "PNG"}),
    ):
        buffer = io.BytesIO()
        image.save(buffer, **options)
        path.with_name(name).write_bytes(buffer.getvalue())


def generate(seed: int, phantom: Phantom, output: Path, processes: int = 1) -> None:
    """Write all patients below `output`, in place of an earlier phantom; nothing is left behind on failure.

    An InputError says where `output` holds anything else than a phantom, or cannot be written.
    """
    with replacing_folder(output, _is_phantom) as folder:
        one = partial(_write_one, seed=seed, phantom=phantom, output=folder)
        results = in_order(one, range(phantom.patients), min(processes, phantom.patients))
        for _ in command.progress("chest phantom", phantom.patients, unit="image", over=results):
            pass
        for table in ("train", "valid"):
            _write_table(folder / TREE, table, seed, phantom)
        text = json.dumps({"anatomy": "chest", "seed": seed, **asdict(phantom)}, indent=2)
        (folder / LABEL).write_text(text + "\n", encoding="utf-8")


def _write_table(tree: Path, table: str, seed: int, phantom: Phantom) -> None:
    tree.mkdir(exist_ok=True)
    with (tree / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        rows.writeheader()
        for index in range(phantom.patients):
            path = image_path(index)
            if path.split("/")[1] != table:
                continue
            finding = "Pleural Effusion" if has_lesion(seed, index, phantom.effusion_fraction) else "No Finding"
            row = {"Path": path, "Sex": "Unknown", "Age": 0, "Frontal/Lateral": "Frontal", "AP/PA": "PA"}
            rows.writerow({**row, finding: "1.0"})


def _is_phantom(folder: Path) -> bool:
    """Whether it is empty or a chest phantom, which says so itself (and hidden files: Snakemake marks folders)."""
    names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    return not names or names == {TREE, LABEL}


def arguments() -> argparse.ArgumentParser:
    return phantom_arguments(__doc__, "patients")


def main(options: argparse.Namespace) -> None:
    generate(options.parameters["seed"], section(options, Phantom), options.output, options.processes)
    write_digest(options.output, options.digest)


if __name__ == "__main__":
    command.run(main, arguments())
