"""What networks ask of their sections: by the schema, by their training's literals, and of a U-Net by its keys.

As in between_keys.py, each problem is `(path, sentence)`.
"""

from collections.abc import Iterator

from stages import imports, methods
from stages.parameters.by_schema import MISSING, KeyPath, Problem, known_sections, schema_problems, shown, value_at
from stages.parameters.method_keys import option_problems
from stages.parameters.sections import masked


def section_problems(parameters: dict, network: str) -> Iterator[Problem]:
    """Whether a network has its section, also one that the schema does not know."""
    section = parameters.get(network)
    if methods.is_fitted(network):
        if isinstance(section, dict):
            yield from option_problems(parameters, (network,), section, methods.section_options(network))
        elif section is None:
            yield (network,), "is missing: the keys by which the model is fitted, {} where there are none"
        else:
            yield (network,), f"must be a section of keys ({{}} where there are none), not {shown(section)}"
        return
    if not isinstance(section, dict) or not isinstance(section.get("training"), dict):
        yield (network, "training"), "is missing: a network's section says how it is trained"
        return
    if network not in known_sections():
        for path, sentence in schema_problems(section["training"], "training"):
            yield (network, "training", *path), sentence
    if "iterations" not in section["training"] and "epochs" not in section["training"]:
        yield (network, "training", "epochs"), f"{MISSING} (or iterations)"


def network_problems(parameters: dict, network: str) -> Iterator[Problem]:
    """What a network, which has its section, asks of data: masks, a size that it can halve."""
    size, module = parameters["data"]["size"], methods.training_module(network)
    if not methods.is_fitted(network):
        yield from _training_problems(parameters[network]["training"], network)
    if methods.learns_from(parameters, network) == "masks" and not masked(parameters):
        yield (
            (network,),
            f"cannot be trained: it learns from masks, which data.{parameters['data']['reader']} does not name",
        )
    described = parameters[network].get("network", {})
    if isinstance(described, dict) and "multipliers" in described:
        yield from _unet_problems(described, (network, "network"), size)
    if imports.defines(module, "HALVED_BY"):
        path = (network, *imports.names(module, "HALVED_BY"))
        value = value_at(parameters, path)
        count = value if isinstance(value, int) else len(value)
        if size % 2**count or size < 2**count:
            yield path, f"must be fewer: data.size = {size} cannot be halved {count} times"
    if imports.defines(module, "SIZES"):
        least, step = imports.constant(module, "SIZES")
        if size % step or size < least:
            yield ("data", "size"), f"must be a multiple of {step} from {least} on for {network}, not {size}"


def _training_problems(training: dict, network: str) -> Iterator[Problem]:
    batch, gpus = training["batch"], training["gpus"]
    if batch % gpus:
        yield (network, "training", "batch"), f"must be a multiple of {network}.training.gpus = {gpus}, not {batch}"
    if training.get("labels") == "healthy" and methods.needs_both_classes(network):
        yield (network, "training", "labels"), f"cannot be healthy: {network} learns to tell the classes apart"


def _unet_problems(network: dict, path: KeyPath, size: int) -> Iterator[Problem]:
    levels = len(network["multipliers"])
    widths = [network["channels"] * multiplier for multiplier in network["multipliers"]]
    if size % 2 ** (levels - 1):
        yield (*path, "multipliers"), f"must have fewer levels: data.size = {size} cannot be halved {levels - 1} times"
        return
    for width in dict.fromkeys([network["channels"], *widths]):
        if width % network["groups"]:
            yield (*path, "groups"), f"must divide every width of the network, but {width} is one"
    resolutions = methods.resolutions(network, size)
    for resolution in network["attention"]:
        if resolution not in resolutions:
            yield (*path, "attention"), f"may only name resolutions of the network, {resolutions}, not {resolution}"
    key = "heads" if "heads" in network else "head_channels"
    attended = [width for width, pixels in zip(widths, resolutions, strict=True) if pixels in network["attention"]]
    for width in dict.fromkeys([*attended, widths[-1]]):  # the middle block attends whatever `attention` says
        if width % network[key]:
            yield (*path, key), f"must divide every width with attention, but {width} is one"
