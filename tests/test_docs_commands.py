"""Commands that pages print are held to the programs' own options; nothing is run."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^ *```\w*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(python -m stages[^`]*)`")


def commands():
    """(page, command) of every `python -m stages...`, in a block or in a sentence, comments and continuations off."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = [line for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
        found = [line.strip() for line in lines if line.strip().startswith("python -m stages")]
        outside = BLOCK.sub("", text)
        for line in found + [" ".join(one.split()) for one in INLINE.findall(outside)]:
            yield pytest.param(line, id=f"{page.name}: {line}")


def arguments_of(words):
    """The parser of the module that a command names, as its program makes it."""
    module = importlib.import_module(words[2])
    if not hasattr(module, "arguments"):
        module = importlib.import_module(f"{words[2]}.__main__")
    return module.arguments()


@pytest.mark.parametrize("line", list(commands()))
def test_a_printed_command_is_one_that_the_program_takes(line):
    words = shlex.split(line, comments=True)
    parser = arguments_of(words)
    if "--help" in words or len(words) == 3:  # a program that a sentence names
        assert parser.format_help()
    else:
        assert parser.parse_args(words[3:])
