"""Networks from the merged parameters of a benchmark."""

from typing import ClassVar, TypeVar

from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class ListedNetwork(nn.Module):
    """A network that `python -m stages.networks` lists, by what it says of itself.

    Attributes:
        SECTION: its section in params.yaml.
        PART: the key of this section that describes it.
        INPUTS: what it takes beside the image: timestep, class.
    """

    SECTION: ClassVar[str]
    PART: ClassVar[str] = "network"
    INPUTS: ClassVar[tuple[str, ...]]


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
