"""What is taken over all pixels of a split at once: average precision and the best achievable Dice.

The values of a float16 map are at most 65,536, so lesion and other pixels are counted by value, and the whole
precision-recall curve is in the counts: exact, however many slices. They are kept by subject, so that subjects can be
resampled, and by region (within the body or outside).

Average precision is scikit-learn's: the sum over thresholds of precision times the gain in recall, without
interpolation. The best achievable Dice takes the one threshold for all pixels that is best for the masks themselves
(Baur et al., Medical Image Analysis 69, 2021): an upper bound, which no threshold chosen without them exceeds.
"""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages import command, digests
from stages.data.rows import Rows
from stages.errors import InputError
from stages.evaluation.bootstrap import divide
from stages.evaluation.records import score_again
from stages.writing import replacing

CODES = 1 << 16  # bit patterns of a float16
BATCH = 1 << 22  # numbers held at once while subjects are resampled
_TYPES = {
    "subject": np.uint32,
    "body": np.bool_,
    "value": np.float16,
    "lesion": np.uint32,
    "other": np.uint32,
}
_UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, TokenError),
)
"""What numpy and zipfile raise at an archive that is none, and at a header that asks for more than there is."""


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of a split, counted: a row for each subject, region and value that occurs.

    Attributes:
        subjects: (S,) names, ascending.
        exponent: values are those of the map times 2 to this power; 0 for float16 maps.
        subject: (K,) indices into `subjects`.
        body: (K,) booleans, whether the pixels lie within the body.
        value: (K,) float16, the map's value there.
        lesion, other: (K,) how many pixels of the lesion and how many others have it.
    """

    subjects: NDArray[np.str_]
    exponent: int
    subject: NDArray[np.uint32]
    body: NDArray[np.bool_]
    value: NDArray[np.float16]
    lesion: NDArray[np.uint32]
    other: NDArray[np.uint32]


def count_pixels(maps: np.ndarray, masks: np.ndarray | Rows, bodies: np.ndarray, subjects: ArrayLike) -> PixelCounts:
    """Count the pixels of a split, slice by slice.

    float16 maps are counted as they are. Values of other maps are rounded to the eleven binary digits of a float16,
    after a scaling by a power of two that keeps the largest in its range: scores depend on the order of values alone,
    and only values that differ by less than one part in a thousand can become equal, or that lie more than eight
    decades below the largest.

    Args:
        maps: (N, H, W) floating point, finite.
        masks: (N, H, W), not zero where there is a lesion.
        bodies: (N, H, W) from `metrics.bodies`.
        subjects: (N,) the names of the slices' subjects.
    """
    names, index = np.unique(np.asarray(subjects, str), return_inverse=True)
    exponent = 0
    if maps.dtype != np.float16:
        largest = max(float(np.abs(anomaly_map).max()) for anomaly_map in maps)
        exponent = 15 - int(np.frexp(largest)[1]) if largest else 0
    parts: dict[str, list[NDArray]] = {name: [] for name in _TYPES}
    bar = command.progress("count pixels", len(maps), unit="slice")
    for subject in range(len(names)):
        # By region (outside, body), class (other, lesion) and bit pattern of the value.
        counts = np.zeros((2, 2, CODES), np.int64)
        for n in np.flatnonzero(index == subject):
            lesion = np.asarray(masks[n]) != 0
            keys = (2 * bodies[n].astype(np.intp) + lesion) * CODES + _codes(maps[n], exponent)
            counts += np.bincount(keys.ravel(), minlength=counts.size).reshape(counts.shape)
            bar.update()
        for region in (False, True):
            codes = np.flatnonzero(counts[int(region)].any(axis=0)).astype(np.uint16)
            codes = codes[np.argsort(codes.view(np.float16), kind="stable")]
            parts["subject"].append(np.full(len(codes), subject, np.uint32))
            parts["body"].append(np.full(len(codes), region))
            parts["value"].append(codes.view(np.float16))
            parts["other"].append(counts[int(region), 0, codes].astype(np.uint32))
            parts["lesion"].append(counts[int(region), 1, codes].astype(np.uint32))
    bar.close()
    return PixelCounts(names, exponent, **{name: np.concatenate(part) for name, part in parts.items()})


def _codes(anomaly_map: np.ndarray, exponent: int) -> NDArray[np.uint16]:
    """The bit patterns of a map's values as float16; + 0 makes one of the two zeros."""
    if anomaly_map.dtype != np.float16:
        anomaly_map = np.ldexp(np.asarray(anomaly_map, np.float64), exponent).astype(np.float16)
    return np.ascontiguousarray(anomaly_map + np.float16(0)).view(np.uint16)


def average_precision(lesion: NDArray, other: NDArray) -> NDArray[np.float64]:
    """Average precision (...) from counts (..., V) of lesion and other pixels, by falling value; nan without lesion.

    >>> float(average_precision(np.array([2, 0, 2]), np.array([0, 1, 3])))
    0.75
    """
    found = np.cumsum(lesion, axis=-1)
    precision = divide(found, found + np.cumsum(other, axis=-1))
    return divide((lesion * np.nan_to_num(precision)).sum(axis=-1), found[..., -1])


def best_dice(lesion: NDArray, other: NDArray) -> NDArray[np.float64]:
    """The highest Dice that one threshold on all pixels reaches, from the same counts: (...); nan without lesion.

    >>> float(best_dice(np.array([2, 0, 1]), np.array([0, 1, 6])))
    0.8
    """
    found = np.cumsum(lesion, axis=-1)
    predicted, total = found + np.cumsum(other, axis=-1), found[..., -1]
    highest = np.nan_to_num(divide(2 * found, predicted + total[..., None])).max(axis=-1)
    return np.where(total > 0, highest, np.nan)


def by_value(pixels: PixelCounts, within_body: bool = False) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Counts of lesion and of other pixels, each (S, V), columns by falling value; of all pixels or the body's."""
    rows = pixels.body if within_body else np.ones(len(pixels.body), bool)
    values, column = np.unique(-pixels.value[rows].astype(np.float32), return_inverse=True)
    shape = len(pixels.subjects), max(1, len(values))
    cell = pixels.subject[rows].astype(np.intp) * shape[1] + column
    lesion, other = (
        np.asarray(np.bincount(cell, counts[rows], shape[0] * shape[1]), np.float64).reshape(shape)
        for counts in (pixels.lesion, pixels.other)
    )
    return lesion, other


def estimates(pixels: PixelCounts, draws: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """`ap`, `best_dice` and `ap_body` in each resample of subjects: metric -> (B,).

    Args:
        pixels: of S subjects.
        draws: (B, S) from `bootstrap.resample_subjects`, subjects numbered as in `pixels.subjects`; a row of ones is
            the split itself.
    """
    result = {name: np.empty(len(draws)) for name in ("ap", "best_dice", "ap_body")}
    for within_body in (False, True):
        lesion, other = by_value(pixels, within_body)
        step = max(1, BATCH // lesion.shape[1])
        for start in range(0, len(draws), step):
            batch = slice(start, start + step)
            # All resamples at once: 0.4 s for 1,000 of 15,000 values, against 2.9 s for scikit-learn's
            # average_precision_score with weights. Sums of whole numbers below 2 ** 53: exact in whatever order.
            times = draws[batch].astype(np.float64)
            drawn = times @ lesion, times @ other
            if within_body:
                result["ap_body"][batch] = average_precision(*drawn)
            else:
                result["ap"][batch], result["best_dice"][batch] = average_precision(*drawn), best_dice(*drawn)
    return result


# --- files -----------------------------------------------------------------------------------------------------------


def file_name(split: str) -> str:
    """The name of a split's counts, beside its slice scores."""
    return f"{split}_pixels.npz"


def write(path: Path, pixels: PixelCounts) -> None:
    """Write the counts, compressed; equal counts give equal bytes."""
    with replacing(path) as partial, partial.open("wb") as file:
        arrays = {name: getattr(pixels, name) for name in _TYPES}
        np.savez_compressed(file, subjects=pixels.subjects, exponent=np.int64(pixels.exponent), **arrays)


def read(path: Path) -> PixelCounts:
    """Read the counts of a split's pixels.

    Raises:
        InputError: the file is missing, damaged, or holds other arrays than pixel counts.
    """
    again = score_again(path.parent)
    try:
        digests.version(path)  # regular: opening a pipe would wait
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in ("subjects", "exponent", *_TYPES)}
    except FileNotFoundError:
        raise InputError(f"{path} is missing: {again}") from None
    except _UNREADABLE as error:
        raise InputError(f"{path} cannot be read as counts of pixels ({error}): {again}") from None
    types_fit = all(found[name].dtype == kind for name, kind in _TYPES.items()) and found["subjects"].dtype.kind == "U"
    if not types_fit or found["exponent"].shape != () or len({found[name].shape for name in _TYPES}) > 1:
        raise InputError(f"{path} holds arrays of other types or lengths than pixel counts have: {again}")
    if found["subjects"].ndim != 1 or found["subject"].ndim != 1 or (found["subject"] >= len(found["subjects"])).any():
        raise InputError(f"{path} counts pixels of subjects that it does not name: {again}")
    return PixelCounts(**found | {"exponent": int(found["exponent"])})
