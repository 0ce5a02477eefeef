"""What the device can do: its fastest matrix product, its fastest copy; and what an operation reads and writes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from stages.device import full_float32

from .timing import Work, quartiles, synchronize

SIDES = [2**power for power in range(9, 15)]
"""Of the square matrices that are multiplied: those that fit into the budget."""
COPIED = 2**30
"""Bytes of the array that is copied: more than caches hold."""


def matrix_products(where: torch.device, dtype: torch.dtype, budget: float) -> dict[int, np.ndarray]:
    """Side n of square matrices -> seconds of several products, of 2 n^3 operations each; float32 without TF32."""
    found: dict[int, np.ndarray] = {}
    for side in SIDES:
        # The last size tells what this one takes.
        if found and 3 * 8 * np.median(found[side // 2]) > budget / len(SIDES):
            break
        left, right = (torch.randn(side, side, device=where, dtype=dtype) for _ in range(2))
        with torch.no_grad(), full_float32():
            found[side] = _repeated(lambda a=left, b=right: a @ b, where, budget / len(SIDES))
    return found


def peak(products: dict[int, np.ndarray]) -> tuple[int, float]:
    """The side whose median product is the fastest, and its FLOP/s.

    >>> peak({10: np.array([1.0, 3.0, 2.0]), 20: np.array([4.0, 4.0])})
    (20, 4000.0)
    """
    rates = {side: 2 * side**3 / quartiles(seconds)[0] for side, seconds in products.items()}
    best = max(rates, key=rates.__getitem__)
    return best, rates[best]


def copies(where: torch.device, budget: float) -> np.ndarray:
    """Seconds of several copies of an array of `COPIED` bytes, which read and write 2 `COPIED`."""
    source = torch.zeros(COPIED, dtype=torch.uint8, device=where)
    target = torch.ones_like(source)
    return _repeated(lambda: target.copy_(source), where, budget)


def _repeated(work: Callable[[], object], where: torch.device, budget: float) -> np.ndarray:
    """Seconds of each repetition that fits, at least three, after one that is not timed."""
    work()
    found: list[float] = []
    synchronize(where)
    begun = time.perf_counter()
    while len(found) < 3 or time.perf_counter() - begun < budget:
        started = time.perf_counter()
        work()
        synchronize(where)
        found.append(time.perf_counter() - started)
    return np.array(found)


class Traffic(TorchDispatchMode):
    """Counts, in `bytes`, what operations read and write while it is entered.

    Every operation reads each tensor that it is given and writes each that it makes, once: weights, activations, and
    the copies between types that mixed precision makes. Views cost nothing. It is as if no cache held anything from one
    operation to the next: an upper bound of what memory moves.
    """

    bytes = 0

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], arguments: tuple = (), keywords: dict | None = None
    ) -> Any:
        """Run an operation and add what it moves."""
        result = function(*arguments, **(keywords or {}))
        given = _size((arguments, keywords))
        if given and not _is_view(function):
            # What has no result, as an optimiser's step, writes where it has read.
            self.bytes += given + (given if result is None else _size(result))
        return result


def traffic(work: Work) -> float:
    """Bytes that all of it moves, each stretch in proportion to its first step, as without kernels of its own."""
    total = 0
    with work.context(), torch.compiler.set_stance("force_eager"):
        for stretch in work.stretches:
            with Traffic() as counter:
                stretch.run(1)
            total += counter.bytes * stretch.steps
    return total


def _size(tree: object) -> int:
    """Bytes of the tensors in nested arguments; of one that repeats what it holds, what it holds."""
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return sum(min(tensor.nbytes, tensor.untyped_storage().nbytes()) for tensor in tensors)


def _is_view(function: Any) -> bool:
    """Whether what it returns lies where an argument lies, and is not written to."""
    aliases = [returned.alias_info for returned in function._schema.returns]
    return any(alias is not None and not alias.is_write for alias in aliases)
