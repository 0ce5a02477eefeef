"""The page of all parameters, written from their schema whenever the site is built, so that it says what is checked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from stages.parameters import reading
from stages.parameters.by_schema import BOUNDS, SCHEMA

PAGE = "generated/parameters.md"
HEAD = """# Parameters

Every number stands in `params.yaml`: the paper's below `paper`, what a benchmark changes of them below its name in
`benchmarks`. This page is made from `workflow/schemas/params.schema.yaml`, against which both are checked; the last
column is the paper's value. `python -m stages.parameters NAME` prints a benchmark with all its values. What the options
and the grid of a method may hold is said by its detector, in [methods](../methods.md).

## The file
"""
CHANGES = {"phantom": ("brain_phantom", "chest_phantom")}
"""Sections that are one or the other of several definitions."""


def page() -> str:
    """Markdown: a table for each section of a benchmark's parameters."""
    definitions = yaml.safe_load(SCHEMA.read_text())["$defs"]
    paper = reading.load(SCHEMA.parents[2] / reading.FILE)["paper"]
    parts = [HEAD, *_table(_rows(definitions, definitions["file"]["properties"], "", {}, depth=0))]
    single, sections = {}, []
    for key, value in definitions["parameters"]["properties"].items():
        section = _resolved(definitions, value)
        variants = [definitions[name] for name in CHANGES.get(key, ())] or [section]
        if any("properties" in variant for variant in variants):
            sections.append((key, section, variants))
        else:
            single[key] = value
    parts += ["", "## A benchmark", *_table(_rows(definitions, single, "", paper))]
    for key, section, variants in sections:
        parts += ["", f"## {key}", _sentence(section.get("description", "")), ""]
        for variant in variants:
            if variant is not section:
                parts += [_sentence(variant["description"]), ""]
            parts += [*_table(_rows(definitions, variant["properties"], "", paper.get(key) or {})), ""]
    return "\n".join(parts) + "\n"


def _rows(
    definitions: dict, properties: dict, above: str, values: dict, depth: int = 9
) -> Iterator[tuple[str, str, str, str]]:
    """A row a key: its dotted name, its meaning, what it may hold, the paper's value."""
    for key, given in properties.items():
        rule = _resolved(definitions, given)
        value = values.get(key) if isinstance(values, dict) else None
        inner = rule.get("properties", {}) if depth else {}
        shown = "" if value is None or isinstance(value, dict) else json.dumps(value)
        yield f"{above}{key}", rule.get("description", ""), _allowed(definitions, rule), shown
        yield from _rows(definitions, inner, f"{above}{key}.", value or {}, depth - 1)


def _resolved(definitions: dict, rule: dict) -> dict:
    """The definition that a rule refers to, with what the rule itself adds."""
    if "$ref" not in rule:
        return rule
    named = definitions[rule["$ref"].removeprefix("#/$defs/")]
    return _resolved(definitions, named) | {key: value for key, value in rule.items() if key != "$ref"}


def _allowed(definitions: dict, rule: dict) -> str:
    if "enum" in rule or "const" in rule:
        words = rule.get("enum", [rule.get("const")])
        return ", ".join(f"`{word}`" for word in words)
    if "type" not in rule:
        return ""
    kinds = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    text = " or ".join(_kind(definitions, rule, kind) for kind in kinds)
    bounds = [f"{words.removeprefix('must be ')} {rule[bound]}" for bound, words in BOUNDS.items() if bound in rule]
    return f"{text}, {', '.join(bounds)}" if bounds else text


def _kind(definitions: dict, rule: dict, kind: str) -> str:
    if kind == "array" and "items" in rule:
        number = str(rule["minItems"]) if rule.get("minItems") == rule.get("maxItems", "") else ""
        return (
            f"list{' of ' + number if number else ''}: {_allowed(definitions, _resolved(definitions, rule['items']))}"
        )
    return {"object": "section", "array": "list", "string": "text", "null": "empty", "boolean": "true or false"}.get(
        kind, kind
    )


def _sentence(description: str) -> str:
    return f"{description[:1].upper()}{description[1:]}." if description else ""


def _table(rows: Iterator[tuple[str, ...]]) -> list[str]:
    lines = ["", "| key | meaning | holds | paper |", "| --- | --- | --- | --- |"]
    for key, *cells, value in rows:
        shown = [cell.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*") for cell in cells]
        lines.append(f"| `{key}` | {' | '.join(shown)} | {f'`{value}`' if value else ''} |")
    return lines


def _write(app: Any) -> None:
    """Where Sphinx looks for it; left alone if nothing changed, so that the next build is quick."""
    path, text = Path(app.srcdir) / PAGE, page()
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
