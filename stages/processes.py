"""Several processes for one stage: results in order, little in memory, and nobody left behind."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

from stages.errors import InputError


def in_order(function: Callable[[Any], Any], items: Iterable[Any], processes: int) -> Iterator[Any]:
    """`map`, with `processes` processes: results in the items' order, and only a few in memory at a time.

    Raises:
        InputError: a process ended unexpectedly. What `function` raises passes through.

    >>> list(in_order(abs, [-2, 1, -3], processes=1))
    [2, 1, 3]
    """
    if processes <= 1:
        yield from map(function, items)
        return
    # Spawned: a forked child would inherit whatever threads and locks its parent happens to hold.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=end_with_parent) as executor:
        pending: deque[Future] = deque()
        try:
            for item in items:
                with _ctrl_c_held_back():
                    pending.append(executor.submit(function, item))
                if len(pending) > processes:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise InputError("a process ended unexpectedly, most likely out of memory; lower --processes") from error
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Around the start of workers, which inherit it: Ctrl-C reaches them as well, and is their parent's to answer."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """Let a worker end when its parent is killed; the pool alone would leave it waiting for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a spawned process has a parent"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
