"""Split subjects into training, validation and test: by subject, seeded, stratified over the centres in their names."""

import re
import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from stages.errors import InputError

SPLITS = ("train", "validation", "test")
UNUSED = "unused"
NO_CENTRE = "none"

# BraTS 2017-2019 name the centre (Brats18_TCIA01_201_1; TCIA01, TCIA02, .. are collections of one archive); BraTS 2020
# and 2021 only number their cases.
_CENTRE = re.compile(r"brats1[789]_(2013|[a-z]+)\d*_", re.IGNORECASE)


def stratum(name: str) -> str:
    """The centre in a case's name, or `none` for names without one.

    >>> stratum("Brats18_TCIA01_201_1"), stratum("Brats17_2013_10_1"), stratum("BraTS20_Training_001")
    ('TCIA', '2013', 'none')
    """
    match = _CENTRE.match(name)
    return match.group(1).upper() if match else NO_CENTRE


def split_subjects(names: Iterable[str], counts: Mapping[str, int], seed: int) -> dict[str, str]:
    """Assign each subject to one split.

    Each split takes from every stratum its share of the split's count, rounded by largest remainder; which subjects
    those are is drawn at random. The result depends on the set of names, the counts and the seed alone.

    Args:
        names: the subjects, each once, in any order.
        counts: number of subjects for each of `SPLITS`.
        seed: seed of the draw.

    Returns:
        subject -> split, or `UNUSED` for subjects beyond the counts; sorted by name.

    Raises:
        InputError: the counts ask for more subjects than there are.
    """
    names = sorted(names)
    asked = sum(counts.values())
    if asked > len(names):
        words = ", ".join(f"{count} {split}" for split, count in counts.items())
        raise InputError(
            f"data.split asks for {asked} subjects ({words}) where there are {len(names)} good cases; "
            "lower its numbers or add cases"
        )
    pools: dict[str, list[str]] = {}
    for name in names:
        pools.setdefault(stratum(name), []).append(name)
    for key, pool in pools.items():
        # The draw within a centre does not depend on the other centres: hence its name in the seed, not its index.
        np.random.default_rng([seed, zlib.crc32(key.encode())]).shuffle(pool)
    result = dict.fromkeys(names, UNUSED)
    # The small splits choose first: rounding costs them most. Training takes its share of what they leave.
    for split in ("test", "validation", "train"):
        shares = allocate(counts[split], {key: len(pool) for key, pool in pools.items()})
        for key, share in shares.items():
            result.update((pools[key].pop(), split) for _ in range(share))
    return result


def allocate(count: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """Divide `count` over strata in proportion to their sizes by the largest-remainder (Hamilton) method.

    Args:
        count: how many to take, at most the sum of the sizes.
        sizes: stratum -> how many it holds.

    Returns:
        stratum -> how many to take from it, never more than it holds. Equal remainders go to the larger stratum, then
        by name.

    >>> allocate(5, {"2013": 3, "CBICA": 12, "TCIA": 5})  # of 0.75, 3 and 1.25
    {'2013': 1, 'CBICA': 3, 'TCIA': 1}
    """
    total = sum(sizes.values())
    if total == 0:
        return dict.fromkeys(sizes, 0)
    shares = {key: count * size // total for key, size in sizes.items()}  # integers: no tie hangs on rounding
    order = sorted(sizes, key=lambda key: (-(count * sizes[key] % total), -sizes[key], key))
    for key in order[: count - sum(shares.values())]:
        shares[key] += 1
    return shares
