"""What names say: those of BraTS' cases their patient and centre, those of files their case and sequence."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stages.errors import InputError

MASK = "seg"
SUFFIXES = (".nii", ".nii.gz")
NAMES = {
    "t1": ("t1", "t1n"),
    "t1ce": ("t1ce", "t1c"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f", "t2flair"),
    MASK: ("seg", "segm"),
}
"""What a file's name ends in, in whatever case: BraTS 2017 to 2021; 2023 and later; FeTS; one mask of BraTS 2020."""
SEQUENCE_OF = {ending: sequence for sequence, endings in NAMES.items() for ending in endings}
# <case>_t1, <case>-t1n, 00000057_brain_t1 and 00000057_final_seg, or t1 alone.
_ENDING = re.compile(
    rf"(?:(?P<case>.+?)[-_. ])??(?:(?:brain|final)[-_. ])?(?P<ending>{'|'.join(SEQUENCE_OF)})", re.IGNORECASE
)

NO_CENTRE = "none"

# BraTS 2017-2019 name the centre (Brats18_TCIA01_201_1; TCIA01, TCIA02, .. are collections of one archive) and number
# the scan; later ones only number their cases.
_CENTRE = re.compile(r"brats1[789]_(2013|[a-z]+)\d*_", re.IGNORECASE)
# A name that a release gave may be a part of the one that a user gave; any of - _ . and blanks stands for another.
_WITH_SCAN = re.compile(r"(?<![a-z0-9])(brats1[789]([-_. ])[a-z0-9]+\2[a-z0-9]+)\2(\d+)(?![a-z0-9])", re.IGNORECASE)
_PLAIN = re.compile(r"(?<![a-z0-9])brats(?:20[-_. ](?:training|validation|testing)|2021)[-_. ]\d+(?!\d)", re.IGNORECASE)
# BraTS 2023 and later number the patient and then the time point: BraTS-GLI-00005-101, BraTS-MEN-RT-0001-1.
_WITH_TIME_POINT = re.compile(
    r"(?<![a-z0-9])brats[-_. ]([a-z]+(?:[-_. ]rt)?)[-_. ](\d+)(?:[-_. ](\d+))?(?![a-z0-9])", re.IGNORECASE
)
# What others call a time point, after something that has a number of its own.
_MAYBE_TIME_POINT = re.compile(
    r"(.*\d.*?)[-_. ](?:(?:t|tp|time|time-?point|ses|session|scan|visit|v|week|w|day|d|month|m|year|y|fu)?[-_]?\d+"
    r"|(?:pre|post|pre-?op|post-?op|baseline|follow-?up)\d*)",
    re.IGNORECASE,
)


def stratum(name: str) -> str:
    """The centre in a case's name, or `none` for names without one.

    >>> stratum("Brats18_TCIA01_201_1"), stratum("Brats17_2013_10_1"), stratum("BraTS20_Training_001")
    ('TCIA', '2013', 'none')
    """
    match = _CENTRE.search(name)
    return match.group(1).upper() if match else NO_CENTRE


def released(name: str) -> str:
    """The scan that a release of BraTS gave a name, if this one holds it; else nothing.

    The years of BraTS 2017-2019, which kept their names but for it, are left out, and so is how the parts are joined.

    >>> released("BraTS_GLI_00005_101 (copy)"), released("Brats17_TCIA_201_1"), released("BraTS2021_00000")
    ('brats-gli-00005-101', 'brats-tcia-201-1', 'brats2021-00000')
    """
    for pattern in (_WITH_SCAN, _PLAIN, _WITH_TIME_POINT):
        if match := pattern.search(name):
            return re.sub("^brats1[789]", "brats", re.sub("[-_. ]", "-", match.group().lower()))
    return ""


def patient(name: str, pattern: str | None = None) -> str:
    """The patient whose case bears a name; its time points have one.

    Args:
        name: of the case; of its folder where there is a pattern.
        pattern: data.brats.patient, a regular expression whose one group is the patient; without it, the rules of
            BraTS, and whole names of all others.

    Raises:
        InputError: the pattern finds nothing in the name.

    >>> patient("BraTS-GLI-00005-101"), patient("Brats18_TCIA01_201_2"), patient("ucsf_12_b", r"_(\\d+)_")
    ('BraTS-GLI-00005', 'Brats18_TCIA01_201_1', '12')
    """
    if pattern is not None:
        match = re.search(pattern, name)
        if not match or not match.group(1):
            raise InputError(
                f"data.brats.patient ({pattern!r}) finds no patient in the name of the case {name}: change it"
            )
        return match.group(1)
    if match := _WITH_SCAN.search(name):
        return f"{match[1]}{match[2]}1"  # the first scan's name, which all have in the releases
    if match := _PLAIN.search(name):
        return match.group()
    if match := _WITH_TIME_POINT.search(name):
        kind = re.sub("[-_. ]", "-", match[1].upper())
        return f"BraTS-{kind}-{match[2]}"
    return name


def refuse_doubtful(names: Iterable[str]) -> None:
    """Ask for data.brats.patient where names that no release gave may be those of one patient's time points.

    Raises:
        InputError: two of them differ by nothing but what may be a time point (site_012_1, site_012_2).
    """
    first: dict[str, str] = {}
    for name in sorted(names):
        match = None if released(name) else _MAYBE_TIME_POINT.fullmatch(name)
        if match and (other := first.setdefault(match[1].lower(), name)) != name:
            raise InputError(
                f"the cases {other} and {name} may be time points of one patient, whom no split may divide: say in "
                "data.brats.patient what names the patient, '^(.*?[0-9]+)' if that ends with the first number in the "
                "name, '^(.+)$' if each case is a patient"
            )


# --- files -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One of the volumes along the last axis of a 4-D file.

    Attributes:
        index: from 0.
        count: how many the file must hold.
    """

    index: int
    count: int


class Volume(NamedTuple):
    """A NIfTI file, or a folder that stands for one (`<case>_t1/`, `<case>_t1.nii/`), by its name.

    `case` is empty where the name holds none, `sequence` where it is none of `NAMES`. `part` says which volume it is of
    a file with several.
    """

    case: str
    sequence: str
    path: Path
    part: Part | None = None


def named(path: Path) -> Volume:
    """What the name of a file, or of a folder that stands for one, says."""
    stem = stem_of(path.name)
    match = _ENDING.fullmatch(stem)
    if match is None:
        return Volume("", "", path)
    return Volume(match["case"] or "", SEQUENCE_OF[match["ending"].lower()], path)


def stem_of(name: str) -> str:
    """A file's name without the endings of NIfTI."""
    return re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)
