"""Split subjects into training, validation and test: seeded, stratified, in folds that test disjoint subjects."""

import zlib
from collections.abc import Mapping

import numpy as np

from stages.errors import InputError
from stages.split_lists import UNUSED


def split_subjects(strata: Mapping[str, str], counts: Mapping[str, int], seed: int, fold: int = 1) -> dict[str, str]:
    """Assign each subject to one split.

    Each split takes from every stratum its share of the split's count, rounded by largest remainder; which subjects
    those are is drawn at random. A fold tests subjects that no earlier fold does, so that every one is tested once
    where folds * test is their number; the rest of a fold then comes from all others. The result depends on the
    subjects and their strata, the counts, the seed and the fold alone, not on how many folds there are.

    Args:
        strata: subject -> stratum, such as the centre, in any order.
        counts: number of subjects for each of `SPLITS`.
        seed: seed of the draw.
        fold: which one, from 1.

    Returns:
        subject -> split, or `UNUSED` for subjects beyond the counts; sorted by name.

    Raises:
        InputError: the counts ask for more subjects than there are.
    """
    asked = sum(counts.values())
    if asked > len(strata):
        words = ", ".join(f"{count} {split}" for split, count in counts.items())
        raise InputError(
            f"data.split asks for {asked} subjects ({words}) where there are {len(strata)} good ones; "
            "lower its numbers or add cases"
        )
    if fold * counts["test"] > len(strata):
        raise InputError(
            f"data.split.test asks for {counts['test']} subjects that no earlier fold tests, and too few of the "
            f"{len(strata)} good ones are left for fold {fold}; lower it or repeats.folds, or add cases"
        )
    queues: dict[str, list[str]] = {}
    for name in sorted(strata):
        queues.setdefault(strata[name], []).append(name)
    for key, queue in queues.items():
        # The draw within a stratum does not depend on the other strata: hence its name in the seed, not its index.
        np.random.default_rng([seed, zlib.crc32(key.encode())]).shuffle(queue)
        queue.reverse()
    left = {key: len(queue) for key, queue in queues.items()}
    for _ in range(fold - 1):  # whom an earlier fold tests goes to the end of the queue: never a test subject again
        for key, share in allocate(counts["test"], left).items():
            queues[key] = queues[key][share:] + queues[key][:share]
            left[key] -= share
    result = dict.fromkeys(sorted(strata), UNUSED)
    # The small splits choose first: rounding costs them most. Training takes its share of what they leave.
    for split in ("test", "validation", "train"):
        for key, share in allocate(counts[split], left).items():
            result.update(dict.fromkeys(queues[key][:share], split))
            del queues[key][:share]
        left = {key: len(queue) for key, queue in queues.items()}
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
