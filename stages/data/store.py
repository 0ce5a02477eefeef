"""The slice store: what every data set becomes, and what training, detection and evaluation read.

One folder a split:

- `images.npy`: (N, C, H, W) float16 in [0, 1];
- `masks.npy`: (N, H, W) uint8 in {0, 1}, absent where the data set has no masks;
- `manifest.csv`: one row a slice, in the arrays' order, with the columns `COLUMNS`.

Arrays are plain .npy files, memory-mapped, so memory does not depend on the number of slices. Everything is written
under a temporary name (`<name>.partial`) beside its target and gets its own name only when it is whole.
"""

import csv
import hashlib
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import pandas as pd
from numpy.lib import format as npy
from numpy.typing import DTypeLike

from stages.errors import InputError

IMAGE_DTYPE = np.dtype(np.float16)
MASK_DTYPE = np.dtype(np.uint8)
HEALTHY, DISEASED = 0, 1
"""The labels of the manifest, and the classes of the networks."""
CLASSES = {"healthy": HEALTHY, "diseased": DISEASED}
"""As params.yaml names them."""

COLUMNS = ("slice_id", "subject_id", "position", "label", "lesion_pixels", "source", "affine")
_TEXT_COLUMNS = ("slice_id", "subject_id", "source", "affine")
_HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


# --- single arrays ---------------------------------------------------------------------------------------------------


def open_array(path: Path, shape: tuple[int | None, ...] | None = None, dtype: DTypeLike = None) -> np.ndarray:
    """Memory-map an .npy file read-only, after checking that it is all there.

    Args:
        path: the file.
        shape: the shape it must have; None at an axis accepts any length there.
        dtype: the type it must have.

    Returns:
        A read-only `np.memmap` (an ordinary empty array where the shape holds no element).

    Raises:
        InputError: the file is missing, not an .npy file, truncated, or of another shape or type.
    """
    path = Path(path)
    found_shape, fortran_order, found_dtype, offset = _read_header(path)
    expected = offset + math.prod(found_shape) * found_dtype.itemsize
    size = path.stat().st_size
    if size != expected:
        state = "truncated" if size < expected else "too long"
        raise InputError(f"{path} is {state}: {size:,} bytes where its header promises {expected:,}; make it again")
    if shape is not None and not _matches(found_shape, tuple(shape)):
        wanted = "(" + ", ".join("any" if length is None else str(length) for length in shape) + ")"
        raise InputError(f"{path} has shape {found_shape} where {wanted} is expected; make it again")
    if dtype is not None and found_dtype != np.dtype(dtype):
        raise InputError(f"{path} holds {found_dtype} where {np.dtype(dtype)} is expected; make it again")
    order = "F" if fortran_order else "C"
    if math.prod(found_shape) == 0:  # the system maps no empty range
        return np.empty(found_shape, found_dtype, order)
    return np.memmap(path, dtype=found_dtype, mode="r", offset=offset, shape=found_shape, order=order)


def _read_header(path: Path) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, Fortran order, type and offset of the data of an .npy file."""
    try:
        with path.open("rb") as file:
            shape, fortran_order, dtype = _HEADER_READERS[npy.read_magic(file)](file)
            offset = file.tell()
    except FileNotFoundError:
        raise InputError(f"{path} is missing; make it with the rule that writes it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path and its permissions") from error
    except (ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path} is not an .npy file or its header is damaged; make it again") from error
    if dtype.hasobject:
        raise InputError(f"{path} holds Python objects, which are never unpickled; make it again with numbers")
    return shape, fortran_order, dtype, offset


def _matches(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(b is None or a == b for a, b in zip(found, wanted, strict=True))


@contextmanager
def create_array(path: Path, shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[np.memmap]:
    """Yield a writable memmap that becomes `path` when the block ends well and vanishes when it does not.

    Args:
        path: the .npy file; its folder is made.
        shape: full shape, every length at least 1.
        dtype: element type.
    """
    with replacing(path) as partial:
        array = npy.open_memmap(partial, mode="w+", dtype=np.dtype(dtype), shape=tuple(shape))
        yield array
        array.flush()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path` to write to: renamed to `path` on success, removed on any exception."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


# --- reading a store -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SliceStore:
    """One split's slices, memory-mapped.

    Attributes:
        folder: where they lie.
        images: (N, C, H, W) float16 in [0, 1].
        masks: (N, H, W) uint8 in {0, 1}, or None where the data set has no masks.
        manifest: N rows, columns `COLUMNS`.
    """

    folder: Path
    images: np.ndarray
    masks: np.ndarray | None
    manifest: pd.DataFrame

    def __len__(self) -> int:
        """The number of slices, N."""
        return len(self.images)


def open_store(folder: Path) -> SliceStore:
    """Open the slice store in `folder`, checking presence, headers, shapes, types and the manifest's rows.

    Raises:
        InputError: a file is missing or damaged, or the files do not belong together.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: there is no slice store; run the rule that extracts the data set")
    images = open_array(folder / "images.npy", (None, None, None, None), IMAGE_DTYPE)
    n, _, height, width = images.shape
    if images.size == 0:
        raise InputError(f"{folder / 'images.npy'} holds no slice; run the rule that extracts the data set again")
    masks_path = folder / "masks.npy"
    masks = open_array(masks_path, (n, height, width), MASK_DTYPE) if masks_path.exists() else None
    return SliceStore(folder, images, masks, _read_manifest(folder / "manifest.csv", n))


def _read_manifest(path: Path, n: int) -> pd.DataFrame:
    try:
        # "NA" and "" are names, not missing values; numbers are converted, and so checked, below.
        manifest = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run the rule that extracts the data set") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable CSV file ({error}); extract the data set again") from error
    missing = [column for column in COLUMNS if column not in manifest]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]!r}; extract the data set again")
    if len(manifest) != n:
        raise InputError(
            f"{path} has {len(manifest)} rows for the {n} slices of images.npy; extract the data set again"
        )
    for column in set(COLUMNS) - set(_TEXT_COLUMNS):
        try:
            manifest[column] = manifest[column].astype(np.int64)
        except ValueError as error:
            raise InputError(f"{path}: column {column!r} must hold integers; extract the data set again") from error
    if not manifest["label"].isin([0, 1]).all():
        raise InputError(f"{path}: column 'label' must hold 0 (healthy) or 1 (diseased); extract the data set again")
    if manifest["slice_id"].duplicated().any():
        raise InputError(f"{path}: column 'slice_id' must not repeat a name; extract the data set again")
    return manifest


def content_hash(folder: Path) -> str:
    """SHA-256 (hex) of a store's images.npy, masks.npy (where there is one) and manifest.csv.

    Stands in checkpoints for the data that trained them. File names and sizes are hashed too, so that bytes cannot
    move from one file to the next unseen.
    """
    digest = hashlib.sha256()
    for name in ("images.npy", "masks.npy", "manifest.csv"):
        path = Path(folder) / name
        if not path.exists() and name == "masks.npy":
            continue
        try:
            with path.open("rb") as file:
                digest.update(f"{name} {path.stat().st_size}\n".encode())
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); extract the data set again") from error
    return digest.hexdigest()


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
        self._shapes = {"images.npy": ((channels, size, size), IMAGE_DTYPE)}
        if masks:
            self._shapes["masks.npy"] = ((size, size), MASK_DTYPE)
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        """Open the temporary files."""
        self._made_folder = not self.folder.exists()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            for name in self._shapes:
                self._files[name] = self._partial(name).open("wb")
                self._write_header(name)
            self._manifest = self._partial("manifest.csv").open("w", newline="", encoding="utf-8")
            self._rows = csv.DictWriter(self._manifest, COLUMNS, lineterminator="\n")
            self._rows.writeheader()
        except BaseException:
            self._discard()
            raise
        return self

    def append(self, images: np.ndarray, masks: np.ndarray | None, rows: list[dict]) -> None:
        """Add n slices.

        Args:
            images: (n, C, H, W), floating, in [0, 1]; cast to float16 here and nowhere before.
            masks: (n, H, W), 0 or 1, or None for a store without masks.
            rows: n manifest rows with the keys `COLUMNS` (`affine` as text).

        Raises:
            ValueError: shapes, values or the number of rows do not fit; a bug in the caller.
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
        for file in (*self._files.values(), self._manifest):
            file.flush()
            os.fsync(file.fileno())

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the files their names, or remove them."""
        if kind is not None:
            self._discard()
            return
        try:
            self.flush()
            self._close()
            for name in (*self._files, "manifest.csv"):
                os.replace(self._partial(name), self.folder / name)
        except BaseException:
            self._discard()
            raise
        if "masks.npy" not in self._shapes:  # of an earlier store in the same folder
            (self.folder / "masks.npy").unlink(missing_ok=True)

    def _write_header(self, name: str) -> None:
        """Write the .npy header for the slices so far; numpy pads it so that a larger N takes the same room."""
        shape, dtype = self._shapes[name]
        header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": (self.slices, *shape)}
        npy.write_array_header_1_0(self._files[name], header)

    def _partial(self, name: str) -> Path:
        return self.folder / (name + ".partial")

    def _close(self) -> None:
        for file in (*self._files.values(), getattr(self, "_manifest", None)):
            if file is not None:
                file.close()

    def _discard(self) -> None:
        with suppress(OSError):
            self._close()
        for name in (*self._shapes, "manifest.csv"):
            self._partial(name).unlink(missing_ok=True)
        if self._made_folder:
            with suppress(OSError):  # someone else's files may lie in it
                self.folder.rmdir()
