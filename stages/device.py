"""Which device a stage runs on: a CUDA card of its own where there is one, otherwise the CPU with its threads."""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._pytree import tree_map_only

from stages.errors import InputError

WAIT_SECONDS = 5

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
"""The arithmetic of a run, in the words of Lightning Fabric."""

HALF = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
"""What is computed in half precision where that is safe."""

BFLOAT16_CARDS = 8
"""The least compute capability (major) of a CUDA card with bfloat16 of its own; the paper's RTX 6000 has 7.5."""

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Processor:
    """A CUDA card, or the CPU, and the arithmetic in which a job computes on it.

    torch.amp alone: a library around it, such as Lightning Fabric, takes each job longer to import than PyTorch.
    """

    device: torch.device = CPU
    precision: Precision = "32-true"

    def autocast(self) -> torch.autocast:
        """A context in which operations compute in half precision where that is safe; in 32-true none does."""
        half = HALF.get(self.precision)
        return torch.autocast(self.device.type, dtype=half, enabled=half is not None)

    def scaler(self) -> torch.amp.GradScaler:
        """Of a loss in float16, whose gradients would else be 0; in other arithmetic it changes nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.precision == "16-mixed")


class InPrecision(nn.Module):
    """A network as it computes in a processor's arithmetic: given half precision under autocast, it returns float32."""

    def __init__(self, network: nn.Module, processor: Processor):
        super().__init__()
        self.network, self.processor = network, processor

    def forward(self, *given: Any) -> Any:
        half = HALF.get(self.processor.precision)
        if half is None:
            return self.network(*given)
        with self.processor.autocast():
            found = self.network(*_cast(given, half))
        return _cast(found, torch.float32)


def _cast(values: Any, kind: torch.dtype) -> Any:
    """The floating-point numbers of nested `values` as `kind`; whole numbers, as of time steps, stay."""
    return tree_map_only(Tensor, lambda value: value.to(kind) if value.is_floating_point() else value, values)


@contextmanager
def leased(threads: int, precision: Precision, card: int | None = None) -> Iterator[Processor]:
    """Yield one processor and say in one line which it is.

    Jobs on one machine that Snakemake runs side by side (`--resources gpu=2`) each get a card of their own: a card
    belongs to the process that holds its lock file, and the system lets go of the lock when that process ends, however
    it ends. Schedulers that set CUDA_VISIBLE_DEVICES are respected.

    Args:
        threads: CPU threads, where the CPU computes.
        precision: the arithmetic that params.yaml asks for. A card without bfloat16 of its own computes in 16-mixed
            what is asked in bf16-mixed. A CPU computes in 32-true what it could only emulate: there a training step in
            bfloat16 takes ten times as long.
        card: one that the job already holds (`cards`).
    """
    torch.set_num_threads(threads)
    # Adam's moments and faint gradients decay into subnormal numbers, on which a CPU computes many times slower. Set
    # before the first parallel operation, since the pool's threads inherit it.
    torch.set_flush_denormal(True)
    if not torch.cuda.is_available():
        precision, reason = _on_cpu(precision)
        print(f"device: {describe(CPU)}, {precision} ({reason})", flush=True)
        yield Processor(CPU, precision)
        return
    with _card() if card is None else nullcontext(card) as index:
        torch.cuda.set_device(index)
        properties = torch.cuda.get_device_properties(index)
        precision, reason = _on_card(precision, properties.major)
        # TF32 keeps 10 bits of the mantissa: fine beside bfloat16, but not what 32-true promises.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "32-true"
        memory = properties.total_memory / 2**30
        print(f"device: cuda:{index}, {properties.name}, {memory:.0f} GiB, {precision}{reason}", flush=True)
        yield Processor(torch.device("cuda", index), precision)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one CPU thread, as what looks at hundreds of small tensors: at each, several wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def full_float32() -> Iterator[None]:
    """Compute float32 as float32 on a CUDA card, where a run in mixed precision has allowed TF32, its 10 bits.

    It holds for what is launched inside, gradients taken there included, and not for a backward pass that is run
    later: for that there is `differentiated_in_full`. What was allowed before is allowed again afterwards, whatever
    happens inside.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = False
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def differentiated_in_full(loss: Callable[[], Tensor], weights: Sequence[Tensor]) -> Tensor:
    """The scalar loss() under `full_float32`, its gradient too, however late and under whatever the latter is asked.

    It is taken here and now with respect to those of `weights` that take one, to which alone the result can be
    differentiated, once.
    """
    return _DifferentiatedInFull.apply(loss, *[weight for weight in weights if weight.requires_grad])


class _DifferentiatedInFull(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, loss: Callable[[], Tensor], *weights: Tensor) -> Tensor:
        # Compiled networks compute as they are written: their gradient could not be differentiated, as a loss on slopes
        # needs, and kernels that were made where TF32 was allowed may take it.
        with torch.enable_grad(), full_float32(), torch.compiler.set_stance("force_eager"):
            value = loss()
            gradients = torch.autograd.grad(value, weights, allow_unused=True) if weights else ()
        context.save_for_backward(*gradients)
        return value.detach()

    @staticmethod
    @once_differentiable
    def backward(context: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return None, *(None if gradient is None else outer * gradient for gradient in context.saved_tensors)


def describe(device: torch.device) -> str:
    """What a device is called: a card by its name, the CPU by its threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def peak_memory() -> float:
    """The most memory so far, in MB (10^6 bytes): allocated on the CUDA card in use; without one, the process's own."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def computed(asked: Precision) -> Precision:
    """The precision in which this machine computes what is asked: see `leased`."""
    if torch.cuda.is_available():
        return _on_card(asked, torch.cuda.get_device_properties(0).major)[0]
    return _on_cpu(asked)[0]


def _on_cpu(asked: Precision) -> tuple[Precision, str]:
    """The precision in which a CPU computes what is asked, and why it is a CPU, or another precision."""
    known = {"bf16-mixed": ("bfloat16", _cpu_knows_bfloat16), "16-mixed": ("float16", _cpu_knows_float16)}
    if asked in known:
        kind, is_known = known[asked]
        if not is_known():
            return "32-true", f"{asked} asked, but this CPU computes {kind} by emulation"
    return asked, "no CUDA device"


def _on_card(asked: Precision, capability: int) -> tuple[Precision, str]:
    """The precision in which a card of a compute capability (major) computes what is asked; if another, why."""
    if asked == "bf16-mixed" and capability < BFLOAT16_CARDS:
        return "16-mixed", f" ({asked} asked, but this card has no bfloat16 of its own)"
    return asked, ""


def _cpu_knows_bfloat16() -> bool:
    """Whether oneDNN's kernels for bfloat16 run here: on x86 they need AVX-512, on Arm its bfloat16 instructions."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def _cpu_knows_float16() -> bool:
    """Whether oneDNN's kernels for float16 run here: on x86 they need AVX512-FP16."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_fp16_supported()


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
    """`count` cards, gathered by one job at a time, which keeps those that it has while it waits for more.

    So jobs of one card that come and go do not overtake a job of two for ever, and no two wait for each other's:
    whoever holds cards beside the one that gathers has all that it wants.
    """
    folder = Path(tempfile.gettempdir()) / f"diffusion-anomaly-benchmark-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    said = False
    with ExitStack() as held:

        def take(lock: FileLock) -> bool:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            held.callback(lock.release)
            return True

        def wait() -> None:
            nonlocal said
            if not said:
                print("device: every CUDA card is taken by another job, waiting", file=sys.stderr, flush=True)
            said = True
            time.sleep(WAIT_SECONDS)

        gathering = FileLock(folder / "gathering.lock")
        while not take(gathering):
            wait()
        locks = {
            index: FileLock(folder / f"{torch.cuda.get_device_properties(index).uuid}.lock")
            for index in range(torch.cuda.device_count())
        }
        indices: list[int] = []
        while len(indices) < count:
            free = next((index for index in locks if index not in indices and take(locks[index])), None)
            if free is None:
                wait()
            else:
                indices.append(free)
        gathering.release()
        yield sorted(indices)
