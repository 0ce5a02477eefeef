"""Detection lesion by lesion: which lesions a reader would be shown, and how many false findings come with them.

A finding is an 8-connected region of a slice's map above the slice's own Otsu threshold; its score is its highest
pixel. It is true where that pixel lies in a lesion, an 8-connected region of the mask, which is then found. Findings
count above one threshold for the whole split (`one_finding`): the lowest at which false ones average at most one a
slice, as a point of a free-response ROC curve.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import label

from stages.evaluation.metrics import printed_above

EIGHT = np.ones((3, 3), int)
"""Diagonal neighbours are connected."""


@dataclass(frozen=True)
class Findings:
    """The F findings of one slice.

    Attributes:
        score: (F,) the highest pixel, in the map's unit.
        lesion: (F,) the number of the lesion that it lies in, from 1; 0 where the finding is false.
        lesions: how many lesions the slice has.
    """

    score: NDArray[np.float64]
    lesion: NDArray[np.int64]
    lesions: int

    def count(self, above: float) -> tuple[int, int]:
        """Lesions found, and false findings, among the findings that score above a threshold."""
        lesion = self.lesion[self.score > above]
        return len(np.unique(lesion[lesion > 0])), int(np.count_nonzero(lesion == 0))


def find(anomaly_map: ArrayLike, threshold: float, mask: ArrayLike) -> Findings:
    """The findings of a map (H, W) above a threshold, against a mask (H, W). Of equally high pixels the first counts.

    >>> find([[9, 0, 3], [0, 0, 0], [0, 0, 0]], 1, [[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    Findings(score=array([9., 3.]), lesion=array([1, 0]), lesions=2)
    """
    values, (lesions, number) = np.asarray(anomaly_map, np.float64), label(np.asarray(mask) != 0, EIGHT)
    regions, count = label(values > threshold, EIGHT)
    inside = np.flatnonzero(regions)
    region, value = regions.ravel()[inside], values.ravel()[inside]
    # By region and falling value, the first of each region; scipy.ndimage.maximum_position does not say which of equal
    # pixels it takes, and is no faster. All of it takes 0.2 ms at 64 x 64 and 3 to 4 ms at 256 x 256, which does not
    # matter beside a detection.
    order = np.lexsort((-value, region))
    highest = order[np.searchsorted(region[order], np.arange(1, count + 1))]
    return Findings(value[highest], lesions.ravel()[inside[highest]].astype(np.int64), number)


def one_finding(slices: list[Findings], lowest: float) -> float:
    """The lowest threshold at which false findings number at most one a slice, over all slices of a split together.

    Of eight digits (`metrics.printed_above`), so that the file's number gives the same findings again.

    Args:
        slices: the findings of each slice, healthy slices included.
        lowest: returned where even all findings are few enough: a value that none of them exceeds downwards, such as
            the lowest of the slices' own thresholds.
    """
    false = np.concatenate([found.score[found.lesion == 0] for found in slices])
    if len(false) <= len(slices):
        return -printed_above(-lowest)
    # Findings count *above* the threshold, so the first score too many is the threshold.
    return printed_above(float(np.sort(false)[::-1][len(slices)]))
