"""Networks that compute by kernels made for them: torch.compile, as the key `compile` of params.yaml says.

Kernels join what PyTorch does one operation at a time (normalisation, activation, addition), and so save memory's time;
graphs replay all of a pass's kernels on a card at once, which saves the processor's. Both change results by rounding
alone. Either is made at a network's first call, which takes a minute or more, once more for batches of another size
(then of any), and is kept on disk (TORCHINDUCTOR_CACHE_DIR) for the next process; graphs are recorded for every size.
"""

from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

Compile = Literal["auto", "never", "kernels", "graphs"]
"""What params.yaml may ask for. Without a card graphs are kernels; auto: kernels on a card, never without one."""

BACKEND = "inductor"
"""Of torch.compile: C++ for CPUs, Triton for cards."""


def compile_forward(network: nn.Module, how: Compile, device: torch.device) -> None:
    """Let `network`, which is on `device`, compute by kernels made for it, from its first call on.

    What is compiled is its forward pass, and that pass's gradient where one is asked. The names of its weights, hooks
    and copies made before are as they were. `torch.compiler.set_stance("force_eager")` does without for a while, as
    where a gradient is to be differentiated again, which compiled code cannot be.

    Where nothing can be compiled, that is said in a sentence, and the network computes as it did.
    """
    if how == "never" or (how == "auto" and device.type == "cpu") or not can_compile(device.type):
        return
    # Here: these take longer to import than PyTorch itself, and most jobs compile nothing.
    from torch._dynamo.exc import TorchDynamoException
    from torch._functorch import config as functorch_config

    plain, graphs = network.forward, how == "graphs" and device.type == "cuda"
    made = torch.compile(plain, backend=BACKEND, mode="reduce-overhead" if graphs else None)

    def forward(*given: Any, **named: Any) -> Any:
        try:
            with functorch_config.patch(force_non_lazy_backward_lowering=True):  # or it would fail later, unseen here
                found = made(*given, **named)
        except TorchDynamoException as error:
            _say(type(network).__name__, error)
            network.forward = plain
            return plain(*given, **named)
        # The next replay writes where this one has written; solvers of several steps keep what they were given.
        return tree_map_only(Tensor, torch.clone, found) if graphs else found

    network.forward = forward


@cache
def can_compile(kind: str) -> bool:
    """Whether a device of a kind, cpu or cuda, has what kernels are made with; tried once, and said where it has not.

    On a CPU that is a C++ compiler, on a card Triton, a C compiler, and compute capability 7.0.
    """
    from torch._dynamo.exc import TorchDynamoException  # here, as in `compile_forward`

    x = torch.ones(2, device=kind, requires_grad=True)
    try:
        with torch.enable_grad():
            torch.compile(_trial, backend=BACKEND)(x).backward()
    except (TorchDynamoException, RuntimeError, OSError) as error:
        _say("compile", error)
        return False
    return True


def _trial(x: Tensor) -> Tensor:
    return nn.functional.silu(x).sum()


def _say(what: str, error: Exception) -> None:
    """One line on what is not compiled, with the first of the error."""
    error = getattr(error, "inner_exception", error)
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    print(f"{what}: computed without kernels of its own, since none could be made here ({reason.strip()})", flush=True)
