"""What is wrong with a benchmark's parameters, each problem as one sentence about one key.

`schema_problems` puts workflow/schemas/params.schema.yaml's verdicts into words, `cross_problems` compares numbers with
each other. Both yield `(path, sentence)`: the path leads to the key (`("ddpm", "training", "batch")`), the sentence
goes on where the key's name stops (`must be at least 1, not 0 (images in one forward pass)`).
"""

import math
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TypeAlias

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators

SCHEMA = Path(__file__).resolve().parents[1] / "workflow" / "schemas" / "params.schema.yaml"
KINDS = {
    "object": "a section of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}
BOUNDS = {
    "minimum": "must be at least",
    "maximum": "must be at most",
    "exclusiveMinimum": "must be greater than",
    "exclusiveMaximum": "must be less than",
}

Problem: TypeAlias = tuple[tuple[str | int, ...], str]


def schema_problems(value: object, definition: str) -> Iterator[Problem]:
    """What the schema's `$defs` entry `definition` says against `value`; unknown keys first, then the file's order."""
    errors = list(_validator(definition).iter_errors(value))
    errors.sort(key=lambda error: error.validator not in ("additionalProperties", "propertyNames"))
    for error in errors:
        yield from _in_words(error)


@cache
def _validator(definition: str) -> Draft202012Validator:
    """A validator that, unlike JSON Schema's, takes 1.0 for no whole number and infinity for no number."""
    with SCHEMA.open(encoding="utf-8") as file:
        schema = yaml.safe_load(file)
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: isinstance(value, int) and not isinstance(value, bool),
            "number": lambda _, value: (
                isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            ),
        }
    )
    validator = validators.extend(Draft202012Validator, type_checker=checker)
    return validator({"$ref": f"#/$defs/{definition}", "$defs": schema["$defs"]})


def _in_words(error: ValidationError) -> Iterator[Problem]:
    """One jsonschema error as problems of this module."""
    path, kind, bound, value = tuple(error.absolute_path), error.validator, error.validator_value, error.instance
    if kind == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in value:
            if key not in known:
                close = get_close_matches(str(key), known, n=1, cutoff=0.6)
                hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"
                yield (*path, key), f"is not a known key; {hint}"
    elif kind in ("required", "dependentRequired"):
        needed = bound if kind == "required" else [key for owner in bound if owner in value for key in bound[owner]]
        for key in needed:
            if key not in value:
                yield (*path, key), "is missing"
    elif error.parent is None and "propertyNames" in error.absolute_schema_path:
        yield (*path, value), f"is not a good name here: use {error.schema.get('description', bound)}"
    elif kind == "type":
        kinds = " or ".join(KINDS[name] for name in ([bound] if isinstance(bound, str) else bound) if name != "null")
        yield path, f"must be {kinds}, not {_shown(value)}{_meaning(error)}"
    elif kind in BOUNDS:
        yield path, f"{BOUNDS[kind]} {bound}, not {_shown(value)}{_meaning(error)}"
    elif kind == "enum":
        yield path, f"must be {' or '.join(map(str, bound))}, not {_shown(value)}{_meaning(error)}"
    elif kind in ("minItems", "maxItems", "minLength", "minProperties"):
        least_or_most = "at least" if kind.startswith("min") else "at most"
        unit = {"Items": "value", "Length": "character", "Properties": "key"}[kind[3:]]
        yield path, f"needs {least_or_most} {bound} {unit}{'s' * (bound != 1)}, not {_shown(value)}{_meaning(error)}"
    elif kind == "uniqueItems":
        yield path, f"holds a value twice: {_shown(value)}{_meaning(error)}"
    else:
        yield path, f"cannot be {_shown(value)}{_meaning(error)}"


def _shown(value: object) -> str:
    """A value as the user wrote it, with its kind where YAML may have surprised them."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"{str(value).lower()} (yes, no, on and off are true and false in YAML)"
    if isinstance(value, str):
        try:
            return f"the text '{value}' (YAML reads it as a number only as {float(value):.1e})"
        except ValueError:
            return f"the text '{value}'"
    shown = str(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _meaning(error: ValidationError) -> str:
    description = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    return f" ({description})" if description else ""


def cross_problems(parameters: dict, name: str) -> Iterator[Problem]:
    """What one number says against another, in the parameters of benchmark `name`, which fit the schema."""
    yield from _data_problems(parameters, name)
    for network in ("ddpm", "classifier"):
        yield from _network_problems(parameters, network)
    yield from _diffusion_problems(parameters)
    for method in parameters["methods"]:
        yield from _method_problems(parameters, method)


def _data_problems(parameters: dict, name: str) -> Iterator[Problem]:
    data, split = parameters["data"], parameters["data"]["split"]
    if data["pad"] % data["size"]:
        yield ("data", "pad"), f"must be a multiple of data.size, but {data['pad']} is none of {data['size']}"
    if data["slices"][0] > data["slices"][1]:
        yield ("data", "slices"), f"must not end before they begin: {data['slices']}"
    if data["percentiles"][0] >= data["percentiles"][1]:
        yield ("data", "percentiles"), f"must ascend, not {data['percentiles']}"
    if "phantom" not in parameters:
        return
    phantom, folder = parameters["phantom"], f"data/{name}"
    if data["folder"] != folder:
        yield ("data", "folder"), f"must be {folder} in a benchmark with a phantom, not {data['folder']}"
    if phantom["cases"] < sum(split.values()):
        yield ("phantom", "cases"), f"must be enough for data.split, {sum(split.values())}, not {phantom['cases']}"
    if max(phantom["shape"][:2]) > data["pad"]:
        yield ("phantom", "shape"), f"must fit into data.pad = {data['pad']} along x and y, not {phantom['shape']}"
    if data["slices"][1] >= phantom["shape"][2]:
        yield (
            ("data", "slices"),
            f"must end before phantom.shape's z = {phantom['shape'][2]}, not {data['slices']}",
        )


def _network_problems(parameters: dict, name: str) -> Iterator[Problem]:
    network, size = parameters[name]["network"], parameters["data"]["size"]
    levels = len(network["multipliers"])
    widths = [network["channels"] * multiplier for multiplier in network["multipliers"]]
    if size % 2 ** (levels - 1):
        problem = f"must have fewer levels: data.size = {size} cannot be halved {levels - 1} times"
        yield (name, "network", "multipliers"), problem
        return
    for width in dict.fromkeys([network["channels"], *widths]):
        if width % network["groups"]:
            yield (name, "network", "groups"), f"must divide every width of the network, but {width} is one"
    resolutions = [size // 2**level for level in range(levels)]
    for resolution in network["attention"]:
        if resolution not in resolutions:
            problem = f"may only name resolutions of the network, {resolutions}, not {resolution}"
            yield (name, "network", "attention"), problem
    key = "heads" if "heads" in network else "head_channels"
    attended = [width for width, pixels in zip(widths, resolutions, strict=True) if pixels in network["attention"]]
    for width in dict.fromkeys([*attended, widths[-1]]):  # the middle block attends whatever `attention` says
        if width % network[key]:
            yield (name, "network", key), f"must divide every width with attention, but {width} is one"


def _diffusion_problems(parameters: dict) -> Iterator[Problem]:
    diffusion, detection = parameters["diffusion"], parameters["detection"]
    for key in ("beta", "intensity"):
        if diffusion[key][0] >= diffusion[key][1]:
            yield ("diffusion", key), f"must ascend, not {diffusion[key]}"
    for network in ("ddpm", "classifier"):
        level = parameters[network]["training"]["max_level"]
        if level > diffusion["timesteps"]:
            problem = f"must be at most diffusion.timesteps = {diffusion['timesteps']}, not {level}"
            yield (network, "training", "max_level"), problem
    if detection["convention"] == "released-code" and detection["stride"] != 1:
        yield ("detection", "stride"), f"must be 1 under convention released-code, not {detection['stride']}"


def _method_problems(parameters: dict, name: str) -> Iterator[Problem]:
    method, path = parameters["methods"][name], ("methods", name)
    if "encode_class" in method:
        yield from _guidance_problems(parameters, path, method)
    if method["setting"] == "validation":
        if parameters["data"]["split"]["validation"] == 0:
            yield (*path, "setting"), "cannot be chosen on validation: data.split.validation is 0"
    elif not any(_holds(block, method["setting"]) for block in method["grid"]):
        yield (*path, "setting"), f"must be one setting of the grid, not {method['setting']}"


def _holds(block: dict, setting: dict) -> bool:
    return block.keys() == setting.keys() and all(setting[key] in block[key] for key in block)


def _guidance_problems(parameters: dict, path: tuple, method: dict) -> Iterator[Problem]:
    for key in ("encode_class", "decode_class"):
        if method[key] == "none" and parameters["ddpm"]["training"]["label_dropout"] == 0:
            problem = "cannot be none where ddpm.training.label_dropout is 0: no training image goes without its class"
            yield (*path, key), problem
    for index, block in enumerate(method["grid"]):
        if set(block) != {"L", "s"}:
            yield (*path, "grid", index), f"must name L and s, not {', '.join(block) or 'nothing'}"
        else:
            yield from _level_problems(parameters, (*path, "grid", index, "L"), block)


def _level_problems(parameters: dict, path: tuple, block: dict) -> Iterator[Problem]:
    stride = parameters["detection"]["stride"]
    limits = {"ddpm.training.max_level": parameters["ddpm"]["training"]["max_level"]}
    if any(scale > 0 for scale in block["s"]):
        limits["classifier.training.max_level"] = parameters["classifier"]["training"]["max_level"]
    least = 2 if parameters["detection"]["convention"] == "released-code" else 1
    for level in block["L"]:
        if not isinstance(level, int) or level < least:
            yield path, f"must hold whole numbers from {least} on, not {level}"
        elif level % stride:
            yield path, f"must hold multiples of detection.stride = {stride}, not {level}"
        for key, limit in limits.items():
            if level > limit:
                yield path, f"must stay within {key} = {limit}, not {level}"
