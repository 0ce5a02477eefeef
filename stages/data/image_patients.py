"""Whose images they may be: person1_virus_1 and person1_virus_2 show one patient, whom no split may divide.

A name tells a patient where a number in it differs between images, is shared by some, and these differ in what else
they are called. Numbers that are all there is (000.png beside another class's), that every image has once, or that
count something else (dates, folds, grades, visits) tell none. Names without numbers tell one by what is left of them
without a side, a view or a time point (smith_L, smith_R; before, after).
"""

import re
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from stages.data.time_points import DATE, EVENT, WORD


class Named(Protocol):
    """An image, as far as this module asks.

    Attributes:
        slice_id: its path below the raw folder in one word, in which data.images.subject is looked for.
        source: that path.
        names: of the folders on the way, but for split and class, and of the image without its file's ending.
        label: healthy or diseased.
        split: train, test, or empty.
    """

    @property
    def slice_id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def label(self) -> int: ...
    @property
    def split(self) -> str: ...


APART = "^(.+)$"
"""What data.images.subject is where each image is a patient's only one."""
_MOST = 6
"""Beginnings of patients' names, or views, that a proposed pattern lists."""
_PATTERNS = (
    "^([0-9]+)",
    "(?:^|_)([0-9]+)[^0-9]+[0-9]+$",
    "(?:^|_)([0-9]+)_[^_]*$",
    "(?:^|_)([0-9]+)[^0-9]*$",
    "^[^0-9]*([0-9]+)",
    "^([^0-9]*[0-9]+)",
    *(f"([0-9]{{{digits},}})" for digits in (8, 5, 4, 3)),
)
"""What data.images.subject may be where nothing but a number names the patient."""
_FIRST_FOLDER = "^([^_]+)"

_TIME = r"[-_. ]*(?:at|t)?[-_. ]*(?:[01]\d|2[0-3])[-_.h]?[0-5]\d(?:[-_.m]?[0-5]\d)?"
_TIME_POINT = re.compile(rf"{WORD}|{EVENT}", re.IGNORECASE)
_WORD = re.compile(
    rf"(?<!\d){DATE}(?:{_TIME})?(?!\d)|(?<![^\W_])(?:{_TIME_POINT.pattern})(?![^\W_])|[^\W_]+", re.IGNORECASE
)
_NUMBER = re.compile(r"([a-z]*)([0-9]+)([a-z]?)")
"""A word that may number a patient: P001, 12, 12a; not one of a hash."""
_YEAR = re.compile(r"(?:19|20)\d\d")
_UID = re.compile(r"[0-9]+(?:\.[0-9]+){4,}")
"""DICOM's, which names an image or a series."""
_OTHERS = frozenset(
    {"fold", "folds", "folder", "set", "subset", "part", "batch", "group", "images", "imgs", "cam", "camera"}
    | {"class", "label", "type", "kind", "stage", "grade", "level", "score", "birads", "kl", "t", "version", "v"}
)
"""What a number behind it does not tell patients by."""
_PATIENTS = frozenset({"patient", "person", "subject", "subj", "sub", "pat", "pid", "participant", "case"})
"""What the number of a patient follows where one says so: slice3_patient12."""
_VIEWS = frozenset(
    {
        "l",
        "r",
        "left",
        "right",
        "od",
        "os",
        "ou",
        "ap",
        "pa",
        "lat",
        "lateral",
        "frontal",
        "axial",
        "coronal",
        "sagittal",
    }
    | {f"{side}{view}" for side in ("", "l", "r") for view in ("cc", "ml", "mlo", "lm")}
)
"""Words for a side or a view, which may stand before the patient, as time points may."""


def says_when_or_where(name: str) -> bool:
    """Whether a name is nothing but a time point, a side or a view.

    >>> [says_when_or_where(name) for name in ("before", "week2", "LMLO", "crack", "good")]
    [True, True, True, False, False]
    """
    return name.lower() in _VIEWS or bool(_TIME_POINT.fullmatch(name))


@dataclass(frozen=True)
class Doubt:
    """Images that may be of one patient.

    Attributes:
        one, other: two of them, as paths below the raw folder; of a patient in two splits, one in each.
        pattern: a data.images.subject that joins all that may belong together, and as few others as can be; None
            where none was found.
        patients: of each image, who it may show.
        divided: how many of these are in more than one of the data set's own splits.
    """

    one: str
    other: str
    pattern: str | None
    patients: list[str]
    divided: int

    def advice(self) -> str:
        """What to write into params.yaml."""
        join = (
            f"{self.pattern!r} if they are"
            if self.pattern
            else "or in the column subject of a CSV (data.images.table) whose each image is"
        )
        return (
            f"say in data.images.subject what of an image's path, its folders joined by _, names the patient, {join}, "
            f"{APART!r} if each image is a patient"
        )


def doubt(images: Sequence[Named]) -> Doubt | None:
    """The images that may be of one patient, if any.

    Args:
        images: all of the data set, of which nothing else says whose they are.
    """
    numbers = _patients(images)
    shown: dict[Hashable, dict[Hashable, Named]] = {}
    alike = _said_by_folders(images, numbers)
    for image, number in zip(images, numbers, strict=True):
        if number is not None:
            rest: Hashable = image.source if number.folder else number.views if alike[_place(image)] else number.rest
            shown.setdefault(number.key, {}).setdefault(rest, image)
    several = {key: list(of_one.values()) for key, of_one in shown.items() if len(of_one) > 1}
    if not several:
        return None
    first: dict[Hashable, dict[str, Named]] = {}
    for image, number in zip(images, numbers, strict=True):
        if number is not None and number.key in several:
            first.setdefault(number.key, {}).setdefault(image.split, image)
    divided = [list(by_split.values()) for by_split in first.values() if len(by_split) > 1]
    one, other = (divided or list(several.values()))[0][:2]
    patients = [
        image.slice_id if number is None else number.patient for image, number in zip(images, numbers, strict=True)
    ]
    return Doubt(one.source, other.source, _joining(images, numbers, set(several)), patients, len(divided))


@dataclass(frozen=True)
class _Number:
    """A number in an image's names that may be the patient's; or, of names without one, the words that may.

    Attributes:
        before: the words before it, in small letters, without views; without numbers, where the last means patients.
        number: itself; empty, where words stand for it.
        rest: the views, and what follows.
        views: words for a side, a view or a time point, wherever they stand.
        folder: whether it stands in a folder's name.
        said: whether the word before it means patients.
        spelled: what is written before it in its own name, and the word or letters that it follows.
    """

    before: tuple[str, ...]
    number: str
    rest: tuple[str, ...]
    views: tuple[str, ...]
    folder: bool
    said: bool
    spelled: tuple[str, str]

    @property
    def key(self) -> Hashable:
        return self.before, self.number

    @property
    def patient(self) -> str:
        return "_".join(self.before) + self.number


def _numbers(names: Sequence[str]) -> Iterator[_Number]:
    """Those in an image's names, from outer to inner; behind them, with no number, the words."""
    words = [(depth, match) for depth, name in enumerate(names) for match in _WORD.finditer(name)]
    all_views = tuple(match[0].lower() for _, match in words if says_when_or_where(match[0]))
    before: list[str] = []
    views: list[str] = []
    for position, (depth, match) in enumerate(words):
        word, name = match[0].lower(), names[depth]
        found = None if says_when_or_where(word) else _NUMBER.fullmatch(word)
        if found and (found[1] or (before[-1] if before else "")) not in _OTHERS and not _UID.fullmatch(name):
            rest = (*views, found[3], *(later[0].lower() for _, later in words[position + 1 :]))
            start = match.start() + len(found[1])
            behind = name[match.start() : start] or re.search(r"(?:[^\W_]+[\W_]+)?$", name[:start])[0]  # type: ignore[index]
            number, said = found[2].lstrip("0") or "0", (found[1] or (before[-1] if before else "")) in _PATIENTS
            if said:
                rest = (*(other for other in before if not other.isalpha()), *rest)
            words_before = [other for other in before if other.isalpha() or not said]
            spelled = name[:start], behind
            yield _Number((*words_before, found[1]), number, rest, all_views, depth < len(names) - 1, said, spelled)
        (views if says_when_or_where(word) else before).append(word)
    yield _Number(tuple(before), "", all_views, all_views, False, False, ("", ""))


def _patients(images: Sequence[Named]) -> list[_Number | None]:
    """Of each image the number that is said to be a patient's, or the first; of those that differ, and are no years.

    Of images without such, the words, if these differ and some say a view or a time point.
    """
    numbers = [list(_numbers(image.names)) for image in images]
    values: dict[Hashable, set[str]] = {}
    for found in numbers:
        for number in found[:-1]:
            values.setdefault(number.before, set()).add(number.number)
    telling = {before for before, there in values.items() if len(there) > 1 and not all(map(_YEAR.fullmatch, there))}
    usable = [[number for number in found[:-1] if number.before in telling] for found in numbers]
    first = [next((number for number in found if number.said), found[0] if found else None) for found in usable]
    words = [found[-1] for found, number in zip(numbers, first, strict=True) if number is None and found[-1].before]
    if len({word.before for word in words}) < 2 or not any(word.views for word in words):
        return first
    return [number or (found[-1] if found[-1].before else None) for found, number in zip(numbers, first, strict=True)]


def _place(image: Named) -> Hashable:
    """Where an image lies, but for its patient's folder, and of which class it is."""
    return image.source.rpartition("/")[0], image.label


def _said_by_folders(images: Sequence[Named], numbers: Sequence[_Number | None]) -> dict[Hashable, bool]:
    """Of each place whether its images differ in nothing but numbers: 001_crack and 002_crack in crack/."""
    rests: dict[Hashable, set[Hashable]] = {}
    for image, number in zip(images, numbers, strict=True):
        rests.setdefault(_place(image), set()).add(number and number.rest)
    return {place: len(found) == 1 for place, found in rests.items()}


def _joining(images: Sequence[Named], numbers: Sequence[_Number | None], several: set[Hashable]) -> str | None:
    """The pattern that finds a patient in every path, and one in those of each of `several`; of such, the finest."""
    best: tuple[tuple[int, int], str | None] = (0, 0), None
    for pattern in (*_beginnings(numbers, several), *_PATTERNS, *_between_views(numbers), _FIRST_FOLDER):
        patients = [match[1] for image in images if (match := re.search(pattern, image.slice_id))]
        if len(patients) < len(images):
            continue
        of_key: dict[Hashable, set[str]] = {}
        for patient, number in zip(patients, numbers, strict=True):
            if number is not None and number.key in several:
                of_key.setdefault(number.key, set()).add(patient)
        # Of names without numbers, what is left without views; good of anna_good_left joins as finely where few are.
        meant = sum(bool(n and patient.lower() in n.before) for patient, n in zip(patients, numbers, strict=True))
        score = len(set(patients)), meant
        if all(len(names) == 1 for names in of_key.values()) and score > best[0]:
            best = score, pattern
    return best[1]


def _beginnings(numbers: Sequence[_Number | None], several: set[Hashable]) -> Iterator[str]:
    """Patterns that name what patients' numbers follow: (person[0-9]+); first for all, then for those in doubt."""
    for level in (0, 1):
        counted = [number for number in numbers if number and number.number]
        for asked in (counted, [number for number in counted if number.key in several]):
            spelled = sorted({number.spelled[level] for number in asked}, key=lambda text: (-len(text), text))
            if spelled and spelled[-1] and len(spelled) <= _MOST:
                words = "|".join(map(_literally, spelled))
                words = f"(?:{words})" if len(spelled) > 1 else words
                yield f"({words}[0-9]+)"
                yield f"({words}[0-9]+|^(?!.*{words}[0-9]).+)"


def _between_views(numbers: Sequence[_Number | None]) -> Iterator[str]:
    """The pattern that names the last word which is no view: smith of good_smith_left and of left_smith."""
    views = {re.sub("[0-9]+", "[0-9]+", _literally(view)) for number in numbers if number for view in number.views}
    if 0 < len(views) <= _MOST:
        words = "|".join(sorted(views))
        yield f"(?i)(?:^|_)(?:(?:{words})[-_. ]+)*([^_]+?)(?:[-_. ]+(?:{words}))*$"


def _literally(text: str) -> str:
    """A pattern that finds a text, without a backslash or a quote, which YAML and shells read in ways of their own."""
    return "".join("." if char in "^[\\'" else f"[{char}]" if char in ".()+*?$|{}]" else char for char in text)
