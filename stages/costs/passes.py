"""What a benchmark consists of: passes through its networks, of a few kinds, which differ in what they take."""

from dataclasses import dataclass
from typing import Literal

from stages.device import Precision


@dataclass(frozen=True)
class Pass:
    """A kind of pass.

    Attributes:
        network: its section in params.yaml.
        kind: forward; slope, which goes on back to the image; or training, an iteration of the network's loop.
        precision: that is asked for.
        turns: of training: the players that make a step, in this order.
    """

    network: str
    kind: Literal["forward", "slope", "training"]
    precision: Precision
    turns: tuple[str, ...] = ()
