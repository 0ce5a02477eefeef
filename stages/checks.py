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

from stages import imports
from stages.errors import InputError

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
            if key not in known and not _is_own_section(path, key):
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


def _is_own_section(path: tuple[str | int, ...], key: str) -> bool:
    """Whether a key is the section of a network or reader that somebody has added: theirs to check."""
    package = {(): "training", ("data",): "data"}.get(path)
    return package is not None and imports.exists(f"stages.{package}.{key}")


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


# The keys that each detector of this project takes its setting from.
GRID_KEYS = {
    "ddim": {"L", "s"},
    "ddpm": {"L", "s"},
    "classifier_free": {"L", "w"},
    "vae": set(),
    "fixed_point_gan": set(),
    "intensity": {"view"},
}


def cross_problems(parameters: dict, name: str) -> Iterator[Problem]:
    """What one number says against another, in the parameters of benchmark `name`, which fit the schema."""
    data = parameters["data"]
    if data["reader"] not in data:
        yield ("data", data["reader"]), "is missing: it holds the recipe of data.reader"
        return
    yield from _module_problems(("data", "reader"), f"stages.data.{data['reader']}", "RAW_DATA")
    if data["reader"] == "brats":
        yield from _brats_problems(parameters)
    if "phantom" in parameters:
        yield from _phantom_problems(parameters, name)
    for network in ("ddpm", "classifier"):
        yield from _network_problems(parameters, network)
    yield from _adversarial_problems(parameters)
    yield from _diffusion_problems(parameters)
    for method in parameters["methods"]:
        yield from _method_problems(parameters, method)


def _module_problems(path: tuple, module: str, constant: str) -> Iterator[Problem]:
    """What is wrong with a module that params.yaml names."""
    try:
        imports.constant(module, constant)
    except InputError as error:
        yield path, f"names what cannot be used: {error}"


def _brats_problems(parameters: dict) -> Iterator[Problem]:
    data = parameters["data"]
    recipe = data["brats"]
    if recipe["pad"] % data["size"]:
        yield (
            ("data", "brats", "pad"),
            f"must be a multiple of data.size, but {recipe['pad']} is none of {data['size']}",
        )
    if recipe["slices"][0] > recipe["slices"][1]:
        yield ("data", "brats", "slices"), f"must not end before they begin: {recipe['slices']}"
    if recipe["percentiles"][0] >= recipe["percentiles"][1]:
        yield ("data", "brats", "percentiles"), f"must ascend, not {recipe['percentiles']}"


def _phantom_problems(parameters: dict, name: str) -> Iterator[Problem]:
    phantom, data, folder = parameters["phantom"], parameters["data"], f"data/{name}"
    if data["folder"] != folder:
        yield ("data", "folder"), f"must be {folder} in a benchmark with a phantom, not {data['folder']}"
    reader = {"brain": "brats", "chest": "chexpert"}[phantom["anatomy"]]
    if data["reader"] != reader:
        yield (
            ("data", "reader"),
            f"must be {reader} where phantom.anatomy is {phantom['anatomy']}, not {data['reader']}",
        )
        return
    if phantom["anatomy"] == "chest":
        return
    asked, recipe = sum(data["split"].values()), data["brats"]
    if phantom["cases"] < asked:
        yield ("phantom", "cases"), f"must be enough for data.split, {asked}, not {phantom['cases']}"
    if max(phantom["shape"][:2]) > recipe["pad"]:
        yield (
            ("phantom", "shape"),
            f"must fit into data.brats.pad = {recipe['pad']} along x and y, not {phantom['shape']}",
        )
    if recipe["slices"][1] >= phantom["shape"][2]:
        yield (
            ("data", "brats", "slices"),
            f"must end before phantom.shape's z = {phantom['shape'][2]}, not {recipe['slices']}",
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


def _adversarial_problems(parameters: dict) -> Iterator[Problem]:
    """The VAE's and the GAN's networks halve the image a fixed number of times."""
    size, gan = parameters["data"]["size"], parameters["fixed_point_gan"]
    halvings = {
        ("vae", "network", "widths"): len(parameters["vae"]["network"]["widths"]),
        ("fixed_point_gan", "discriminator", "layers"): gan["discriminator"]["layers"],
    }
    for path, count in halvings.items():
        if _in_use(parameters, path[0]) and (size % 2**count or size < 2**count):
            yield path, f"must be fewer: data.size = {size} cannot be halved {count} times"
    if _in_use(parameters, "fixed_point_gan") and (size % 4 or size < 8):
        yield ("data", "size"), f"must be a multiple of 4 from 8 on for fixed_point_gan, not {size}"


def _in_use(parameters: dict, detector: str) -> bool:
    return any(method.get("detector") == detector for method in parameters["methods"].values())


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
    detector, split = method.get("detector"), parameters["data"]["split"]["validation"]
    if detector is not None:
        yield from _module_problems((*path, "detector"), f"stages.detection.{detector}", "NETWORKS")
    yield from _grid_problems(parameters, path, method)
    if method["setting"] == "validation":
        if not (sum(split.values()) if isinstance(split, dict) else split):
            yield (*path, "setting"), "cannot be chosen on validation: data.split.validation is 0"
    elif not any(_holds(block, method["setting"]) for block in method["grid"]):
        yield (*path, "setting"), f"must be one setting of the grid, not {method['setting']}"


def _holds(block: dict, setting: dict) -> bool:
    return block.keys() == setting.keys() and all(setting[key] in block[key] for key in block)


def _grid_problems(parameters: dict, path: tuple, method: dict) -> Iterator[Problem]:
    """What this project's own detectors ask of their classes and grids; others take what they are given."""
    detector, options = method.get("detector"), method.get("options", {})
    if "encode_class" in options and not all("L" in block for block in method["grid"]):
        yield (*path, "grid"), "must name L, since options.encode_class asks for images encoded to it"
        return
    if detector not in GRID_KEYS:
        return
    needs_no_class = [(*path, "options", key) for key, value in options.items() if value == "none"]
    if detector == "classifier_free":
        needs_no_class.append((*path, "detector"))
    if parameters["ddpm"]["training"]["label_dropout"] == 0:
        for key in needs_no_class:
            problem = "cannot work without a class where ddpm.training.label_dropout is 0: every training image has one"
            yield key, problem
    if detector == "intensity" and options["channel"] not in parameters["data"]["channels"]:
        known = ", ".join(parameters["data"]["channels"])
        yield (*path, "options", "channel"), f"must be one of data.channels, {known}, not {options['channel']}"
    keys = GRID_KEYS[detector]
    for index, block in enumerate(method["grid"]):
        if set(block) != keys:
            wanted = " and ".join(sorted(keys)) or "nothing"
            yield (*path, "grid", index), f"must name {wanted} for {detector}, not {', '.join(block) or 'nothing'}"
            continue
        for key in keys:
            kind = str if key == "view" else int | float
            for value in block[key]:
                if not isinstance(value, kind):
                    wanted = "words" if key == "view" else "numbers"
                    yield (*path, "grid", index, key), f"must hold {wanted}, not {value}"
                    return
        if "L" in keys:
            yield from _level_problems(parameters, (*path, "grid", index, "L"), block)


def _level_problems(parameters: dict, path: tuple, block: dict) -> Iterator[Problem]:
    stride = parameters["detection"]["stride"]
    limits = {"ddpm.training.max_level": parameters["ddpm"]["training"]["max_level"]}
    if any(scale > 0 for scale in block.get("s", [])):
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
