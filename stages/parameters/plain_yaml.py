"""YAML as params.yaml needs it: what JSON can hold, of a bounded size, each key once.

YAML's own means of growing without bound (nesting, aliases of aliases, numbers of any length) and of making objects
(tags, dates) are refused on the stream of events, before anything is built.
"""

from pathlib import Path
from typing import Any

import yaml

from stages.errors import InputError
from stages.parameters.by_schema import KeyPath, dotted
from stages.regular_files import read_regular

# params.yaml itself has 22 kB, 8 levels and, aliases written out, 2,771 names and values.
_BYTES = 2**20
_DEPTH = 32
_VALUES = 50_000
_SCALAR = 4_000
"""Characters of one value: Python itself refuses whole numbers of more than 4,300 digits."""

_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null", "merge")}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Builds what JSON can hold, and names the line of what it cannot build."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        if node.tag not in _TAGS:
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            value = f" ({node.value})" if isinstance(node, yaml.ScalarNode) else ""
            raise _wrong(node, f"a {kind}{value} is none of the kinds of value used here; put text in quotes")
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError) as error:  # of `!!int x`
            raise _wrong(node, f"{node.value!r} is no {node.tag.rpartition(':')[2]}") from error


def _wrong(at: yaml.Node | yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


def read(path: Path) -> Any:
    """A YAML file's content; keys that appear twice, which YAML lets the last win silently, are refused.

    Raises:
        InputError: missing, no regular file, not UTF-8, not YAML, or more than JSON can hold; says the line.
    """
    try:
        content = read_regular(path, _BYTES)
        text = content.decode("utf-8-sig")
        _refuse_growth(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_repeated_keys(node, path.name, ())  # first: construction puts what `<<` merges beside a key's own
        return loader.construct_document(node)
    except FileNotFoundError:
        raise InputError(f"{path} is not there: run this from the folder that holds it") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path.name} line {line}: not UTF-8 (byte 0x{content[error.start]:02x}); save it as UTF-8"
        ) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InputError(
            f"{path.name} line {line}: not YAML: a character that may not be there (U+{error.character:04X})"
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path.name}{where}: not YAML: {getattr(error, 'problem', None) or error}") from None


def _refuse_growth(text: str) -> None:
    """Refuse what is nested too deep, an alias inside of what it stands for, and values beyond a number.

    Each alias counts as all that it stands for.

    Raises:
        yaml.YAMLError: with the line.
    """
    values = 0
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and how many values stood before
    count_of: dict[str | None, int] = {}
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            if any(event.anchor == anchor for anchor, _ in open_nodes):
                raise _wrong(event, f"*{event.anchor} stands inside of what it repeats")
            values += count_of.get(event.anchor, 1)  # an unknown one is refused later
        elif isinstance(event, yaml.NodeEvent):
            values += 1
            if isinstance(event, yaml.CollectionStartEvent):
                open_nodes.append((event.anchor, values - 1))
            else:
                if len(event.value) > _SCALAR:
                    raise _wrong(event, f"a value of {len(event.value):,} characters, where {_SCALAR:,} are the most")
                count_of[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            count_of[anchor] = values - before
        if len(open_nodes) > _DEPTH:
            raise _wrong(event, f"more than {_DEPTH} levels of sections and lists")
        if values > _VALUES:
            raise _wrong(event, f"more than {_VALUES:,} values, counting what each *alias repeats")


def _refuse_repeated_keys(node: yaml.Node, file: str, path: KeyPath) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(f"{file} line {line}: a key of {dotted(path)} is no word; write a name")
            if key.value in seen:
                first = seen[key.value]
                raise InputError(f"{file}: {dotted((*path, key.value))} stands twice, on lines {first} and {line}")
            seen[key.value] = line
            _refuse_repeated_keys(value, file, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _refuse_repeated_keys(value, file, (*path, index))
