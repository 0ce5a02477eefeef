"""Arrays that are filled batch by batch, and go on from the last whole batch when the job was killed."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike

from stages.data.store import open_array, replacing
from stages.errors import InputError


class ResumableArrays:
    """A folder of .npy files of N rows each, written front to back.

    Args:
        state: folder for the files while they grow; on the same file system as their destination.
        arrays: name -> (shape with N first, type).
        identity: what the rows depend on (parameters, checkpoints, data), JSON. Another identity starts afresh.

    Attributes:
        done: rows that are already written.
    """

    def __init__(self, state: Path, arrays: dict[str, tuple[tuple[int, ...], DTypeLike]], identity: dict):
        self.state = Path(state)
        self.identity = json.loads(json.dumps(identity))
        self._note = self.state / "progress.json"
        self.done = self._rows_done(arrays)
        if self.done == 0:
            shutil.rmtree(self.state, ignore_errors=True)
            self.state.mkdir(parents=True)
        self._files = {
            name: npy.open_memmap(self.state / f"{name}.npy", "r+")
            if self.done
            else npy.open_memmap(self.state / f"{name}.npy", "w+", dtype=dtype, shape=shape)
            for name, (shape, dtype) in arrays.items()
        }

    def _rows_done(self, arrays: dict) -> int:
        try:
            note = json.loads(self._note.read_text())
            if note["identity"] != self.identity:
                return 0
            for name, (shape, dtype) in arrays.items():
                open_array(self.state / f"{name}.npy", shape, dtype)
            return note["done"]
        except (OSError, ValueError, KeyError, TypeError, InputError):
            return 0  # nothing to resume from

    def write(self, **rows: np.ndarray) -> None:
        """Add the next rows of every array, and note on disk that they are there."""
        count = len(next(iter(rows.values())))
        for name, values in rows.items():
            self._files[name][self.done : self.done + count] = values
            self._files[name].flush()
        self.done += count
        with replacing(self._note) as partial:
            partial.write_text(json.dumps({"identity": self.identity, "done": self.done}))

    def finish(self, output: Path) -> None:
        """Move the whole files to the folder `output` and remove the state."""
        output = Path(output)
        output.mkdir(parents=True, exist_ok=True)
        for name in list(self._files):
            self._files.pop(name).flush()
            os.replace(self.state / f"{name}.npy", output / f"{name}.npy")
        shutil.rmtree(self.state)
