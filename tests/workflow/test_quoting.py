"""Values reach a shell only quoted: a folder's name may hold spaces, quotes or $(...), and is a name all the same."""

import re
from pathlib import Path

import pytest

RULES = sorted((Path(__file__).parents[2] / "workflow/rules").glob("*.smk"))
SHELL = re.compile(r"^( +)shell:\n((?:\1 .*\n|\n)+)", re.MULTILINE)
PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}")


def unquoted(rules: str) -> list[str]:
    """The placeholders of the shell commands of a rule file that Snakemake would not quote; numbers need no quotes."""
    commands = [command for _, command in SHELL.findall(rules)]
    found = [name for command in commands for name in PLACEHOLDER.findall(command)]
    return [name for name in found if name != "threads" and not name.endswith(":q")]


def test_what_counts_as_unquoted():
    rule = 'rule one:\n    shell:\n        "cp {input.raw} {output:q} "\n        "--threads {threads}"\n\n\nrule two:\n'
    assert unquoted(rule) == ["input.raw"]


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.stem)
def test_every_value_is_quoted(path):
    assert unquoted(path.read_text(encoding="utf-8")) == []


def test_rules_have_shell_commands():
    assert sum(len(SHELL.findall(path.read_text(encoding="utf-8"))) for path in RULES) > 15
