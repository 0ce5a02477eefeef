"""What is wrong with a benchmark's parameters, each problem as one sentence about one key.

`schema_problems` puts workflow/schemas/params.schema.yaml's verdicts into words; between_keys.py compares what several
keys say. Both yield `(path, sentence)`: the path leads to the key (`("denoiser", "training", "batch")`), the
sentence goes on where the key's name stops (`must be at least 1, not 0 (images in one forward pass)`).
"""

import math
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.protocols import Validator

from stages import imports, methods

SCHEMA = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "params.schema.yaml"
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

MISSING = "is missing"
"""What is said of a key that has to be there."""

KeyPath: TypeAlias = tuple[str | int, ...]
Problem: TypeAlias = tuple[KeyPath, str]


def dotted(path: KeyPath) -> str:
    """A path as a user reads it.

    >>> dotted(("methods", "guided-ddim", "grid", 0, "L"))
    'methods.guided-ddim.grid[0].L'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "the file"


def value_at(parameters: Any, path: KeyPath) -> Any:
    """What a path leads to; KeyError or IndexError where it leads nowhere."""
    for part in path:
        parameters = parameters[part]
    return parameters


def schema_problems(value: object, definition: str) -> Iterator[Problem]:
    """What the schema's `$defs` entry `definition` says against `value`; unknown keys first, then the file's order."""
    if unnamed := next(_keys_that_are_no_text(value, ()), None):
        yield unnamed
        return
    errors = list(_validator(definition).iter_errors(value))
    errors.sort(key=lambda error: error.validator not in ("additionalProperties", "propertyNames"))
    for error in errors:
        yield from _in_words(error)


def _keys_that_are_no_text(value: object, path: KeyPath) -> Iterator[Problem]:
    """Keys such as 1, true and null, which jsonschema cannot compare with names."""
    if isinstance(value, dict):
        for key, below in value.items():
            if not isinstance(key, str):
                yield path, f"has the key {shown(key)}, which is no text: put it in quotes"
            yield from _keys_that_are_no_text(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _keys_that_are_no_text(below, (*path, index))


def together(problems: Iterator[Problem]) -> Iterator[Problem]:
    """The same problems, but keys that one section lacks named in one sentence, so that nobody meets them one by one.

    >>> found = [(("vae", "kl"), "is missing"), (("vae", "epochs"), "is missing (or steps)"), (("seed",), "must be 0")]
    >>> list(together(iter(found)))
    [(('vae', 'kl'), 'is missing, and so is epochs (or steps)'), (('seed',), 'must be 0')]
    """

    def place(problem: Problem) -> tuple:
        path, sentence = problem
        return path[:-1] if sentence == MISSING or sentence.startswith(f"{MISSING} (") else problem

    for _, group in groupby(problems, place):
        (path, sentence), *others = dict.fromkeys(group)  # each once
        if others:
            named = [f"{other[-1]}{said.removeprefix(MISSING)}" for other, said in others]
            sentence += f", and so {'is' if len(named) == 1 else 'are'} {', '.join(named)}"
        yield path, sentence


def known_sections() -> set[str]:
    """The sections of a benchmark that the schema describes."""
    return set(_definitions()["parameters"]["properties"])


@cache
def _definitions() -> dict:
    # libyaml's loader, where PyYAML was built with it, takes a tenth of the time.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(SCHEMA.read_text(encoding="utf-8"), loader)["$defs"]


@cache
def _validator(definition: str) -> Validator:
    """A validator that, unlike JSON Schema's, takes 1.0 for no whole number and infinity for no number.

    Nor does it take a whole number that 64 bits do not hold for one: no library that it would reach does.
    """
    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "integer": lambda _, value: _is_whole(value),
            "number": lambda _, value: _is_whole(value) or (isinstance(value, float) and math.isfinite(value)),
        }
    )
    validator = validators.extend(Draft202012Validator, type_checker=checker)
    return validator({"$ref": f"#/$defs/{definition}", "$defs": _definitions()})


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def _in_words(error: ValidationError) -> Iterator[Problem]:
    """One jsonschema error as problems of this module."""
    path, kind, bound, value = tuple(error.absolute_path), error.validator, error.validator_value, error.instance
    if kind == "additionalProperties":
        known = list(error.schema.get("properties", {}))
        for key in value:
            if key not in known and not _is_own_section(path, key):
                close = get_close_matches(str(key), known, n=1, cutoff=0.6)
                hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}"
                own = "" if close or not isinstance(value[key], dict) else _own_module(error.schema, key)
                yield (*path, key), f"is not a known key; {hint}{own}"
    elif kind in ("required", "dependentRequired"):
        needed = bound if kind == "required" else [key for owner in bound if owner in value for key in bound[owner]]
        for key in needed:
            if key not in value:
                yield (*path, key), MISSING
    elif error.parent is None and "propertyNames" in error.absolute_schema_path:
        yield (*path, value), f"is not a good name here: use {error.schema.get('description', bound)}"
    elif kind == "type":
        kinds = " or ".join(KINDS[name] for name in ([bound] if isinstance(bound, str) else bound) if name != "null")
        yield path, f"must be {kinds}, not {shown(value)}{_meaning(error)}"
    elif kind in BOUNDS:
        yield path, f"{BOUNDS[kind]} {bound}, not {shown(value)}{_meaning(error)}"
    elif kind == "enum":
        yield path, f"must be {' or '.join(map(str, bound))}, not {shown(value)}{_meaning(error)}"
    elif kind in ("minItems", "maxItems", "minLength", "minProperties"):
        least_or_most = "at least" if kind.startswith("min") else "at most"
        unit = {"Items": "value", "Length": "character", "Properties": "key"}[kind[3:]]
        yield path, f"needs {least_or_most} {bound} {unit}{'s' * (bound != 1)}, not {shown(value)}{_meaning(error)}"
    elif kind == "uniqueItems":
        yield path, f"holds a value twice: {shown(value)}{_meaning(error)}"
    else:
        yield path, f"cannot be {shown(value)}{_meaning(error)}"


def _is_own_section(path: KeyPath, key: str) -> bool:
    """Whether a key is the section of a network or reader that somebody has added."""
    if path == ():
        return methods.trainer(key) is not None
    return path == ("data",) and imports.defines(f"stages.data.{key}", "RAW_DATA")


def _own_module(schema: dict, key: str) -> str:
    """Of which module an unknown section would be, where the place is one for sections of one's own."""
    if schema == _definitions()["parameters"]:
        return f"; for a network of your own, write stages/training/{key}.py with {' or '.join(methods.TRAINERS)}"
    if schema == _definitions()["data"]:
        return f"; for a reader of your own, write stages/data/{key}.py with RAW_DATA"
    return ""


def shown(value: object) -> str:
    """A value as the user wrote it, with its kind where YAML may have surprised them."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"{str(value).lower()} (yes, no, on and off are true and false in YAML)"
    if isinstance(value, str):
        try:
            return f"the text '{_short(value)}' (YAML reads it as a number only as {float(value):.1e})"
        except ValueError:
            return f"the text '{_short(value)}'"
    if isinstance(value, int) and not _is_whole(value):
        return "a number beyond 64 bits"
    return _short(str(value))


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def _meaning(error: ValidationError) -> str:
    description = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
    return f" ({description})" if description else ""
