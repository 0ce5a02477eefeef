"""Task01_BrainTumour of the Medical Segmentation Decathlon: which volume is which sequence of a case.

imagesTr/BRATS_001.nii.gz holds all sequences of a case, in the order that dataset.json gives, and
labelsTr/BRATS_001.nii.gz its mask; imagesTs, for which there are no masks, holds no case to learn from or to test.
nnU-Net's copy has a file for each sequence, imagesTr/BRATS_001_0000.nii.gz. Simpson et al., arXiv:1902.09063,
http://medicaldecathlon.com.
"""

import json
import re
from functools import lru_cache
from pathlib import Path

from stages.data.brats_names import MASK, Part, Volume
from stages.data.litter import is_litter
from stages.errors import InputError
from stages.regular_files import read_regular

IMAGES = ("imagesTr", "imagesTs")
DESCRIPTION = "dataset.json"
SEQUENCES = {"flair": "flair", "t1w": "t1", "t1": "t1", "t1gd": "t1ce", "t1ce": "t1ce", "t2w": "t2", "t2": "t2"}
"""What dataset.json calls them, in small letters."""
_BYTES = 2**24
"""Of dataset.json, which names 750 files."""
_FILE = re.compile(r"(?P<case>.+?)(?:_(?P<channel>\d{4}))?\.nii(?:\.gz)?", re.IGNORECASE)


def cases_in(folder: Path) -> list[Path]:
    """The paths, without ending, of the cases in a task's imagesTr, or in the folder if it is imagesTr or imagesTs.

    Raises:
        InputError: dataset.json is missing, or names other sequences than those of `SEQUENCES`.
    """
    images = folder if holds_images(folder) else folder / IMAGES[0]
    if not images.is_dir():
        return []
    order(images.parent)
    names = {match["case"] for name in _names(images) if (match := _FILE.fullmatch(name))}
    return [images / name for name in sorted(names)]


def holds_images(folder: Path) -> bool:
    """Whether a folder is imagesTr or imagesTs of a task."""
    return folder.name in IMAGES


def described_in(case: Path) -> list[Path]:
    """dataset.json of the task that a case is of, if it is."""
    return [case.parent.parent / DESCRIPTION] if holds_images(case.parent) else []


def case_path(file: Path) -> Path:
    """The path, without ending, of the case that a file in imagesTr or imagesTs belongs to."""
    match = _FILE.fullmatch(file.name)
    return file.with_name(match["case"]) if match else file


def volumes(case: Path) -> list[Volume]:
    """The sequences of a case, and its mask, of which there are files.

    Args:
        case: as `case_path` has it.
    """
    found, sequences, whole = [], order(case.parent.parent), _nifti(case)
    for index, sequence in enumerate(sequences):
        if whole:
            found.append(Volume(case.name, sequence, whole, Part(index, len(sequences))))
        elif single := _nifti(_single(case, index)):
            found.append(Volume(case.name, sequence, single))
    mask = _nifti(_mask(case))
    return [*found, Volume(case.name, MASK, mask)] if mask else found


def missing(case: Path, sequence: str) -> tuple[Path, str]:
    """The file that should hold a sequence, or the mask, which `volumes` lacks, and what is wrong with it."""
    sequences = order(case.parent.parent)
    if sequence not in (*sequences, MASK):
        words = f"its sequences are {', '.join(sequences)}, and not {sequence}: change data.channels"
        return case.parent.parent / DESCRIPTION, words
    file = _mask(case) if sequence == MASK else _single(case, sequences.index(sequence))
    return file.with_name(f"{file.name}.nii.gz"), "the file is missing: get it again, or take the case's others away"


def _single(case: Path, index: int) -> Path:
    return case.with_name(f"{case.name}_{index:04d}")


def _mask(case: Path) -> Path:
    """The path of a case's mask, without ending; imagesTs has none, and this is where it would be expected."""
    return case.parent.with_name(case.parent.name.replace("images", "labels")) / case.name


def order(task: Path) -> tuple[str, ...]:
    """The sequences (t1, t1ce, t2, flair) in the order in which the files of a task hold them.

    Raises:
        InputError: dataset.json is missing or damaged, or names others.
    """
    path = task / DESCRIPTION
    try:
        return _order(path, path.stat().st_mtime_ns)
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is missing, which says which sequence is which of the volumes in {IMAGES[0]}: put it back"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is no readable JSON file; put the data set's own there") from error


@lru_cache(maxsize=8)
def _order(path: Path, _modified: int) -> tuple[str, ...]:
    described = json.loads(read_regular(path, _BYTES))
    named = described.get("modality", described.get("channel_names")) if isinstance(described, dict) else None
    if not isinstance(named, dict) or set(named) != {str(index) for index in range(len(named))}:
        raise InputError(
            f"{path} does not number the sequences (modality: 0: FLAIR, 1: T1w, ...); put the release's there"
        )
    names = [str(named[str(index)]) for index in range(len(named))]
    found = tuple(SEQUENCES.get(name.lower(), "") for name in names)
    if "" in found or len(set(found)) < len(found):
        raise InputError(
            f"{path} names the sequences {', '.join(names)}, where FLAIR, T1w, T1gd and T2w of Task01_BrainTumour are "
            "known, each once; set data.folder to that task"
        )
    return found


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not is_litter(path.name) and path.is_file()]


def _nifti(stem: Path) -> Path | None:
    paths = (stem.with_name(stem.name + suffix) for suffix in (".nii.gz", ".nii"))
    return next((path for path in paths if path.is_file()), None)
