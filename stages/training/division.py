"""A batch that several processes share: each takes its part of it through the networks, and all hold the whole again.

All that is random and every loss is computed by all processes alike, on the whole batch; only the networks' passes,
where the time goes, are divided. So an objective knows nothing of it, whatever its loss makes of a batch (means,
another order, a penalty on slopes): with the gradients added up, a step is the one that a single process makes.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.utils._pytree import tree_map_only


def processes() -> int:
    """How many there are: 1 where no group has been joined."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


@contextmanager
def divided(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, each of `networks` computes a part of what it is called with, and returns the whole.

    It must be called as a whole, network(x, ...), with tensors whose first axis is that of the images; their number is
    a multiple of the processes'. Gradients, also gradients of gradients, pass both ways; a weight's is that of this
    process's part, until they are added up (`add_gradients`).
    """
    with ExitStack() as hooks:
        if processes() > 1:
            for network in networks:
                hooks.callback(network.register_forward_pre_hook(_take, with_kwargs=True).remove)
                hooks.callback(network.register_forward_hook(_join).remove)
        yield


def add_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Replace the gradient of each weight by its sum over the processes, in one exchange."""
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    if processes() > 1 and gradients:
        pieces = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(pieces)
        sums = pieces.split([gradient.numel() for gradient in gradients])
        torch._foreach_copy_(gradients, [part.view_as(old) for part, old in zip(sums, gradients, strict=True)])


def _take(_: nn.Module, arguments: tuple, named: dict) -> tuple[tuple, dict]:
    return tree_map_only(Tensor, _Part.apply, (arguments, named))


def _join(_: nn.Module, __: tuple, output: Any) -> Any:
    return tree_map_only(Tensor, _Whole.apply, output)


class _Part(torch.autograd.Function):
    """This process's images of a batch that all hold; backwards, the gradient of all images from those of each part."""

    @staticmethod
    def forward(context: Any, batch: Tensor) -> Tensor:
        return batch.chunk(processes())[distributed.get_rank()].clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Whole.apply(gradient)


class _Whole(torch.autograd.Function):
    """The batch of which each process holds a part; backwards, its part of the gradient, which all hold alike."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        images = part.dim() > 2
        rows = part.movedim(1, -1) if images else part  # channels last, as the networks lie in memory
        batch = rows.new_empty(processes() * len(rows), *rows.shape[1:])
        distributed.all_gather_single(batch, rows.contiguous())
        return batch.movedim(-1, 1) if images else batch

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Part.apply(gradient)
