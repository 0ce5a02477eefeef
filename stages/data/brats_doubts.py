"""Which cases may be time points of one patient, but are not surely so: these are asked about.

A name may hold the patient's number first (P005-A) or last (100-GLI-00005), what may be a time behind or before it
(smith_t1, t0_patient7), or words that others bear as well (smith_initial, jones_initial); and a folder around cases may
be the patient.
"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from stages.data.brats_called import Called
from stages.data.brats_names import numbering
from stages.data.time_points import DATE, EVENT
from stages.errors import InputError

_Pair = tuple[Called, Called]

_STEMS = (
    re.compile(r"(\D*\d+)(?:$|[-_. ]|[a-z]\d{0,3}(?![a-z0-9]))"),  # P005-A, pat005a, s005v2, and P005 itself
    re.compile(r"(\D*\d{5})\d{3}(?!\d)"),  # GLI00005100: a patient's and a time point's number as BraTS has them
    re.compile(rf"(\D*\d+?){DATE}(?!\d)"),
)
"""What a name, in small letters, starts with that may be the patient, where what follows may be a time point."""
_NUMBER = re.compile(r"(?:^|[-_. ])[a-z]*(\d{3,})(?![a-z0-9])")
"""A number that may be the patient's wherever it stands: 100-GLI-00005."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_LOOSE = rf"(?:scan|exam|study|mri?)[-_. ]?\d*|[dmtvwy]\d{{1,4}}|{EVENT}"
_NUMBERS_ANYTHING = re.compile(rf"\d{{1,2}}|[a-z]|{_LOOSE}")
"""Names that number something in the folder around them, which may be a patient."""
_MAY_BE_TIME = re.compile(rf"(?:^|[-_. ]+)(?:{DATE}|{_LOOSE})(?![a-z0-9])", re.IGNORECASE)
"""What may be a time point beside what names the patient: smith_20190301, PatientA_scan1, jones_pre, t0_patient7."""
_LAST = re.compile(r"(?<=[a-z])[-_. ]+([a-z]|\d+)$")
"""The same where nothing but a letter or a number stands behind a word: smith_1, smith_2."""
_TELLS_TIME = re.compile(rf"(?:^|[-_. ])(?:t\d{{1,2}}|{EVENT})(?![a-z0-9])")
"""What would be no part of a name that all cases have: t0_scan and t1_scan are two time points, scan_1 and scan_2 not
so surely."""

_OF_OTHER_TUMOURS = ("BRATS-MEN", "BRATS-MEN-RT", "BRATS-MET", "BRATS-PED", "BRATS-SSA")
_OF_ALL_TUMOURS = "BRATS-GOAT"
"""Releases since 2023 that hold no patients of earlier ones, and the one that holds some of these."""

AROUND = "([^/]+)/[^/]+$"
JOINING = (
    "(sub-[A-Za-z0-9]+)",
    "([^/]*?[0-9]+)[^/]*$",
    "([^/]*?[0-9]+?)(?:19|20)[0-9]{6}[^/]*$",
    "([^/]*?[0-9]{5})[0-9]{3}[^/]*$",
    AROUND,
    "([^/]+)$",
    *(f"([0-9]{{{digits}}})" for digits in ("6,", 5, 4, 3)),
    "^(.*?[0-9]+)",
    "([^/]+?)[-_. ]+[^-_. /]+$",
    "([^-_. /]+)[^/]*$",
    "([^-_. /]+)$",
    "^([^0-9]*)",
    "^([^/]+)",
)
"""What data.brats.patient could be where cases are to be joined: BIDS' subject; of the last name what ends with the
first number, what stands before a date, or before three of eight digits; the folder around; the last name; a number of
so many digits; what the path starts with; of the last name what stands before the last mark between words, its first
word, its last; what the path starts with before a number; the first folder."""
APART = "^(.+)$"
"""What it is where each case is a patient."""
_MOST = 6
"""Names that a pattern lists."""
_PLAIN = re.compile(r"[\w -]+").fullmatch


def refuse_doubtful(cases: Sequence[Called]) -> None:
    """Refuse a data set in which two cases may be of one patient.

    Raises:
        InputError: these two, and what data.brats.patient would be if they are, and if not.
    """
    ordered = sorted(cases, key=lambda case: case.path)
    by_start, by_number = _alike(ordered, _starts), _alike(ordered, _numbers(ordered))
    by_names = [by_start, by_number]
    if by_start and _untimed(by_start[0])[0].isdecimal():  # 100-GLI-00005: the longer number sooner than a bare one
        by_names.reverse()
    for pairs in (
        [_alike_but_for_time(ordered)],
        _alike_in_words(ordered),
        by_names,
        [_alike(ordered, _folders(cases))],
    ):
        if found := [pair for pair in pairs if pair]:
            raise _doubtful(cases, *found)
    lies_in: dict[str, Called] = {}
    of_releases = {number: case for case in cases if case.released for number in case.numbers}
    for case in ordered:
        if case.released:
            continue
        for number in case.numbers & set(of_releases):
            raise _doubtful(cases, (of_releases[number], case))
        if not case.cohort and (other := lies_in.setdefault(case.key, case)).around != case.around:
            raise _doubtful(cases, (other, case))


def mixed_releases(patients: Iterable[str]) -> list[str]:
    """A warning where patients bear the names of releases that numbered them anew: one may be there under two."""
    first: dict[str, str] = {}
    for patient in patients:
        if release := numbering(patient):
            first.setdefault(release, patient)
    if _OF_ALL_TUMOURS not in first:
        first = {release: patient for release, patient in first.items() if release not in _OF_OTHER_TUMOURS}
    if len(first) < 2:
        return []
    return [
        f"warning: {', '.join(first.values())} are of releases of BraTS that number patients anew, and later ones hold "
        "patients of earlier ones, so that what is tested may have been trained on: keep one release in data.folder, "
        "or, if you know who is who, keep each patient in one split by data.brats.patient or a list (data.split)"
    ]


def _alike(cases: Iterable[Called], tells: Callable[[Called], Iterable[Hashable]]) -> _Pair | None:
    """The first two cases of different patients that share what may tell a patient."""
    first: dict[Hashable, Called] = {}
    for case in cases:
        for told in tells(case):
            if (other := first.setdefault(told, case)).key != case.key:
                return other, case
    return None


def _untimed(case: Called) -> str:
    """A case's key without what may be a time, if what is left may name a patient."""
    rest = _MAY_BE_TIME.sub("", case.key).strip("-_. ")
    return case.key if case.certain or not rest or _NUMBERS_ANYTHING.fullmatch(rest) else rest


def _starts(case: Called) -> list[Hashable]:
    """What a name starts with that may be the patient."""
    if case.released:  # the adult gliomas of 2021 are a part of those since 2023
        return [("glioma", number) for number in re.findall(r"^brats(?:2021|-gli)-(\d+)$", case.key)]
    if case.certain:
        return []
    if not case.parts:
        return ["a time point and nothing else"]
    return [match[1] for stem in _STEMS if (match := stem.match(_untimed(case)))]


def _numbers(cases: Sequence[Called]) -> Callable[[Called], list[Hashable]]:
    """The longest number of a name: patients are more than what numbers their time points.

    Dates and years are none, nor is what all cases have.
    """
    longest: dict[Called, str] = {}
    for case in cases:
        there = [] if case.certain else re.findall(r"\d+", _untimed(case))
        most = max((number for number in there if not re.fullmatch(DATE, number)), key=len, default="")
        if most in _NUMBER.findall(_untimed(case)):
            longest[case] = most
    times = Counter(longest.values())
    if all(map(_YEAR.fullmatch, times)) or (len(times) == 1 and len(longest) == len(cases) > 2):
        return lambda case: []
    return lambda case: [longest[case]] if case in longest else []


def _alike_but_for_time(cases: Iterable[Called]) -> _Pair | None:
    """Two without numbers that differ in what may be a time; none where all have one word: case_scan1, case_scan2."""
    untimed = {case: _untimed(case) for case in cases if not case.certain}
    counted = {case: match for case, name in untimed.items() if (match := _LAST.search(name))}
    if any(len(match[1]) > 1 for match in counted.values()):  # HGG_1 to HGG_12: more than a patient's time points
        counted = {}
    bare = untimed | {case: match.string[: match.start()] for case, match in counted.items()}
    for words in (untimed, bare):
        named: dict[tuple[str, ...], list[Called]] = {}
        for case, word in words.items():
            if not re.search(r"\d", word):
                named.setdefault((*case.around, word), []).append(case)
        several = len({word for *_, word in named}) > 1
        for one, *others in named.values():
            other = next((case for case in others if case.key != one.key), None)
            if other and (several or any(_TELLS_TIME.search(case.key) for case in (one, other))):
                return one, other
    return None


def _alike_in_words(cases: Iterable[Called]) -> list[_Pair | None]:
    """Two without numbers that share all but their last word, or all but the first, which others have too: jones_late.

    That is smith_early beside smith_late, as one would call time points for which there are no usual words.
    """
    named = [case for case in cases if not case.certain and not re.search(r"\d", case.key)]
    found = []
    for split in ("(?P<patient>.+)[-_. ](?P<time>.+)", "(?P<time>.+?)[-_. ](?P<patient>.+)"):
        parts = {case: match for case in named if (match := re.fullmatch(split, case.key))}
        of = Counter(time for _, time in {(match["patient"], match["time"]) for match in parts.values()})
        asked = {match["patient"] for match in parts.values() if of[match["time"]] > 1}
        patient = {
            case: [(*case.around, match["patient"])] for case, match in parts.items() if match["patient"] in asked
        }
        found.append(_alike(patient, patient.__getitem__))
    return found


def _in_numbered_folder(case: Called) -> bool:
    """Whether it is a number in a folder with one of as many digits (00005/100), which may be a patient's."""
    of_folder = re.findall(r"\d{3,}", case.around[-1]) if case.around else []
    long = [number for number in of_folder if len(number) >= len(case.key) and not _YEAR.fullmatch(number)]
    return case.key.isdecimal() and bool(long)


def _folders(cases: Sequence[Called]) -> Callable[[Called], set[Hashable]]:
    """The folder around a case that may be a patient: what lies there is numbered, or cases lie beside the folder."""
    plain = [case for case in cases if not case.certain and not _NUMBERS_ANYTHING.fullmatch(case.key)]
    holding = {tuple(case.around) for case in plain}
    named = any(not case.around and not case.key.isdecimal() for case in plain)

    def tells(case: Called) -> set[Hashable]:
        numbered = bool(_NUMBERS_ANYTHING.fullmatch(case.key))
        if case.certain:
            return set()
        if not case.around:
            return {()} if numbered and (named or _TELLS_TIME.search(case.key)) else set()
        patient = numbered or _in_numbered_folder(case) or tuple(case.around[:-1]) in holding
        return {tuple(case.around)} if patient else set()

    return tells


def _doubtful(cases: Sequence[Called], *pairs: _Pair) -> InputError:
    """What is asked about pairs that may be of one patient each, in the order of how likely that is."""
    (one, other), *less_likely = pairs
    join = _joining(one, other, cases)
    if not join:
        return InputError(
            f"the cases {one.path} and {other.path} may be time points of one patient, whom no split may divide: put "
            f"them into a folder of the patient's name if they are, or set data.brats.patient to {APART!r} if each "
            "case is a patient"
        )
    alike = one.path.rpartition("/")[2] == other.path.rpartition("/")[2]  # p1/first and p2/first
    otherwise = (
        f", {AROUND!r} if the folder around a case is" if alike and all("/" in case.path for case in cases) else ""
    )
    for this, that in less_likely:
        if (joins_others := _joining(this, that, cases)) and joins_others != join:
            otherwise = f", {joins_others!r} if rather {this.path} and {that.path} are"
    return InputError(
        f"the cases {one.path} and {other.path} may be time points of one patient, whom no split may divide: say in "
        f"data.brats.patient what of a case's path names the patient, {join!r} if they are{otherwise}, "
        f"{APART!r} if each case is a patient"
    )


def _joining(one: Called, other: Called, cases: Sequence[Called]) -> str:
    """The pattern that joins two cases, and of all others the fewest; nothing where none does."""
    inside = sorted({case.path.rpartition("/")[2] for case in cases if case.around and case.around == one.around})
    named = [f"([^/]+?)(?:/(?:{'|'.join(inside)}))?$"] if 0 < len(inside) <= _MOST and all(map(_PLAIN, inside)) else []
    best, most = "", 0
    for pattern in (*JOINING, *named):
        found = {case: match[1] for case in cases if (match := re.search(pattern, case.path)) and match[1]}
        if len(found) == len(cases) and found[one] == found[other] and len(set(found.values())) > most:
            best, most = pattern, len(set(found.values()))
    return best
