"""A tiny folder as NIH ChestX-ray14 is released, which a test can also compute by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from synthetic_chexpert import image_of

COLUMNS = ["Image Index", "Finding Labels", "Follow-up #", "Patient ID", "Patient Age", "Patient Gender"]
LABELS = {
    (1, 0): "No Finding",
    (1, 1): "Effusion",
    (2, 0): "Cardiomegaly|Effusion|Mass",
    (3, 0): "No Finding",
    (3, 1): "Infiltration",
    (4, 0): "Effusion",
    (5, 0): "No Finding",
    (6, 0): "Effusion|No Finding",
}
"""(patient, follow-up) -> what the table says; patients 4 and 5 are in test_list.txt."""


def name_of(patient: int, follow_up: int) -> str:
    return f"{patient:08d}_{follow_up:03d}.png"


def write_release(raw: Path, table: str = "Data_Entry_2017.csv", folders: int = 2) -> None:
    """Write the images into images_001/images/, images_002/images/, .. (or, with one, images/), and table and lists."""
    rows, lists = [], {"train_val_list.txt": [], "test_list.txt": []}
    for number, ((patient, follow_up), labels) in enumerate(LABELS.items()):
        name = name_of(patient, follow_up)
        folder = raw / "images" if folders == 1 else raw / f"images_{1 + number % folders:03d}/images"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image_of(patient, follow_up)).save(folder / name)
        rows.append(dict(zip(COLUMNS, (name, labels, follow_up, patient, 50, "F"), strict=True)))
        lists["test_list.txt" if patient in (4, 5) else "train_val_list.txt"].append(name)
    # The table of 2017 has two names for OriginalImage[Width,Height], and a comma at the end of each row.
    text = pd.DataFrame(rows).to_csv(index=False).splitlines()
    (raw / table).write_text(
        "\n".join([text[0] + ",OriginalImage[Width,Height],"] + [f"{line},1,2," for line in text[1:]])
    )
    for file, names in lists.items():
        (raw / file).write_text("\n".join(names))


def as_colour(image: np.ndarray) -> Image.Image:
    """A grey image as RGBA, which 519 of the release are."""
    return Image.fromarray(np.dstack([image, image, image, np.full_like(image, 255)]))
