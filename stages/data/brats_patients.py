"""Whose case it is: which cases are time points of one patient, whom no split may divide.

What is surely a time point is joined: what a release of BraTS, BIDS (sub-01, ses-1) or a cohort that BraTS-like sets
are taken from numbers as one, a date, a word for it (week2, baseline, follow-up), in a name or as a folder of its own.
What may be one (P005-A beside P005-B) is asked about.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from stages.data.brats_called import Called
from stages.data.brats_doubts import refuse_doubtful
from stages.errors import InputError


class Named(Protocol):
    """A case, as far as this module asks: its name, and its path below the raw folder."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...


def patients(cases: Sequence[Named], pattern: str | None = None) -> list[str]:
    """The patient of each case.

    Args:
        cases: all of the data set.
        pattern: data.brats.patient, a regular expression whose one group is the patient, in the case's path below the
            raw folder; without it, what surely does.

    Raises:
        InputError: the pattern finds nothing in a path; or, without one, two cases may be of one patient.
    """
    if pattern is not None:
        return [_by_pattern(_path(case), pattern) for case in cases]
    found = [Called(_path(case), case.name) for case in cases]
    refuse_doubtful(found)
    first: dict[str, str] = {}  # one spelling for all
    return [first.setdefault(case.key, case.patient) for case in found]


def _path(case: Named) -> str:
    return case.name if case.source == "." else case.source


def _by_pattern(path: str, pattern: str) -> str:
    match = re.search(pattern, path)
    if not match or not match.group(1):
        raise InputError(f"data.brats.patient ({pattern!r}) finds no patient in the path of the case {path}: change it")
    return match.group(1).replace("/", "_")
