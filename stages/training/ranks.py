"""The processes that train one network together: the stage's own, which is rank 0, and companions that end with it.

Rank 0 alone is seen from outside: it writes, is asked to stop, and says what went wrong. Lightning Fabric's launchers
would do otherwise: one starts the whole stage again in each process and kills all, without a word, when one is gone;
the other makes rank 0 a child, which has no terminal for its progress bar and whose exit code is lost.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess

from torch import distributed

from stages.errors import InputError
from stages.processes import end_with_parent

GRACE_SECONDS = 10
"""How long after a companion has failed rank 0 may take to notice; a collective on a card may wait for ever."""

HOST = "127.0.0.1"


@contextmanager
def joined(count: int, backend: str, work: Callable[[int], None]) -> Iterator[None]:
    """Around the work of rank 0, let companions do `work(rank)` for the ranks 1 to `count` - 1, in one group with it.

    Args:
        count: of all processes; 1: there is no companion and no group.
        backend: of torch.distributed, nccl between CUDA cards and gloo between CPUs.
        work: what a companion does. Its stdout is dropped; SIGTERM and SIGINT do not reach it.

    Raises:
        InputError: a companion failed; its own message stands on stderr.
    """
    if count == 1:
        yield
        return
    _stay_on_this_machine()
    store = distributed.TCPStore(HOST, 0, count, is_master=True, wait_for_workers=False)
    # Spawned: a forked process could not use the cards.
    context = get_context("spawn")
    companions = [
        context.Process(target=_accompany, args=(work, rank, count, backend, store.port), daemon=True)
        for rank in range(1, count)
    ]
    for companion in companions:
        companion.start()
    over, failed = threading.Event(), threading.Event()
    watch = threading.Thread(target=_watch, args=(companions, over, failed), daemon=True)
    watch.start()
    try:
        distributed.init_process_group(backend, store=store, rank=0, world_size=count)
        yield
        distributed.destroy_process_group()
    except InputError:
        raise
    except Exception as error:  # what a collective raises when another process has left it
        if failed.wait(GRACE_SECONDS):
            raise InputError(FAILED) from error
        raise
    finally:
        over.set()
        for companion in companions:
            companion.kill()
        watch.join()
        for companion in companions:
            companion.join()


def _stay_on_this_machine() -> None:
    """Let gloo connect over the loopback interface: it would take the one that the host's name resolves to."""
    loopback = {"linux": "lo", "darwin": "lo0"}.get(sys.platform)
    if loopback is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)


FAILED = "one of the processes that train the network together ended before its time: see its message above"


def _accompany(work: Callable[[int], None], rank: int, count: int, backend: str, port: int) -> None:
    """A companion's life."""
    end_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):  # rank 0 saves its state, and ends this process
        signal.signal(number, signal.SIG_IGN)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - for as long as the process lives
    try:
        store = distributed.TCPStore(HOST, port, count, is_master=False)
        distributed.init_process_group(backend, store=store, rank=rank, world_size=count)
        work(rank)
        distributed.destroy_process_group()
    except InputError as error:
        sys.exit(f"error: {error}")


def _watch(companions: list[SpawnProcess], over: threading.Event, failed: threading.Event) -> None:
    """End this process with one sentence where a companion failed and nothing tells rank 0, which waits for it.

    This thread alone reads exit codes while it lives: of two that ask at once, one is told that there is none yet.
    """
    while True:
        running = [companion.sentinel for companion in companions if companion.exitcode is None]
        if any(companion.exitcode for companion in companions):
            failed.set()
            if not over.wait(GRACE_SECONDS):
                print(f"error: {FAILED}", file=sys.stderr, flush=True)
                os._exit(1)
            return
        if not running:
            return
        connection.wait(running)  # a sentinel may be ready a moment before its exit code is
