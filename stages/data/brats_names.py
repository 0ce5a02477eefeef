"""What the name of a BraTS case folder says: its patient, and the centre that sent it."""

import re

from stages.errors import InputError

NO_CENTRE = "none"

# BraTS 2017-2019 name the centre (Brats18_TCIA01_201_1; TCIA01, TCIA02, .. are collections of one archive); later ones
# only number their cases.
_CENTRE = re.compile(r"brats1[789]_(2013|[a-z]+)\d*_", re.IGNORECASE)
# BraTS 2023 and later number the patient and then the time point.
_TIME_POINTS = re.compile(r"(brats-[a-z]+-\d+)-\d+", re.IGNORECASE)


def stratum(name: str) -> str:
    """The centre in a case's name, or `none` for names without one.

    >>> stratum("Brats18_TCIA01_201_1"), stratum("Brats17_2013_10_1"), stratum("BraTS20_Training_001")
    ('TCIA', '2013', 'none')
    """
    match = _CENTRE.match(name)
    return match.group(1).upper() if match else NO_CENTRE


def patient(name: str, pattern: str | None = None) -> str:
    """The patient whose case bears a name; its time points have one.

    Args:
        name: of the case folder.
        pattern: data.brats.patient, a regular expression whose one group is the patient; without it, the rule of
            BraTS 2023 and later, and whole names of all others.

    Raises:
        InputError: the pattern finds nothing in the name.

    >>> patient("BraTS-GLI-00005-101"), patient("Brats18_TCIA01_201_1"), patient("ucsf_12_b", r"_(\\d+)_")
    ('BraTS-GLI-00005', 'Brats18_TCIA01_201_1', '12')
    """
    if pattern is None:
        match = _TIME_POINTS.fullmatch(name)
        return match.group(1) if match else name
    match = re.search(pattern, name)
    if not match or not match.group(1):
        raise InputError(f"data.brats.patient ({pattern!r}) finds no patient in the name of the case {name}: change it")
    return match.group(1)
