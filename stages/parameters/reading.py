"""params.yaml as a whole: read, merged (`paper`, what a benchmark inherits, its own), refused where it is wrong."""

from collections.abc import Iterator
from pathlib import Path

from stages.errors import InputError
from stages.parameters.between_keys import problems_between
from stages.parameters.by_schema import KeyPath, Problem, dotted, schema_problems, together
from stages.parameters.plain_yaml import read

FILE = "params.yaml"


def load(source: Path | str | dict, only: str | None = None) -> dict:
    """The whole configuration, checked: every benchmark, merged, against the schema and against itself.

    `source` is a path to a params.yaml, or its content as Snakemake holds it (`config`, where `--config run=NAME` may
    have put a text or a comma-separated list in place of the list). With `only`, this one benchmark is checked, in a
    tenth of the time. Returns the content with `run` as a list.
    Raises InputError with one sentence that names the file and the key as the user wrote it.
    """
    config = source if isinstance(source, dict) else read(Path(source))
    file = FILE if isinstance(source, dict) else Path(source).name
    for path, sentence in together(schema_problems(config, "file")):
        raise InputError(f"{file}: {dotted(path)} {sentence}")
    for path, sentence in together(schema_problems(config["paper"], "parameters")):
        raise InputError(f"{file}: {dotted(('paper', *path))} {sentence}")
    run = config["run"]
    names = [name.strip() for name in run.split(",")] if isinstance(run, str) else run
    for name in names:
        if name not in config["benchmarks"]:
            raise InputError(f"{file}: run names '{name}', but benchmarks has only {', '.join(config['benchmarks'])}")
    for name in [only] if only else config["benchmarks"]:
        checked_benchmark(config, name, file)
    return {**config, "run": list(dict.fromkeys(names))}


def benchmark(config: dict, name: str, file: str = FILE) -> dict:
    """The parameters of a benchmark: `paper`, over it the benchmarks that it inherits from, over them its own keys.

    Raises:
        InputError: there is none of that name, or `inherits` leads nowhere or in a circle.
    """
    merged = config["paper"]
    for ancestor in reversed(lineage(config, name, file)):
        own = _overrides(config, ancestor)
        if isinstance(data := own.get("data"), dict) and "folder" in data:  # another data set, under other terms
            merged = deep_merge(merged, {"data": {"licence": None}})
        merged = deep_merge(merged, own)
    return merged


def lineage(config: dict, name: str, file: str = FILE) -> list[str]:
    """A benchmark, the one that it inherits from, and so on; InputError as in `benchmark`."""
    if name not in config["benchmarks"]:
        raise InputError(f"{file}: benchmarks has no '{name}', only {', '.join(config['benchmarks'])}")
    found = [name]
    while parent := (config["benchmarks"][found[-1]] or {}).get("inherits"):
        key = f"{file}: benchmarks.{found[-1]}.inherits"
        if parent not in config["benchmarks"]:
            raise InputError(f"{key} names '{parent}', but benchmarks has only {', '.join(config['benchmarks'])}")
        if parent in found:
            raise InputError(f"{key} leads in a circle: {' -> '.join([*found, parent])}")
        found.append(parent)
    return found


def _overrides(config: dict, name: str) -> dict:
    """What a benchmark changes itself."""
    return {key: value for key, value in (config["benchmarks"][name] or {}).items() if key != "inherits"}


def checked_benchmark(config: dict, name: str, file: str = FILE) -> dict:
    """The parameters of a benchmark, or an InputError that names the first key that is wrong where it stands."""
    parameters, ancestors = benchmark(config, name, file), lineage(config, name, file)
    sources = [(("benchmarks", one), _overrides(config, one)) for one in ancestors] + [(("paper",), config["paper"])]
    for path, sentence in together(_problems(config, parameters, ancestors)):
        owner = next((owner for owner, values in sources if _written(values, path)), ("benchmarks", name))
        context = "" if owner == ("benchmarks", name) else f" (in benchmark {name})"
        raise InputError(f"{file}: {dotted((*owner, *path))} {sentence}{context}")
    return parameters


def _problems(config: dict, parameters: dict, ancestors: list[str]) -> Iterator[Problem]:
    """What is wrong with a benchmark by the schema and, once that says nothing, between its keys."""
    problems = list(schema_problems(parameters, "parameters"))
    yield from problems
    if problems:
        return
    # A benchmark that inherits a phantom as it is may read the files of the one that it inherits from.
    phantom = ("phantom", "seed")
    merged = {one: benchmark(config, one) for one in ancestors}
    makers = [one for one in ancestors if all(merged[one].get(key) == parameters.get(key) for key in phantom)]
    yield from problems_between(parameters, makers)


def deep_merge(base: dict, overrides: dict) -> dict:
    """`base` with `overrides` over it: sections merge, lists and scalars replace, null removes (RFC 7396).

    >>> deep_merge({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 3, "c": None}, "d": [2]})
    {'a': {'b': 3}, 'd': [2]}
    """
    result = dict(base)
    for key, value in overrides.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = deep_merge(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result


def _written(section: object, path: KeyPath) -> bool:
    """Whether `section` itself holds what `path` leads to."""
    for part in path:
        try:
            section = section[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return False
    return True
