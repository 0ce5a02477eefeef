"""What the methods of params.yaml are: the settings of their grids, and the networks that they need."""

from itertools import product

from stages import imports
from stages.errors import InputError


def settings(method: dict) -> list[dict]:
    """The settings of a method's grid: the union of its blocks' products, in order, each once.

    A block is what scikit-learn's ParameterGrid takes: {"L": [250, 500], "s": [0, 100]} makes four settings.
    """
    found = []
    for block in method["grid"]:
        for values in product(*block.values()):
            setting = dict(zip(block, values, strict=True))
            if setting not in found:
                found.append(setting)
    return found


def setting_name(setting: dict) -> str:
    """The name of a setting's folder: {"L": 500, "s": 100} is L500_s100, {"view": "plain"} view-plain, {} default."""
    parts = [f"{key}-{value}" if isinstance(value, str) else f"{key}{value:g}" for key, value in setting.items()]
    return "_".join(parts) or "default"


def total(count: int | dict[str, int]) -> int:
    """The size of a split that is given as one number, or as a number of images for each class."""
    return sum(count.values()) if isinstance(count, dict) else count


def encoding(method: dict) -> str | None:
    """The class under which a method's slices are encoded to noise by DDIM; None where they are not."""
    return method.get("options", {}).get("encode_class")


def grid(method: dict) -> dict[str, tuple[str, ...]] | None:
    """The keys of a method's settings, as its detector's GRID has them, each with the words that it takes.

    No words: it takes numbers. None where there is no detector, or one that takes whatever it is given.

    Raises:
        InputError: GRID is something else.
    """
    module = f"stages.detection.{method.get('detector')}"
    if not imports.defines(module, "GRID"):
        return None
    found = imports.constant(module, "GRID")
    if not isinstance(found, dict) or not all(isinstance(words, tuple | list) for words in found.values()):
        raise InputError(f"{module}: GRID must map each key to a tuple of words, () for numbers, not {found!r}")
    return found


def networks(method: dict, setting: dict) -> list[str]:
    """The networks that a method needs at a setting: its detector's NETWORKS, but no classifier where s is 0."""
    if "detector" not in method:
        return []
    needed = imports.names(f"stages.detection.{method['detector']}", "NETWORKS")
    return [name for name in needed if name != "classifier" or setting.get("s", 1) != 0]


def sampled(parameters: dict) -> dict[str, tuple[str, dict]]:
    """Rule -> method and setting, of the rules that sample outside of the grids, as far as a benchmark has them.

    `trade_off` measures its solvers, `trajectory` keeps the images of Fig. 1. Both take methods of detector ddim.
    """
    figures, found = parameters["figures"], {}
    if trade_off := parameters.get("trade_off"):
        found["trade_off"] = trade_off["method"], trade_off["setting"]
    found["trajectory"] = figures["method"], figures["scheme"]
    known = {name for name, method in parameters["methods"].items() if method.get("detector") == "ddim"}
    return {rule: (name, setting) for rule, (name, setting) in found.items() if name in known}


def trade_off_split(parameters: dict) -> str | None:
    """The split that the trade-off takes slices from: the first of validation and test with both classes, if any."""
    for split in ("validation", "test"):
        count = parameters["data"]["split"][split]
        if all(count.values()) if isinstance(count, dict) else count:
            return split
    return None


def networks_in_use(parameters: dict) -> list[str]:
    """The networks that a benchmark needs, for any setting of any method or what is `sampled`, each once, in order."""
    methods = parameters["methods"]
    asked = [(method, setting) for method in methods.values() for setting in settings(method)]
    asked += [(methods[name], setting) for name, setting in sampled(parameters).values()]
    return list(dict.fromkeys(name for method, setting in asked for name in networks(method, setting)))


def network_sections(names: list[str]) -> list[str]:
    """The sections of params.yaml from which networks are made: each its own, and what its SECTIONS says."""
    found = [imports.names(f"stages.training.{name}", "SECTIONS", default=(name,)) for name in names]
    return list(dict.fromkeys(section for sections in found for section in sections))
