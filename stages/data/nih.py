"""NIH ChestX-ray14 as released (Data_Entry_2017*.csv, images in one folder or in images_001/ to images_012/) -> store.

Images among whose labels (`Effusion|Infiltration`) is data.nih.diseased are diseased, those with data.nih.healthy
(`No Finding`) healthy; all others are left out, and rows with both. Patients are the table's. train_val_list.txt and
test_list.txt, where they are there, are the raw splits train and test; no patient is in both.
stages.data.labelled_radiographs says what is made of an image, and what is written to --output.
"""

import argparse
import re
from pathlib import Path

from stages import command
from stages.data import extraction, labelled_radiographs, nearby
from stages.data.extraction import BadCaseError
from stages.data.labelled_radiographs import Radiograph, Table, read_csv, unusable, without_duplicates
from stages.data.litter import is_litter
from stages.data.pixels import PICTURES
from stages.data.store import DISEASED, HEALTHY
from stages.errors import InputError
from stages.regular_files import read_regular

RAW_INPUTS = ("*.csv", "*_list.txt", "*/*.csv", "*/*_list.txt", "images*/", "images*/images*/", "*/images*/")
"""What below the raw folder reruns extraction when it changes: tables and lists, and which images are there."""

RAW_DATA = (
    "NIH ChestX-ray14: Data_Entry_2017_v2020.csv (or Data_Entry_2017.csv), train_val_list.txt, test_list.txt and the "
    "unpacked images, from https://nihcc.app.box.com/v/ChestXray-NIHCC, without registration"
)

RAW_SPLITS = ("train", "test")
"""What `data.split: raw` gives: train_val_list.txt, and test_list.txt."""

MASKS = "masks"
"""The key of data.nih without which there are no masks."""

NAME, LABELS, PATIENT = "Image Index", "Finding Labels", "Patient ID"
LISTS = {"train_val_list.txt": "train", "test_list.txt": "test"}
_LIST_BYTES = 2**26
"""Of a list of names: 600 for each of the 112,120."""


def arguments() -> argparse.ArgumentParser:
    return extraction.arguments(__doc__, "the folder with Data_Entry_2017*.csv, or the one that holds it")


def main(options: argparse.Namespace) -> None:
    extraction.run(extract, options)


def extract(parameters: dict, raw: Path, output: Path, processes: int = 1) -> list[str]:
    """Read the table, and extract as `labelled_radiographs.extract`.

    Args:
        parameters: {"data": {...}} of params.yaml.
        raw: the folder that holds the table, or the one around it.
        output: folder to write to.
        processes: how many images are read at once; the outputs do not depend on it.

    Returns:
        A summary: one line of what was extracted, and one for whatever was left out.

    Raises:
        InputError: the raw folder, its table or a list is wrong, or no image is good.
        BadCaseError: a row or its image is bad and data.on_bad_case is `stop`.
    """
    own = parameters["data"]["nih"]
    table = read_table(raw, own["healthy"], own["diseased"])
    return labelled_radiographs.extract(table, parameters["data"], raw, output, processes)


def find_table(raw: Path) -> Path:
    """Data_Entry_2017.csv, Data_Entry_2017_v2020.csv or sample_labels.csv (Kaggle's), in `raw` or one folder in it.

    Raises:
        InputError: there is none, or more than one.
    """
    names = ("Data_Entry_2017*.csv", "sample_labels.csv")
    found = sorted(path for name in names for place in (name, f"*/{name}") for path in raw.glob(place))
    found = [path for path in found if not is_litter(path.name) and path.is_file()]
    if not found:
        meant = nearby.meant(raw, lambda folder: any(any(folder.glob(name)) for name in names))
        raise InputError(f"the raw data folder {raw} holds no Data_Entry_2017*.csv{meant or f'; put there {RAW_DATA}'}")
    if len(found) > 1:
        raise InputError(f"{' and '.join(map(str, found))} both list images; leave the one that is to count in {raw}")
    return found[0]


def read_table(raw: Path, healthy: str, diseased: str) -> Table:
    """The images that a benchmark may use.

    Args:
        raw: the folder that holds the table, or the one around it.
        healthy: label of healthy images (`No Finding`).
        diseased: label of diseased images (`Effusion`).

    Raises:
        InputError: the table or a list cannot be read, no image has one of the labels, or none is there at all.
    """
    path = find_table(raw)
    rows = read_csv(path, (NAME, LABELS, PATIENT))
    if rows.empty:
        raise InputError(f"{path} has no rows below its header: put the data set's own file there")
    found = [{label.strip() for label in text.split("|")} for text in rows[LABELS]]
    known = set().union(*found)
    for key, wanted in (("healthy", healthy), ("diseased", diseased)):
        if wanted not in known:
            names = ", ".join(sorted(known)[:20])
            raise InputError(f"{path}: no image is labelled {wanted!r}; change data.nih.{key} to one of {names}")
    images, splits = _images(path.parent), _splits(path.parent)
    good: list[Radiograph] = []
    bad: list[BadCaseError] = []
    contradictory = 0
    for (name, patient, row), labels in zip(rows[[NAME, PATIENT, "row"]].itertuples(index=False), found, strict=True):
        if healthy in labels and diseased in labels:
            contradictory += 1
        elif healthy in labels or diseased in labels:
            label = DISEASED if diseased in labels else HEALTHY
            item = _radiograph(raw, path, row, name, patient, label, splits.get(name, ""), images)
            if isinstance(item, BadCaseError):
                bad.append(item)
            else:
                good.append(item)
    if good and not any(item.slice_id in images for item in good):
        raise InputError(f"{path.parent} holds none of the images that {path.name} lists: unpack images_*.tar.gz there")
    good, twice = without_duplicates(good)
    return Table(sorted(good, key=lambda item: item.slice_id), [*bad, *twice], contradictory)


def _radiograph(
    raw: Path, table: Path, row: int, name: str, patient: str, label: int, split: str, images: dict[str, list[Path]]
) -> Radiograph | BadCaseError:
    """A row's radiograph; its image need not be there, but its name must be one, and the patient known."""
    stem = Path(name).stem
    paths = images.get(stem, [])
    source = paths[0].relative_to(raw).as_posix() if paths else name
    reason = unusable(name) or unusable(source)
    if reason is None and (not stem or "/" in name or "\\" in name):
        reason = "that is no name of an image: correct it"
    elif reason is None and not patient.strip().isdecimal():
        reason = f"the patient {patient!r} is no number: correct it"
    elif len(paths) > 1:
        reason = f"the image is there more than once ({' and '.join(map(str, paths))}): leave one"
    if reason:
        return BadCaseError(stem, str(table), f"row {row} ({name}): {reason}")
    path = paths[0] if paths else table.with_name(name)
    subject = patient.strip().zfill(8)  # as names of images have it
    number = re.search(r"_(\d+)$", stem)
    position = int(number[1]) if number else 0
    return Radiograph(path, source, path.parent, subject, stem, position, label, split, table, row)


def _images(folder: Path) -> dict[str, list[Path]]:
    """Image files by name without ending (smaller copies are often JPEG), at most two folders below the table's."""
    found: dict[str, list[Path]] = {}
    for place in ("*", "*/*", "*/*/*"):
        for path in folder.glob(place):
            if path.suffix.lower() in PICTURES and not any(map(is_litter, path.relative_to(folder).parts)):
                found.setdefault(path.stem, []).append(path)
    return found


def _splits(folder: Path) -> dict[str, str]:
    """Names of images -> their split, as the two lists have it; nothing where there are none."""
    found: dict[str, str] = {}
    for name, split in LISTS.items():
        path = folder / name
        try:
            names = read_regular(path, _LIST_BYTES).decode().split()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read as a list of names; put the data set's own file there") from error
        if both := next((image for image in names if image in found), None):
            raise InputError(f"{path}: {both} is in both lists; put the data set's own files there")
        found |= dict.fromkeys(names, split)
    return found


if __name__ == "__main__":
    command.run(main, arguments())
