"""What names say that a release gave: those of cases their patient and centre, of files their case and sequence."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

MASK = "seg"
SUFFIXES = (".nii", ".nii.gz")
NAMES = {
    "t1": ("t1", "t1n", "t1w"),
    "t1ce": ("t1ce", "t1c", "t1gd"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f", "t2flair"),
    MASK: ("seg", "segm"),
}
"""What a file's name ends in, in whatever case: BraTS 2017 to 2021, 2023 and later, FeTS, BIDS, a mask of 2020."""
OF_BIDS = {"t1": "T1w", "t1ce": "ce-gadolinium_T1w", "t2": "T2w", "flair": "FLAIR", MASK: "label-lesion_mask"}
SEQUENCE_OF = {ending: sequence for sequence, endings in NAMES.items() for ending in endings}
# <case>_t1, <case>-t1n, 00000057_brain_t1 and 00000057_final_seg, or t1 alone.
_ENDING = re.compile(
    rf"(?:(?P<case>.+?)[-_. ])??(?:(?:brain|final)[-_. ])?(?P<ending>{'|'.join(SEQUENCE_OF)})", re.IGNORECASE
)
# sub-01_ses-1_ce-gadolinium_T1w: what a contrast agent is given for, and others say by the name of the sequence.
_BIDS = re.compile(r"(?P<case>sub-[a-z0-9]+(?:_ses-[a-z0-9]+)?)(?P<entities>(?:_[a-z]+-[a-z0-9]+)*)", re.IGNORECASE)
_BIDS_MASK = re.compile(
    rf"{_BIDS.pattern}_(?:label|desc)-(?:lesion|tumou?r|glioma)[a-z0-9]*_(?:mask|dseg|roi)", re.IGNORECASE
)

NO_MASK = (
    "a release's validation cases have none (set data.folder to the training cases), and that of BIDS is looked for "
    "beside the images (sub-01_label-lesion_mask.nii.gz)"
)

NO_CENTRE = "none"

# BraTS 2017-2019 name the centre (Brats18_TCIA01_201_1; TCIA01, TCIA02, .. are collections of one archive) and number
# the scan; later ones only number their cases.
_CENTRE = re.compile(r"brats1[789]_(2013|[a-z]+)\d*_", re.IGNORECASE)
# A name that a release gave may be a part of the one that a user gave; any of - _ . and blanks stands for another.
_WITH_SCAN = re.compile(r"(?<![a-z0-9])(brats1[789]([-_. ])[a-z0-9]+\2[a-z0-9]+)\2(\d+)(?![a-z0-9])", re.IGNORECASE)
_UNTIL_2015 = re.compile(r"(?<![a-z0-9])(brats[-_. ](?:2013|tcia)[-_. ]pat\d+)[-_. ]\d+(?!\d)", re.IGNORECASE)
_PLAIN = re.compile(
    r"(?<![a-z0-9])(?:brats|fets)(?:2\d[-_. ](?:training|validation|testing)|202[12])[-_. ]\d+(?!\d)", re.IGNORECASE
)
# BraTS 2023 and later number the patient and then the time point: BraTS-GLI-00005-101, BraTS-MEN-RT-0001-1.
_WITH_TIME_POINT = re.compile(
    r"(?<![a-z0-9])brats[-_. ]([a-z]+(?:[-_. ]rt)?)[-_. ](\d+)(?:[-_. ](\d+))?(?![a-z0-9])", re.IGNORECASE
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
    for pattern in (_WITH_SCAN, _UNTIL_2015, _PLAIN, _WITH_TIME_POINT):
        if match := pattern.search(name):
            return re.sub("^brats1[789]", "brats", re.sub("[-_. ]", "-", match.group().lower()))
    return ""


def released_patient(name: str) -> str:
    """The patient whose scan a release of BraTS gave a name, if this one holds it, else nothing; time points have one.

    >>> released_patient("BraTS-GLI-00005-101"), released_patient("Brats18_TCIA01_201_2")
    ('BraTS-GLI-00005', 'Brats18_TCIA01_201_1')
    """
    if match := _WITH_SCAN.search(name):
        return f"{match[1]}{match[2]}1"  # the first scan's name, which all have in the releases
    if match := _UNTIL_2015.search(name):
        return match[1]
    if match := _PLAIN.search(name):
        return match.group()
    if match := _WITH_TIME_POINT.search(name):
        kind = re.sub("[-_. ]", "-", match[1].upper())
        return f"BraTS-{kind}-{match[2]}"
    return ""


def numbering(name: str) -> str:
    """Which releases gave the patient of a name that one of them gave a number of theirs; else nothing.

    >>> [numbering(name) for name in ("Brats17_TCIA_201_1", "BraTS19_TMC_06290_1", "BraTS20_Training_001")]
    ['BRATS17-19', 'BRATS17-19', 'BRATS20']
    >>> [numbering(name) for name in ("FeTS2022_00000", "BraTS-GLI-00005-101", "brats_2013_pat0001_1", "Phantom_001")]
    ['FETS22', 'BRATS-GLI', 'BRATS-15', '']
    """
    if _WITH_SCAN.search(name):
        return "BRATS17-19"
    if _UNTIL_2015.search(f"{name}_1"):  # which a patient's name lacks
        return "BRATS-15"
    if match := _PLAIN.search(name):
        return re.sub(r"(?:20)?(2\d)[-_. ].*", r"\1", match.group()).upper()
    if match := _WITH_TIME_POINT.search(name):
        return f"BRATS-{re.sub('[-_. ]', '-', match[1].upper())}"
    return ""


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

    def shows(self, sequence: str) -> bool:
        """Whether it is of a sequence: of `NAMES`, or one that its name ends in."""
        if sequence in NAMES:
            return self.sequence == sequence
        return bool(re.search(rf"(?:^|[-_. ]){re.escape(sequence)}$", stem_of(self.path.name)))


def named(path: Path) -> Volume:
    """What the name of a file, or of a folder that stands for one, says."""
    stem = stem_of(path.name)
    if match := _BIDS_MASK.fullmatch(stem):
        return Volume(match["case"], MASK, path)
    match = _ENDING.fullmatch(stem)
    if match is None:
        return Volume("", "", path)
    case, sequence = match["case"] or "", SEQUENCE_OF[match["ending"].lower()]
    if bids := _BIDS.fullmatch(case):
        case = bids["case"]
        if sequence == "t1" and "_ce-" in bids["entities"].lower():
            sequence = "t1ce"
    return Volume(case, sequence, path)


def beside(name: str, sequence: str) -> str:
    """What the file of a sequence is called beside one of this name; the name itself where that is of no sequence.

    >>> beside("BraTS-GLI-00000-000-t1n.nii.gz", "t1ce"), beside("t1.nii", "flair"), beside("sub-01_T2w.nii.gz", "t1ce")
    ('BraTS-GLI-00000-000-t1c.nii.gz', 'flair.nii', 'sub-01_ce-gadolinium_T1w.nii.gz')
    """
    stem = stem_of(name)
    if not (match := _ENDING.fullmatch(stem)):
        return name
    ending, others = match["ending"], NAMES.get(sequence, (sequence,))
    if bids := _BIDS.fullmatch(match["case"] or ""):
        return f"{bids['case']}_{OF_BIDS.get(sequence, sequence)}{name.removeprefix(stem)}"
    which = NAMES[SEQUENCE_OF[ending.lower()]].index(ending.lower())  # the same release's: t1n, t1c, t2w, t2f
    new = others[0 if sequence == MASK else min(which, len(others) - 1)]
    return stem.removesuffix(ending) + (new.upper() if ending.isupper() else new) + name.removeprefix(stem)


def stem_of(name: str) -> str:
    """A file's name without the endings of NIfTI."""
    return re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)
