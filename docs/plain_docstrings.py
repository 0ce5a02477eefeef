"""Docstrings as reStructuredText: here they are plain text, `code` between backticks, examples, Google's sections.

What reStructuredText would take for markup (|x|, a * b, x_) is escaped, and tables and commands, which stand indented
after an empty line, are kept as they are, before napoleon reads the sections.
"""

import re
from typing import Any

CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
MARKUP = re.compile(r"([*|\\`]|(?<=\w)_(?!\w)|(?<=\b[A-Z])\.(?!\S))")  # L. would number a list
SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):$")


def escaped(lines: list[str]) -> list[str]:
    """
    >>> escaped(["|x - x_0| of `images`", ">>> 2 * 3", "6"])
    ['\\\\|x - x_0\\\\| of ``images``', '>>> 2 * 3', '6']
    >>> escaped(["Two:", "", "  a   |b|", "  c   d", "", "End."])
    ['Two:', '', '::', '', '  a   |b|', '  c   d', '', 'End.']
    """
    result: list[str] = []
    example = section = literal = False
    for line in lines:
        blank, indented = not line.strip(), line.startswith("  ")
        if not blank and not indented:
            section, literal = bool(SECTION.match(line)), False
        example = line.lstrip().startswith(">>>") or (example and not blank)
        if indented and not literal and not section and not example and result and not result[-1].strip():
            literal = True
            result += ["::", ""]
        result.append(line if example or literal else _prose(line))
    return result


def _prose(line: str) -> str:
    parts = CODE.split(line)  # what stands between backticks has odd numbers
    return "".join(f"``{part}``" if n % 2 else MARKUP.sub(r"\\\1", part) for n, part in enumerate(parts))


def _process(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    lines[:] = escaped(lines)


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", _process, priority=100)  # napoleon has 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
