"""Arrays that are filled batch by batch, and go on from the last whole batch when the job was killed."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike

from stages.data.store import open_array
from stages.data.values import batches
from stages.device import peak_memory
from stages.errors import InputError
from stages.regular_files import read_regular
from stages.space import reserve
from stages.writing import replacing

Arrays: TypeAlias = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
"""Name -> shape, rows first, and type."""
_BYTES = 2**24


class ResumableArrays:
    """A folder of .npy files, written front to back.

    Args:
        state: folder for the files while they grow; on the same file system as their destination.
        arrays: what they are. The first has a row for each of N slices, others may have fewer.
        identity: what the rows depend on (parameters, checkpoints, data), JSON. Another identity starts afresh.

    Attributes:
        rows: N.
        done: how many of them are written already.
        seconds: that these took, by whichever process.
        memory_mb: the most memory that one of these processes used, in megabytes; 0 before the first row.
    """

    def __init__(self, state: Path, arrays: Arrays, identity: dict):
        self.state = Path(state)
        self._first, ((self.rows, *_), _) = next(iter(arrays.items()))
        self.identity = json.loads(json.dumps(identity))
        self._note = self.state / "progress.json"
        self._started = time.perf_counter()
        self._hashes = {name: hashlib.sha256() for name in arrays}
        self._filled, self.seconds, self.memory_mb = self._noted(arrays)
        if self.done == 0:
            shutil.rmtree(self.state, ignore_errors=True)
            self.state.mkdir(parents=True)
        self._files = {
            name: npy.open_memmap(self.state / f"{name}.npy", "r+")
            if self.done
            else npy.open_memmap(self.state / f"{name}.npy", "w+", dtype=dtype, shape=shape)
            for name, (shape, dtype) in arrays.items()
        }
        if not self.done:
            for name in arrays:
                reserve(self.state / f"{name}.npy")

    @property
    def done(self) -> int:
        return self._filled[self._first]

    def _noted(self, arrays: Arrays) -> tuple[dict[str, int], float, float]:
        """Rows of each array, seconds and memory of a killed job; zeros where there is nothing to resume from.

        What is there but damaged is no reason to stop: its rows are made again.
        """
        try:
            note = json.loads(read_regular(self._note, _BYTES))
            if note["identity"] != self.identity:
                return dict.fromkeys(arrays, 0), 0.0, 0.0
            filled, seconds, memory_mb = (note[key] for key in ("filled", "seconds", "memory_mb"))
            for name, (shape, dtype) in arrays.items():
                array = open_array(self.state / f"{name}.npy", shape, dtype)
                if not (type(filled[name]) is int and 0 <= filled[name] <= len(array)):
                    raise InputError(f"{self._note} counts rows that {name}.npy has not")
                for rows in batches(array[: filled[name]]):
                    self._hashes[name].update(array[: filled[name]][rows].data)
                if self._hashes[name].hexdigest() != note["sha256"][name]:
                    raise InputError(f"{self.state / name}.npy has other rows than were written")
            return {name: filled[name] for name in arrays}, float(seconds), float(memory_mb)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, InputError) as error:
            reason = error if isinstance(error, InputError) else f"{self._note} is damaged"
            print(f"starting from the first slice, since {reason}", flush=True)
        self._hashes = {name: hashlib.sha256() for name in arrays}
        return dict.fromkeys(arrays, 0), 0.0, 0.0

    def missing(self, size: int) -> Iterator[slice]:
        """The rows that are not written yet, `size` at a time; those of one slice are to be written before the next.

        The time from handing out to writing counts.
        """
        while self.done < self.rows:
            self._started = time.perf_counter()
            yield slice(self.done, min(self.done + size, self.rows))

    def write(self, **rows: np.ndarray) -> None:
        """Add the next rows of every array, and note on disk that they are there."""
        for name, values in rows.items():
            at = self._filled[name]
            written = np.ascontiguousarray(values, self._files[name].dtype)
            self._files[name][at : at + len(values)] = written
            self._files[name].flush()
            self._hashes[name].update(written.data)
            self._filled[name] = at + len(values)
        self.seconds += time.perf_counter() - self._started
        self.memory_mb = max(self.memory_mb, peak_memory())
        note = {"identity": self.identity, "filled": self._filled, "seconds": self.seconds, "memory_mb": self.memory_mb}
        note["sha256"] = {name: written.hexdigest() for name, written in self._hashes.items()}
        with replacing(self._note) as partial:
            partial.write_text(json.dumps(note))

    def finish(self, output: Path) -> None:
        """Move the whole files to the folder `output` and remove the state."""
        output = Path(output)
        output.mkdir(parents=True, exist_ok=True)
        for name in list(self._files):
            self._files.pop(name).flush()
            os.replace(self.state / f"{name}.npy", output / f"{name}.npy")
        shutil.rmtree(self.state)
