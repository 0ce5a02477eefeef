"""What a method's detector asks of single values, in the literals that stages/methods.py lists.

As in between_keys.py, each problem is `(path, sentence)`.
"""

from collections.abc import Iterator

from stages import methods
from stages.parameters.by_schema import KeyPath, Problem, shown, value_at

PASSES = 10_000
"""Of a slice through a network, at most: an hour or so of a card."""


def listed_problems(parameters: dict, where: KeyPath, value: object, words: str) -> Iterator[Problem]:
    """An option that is no word, or where `words` ends in [] no list of words, out of those that another key lists."""
    key = words.removesuffix("[]")
    listed = value_at(parameters, tuple(key.split(".")))
    if key == words:
        if value not in listed:
            yield where, f"must be one of {key}, {', '.join(listed)}, not {value}"
    elif not (isinstance(value, list) and value and all(one in listed and value.count(one) == 1 for one in value)):
        yield where, f"must be a list out of {key}, {', '.join(listed)}, each once, not {shown(value)}"


def number_problems(parameters: dict, where: KeyPath, method: dict, block: dict) -> Iterator[Problem]:
    """Numbers in a block of a grid that are no counts where counts are asked, or no resolutions of a network."""
    for key in methods.literal(method, "WHOLE", ()):
        if not all(isinstance(value, int) and 1 <= value <= PASSES for value in block[key]):
            values = ", ".join(map(str, block[key]))
            yield (*where, key), f"must hold whole numbers from 1 to {PASSES:,}, not {values}"
    for key, network in methods.literal(method, "RESOLUTION_OF", {}).items():
        known = methods.resolutions(parameters[network]["network"], parameters["data"]["size"])
        if not set(block[key]) <= set(known):
            values = f"{', '.join(map(str, known))}, not {', '.join(map(str, block[key]))}"
            yield (*where, key), f"may hold the resolutions of the {network}, {values}"
