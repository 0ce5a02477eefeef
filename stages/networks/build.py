"""Networks from the merged parameters of a benchmark."""

from typing import TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


def network(kind: type[Network], name: str, parameters: dict) -> Network:
    """A network with random weights: `kind(size, channels, **<its section>)`.

    The class is handed in, not looked up, so that a stage depends on the code of its own networks only.

    Args:
        kind: its class.
        name: its section in params.yaml.
        parameters: `data.size`, `data.channels` and `<name>.network`, as params.yaml describes them.
    """
    data = parameters["data"]
    return kind(data["size"], len(data["channels"]), **parameters[name]["network"])
