"""params.yaml as a whole: read, merged (`paper` with each benchmark over it), refused where anything in it is wrong."""

from pathlib import Path
from typing import Any

import yaml

from stages.errors import InputError
from stages.parameters.between_keys import problems_between
from stages.parameters.by_schema import KeyPath, dotted, schema_problems

FILE = "params.yaml"


def load(source: Path | str | dict) -> dict:
    """The whole configuration, checked: every benchmark, merged, against the schema and against itself.

    `source` is a path to a params.yaml, or its content as Snakemake holds it (`config`, where `--config run=NAME` may
    have put a text or a comma-separated list in place of the list). Returns the content with `run` as a list.
    Raises InputError with one sentence that names the file and the key as the user wrote it.
    """
    config = source if isinstance(source, dict) else read(Path(source))
    file = FILE if isinstance(source, dict) else Path(source).name
    for path, sentence in schema_problems(config, "file"):
        raise InputError(f"{file}: {dotted(path)} {sentence}")
    for path, sentence in schema_problems(config["paper"], "parameters"):
        raise InputError(f"{file}: {dotted(('paper', *path))} {sentence}")
    run = config["run"]
    names = [name.strip() for name in run.split(",")] if isinstance(run, str) else run
    for name in names:
        if name not in config["benchmarks"]:
            raise InputError(f"{file}: run names '{name}', but benchmarks has only {', '.join(config['benchmarks'])}")
    for name in config["benchmarks"]:
        checked_benchmark(config, name, file)
    return {**config, "run": list(dict.fromkeys(names))}


def benchmark(config: dict, name: str, file: str = FILE) -> dict:
    """The parameters of benchmark `name`: `paper` with `benchmarks.<name>` merged over it; InputError without one."""
    if name not in config["benchmarks"]:
        raise InputError(f"{file}: benchmarks has no '{name}', only {', '.join(config['benchmarks'])}")
    return deep_merge(config["paper"], config["benchmarks"][name] or {})


def checked_benchmark(config: dict, name: str, file: str = FILE) -> dict:
    """The parameters of a benchmark, or an InputError that names the first key that is wrong where it stands."""
    parameters, overrides = benchmark(config, name, file), config["benchmarks"][name] or {}
    for check, argument in ((schema_problems, "parameters"), (problems_between, name)):
        for path, sentence in check(parameters, argument):
            is_papers = _written(config["paper"], path) and not _written(overrides, path)
            owner = ("paper",) if is_papers else ("benchmarks", name)
            context = f" (in benchmark {name})" if is_papers else ""
            raise InputError(f"{file}: {dotted((*owner, *path))} {sentence}{context}")
    return parameters


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


def read(path: Path) -> dict:
    """A YAML file's content; keys that appear twice, which YAML lets the last win silently, are refused."""
    try:
        text = path.read_text(encoding="utf-8")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
        node = loader.get_single_node()
        content: Any = None if node is None else loader.construct_document(node)
    except FileNotFoundError:
        raise InputError(f"{path} is not there: run this from the folder that holds it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path.name}{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if node is not None:
        _refuse_repeated_keys(node, path.name, ())
    return content


def _refuse_repeated_keys(node: yaml.Node, file: str, path: KeyPath) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                first = seen[key.value]
                raise InputError(f"{file}: {dotted((*path, key.value))} stands twice, on lines {first} and {line}")
            seen[key.value] = line
            _refuse_repeated_keys(value, file, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _refuse_repeated_keys(value, file, (*path, index))
