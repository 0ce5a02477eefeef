"""Networks from the merged parameters of a benchmark."""

import importlib
import pkgutil
from typing import TypeVar

from torch import nn

from stages import networks

Network = TypeVar("Network", bound=nn.Module)

# What a network of the project says of itself, for `python -m stages.networks`:
#   SECTION   its section in params.yaml
#   PART      the key below it that it is made from, `network` if it says nothing
#   INPUTS    what it takes beside the image: timestep, class


def network(kind: type[Network], name: str, parameters: dict, part: str = "network") -> Network:
    """A network with random weights: `kind(size, channels, **<its part of its section>)`.

    The class is handed in, not looked up, so that a stage depends on the code of its own networks only.

    Args:
        kind: its class.
        name: its section in params.yaml.
        parameters: `data.size`, `data.channels` and `<name>.<part>`, as params.yaml describes them.
        part: the key of the section that describes it.
    """
    data = parameters["data"]
    return kind(data["size"], len(data["channels"]), **parameters[name][part])


def all_networks() -> list[type[nn.Module]]:
    """The classes of this package that say to which section of params.yaml they belong."""
    modules = [
        importlib.import_module(f"{networks.__name__}.{one.name}") for one in pkgutil.iter_modules(networks.__path__)
    ]
    classes = [kind for module in modules for kind in vars(module).values() if isinstance(kind, type)]
    return list(dict.fromkeys(kind for kind in classes if hasattr(kind, "SECTION")))
