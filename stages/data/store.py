"""The slice store: what every data set becomes, and what every later chapter reads, whole or a split of it.

One folder a data set:

- `images.npy`: (N, C, H, W) float16 in [0, 1];
- `masks.npy`: (N, H, W) uint8 in {0, 1}, absent where the data set has no masks;
- `manifest.csv`: one row a slice, in the arrays' order, with the columns `COLUMNS`;
- `digests.json`, checked whenever a store is opened: what these files were; `provenance.json`: what wrote them.

Arrays are plain .npy files, memory-mapped, so memory does not depend on the number of slices. Everything is written
under a temporary name (stages.writing) beside its target and gets its own name only when it is whole.
"""

import csv
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tokenize import TokenError
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
import pandas as pd
from numpy.lib import format as npy
from numpy.typing import DTypeLike

from stages import digests, provenance, split_lists
from stages.data import values
from stages.data.rows import Rows
from stages.errors import InputError
from stages.space import reserve
from stages.writing import replacing

# All of these come out of numpy's.
_OF_HEADERS = (ValueError, TypeError, ArithmeticError, SyntaxError, TokenError, RecursionError, MemoryError)
IMAGE_DTYPE = np.dtype(np.float16)
MASK_DTYPE = np.dtype(np.uint8)
HEALTHY, DISEASED = 0, 1
"""The labels of the manifest, and the classes of the networks."""
CLASSES = {"healthy": HEALTHY, "diseased": DISEASED}
"""As params.yaml names them."""

COLUMNS = {
    "slice_id": str,
    "subject_id": str,
    "position": np.int64,
    "label": np.int64,
    "lesion_pixels": np.int64,
    "source": str,
    "affine": str,
}
"""The manifest's columns, in their order, and their types."""


# --- single arrays ---------------------------------------------------------------------------------------------------


def open_array(path: Path, shape: tuple[int | None, ...] | None = None, dtype: DTypeLike | None = None) -> np.ndarray:
    """Memory-map an .npy file read-only, after checking that it is all there; `open_written` checks its bytes as well.

    Args:
        path: the file.
        shape: the shape it must have; None at an axis accepts any length there.
        dtype: the type it must have.

    Returns:
        A read-only `np.memmap`.

    Raises:
        InputError: the file is missing, not an .npy file, truncated, or of another shape or type.
    """
    path = Path(path)
    with _opening(path):
        array = npy.open_memmap(path, mode="r")
    if path.stat().st_size != array.offset + array.nbytes:
        raise _refused(path, "is longer than its header says")
    if shape is not None and not _matches(array.shape, tuple(shape)):
        wanted = "(" + ", ".join("any" if length is None else str(length) for length in shape) + ")"
        raise _refused(path, f"has shape {array.shape} where {wanted} is expected")
    if dtype is not None and array.dtype != np.dtype(dtype):
        raise _refused(path, f"holds {array.dtype} where {np.dtype(dtype)} is expected")
    return array


def open_written(
    folder: Path, name: str, shape: tuple[int | None, ...] | None = None, dtype: DTypeLike | None = None
) -> np.ndarray:
    """`open_array` of a file below the folder of the rule that wrote it; InputError where its bytes have changed."""
    digests.check(folder, name)
    return open_array(Path(folder) / name, shape, dtype)


def _matches(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(b is None or a == b for a, b in zip(found, wanted, strict=True))


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Around the opening of what a rule has written: one sentence where it is missing, unreadable or damaged."""
    try:
        digests.version(path)  # regular: opening a pipe would wait
        yield
    except FileNotFoundError:
        raise _refused(path, "is missing") from None
    except OSError as error:
        raise _refused(path, f"cannot be read ({error.strerror})") from error
    except (*_OF_HEADERS, IndexError) as error:  # the latter out of pandas' reader of tables
        reason = " ".join(str(error).split())
        raise _refused(path, f"is truncated, damaged or no {path.suffix} file ({reason})") from error


def _refused(path: Path, what: str) -> InputError:
    return InputError(f"{path} {what}; make it again with the rule that writes it")


@contextmanager
def create_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[np.memmap]:
    """Yield a writable memmap that becomes `path` when the block ends well and vanishes when it does not.

    Args:
        path: the .npy file; its folder is made.
        shape, dtype: full shape, every length at least 1; element type.
    """
    with replacing(path) as partial:
        array = npy.open_memmap(partial, mode="w+", dtype=np.dtype(dtype), shape=tuple(shape))
        reserve(partial)
        yield array
        array.flush()


# --- reading a store -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SliceStore:
    """The slices of a data set or of one of its splits, read from the disk when they are indexed.

    Attributes:
        folder: where they lie.
        images: (N, C, H, W) float16 in [0, 1].
        masks: (N, H, W) uint8 in {0, 1}, or None where the data set has no masks.
        manifest: N rows, columns `COLUMNS`.
    """

    folder: Path
    images: np.ndarray | Rows
    masks: np.ndarray | Rows | None
    manifest: pd.DataFrame

    def __len__(self) -> int:
        return len(self.images)

    def content_hash(self) -> str:
        """SHA-256 (hex) of these images, masks and rows of the manifest.

        Stands in checkpoints for the data that trained them: what other splits hold does not change it.
        """
        digest = hashlib.sha256()
        for name, array in (("images", self.images), ("masks", self.masks)):
            if array is None:
                continue
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())  # so that no byte can change its place
            for rows in values.batches(array):
                digest.update(np.ascontiguousarray(array[rows]).data)
        digest.update(self.manifest.to_csv(index=False, lineterminator="\n").encode())
        return digest.hexdigest()


def open_store(folder: Path) -> SliceStore:
    """Open the slice store in `folder`, checking presence, headers, shapes, types and the number of rows.

    Raises:
        InputError: a file is missing, not what was written, outside [0, 1], or does not belong to the others.
    """
    folder = Path(folder)
    images = open_written(folder, "images.npy", (None, None, None, None), IMAGE_DTYPE)
    if images.size == 0:
        raise digests.refused(folder, "images.npy", "holds no slice")
    n, _, height, width = images.shape
    masks_path, manifest_path = folder / "masks.npy", folder / "manifest.csv"
    has_masks = masks_path.exists() or masks_path.name in digests.read(folder)
    masks = open_written(folder, "masks.npy", (n, height, width), MASK_DTYPE) if has_masks else None
    for name, array in (("images.npy", images), ("masks.npy", masks)):
        if array is not None and not _lies_in_0_1(folder / name, *digests.version(folder / name)):
            raise digests.refused(folder, name, "holds values outside [0, 1]")
    digests.check(folder, manifest_path.name)
    with _opening(manifest_path):
        # "NA" and "" are names, not missing values.
        manifest = pd.read_csv(manifest_path, usecols=list(COLUMNS), dtype=COLUMNS, keep_default_na=False)
    if len(manifest) != n:
        raise digests.refused(folder, manifest_path.name, f"has {len(manifest)} rows for the {n} slices of images.npy")
    return SliceStore(folder, images, masks, manifest)


@cache
def _lies_in_0_1(path: Path, *_: int) -> bool:
    return values.lie_in_0_1(open_array(path))


def open_split(folder: Path, split_list: Path, split: str) -> SliceStore:
    """Open one split of the slice store in `folder`.

    Args:
        folder: the store's.
        split_list: the list's file, which stages.split_lists describes.
        split: one of its words.

    Returns:
        Its slices in the store's order; images and masks are `Rows`.

    Raises:
        InputError: as `open_store`; the list does not fit the store; or the split has no slice.
    """
    store = open_store(folder)
    splits = split_lists.read(split_list).splits_of(store.manifest, split_list)
    rows = np.flatnonzero(np.array(splits) == split)
    if not len(rows):
        raise InputError(f"{split_list} puts no slice of {folder} into {split}: ask for some in data.split")
    masks = None if store.masks is None else Rows(store.masks, rows)
    return SliceStore(store.folder, Rows(store.images, rows), masks, store.manifest.iloc[rows].reset_index(drop=True))


# --- writing a store -------------------------------------------------------------------------------------------------


class StoreWriter:
    """Writes a slice store of a size not known beforehand, slice batch by slice batch.

    Use it as a context manager. Files get their final names when the block ends well; on any exception nothing is
    left behind, and an earlier store in the folder stays as it was.

    Args:
        folder: the store's folder, made where missing.
        channels: C.
        size: H = W, in pixels.
        masks: False where the data set has none; `append` then takes None for them.
    """

    def __init__(self, folder: Path, channels: int, size: int, masks: bool = True) -> None:
        self.folder = Path(folder)
        self.slices = 0
        self._names: set[str] = set()
        self._shapes: dict[str, tuple[tuple[int, ...], np.dtype]] = {
            "images.npy": ((channels, size, size), IMAGE_DTYPE)
        }
        if masks:
            self._shapes["masks.npy"] = ((size, size), MASK_DTYPE)
        self._files: dict[str, BinaryIO] = {}
        self._outputs = ExitStack()  # files, and their names

    def __enter__(self) -> Self:
        self._made_folder = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for name in self._shapes:
                self._files[name] = self._outputs.enter_context(self._partial(name).open("wb"))
                self._write_header(name)
            manifest = self._partial("manifest.csv").open("w", newline="", encoding="utf-8")
            self._manifest = self._outputs.enter_context(manifest)
            self._rows = csv.DictWriter(self._manifest, COLUMNS, lineterminator="\n")
            self._rows.writeheader()
        except BaseException:
            self._discard(*sys.exc_info())
            raise
        return self

    def append(self, images: np.ndarray, masks: np.ndarray | None, rows: list[dict]) -> None:
        """Add n slices.

        Args:
            images: (n, C, H, W), floating, in [0, 1]; cast to float16 here and nowhere before.
            masks: (n, H, W), 0 or 1, or None for a store without masks.
            rows: n manifest rows with the keys `COLUMNS` (`affine` as text); every slice_id is there once, and
                lesion_pixels is the area of the slice's mask, which scores are computed with.

        Raises:
            ValueError: shapes, values or the rows do not fit; a bug in the caller.
        """
        arrays = {"images.npy": np.asarray(images)}
        if masks is not None:
            arrays["masks.npy"] = np.asarray(masks)
        if arrays.keys() != self._shapes.keys():
            raise ValueError("masks must be given for every slice of a store, or for none")
        for name, array in arrays.items():
            if array.shape != (len(rows), *self._shapes[name][0]):
                raise ValueError(f"{name}: {len(rows)} rows of {self._shapes[name][0]} expected, got {array.shape}")
            if array.size and not (array.min() >= 0 and array.max() <= 1):  # NaN fails as well
                raise ValueError(f"{name}: values must lie in [0, 1]")
        areas = [row["lesion_pixels"] for row in rows] if masks is None else np.count_nonzero(masks, axis=(1, 2))
        for row, area in zip(rows, areas, strict=True):
            if row["label"] not in (HEALTHY, DISEASED):
                raise ValueError(f"{row['slice_id']}: the label must be {HEALTHY} or {DISEASED}, not {row['label']}")
            if row["lesion_pixels"] != area:
                raise ValueError(f"{row['slice_id']}: lesion_pixels is {row['lesion_pixels']}, its mask has {area}")
            if row["slice_id"] in self._names:
                raise ValueError(f"two slices are named {row['slice_id']}")
            self._names.add(row["slice_id"])
        for name, array in arrays.items():
            self._files[name].write(np.ascontiguousarray(array, self._shapes[name][1]).data)
        self._rows.writerows(rows)
        self.slices += len(rows)

    def flush(self) -> None:
        """Bring everything to disk, headers included; what can still fail after this is a rename."""
        for name, file in self._files.items():
            file.seek(0)
            self._write_header(name)
            file.seek(0, os.SEEK_END)
            file.flush()
            os.fsync(file.fileno())
        self._manifest.flush()
        os.fsync(self._manifest.fileno())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._discard(kind, error, trace)
            return
        try:
            self.flush()
            self._outputs.close()
        except BaseException:
            self._discard(*sys.exc_info())
            raise
        if "masks.npy" not in self._shapes:  # of an earlier store in the same folder
            (self.folder / "masks.npy").unlink(missing_ok=True)
        digests.write(self.folder, parts=2)  # <benchmark>/data
        provenance.note(self.folder, store=self.folder)

    def _write_header(self, name: str) -> None:
        """Write the .npy header for the slices so far; numpy pads it so that a larger N takes the same room."""
        shape, dtype = self._shapes[name]
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (self.slices, *shape)}
        npy.write_array_header_1_0(self._files[name], header)

    def _partial(self, name: str) -> Path:
        return self._outputs.enter_context(replacing(self.folder / name))

    def _discard(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # of files that are closed on a full disk
            self._outputs.__exit__(kind, error, trace)
        if self._made_folder:
            with suppress(OSError):  # someone else's files may lie in it
                self.folder.rmdir()
