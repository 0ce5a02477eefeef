"""What a case's path and name say for sure of whose it is: which parts are the patient, and which the time point."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from stages.data.brats_names import released, released_patient
from stages.data.time_points import DATE, EVENT, OF_CASE

_TIME_IN_NAME = re.compile(rf"(?:^|[-_. ]+|(?<=\d))(?:{OF_CASE})(?![a-z0-9])", re.IGNORECASE)
_DATE_IN_NAME = re.compile(rf"(?<=\d)[-_. ]+{DATE}(?!\d)|(?<!\d){DATE}[-_. ]+(?=.*\d)")
_CONTAINER = re.compile(r"anat|mri?|nifti|nii", re.IGNORECASE)
_SAYS_NOTHING = re.compile(rf"{_CONTAINER.pattern}|{OF_CASE}|{EVENT}|{DATE}", re.IGNORECASE)
"""Folders that say nothing of whose images lie in them: those of a time point, or of all that was taken then."""

# BIDS' subject; the barcode of TCGA; the numbers of UPENN-GBM (00001_11: the first scan) and UCSF-PDGM.
_SUBJECT = re.compile(r"(?:(?<=[/_])|^)sub-[a-z0-9]+(?=$|/|_[a-z])", re.IGNORECASE)
_OF_A_COHORT = re.compile(
    r"(?<![a-z0-9])(?:tcga-[a-z0-9]{2}-[a-z0-9]{4}|upenn-gbm-\d{5}|ucsf-pdgm-\d{4})(?![a-z0-9])", re.IGNORECASE
)


def known(name: str) -> bool:
    """Whether a release of BraTS, BIDS or a cohort gave a name, or a part of it, so that it tells the patient."""
    return bool(released(name) or _SUBJECT.search(name) or _OF_A_COHORT.search(name))


def case_name(path: Sequence[str]) -> str:
    """What a case is called by its path: the last folder, with those above it that this one needs.

    >>> case_name(["raw", "BraTS2021_00000"]), case_name(["raw", "p1", "week2"]), case_name(["sub-1", "ses-2", "anat"])
    ('BraTS2021_00000', 'p1_week2', 'sub-1_ses-2')
    """
    names: list[str] = []
    for part in reversed(path):
        if not _CONTAINER.fullmatch(part):
            names.insert(0, part)
        if not _SAYS_NOTHING.fullmatch(part):
            break
    return "_".join(names) or path[-1]


@dataclass(frozen=True)
class Called:
    """A case by its names.

    Attributes:
        path: below the raw folder.
        name: its own, which may be that of its files.
    """

    path: str
    name: str

    @cached_property
    def parts(self) -> list[str]:
        """Those of the path that may name a patient."""
        return [part for part in self.path.split("/") if known(part) or not _SAYS_NOTHING.fullmatch(part)]

    @property
    def around(self) -> list[str]:
        """The folders around the patient's."""
        return self.parts[:-1]

    @cached_property
    def released(self) -> bool:
        return bool(released(self.name))

    @cached_property
    def cohort(self) -> str:
        match = _OF_A_COHORT.search(self.path) or _OF_A_COHORT.search(self.name)
        return match.group() if match else ""

    @cached_property
    def subject(self) -> str:
        match = _SUBJECT.search(self.path) or _SUBJECT.search(self.name)
        return match.group() if match else ""

    @cached_property
    def patient(self) -> str:
        if self.released:
            return released_patient(self.name)
        own = self.parts[-1] if self.parts else ""
        without_time = _DATE_IN_NAME.sub("", _TIME_IN_NAME.sub("", own)).strip("-_. ")
        return self.cohort or self.subject or without_time or own or self.name

    @cached_property
    def key(self) -> str:
        """What all spellings of the patient have in common."""
        if not self.released:
            return self.patient.lower()
        # BraTS 2017 to 2019 kept a patient's number; the one of the collection (TCIA, TCIA01) came in 2018.
        return re.sub(r"^brats1[789]-(2013|[a-z]+)\d*-", r"brats-\1-", re.sub("[-_. ]", "-", self.patient.lower()))

    @cached_property
    def numbers(self) -> set[str]:
        """The numbers by which a patient of a release may be recognised in names that no release gave."""
        if self.released:
            return set(re.findall(r"-(\d{3,})(?:-1)?$", self.key))
        whole = re.findall(r"\d{3,}", self.key)
        return {*whole, *(number[:5] for number in whole if len(number) == 8)}

    @cached_property
    def certain(self) -> bool:
        return bool(self.released or self.cohort or self.subject)
