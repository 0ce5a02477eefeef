"""The maps and reconstructions of one setting and split, opened with the slices that they are of.

In a folder <setting>/<split>/:

  maps.npy     (n, H, W), of the slices that slices.csv lists (column slice_id, in the manifest's order); without that
               file, of all slices of the split
  images.npy   reconstructions (k, C, H, W), of the slices that images.csv lists; without that file, of those that have
               a map

What a rule has written there is as it was written (stages/digests.py); maps that someone else has put there have no
digests, and only their shapes and values are looked at.
"""

from pathlib import Path

import numpy as np

from stages import digests
from stages.data.rows import Held, held
from stages.data.store import SliceStore, open_array
from stages.errors import InputError
from stages.evaluation import records


def open_maps(folder: Path, store: SliceStore) -> np.ndarray | Held:
    """The maps (N, H, W) of a store's N slices, memory-mapped, those that there are.

    Raises:
        InputError: a file is missing, damaged, of another shape or of whole numbers, or lists other slices.
    """
    path = folder / "maps.npy"
    maps = _open(path, folder / "slices.csv", np.arange(len(store)), store, store.images.shape[2:])
    if not np.issubdtype(maps.dtype, np.floating):
        raise InputError(f"{path} holds {maps.dtype} values: write them as float16")
    return maps


def open_images(folder: Path, store: SliceStore) -> np.ndarray | Held | None:
    """The reconstructions (N, C, H, W) likewise; None where the method wrote none."""
    path = folder / "images.npy"
    if not _is_there(path):
        return None
    return _open(path, folder / "images.csv", held(open_maps(folder, store)), store, store.images.shape[1:])


def _open(path: Path, listed: Path, rows: np.ndarray, store: SliceStore, shape: tuple[int, ...]) -> np.ndarray | Held:
    """An array of the slices that a file lists; without it, of `rows`."""
    if _is_there(listed):
        rows = np.array(read_slices(listed, store, "delete the folder above and run the detection again"), int)
        if (np.diff(rows) <= 0).any():
            raise InputError(f"{listed} must list slices in the order of {store.folder / 'manifest.csv'}, each once")
    _is_there(path)
    array = open_array(path, shape=(len(rows), *shape))
    return array if len(rows) == len(store) else Held(array, rows, len(store))


def _is_there(path: Path) -> bool:
    """Whether a file is; where a rule has written the setting's folder, InputError unless it is as it was written."""
    output = path.parents[1]
    name = path.relative_to(output).as_posix()
    if not (output / digests.FILE).exists() or not (path.exists() or name in digests.read(output)):
        return path.exists()
    digests.check(output, name)
    return True


def read_slices(path: Path, store: SliceStore, again: str) -> list[int]:
    """The rows of the store that a CSV names in its column slice_id, in its order.

    Raises:
        InputError: it is damaged, or names others; `again` is what its sentence says to do.
    """
    rows = {name: row for row, name in enumerate(store.manifest["slice_id"])}
    names = records.read_csv(path, ["slice_id"], [])["slice_id"]
    if unknown := [name for name in names if name not in rows]:
        raise InputError(f"{path} names {unknown[0]}, which is not in the split: {again}")
    return [rows[name] for name in names]
