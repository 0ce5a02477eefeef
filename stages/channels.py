"""How an image of several channels is shown: each channel in grey, but red, green and blue as one picture in colour."""

from collections.abc import Sequence
from dataclasses import dataclass

COLOUR = ("red", "green", "blue")


@dataclass(frozen=True)
class View:
    """One picture of an image: a name, and the numbers of the channels that make it, one or three."""

    name: str
    channels: tuple[int, ...]


def views(channels: Sequence[str]) -> list[View]:
    """The pictures of an image whose channels have these names.

    >>> views(["t1", "flair"])
    [View(name='t1', channels=(0,)), View(name='flair', channels=(1,))]
    >>> views(["red", "green", "blue"])
    [View(name='colour', channels=(0, 1, 2))]
    """
    if tuple(channels) == COLOUR:
        return [View("colour", (0, 1, 2))]
    return [View(name, (number,)) for number, name in enumerate(channels)]
