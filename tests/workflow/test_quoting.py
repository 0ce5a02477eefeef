"""Values reach a shell only quoted: a folder's name may hold spaces, quotes or $(...), and is a name all the same."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
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


CHECK = "python -m stages.parameters"


def test_a_stage_of_dvc_begins_with_a_command_that_refuses_names_that_are_none():
    """DVC quotes nothing of what it puts into a command."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert {stage["do"]["cmd"][0] for stage in stages.values()} == {CHECK}


@pytest.mark.parametrize("name", ["a'; touch pwned; echo 'b", "$(touch pwned)", "smoke; touch pwned"])
def test_names_that_are_none_are_refused_before_a_shell_sees_them(name, tmp_path):
    parameters = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters | {"run": [name]}))
    words = [sys.executable, *CHECK.split()[1:]]
    done = subprocess.run(
        words, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: params.yaml: ")
    assert done.stderr.count("\n") == 1
