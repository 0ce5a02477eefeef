"""Floating-point operations, counted on the meta device: nothing is allocated, so the paper's sizes take seconds."""

import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from stages import networks
from stages.networks import build
from stages.networks.build import ListedNetwork


class Counter(TorchDispatchMode):
    """Counts, in `total`, what matrix products and convolutions take while it is entered; the rest is small beside it.

    By PyTorch's own formulas. Its FlopCounterMode, which also assigns them to modules, refuses a gradient that is taken
    within another, as in Fixed-Point GAN's penalty.
    """

    total = 0

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], arguments: tuple = (), keywords: dict | None = None
    ) -> Any:
        """Run an operation, in the parts of which it is composed if it is, and add what it takes."""
        keywords, packet = keywords or {}, function._overloadpacket
        if packet not in flop_registry and function is not torch.ops.prim.device.default:
            with self:
                result = function.decompose(*arguments, **keywords)
            if result is not NotImplemented:
                return result
        result = function(*arguments, **keywords)
        if packet in flop_registry:
            self.total += flop_registry[packet](*arguments, **keywords, out_val=result)
        return result


@dataclass(frozen=True)
class Flops:
    """What a network takes for one image.

    Attributes:
        parameters: how many it has.
        forward: a forward pass.
        slope: a forward pass, and back to the image: what guidance takes.
        training: a forward pass, and back to the parameters.
    """

    parameters: int
    forward: int
    slope: int
    training: int


def listed() -> list[type[ListedNetwork]]:
    """The networks of this package's modules, so that a new one is listed by its class alone."""
    for module in pkgutil.iter_modules(networks.__path__):
        importlib.import_module(f"{networks.__name__}.{module.name}")
    found = ListedNetwork.__subclasses__()
    for kind in found:  # it grows by what is derived from those that are in it
        found += kind.__subclasses__()
    return found


def of(kind: type[ListedNetwork], parameters: dict) -> Flops:
    """Of the network of class `kind` that a benchmark's merged `parameters` describe."""
    size, channels = parameters["data"]["size"], len(parameters["data"]["channels"])
    with torch.device("meta"):
        network = build.network(kind, kind.SECTION, parameters, kind.PART)
        image = torch.empty(1, channels, size, size)
        inputs = [torch.zeros(1, dtype=torch.long) for _ in kind.INPUTS]

    def output() -> Tensor:
        found = network(image, *inputs)
        return sum(tensor.sum() for tensor in (found if isinstance(found, tuple) else [found]))

    with torch.no_grad():
        forward = counted(output)
    training = counted(lambda: output().backward())
    network.requires_grad_(False)
    image.requires_grad_()
    slope = counted(lambda: output().backward())
    return Flops(sum(p.numel() for p in network.parameters()), forward, slope, training)


def counted(work: Callable[[], object]) -> int:
    """What `work` takes when it is called."""
    with Counter() as counter:
        work()
    return counter.total
