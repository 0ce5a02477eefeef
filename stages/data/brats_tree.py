"""Which cases a folder of BraTS volumes holds, in whichever layout, and which file is which sequence of a case.

How the releases, their copies on Kaggle and the tools around them lay their files out stands in `LAYOUTS`, which
`layout_of` chooses from; what they call them in brats_names.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stages.data import decathlon
from stages.data.brats_called import case_name, known
from stages.data.brats_names import MASK, NAMES, NO_MASK, SEQUENCE_OF, SUFFIXES, Part, Volume, beside, named
from stages.data.brats_volumes import by_case, entries, in_sequence_folders, nifti_files, volumes_in
from stages.data.extraction import BadCaseError, leads_out
from stages.data.image_files import kinds
from stages.data.litter import is_litter
from stages.errors import InputError

_CASE_NAME = re.compile(r"(brats|phantom)", re.IGNORECASE)
_BESIDE = ("derivatives", "sourcedata", "code", "dwi", "func", "fmap", "perf", "pet", "eeg", "meg", "beh")
"""What BIDS has beside its subjects, and beside a subject's anatomy."""


@dataclass(frozen=True)
class Case:
    """One scan of a patient.

    Attributes:
        folder: the case's own; where cases share folders, the path of its files without their sequence.
        source: its path below the raw folder.
        called: its name, where another case of the data set has the one that its folder gives it.
    """

    folder: Path
    source: str
    called: str = ""

    @cached_property
    def name(self) -> str:
        """The folder's, unless it was renamed and its files still bear the name that a release gave them."""
        if self.called:
            return self.called
        own = case_name(self.folder.parts)
        if not known(own) and self.folder.is_dir():
            names = {volume.case for volume in self.volumes() if known(volume.case)}
            if len(names) == 1:
                return names.pop()
        return own

    def file(self, sequence: str) -> Path:
        """The file of one sequence, or of the mask (`seg`); a sequence that BraTS lacks is called by its own name.

        Raises:
            BadCaseError: there is none, or more than one.
        """
        volumes = self.volumes()
        found = [volume for volume in volumes if volume.shows(sequence)]
        found = [volume for volume in found if volume.case == self.folder.name] or found
        if not found and self._of_decathlon:
            raise self._bad(*decathlon.missing(self.folder, sequence))
        if len(found) > 1:
            names = " and ".join(volume.path.name for volume in found)
            raise self._bad(self.folder, f"two files for the sequence {sequence} ({names}): leave one")
        if not found:
            endings = " or ".join(f"{ending}{SUFFIXES[0]}[.gz]" for ending in NAMES.get(sequence, (sequence,)))
            there = _shown([volume.path.relative_to(self._around).as_posix() for volume in volumes])
            is_a_case = any(volume.sequence for volume in volumes)
            expected = f"; {NO_MASK if is_a_case else _expected(volumes)}" if sequence == MASK or not is_a_case else ""
            reason = f"the file is missing: nothing of this case ends in {endings} (there is {there}){expected}"
            raise self._bad(self._beside(volumes, sequence), reason)
        return self._inside(found[0], sequence)

    def part(self, sequence: str) -> Part | None:
        """Which volume of its file a sequence is; None where the file holds one."""
        return next((volume.part for volume in self.volumes() if volume.sequence == sequence), None)

    def volumes(self) -> list[Volume]:
        if self._of_decathlon:
            return decathlon.volumes(self.folder)
        try:
            return _volumes(self.folder)
        except OSError as error:
            raise self._bad(
                self.folder, f"the folder cannot be read ({error.strerror}): check its permissions"
            ) from error

    @property
    def _around(self) -> Path:
        """The folder in which its files lie, or their folders."""
        return self.folder if self.folder.is_dir() else self.folder.parent

    @property
    def _of_decathlon(self) -> bool:
        return decathlon.holds_images(self.folder.parent)

    def _inside(self, volume: Volume, sequence: str) -> Path:
        """The file itself, where a folder stands for it."""
        if not volume.path.is_dir():
            return volume.path
        there = list(nifti_files(volume.path))
        files = [path for path in there if named(path).sequence == volume.sequence] if len(there) > 1 else there
        if len(files) != 1:
            held = _shown([path.relative_to(volume.path).as_posix() for path in there])
            ending = NAMES.get(sequence, (sequence,))[0]
            keep = f"leave one there, or let the name of one end in {ending}{SUFFIXES[1]}"
            advice = keep if there else "put it there"
            if volume.path.parent.name.lower() in SEQUENCE_OF:
                advice += f"; expected: {SEQUENCE_FOLDERS.name} ({SEQUENCE_FOLDERS.example})"
            raise self._bad(volume.path, f"the folder stands for one volume but holds {held}: {advice}")
        return files[0]

    def _beside(self, volumes: list[Volume], sequence: str) -> Path:
        """Where the file of a sequence would lie, called as those that are there, else as BraTS calls it."""
        known = [volume.path.relative_to(self._around).parts for volume in volumes if volume.sequence]
        like = known[-1] if known else (f"{self.folder.name}_t1{SUFFIXES[1]}",)
        return self._around.joinpath(*(beside(part, sequence) for part in like))

    def _bad(self, path: Path, reason: str) -> BadCaseError:
        return BadCaseError(self.folder.name, str(path), reason)


def _volumes(case: Path) -> list[Volume]:
    """Those of a case that is not the Decathlon's."""
    if case.is_dir():
        return volumes_in(case)
    shared = case.parent
    return by_case(shared, shared.stat().st_mtime_ns).get(case.name, [])


# --- layouts ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """One way in which cases lie in a folder.

    Attributes:
        name: for messages.
        example: what its files are called.
        cases: (folder) -> the `Case.folder` of each case that lies in it, in this layout; none where it is another.
    """

    name: str
    example: str
    cases: Callable[[Path], list[Path]]


def _paths(folder: Path, volumes: list[Volume]) -> list[Path]:
    return [folder / name for name in sorted({volume.case for volume in volumes})]


def _cases_in_sequence_folders(folder: Path) -> list[Path]:
    volumes = in_sequence_folders(folder)
    most = max(Counter(volume.sequence for volume in volumes if volume.sequence != MASK).values(), default=0)
    return _paths(folder, volumes) if most > 1 else []  # one each: the folders of a single case


def _cases_side_by_side(folder: Path) -> list[Path]:
    volumes = [volume for volume in volumes_in(folder) if volume.case and volume.sequence]
    scanned = {volume.case for volume in volumes if volume.sequence != MASK}
    return _paths(folder, volumes) if len(scanned) > 1 and folder.name not in scanned else []


def _case_of_its_own(folder: Path) -> list[Path]:
    volumes = volumes_in(folder)
    known = {volume.path for volume in volumes}
    others = [path for path in entries(folder) if path.is_dir() and path not in known]
    sequences = {volume.sequence for volume in volumes} - {""}
    called = _CASE_NAME.match(folder.name) or folder.name in {volume.case for volume in volumes}
    # Beside folders that may hold cases, one volume (an atlas, say) makes none.
    return [folder] if volumes and (len(sequences) > 1 or called or not others) else []


DECATHLON = Layout("the Decathlon's task", "dataset.json, imagesTr/BRATS_001.nii.gz, labelsTr", decathlon.cases_in)
SIDE_BY_SIDE = Layout("all cases in one folder", "<case>_t1.nii.gz, <case>_seg.nii.gz", _cases_side_by_side)
OWN_FOLDERS = Layout("a folder for each case", "<case>/<case>_t1.nii.gz, <case>/<case>-t1n.nii.gz", _case_of_its_own)
SEQUENCE_FOLDERS = Layout(
    "a folder for each sequence", "t1/<case>.nii.gz, seg/<case>.nii.gz", _cases_in_sequence_folders
)
OF_BRATS = (SEQUENCE_FOLDERS, SIDE_BY_SIDE, OWN_FOLDERS)
LAYOUTS = (DECATHLON, *OF_BRATS)
"""The first that finds a case in a folder is its layout."""


def layout_of(folder: Path) -> Layout | None:
    """The layout of the cases that lie in a folder itself; None where it holds none, though folders below it may."""
    return next((layout for layout in LAYOUTS if layout.cases(folder)), None)


def find_cases(raw: Path) -> list[Case]:
    """All cases below `raw`, at any depth and in any of `LAYOUTS`, sorted by name and path.

    An empty folder that is called like a case is one. What is hidden or an operating system's own is passed over, and
    in BIDS what is not anatomy. Links are followed, one that leads out of `raw` by no more than one step: what it leads
    to is a case, good or bad.

    Raises:
        InputError: `raw` is missing, holds no case, or one whose name is not UTF-8.
    """
    advice = (
        "put the case folders (<case>/<case>_<sequence>.nii or .nii.gz) there or make it a link to them, or "
        f"{_examples()}: BraTS comes, after registration, from its organisers (CBICA's image processing portal, "
        "Synapse) or as a copy on Kaggle"
    )
    if not raw.is_dir():
        raise InputError(f"the raw data folder {raw} is missing; {advice}")
    paths: list[Path] = []
    holding: dict[bool, Path] = {}  # by whether it is the Decathlon's
    files: list[Path] = []
    shared: list[Path] = []
    for folder, below, names in _folders(raw):
        files += [folder / name for name in names]
        try:
            in_images = folder != raw and decathlon.holds_images(folder) and bool(decathlon.cases_in(folder.parent))
            layout = None if in_images else layout_of(folder)
            found = layout.cases(folder) if layout else []
            if layout is not DECATHLON and any(folder.is_relative_to(one) for one in shared):
                found = [path for path in found if _is_scanned(path)]
            loose = _loose_in(folder) if in_images or layout is DECATHLON else []
        except OSError as error:
            raise _unreadable(error) from error
        in_task = True in holding and folder.is_relative_to(holding[True])
        if not found and not below and folder != raw and _CASE_NAME.match(folder.name) and not in_task:
            found = [folder]
        if found:
            paths += found
            # Beside what cases share there may be cases with folders of their own.
            if layout in (DECATHLON, SEQUENCE_FOLDERS, SIDE_BY_SIDE):
                below[:] = [name for name in below if not named(folder / name).sequence]
                shared.append(folder)
            else:  # below a case there may be the Decathlon's task at most
                below[:] = [name for name in below if os.path.isdir(folder / name / decathlon.IMAGES[0])]
            holding.setdefault(layout is DECATHLON, folder)
        elif leads_out(folder, raw) and not in_images:
            paths.append(folder)  # bad, as the reader says
        if loose:
            holding.setdefault(False, loose[0])
    if len(holding) > 1:
        raise InputError(
            f"{holding[True]} is the Medical Segmentation Decathlon's and {holding[False]} BraTS', which have the same "
            "patients under different names: put them into two folders, and name one of these in data.folder"
        )
    if not paths:
        raise InputError(f"the raw data folder {raw} holds no case ({kinds(files) or 'it is empty'}); {advice}")
    cases = [Case(path, path.relative_to(raw).as_posix()) for path in paths]
    for case in cases:
        try:
            case.source.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{case.source!a} below {raw} is no name in UTF-8, as tables hold them: rename it"
            ) from None
    return sorted(cases, key=lambda case: (case.name, case.source))


def _is_scanned(case: Path) -> bool:
    """Whether a case of BraTS has images, and not a mask alone, as someone's results beside the data set."""
    return len({volume.sequence for volume in _volumes(case)} - {"", MASK}) > 1


def _loose_in(folder: Path) -> list[Path]:
    """The volumes of BraTS' cases that lie in a folder of the Decathlon itself."""
    cases = (case for layout in OF_BRATS for case in layout.cases(folder) if _is_scanned(case))
    return [volume.path for case in cases for volume in _volumes(case) if volume.sequence]


def case_of(file: Path) -> Case:
    """The case that a NIfTI file belongs to, whichever the layout that it lies in."""
    if decathlon.holds_images(file.parent):
        path = decathlon.case_path(file)
        return Case(path, path.name)
    # A folder may stand for the file, and lie in one of a sequence.
    above = [level for level, folder in enumerate(file.parents[:4]) if folder.name.lower() in SEQUENCE_OF]
    for folder in file.parents[max(above, default=0) + 1 :: -1]:
        layout = layout_of(folder)
        for case in (Case(path, path.name) for path in (layout.cases(folder) if layout else [])):
            if any(volume.path in (file, *file.parents) for volume in case.volumes()):
                return case
    return Case(file.parent, file.parent.name)


def _in_bids(folder: Path, below: list[str]) -> bool:
    return any(name.startswith(("sub-", "ses-")) for name in (folder.name, *below))


def _folders(raw: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The folders from `raw` downwards, each once, with its folders' names, which can be taken out, and its files'."""
    seen = set()
    for path, below, files in os.walk(raw, followlinks=True, onerror=_refuse):
        folder = Path(path)
        if (real := folder.resolve()) in seen:  # a link back to a folder above
            below.clear()
            continue
        seen.add(real)
        no_anatomy = _BESIDE if _in_bids(folder, below) else ()
        below[:] = sorted(name for name in below if not is_litter(name) and name not in no_anatomy)
        if leads_out(folder, raw):
            below.clear()
        yield folder, below, [name for name in files if not is_litter(name)]


# --- words -----------------------------------------------------------------------------------------------------------


def _expected(volumes: list[Volume]) -> str:
    """What was expected of a folder that is no case: the layout that is closest to what lies there."""
    closest = SIDE_BY_SIDE if len(volumes) > len(NAMES) else OWN_FOLDERS
    return f"expected: {closest.name} ({closest.example})"


def _examples() -> str:
    return " or ".join(f"{layout.name} ({layout.example})" for layout in LAYOUTS[:-1])


def _shown(names: list[str], most: int = 6) -> str:
    """Names, the first of many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "nothing") + more


def _unreadable(error: OSError) -> InputError:
    return InputError(f"{error.filename} cannot be read ({error.strerror}); check its permissions")


def _refuse(error: OSError) -> None:
    raise _unreadable(error) from error
