"""Whose case it is: which cases are time points of one patient, whom no split may divide.

What is surely a time point is joined: what a release of BraTS, BIDS (sub-01, ses-1) or a cohort that BraTS-like sets
are taken from numbers as one, a date, a word for it (week2, baseline, follow-up), in a name or as a folder of its own.
What may be one (P005-A beside P005-B) is asked about.
"""

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from stages.data.brats_names import released, released_patient
from stages.errors import InputError


class Named(Protocol):
    """A case, as far as this module asks: its name, and its path below the raw folder."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...


_DATE = r"(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_WORD = (
    r"(?:time[-_. ]?point|timepoint|time|tp|session|ses|visit|week|wk|day|month|year|follow[-_. ]?up|fu)"
    r"[-_. ]?\d+(?:[-_.]\d+)*[dwmy]?|(?:pre|post)[-_. ]?op(?:erative)?\d*|baseline|follow[-_. ]?up|ses-[a-z0-9]+"
)
_TIME_IN_NAME = re.compile(rf"(?:^|[-_. ]+|(?<=\d))(?:{_WORD})(?![a-z0-9])", re.IGNORECASE)
_DATE_IN_NAME = re.compile(rf"(?<=\d)[-_. ]+{_DATE}(?!\d)|(?<!\d){_DATE}[-_. ]+(?=.*\d)")
_CONTAINER = re.compile(r"anat|mri?|nifti|nii", re.IGNORECASE)
_SAYS_NOTHING = re.compile(rf"{_CONTAINER.pattern}|{_WORD}|pre|post|{_DATE}", re.IGNORECASE)
"""Folders that say nothing of whose images lie in them: those of a time point, or of all that was taken then."""

# BIDS' subject; the barcode of TCGA; the numbers of UPENN-GBM (00001_11: the first scan) and UCSF-PDGM.
_SUBJECT = re.compile(r"(?:(?<=[/_])|^)sub-[a-z0-9]+(?=$|/|_[a-z])", re.IGNORECASE)
_OF_A_COHORT = re.compile(
    r"(?<![a-z0-9])(?:tcga-[a-z0-9]{2}-[a-z0-9]{4}|upenn-gbm-\d{5}|ucsf-pdgm-\d{4})(?![a-z0-9])", re.IGNORECASE
)
_STEMS = (
    re.compile(r"(\D*\d+)(?:$|[-_. ]|[a-z]\d{0,3}(?![a-z0-9]))"),  # P005-A, pat005a, s005v2, and P005 itself
    re.compile(r"(\D*\d{5})\d{3}(?!\d)"),  # GLI00005100: a patient's and a time point's number as BraTS has them
    re.compile(rf"(\D*\d+?){_DATE}(?!\d)"),
)
"""What a name, in small letters, starts with that may be the patient, where what follows may be a time point."""
_LOOSE = r"(?:scan|exam|study|mri?)[-_. ]?\d*|[dmtvwy]\d{1,4}|before|after|pre|post"
_NUMBERS_ANYTHING = re.compile(rf"\d{{1,2}}|[a-z]|{_LOOSE}")
"""Names that number something in the folder around them, which may be a patient."""
_MAY_BE_TIME = re.compile(rf"(?:^|[-_. ]+)(?:{_DATE}|{_LOOSE})(?![a-z0-9])", re.IGNORECASE)
"""What may be a time point in a name without another number (smith_20190301, PatientA_scan1, jones_pre)."""

AROUND = "([^/]+)/[^/]+$"
JOINING = (
    "(sub-[A-Za-z0-9]+)",
    "([^/]*?[0-9]+)[^/]*$",
    "([^/]*?[0-9]+?)(?:19|20)[0-9]{6}[^/]*$",
    "([^/]*?[0-9]{5})[0-9]{3}[^/]*$",
    AROUND,
    "([^/]+)$",
    *(f"([0-9]{{{digits}}})" for digits in (5, 4, 3)),
    "^(.*?[0-9]+)",
    "([^/]+?)[-_. ]+[^-_. /]+$",
    "[-_. ]([^-_. /]+)$",
    "^([^0-9]*)",
)
"""What data.brats.patient could be where cases are to be joined: BIDS' subject; of the last name what ends with the
first number, what stands before a date, or before three of eight digits; the folder around; the last name; a number of
so many digits; what the path starts with; of the last name what stands before, or after, the last mark between
words."""
APART = "^(.+)$"
"""What it is where each case is a patient."""


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


def patients(cases: Sequence[Named], pattern: str | None = None) -> list[str]:
    """The patient of each case.

    Args:
        cases: all of the data set.
        pattern: data.brats.patient, a regular expression whose one group is the patient, in the case's path below the
            raw folder; without it, the rules of this module.

    Raises:
        InputError: the pattern finds nothing in a path; or, without one, two cases may be of one patient.
    """
    if pattern is not None:
        return [_by_pattern(_path(case), pattern) for case in cases]
    found = [_Case(_path(case), case.name) for case in cases]
    _ask_about_doubtful(found)
    first: dict[str, str] = {}  # one spelling for all
    return [first.setdefault(case.key, case.patient) for case in found]


def _path(case: Named) -> str:
    return case.name if case.source == "." else case.source


def _by_pattern(path: str, pattern: str) -> str:
    match = re.search(pattern, path)
    if not match or not match.group(1):
        raise InputError(f"data.brats.patient ({pattern!r}) finds no patient in the path of the case {path}: change it")
    return match.group(1).replace("/", "_")


@dataclass(frozen=True)
class _Case:
    """What a case's path below the raw folder, and its name, say of its patient."""

    path: str
    name: str

    @cached_property
    def _parts(self) -> list[str]:
        """Those of the path that may name a patient."""
        return [part for part in self.path.split("/") if known(part) or not _SAYS_NOTHING.fullmatch(part)]

    @property
    def around(self) -> list[str]:
        """The folders around the patient's."""
        return self._parts[:-1]

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
        own = self._parts[-1] if self._parts else ""
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
    def stems(self) -> set[Hashable]:
        """What no case of another patient may have as well: then both may be one patient's."""
        if self.released:
            # The adult gliomas of 2021 are a part of those since 2023.
            return {("glioma", number) for number in re.findall(r"^brats(?:2021|-gli)-(\d+)$", self.key)}
        if self.cohort or self.subject:
            return set()
        if not self._parts:
            return {"a time point and nothing else"}
        stems: set[Hashable] = {match[1] for stem in _STEMS if (match := stem.match(self.key))}
        if self.around and _NUMBERS_ANYTHING.fullmatch(self.key):
            stems.add(("folder", *self.around))
        return stems

    @cached_property
    def without_loose_time(self) -> str | None:
        """What is left of a name without numbers when what may be a time is taken away; None where nothing is."""
        if self.released or self.cohort or self.subject:
            return None
        rest = _MAY_BE_TIME.sub("", self.key).strip("-_. ")
        return rest if rest and rest != self.key and not re.search(r"\d", rest) else None


def _ask_about_doubtful(cases: Sequence[_Case]) -> None:
    """Refuse cases that may be time points of one patient, but are not surely so."""
    _ask_about_words(cases)
    alike: dict[Hashable, _Case] = {}
    lies_in: dict[str, _Case] = {}
    of_releases = {number: case for case in cases if case.released for number in case.numbers}
    for case in sorted(cases, key=lambda case: case.path):
        for stem in case.stems:
            if (other := alike.setdefault(stem, case)).key != case.key:
                raise _doubtful(other, case, cases)
        if case.released:
            continue
        for number in case.numbers & set(of_releases):
            raise _doubtful(of_releases[number], case, cases)
        if not case.cohort and (other := lies_in.setdefault(case.key, case)).around != case.around:
            raise _doubtful(other, case, cases)


def _ask_about_words(cases: Sequence[_Case]) -> None:
    """Refuse names that differ in what may be a time alone, unless all have one word: case_scan1, case_scan2."""
    named: dict[tuple[str, ...], list[_Case]] = {}
    for case in sorted(cases, key=lambda case: case.path):
        if (rest := case.without_loose_time) is not None:
            named.setdefault((*case.around, rest), []).append(case)
    if len({words[-1] for words in named}) > 1:
        for alike in named.values():
            if len(alike) > 1:
                raise _doubtful(alike[0], alike[1], cases)


def _doubtful(one: _Case, other: _Case, cases: Sequence[_Case]) -> InputError:
    found = {pattern: [re.search(pattern, case.path) for case in cases] for pattern in JOINING}
    patients_by = {pattern: [match[1] for match in found[pattern] if match] for pattern in JOINING}
    at, and_at = cases.index(one), cases.index(other)
    joining = [
        pattern for pattern, names in patients_by.items() if len(names) == len(cases) and names[at] == names[and_at]
    ]
    # Of those that join the two, the one that joins the fewest others.
    join = max(joining, key=lambda pattern: len(set(patients_by[pattern])), default=JOINING[-1])
    alike = one.path.rpartition("/")[2] == other.path.rpartition("/")[2]  # p1/before and p2/before
    around = f", {AROUND!r} if the folder around a case is" if alike and all("/" in case.path for case in cases) else ""
    return InputError(
        f"the cases {one.path} and {other.path} may be time points of one patient, whom no split may divide: say in "
        f"data.brats.patient what of a case's path names the patient, {join!r} if they are{around}, {APART!r} if "
        "each case is a patient"
    )
