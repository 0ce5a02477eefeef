"""A tiny tree in CheXpert's layout, which a test can also compute by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

TREE = "CheXpert-v1.0-small"
COLUMNS = ["Path", "Sex", "Frontal/Lateral", "No Finding", "Cardiomegaly", "Pleural Effusion"]
SHAPE = (40, 48)  # H, W


def image_of(patient: int, study: int) -> np.ndarray:
    """The 8-bit image of a study, from its numbers; no two alike, with a range of its own."""
    generator = np.random.default_rng([patient, study])
    return generator.integers(10 + patient, 200 + patient, SHAPE).astype(np.uint8)


def mask_of(patient: int, study: int) -> np.ndarray:
    """Its mask: an off-centre rectangle that does not fit whole pixels of the slice."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[20:33, 5 : 18 + patient % 4] = 255
    return mask


def path_of(patient: int, study: int = 1, view: str = "view1_frontal", table: str = "train") -> str:
    return f"{TREE}/{table}/patient{patient:05d}/study{study}/{view}.png"


def row(path: str, healthy: str = "", diseased: str = "", view: str = "Frontal") -> dict[str, str]:
    return {"Path": path, "Sex": "Female", "Frontal/Lateral": view, "No Finding": healthy, "Pleural Effusion": diseased}


def write_image(raw: Path, path: str, image: np.ndarray) -> Path:
    """Write an image (lossless: PNG) below the raw folder."""
    target = raw / path
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(target)
    return target


def write_tables(raw: Path, rows: list[dict[str, str]]) -> None:
    """Write train.csv and valid.csv; a row goes where its path says."""
    for table in ("train", "valid"):
        frame = pd.DataFrame([one for one in rows if f"{TREE}/{table}/" in one["Path"] or table == "train"])
        if table == "train" and len(frame):
            frame = frame[~frame["Path"].str.contains(f"{TREE}/valid/", regex=False)]
        frame.reindex(columns=COLUMNS).to_csv(raw / TREE / f"{table}.csv", index=False)


def write_tree(raw: Path, masks: bool = False) -> list[dict[str, str]]:
    """Write twelve patients: 1-6 healthy (two studies each), 7-12 diseased (one study, and a healthy one for 12).

    Beside them a lateral view, an uncertain and a contradictory row, and one without labels; patients 6 and 12 are in
    the other table.
    """
    rows = []
    for patient in range(1, 13):
        for study in (1, 2) if patient < 7 or patient == 12 else (1,):
            diseased = patient > 6 and study == 1
            path = path_of(patient, study, table="valid" if patient % 6 == 0 else "train")
            target = write_image(raw, path, image_of(patient, study))
            if masks:
                mask = mask_of(patient, study) if diseased else np.zeros(SHAPE, np.uint8)
                Image.fromarray(mask).save(target.with_name(f"{target.stem}_mask.png"))
            rows.append(row(path, "" if diseased else "1.0", "1.0" if diseased else "0.0"))
    rows += [
        row(path_of(1, 1, "view2_lateral"), "1.0", "", "Lateral"),
        row(path_of(2, 5), "", "-1.0"),
        row(path_of(3, 5), "1.0", "1.0"),
        row(path_of(4, 5), "", ""),
    ]
    write_tables(raw, rows)
    return rows


BATCHES = tuple(
    f"CheXpert-v1.0 batch {n} ({what})" for n, what in enumerate(("validate & csv", "train 1", "train 2"), 1)
)


def write_batches(raw: Path) -> None:
    """Write the same twelve patients as the release of 2021 has them: tables and valid/ in the first of its folders."""
    write_tree(raw)
    (raw / TREE).rename(raw / BATCHES[0])
    for table in ("train", "valid"):
        path = raw / BATCHES[0] / f"{table}.csv"
        path.write_text(path.read_text().replace(TREE, "CheXpert-v1.0"))
    for number, patient in enumerate(sorted((raw / BATCHES[0] / "train").iterdir())):
        batch = raw / BATCHES[1 + number % 2]
        batch.mkdir(exist_ok=True)
        patient.rename(batch / patient.name)
    (raw / BATCHES[0] / "train").rmdir()


def naive_slice(image: np.ndarray, size: int) -> np.ndarray:
    """The recipe in plain loops: every pixel of the image is shared out over the slice's pixels that it overlaps."""
    height, width = image.shape
    result = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            top, bottom, left, right = (
                i * height / size,
                (i + 1) * height / size,
                j * width / size,
                (j + 1) * width / size,
            )
            for r in range(int(top), min(int(np.ceil(bottom)), height)):
                for c in range(int(left), min(int(np.ceil(right)), width)):
                    area = (min(bottom, r + 1) - max(top, r)) * (min(right, c + 1) - max(left, c))
                    result[i, j] += area * image[r, c] / ((bottom - top) * (right - left))
    return result
