"""Which device a stage runs on: a CUDA card of its own where there is one, otherwise the CPU with its threads."""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import torch
from filelock import FileLock, Timeout
from lightning_fabric import Fabric

from stages.errors import InputError

WAIT_SECONDS = 5

Precision = Literal["32-true", "bf16-mixed"]
"""The arithmetic of a run, in the words of Lightning Fabric."""


@contextmanager
def leased(threads: int, precision: Precision, card: int | None = None) -> Iterator[Fabric]:
    """Yield a Fabric on one device and say in one line which it is.

    Jobs on one machine that Snakemake runs side by side (`--resources gpu=2`) each get a card of their own: a card
    belongs to the process that holds its lock file, and the system lets go of the lock when that process ends, however
    it ends. Schedulers that set CUDA_VISIBLE_DEVICES are respected.

    Args:
        threads: CPU threads, where the CPU computes.
        precision: the arithmetic that params.yaml asks for. A CPU that knows no bfloat16 computes in 32-true: there
            bfloat16 is emulated, and a training step takes ten times as long.
        card: one that the job already holds (`cards`).
    """
    torch.set_num_threads(threads)
    # Adam's moments and faint gradients decay into subnormal numbers, on which a CPU computes many times slower. Set
    # before the first parallel operation, since the pool's threads inherit it.
    torch.set_flush_denormal(True)
    if not torch.cuda.is_available():
        reason = "no CUDA device"
        if precision != "32-true" and not _cpu_knows_bfloat16():
            precision, reason = "32-true", f"{precision} asked, but this CPU computes bfloat16 by emulation"
        print(f"device: {describe(torch.device('cpu'))}, {precision} ({reason})", flush=True)
        yield Fabric(accelerator="cpu", devices=1, precision=precision)
        return
    with _card() if card is None else nullcontext(card) as index:
        torch.cuda.set_device(index)
        # TF32 keeps 10 bits of the mantissa: fine beside bfloat16, but not what 32-true promises.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "32-true"
        properties = torch.cuda.get_device_properties(index)
        memory = properties.total_memory / 2**30
        print(f"device: cuda:{index}, {properties.name}, {memory:.0f} GiB, {precision}", flush=True)
        yield Fabric(accelerator="cuda", devices=[index], precision=precision)


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 as float32 on a CUDA card, where a run in mixed precision has allowed TF32, its 10 bits.

    It holds for what is launched inside, gradients taken there included; a backward pass that is run later is rounded
    as the run asks. What was allowed before is allowed again afterwards, whatever happens inside.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = False
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def describe(device: torch.device) -> str:
    """What a device is called: a card by its name, the CPU by its threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def peak_memory() -> float:
    """The most memory so far, in MB (10^6 bytes): allocated on the CUDA card in use; without one, the process's own."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Refuse to share a state folder with a process that is still at work, such as one that a killed Snakemake left.

    Raises:
        InputError: another process holds the folder.
    """
    state.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{state}.lock", timeout=0):
            yield
    except Timeout:
        raise InputError(f"another process is at work in {state}: let it finish, or end it, then try again") from None


def _cpu_knows_bfloat16() -> bool:
    """Whether oneDNN's kernels for bfloat16 run here: on x86 they need AVX-512, on Arm its bfloat16 instructions."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


@contextmanager
def _card() -> Iterator[int]:
    """Index of a CUDA card that no other job of this user holds; waits for one."""
    with _free_cards(1) as (index,):
        yield index


@contextmanager
def cards(count: int) -> Iterator[list[int] | list[None]]:
    """Indices of `count` CUDA cards for the processes of one job, as `leased` takes them; without CUDA, None for each.

    Raises:
        InputError: this machine has fewer cards.
    """
    if not torch.cuda.is_available():
        yield [None] * count
        return
    if count > torch.cuda.device_count():
        raise InputError(
            f"training.gpus asks for {count} cards, but this machine has {torch.cuda.device_count()}; lower it"
        )
    with _free_cards(count) as indices:
        yield indices


@contextmanager
def _free_cards(count: int) -> Iterator[list[int]]:
    """All `count` cards at once or none, so that two jobs never wait for each other's."""
    folder = Path(tempfile.gettempdir()) / f"diffusion-anomaly-benchmark-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    waiting = False
    while True:
        with ExitStack() as held:
            indices: list[int] = []
            for index in range(torch.cuda.device_count()):
                lock = FileLock(folder / f"{torch.cuda.get_device_properties(index).uuid}.lock")
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                held.callback(lock.release)
                indices.append(index)
                if len(indices) == count:
                    yield indices
                    return
        if not waiting:
            print("device: every CUDA card is taken by another job, waiting", file=sys.stderr, flush=True)
        waiting = True
        time.sleep(WAIT_SECONDS)
