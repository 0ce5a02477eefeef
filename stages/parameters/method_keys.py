"""What detectors and fitted models ask of single values, in the literals that stages/methods.py lists.

As in between_keys.py, each problem is `(path, sentence)`.
"""

from collections.abc import Collection, Iterator
from difflib import get_close_matches

from stages import methods
from stages.parameters.by_schema import MISSING, KeyPath, Problem, shown, value_at

PASSES = 10_000
"""Of a slice through a network, at most: an hour or so of a card."""


def option_problems(
    parameters: dict,
    path: KeyPath,
    options: dict,
    known: dict[str, tuple[str, ...] | str] | None,
    optional: Collection[str] = (),
) -> Iterator[Problem]:
    """What a module's OPTIONS, `known`, ask of the keys that it is told; nothing where it takes whatever is given.

    Args:
        parameters: of the benchmark, merged.
        path: of the options.
        options: as params.yaml has them.
        known: key -> what it takes.
        optional: those of `known` that need not be there.
    """
    if known is None:
        return
    for key, value in options.items():
        where = (*path, key)
        if key not in known:
            close = get_close_matches(key, known, n=1, cutoff=0.6)
            hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known) or 'none'}"
            yield where, f"is not a known key; {hint}"
            continue
        words = known[key]
        if isinstance(words, str):
            yield from _listed_problems(parameters, where, value, words)
        elif words and value not in words:
            yield where, f"must be {' or '.join(words)}, not {shown(value)}"
    for key in known:
        if key not in options and key not in optional:
            yield (*path, key), MISSING


def _listed_problems(parameters: dict, where: KeyPath, value: object, words: str) -> Iterator[Problem]:
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
