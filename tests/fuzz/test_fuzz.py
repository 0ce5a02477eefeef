"""A few changed files of each kind, in a process with bounded memory; `make fuzz` tries more."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = "".join((ROOT / "tests/fuzz" / name).read_text() for name in ("targets.py", "written.py", "shared.py"))
KINDS = re.findall(r'^    "([a-z-]+)": ', SOURCES, re.MULTILINE)


@pytest.fixture(scope="module")
def results() -> dict[str, dict]:
    words = [sys.executable, "-W", "ignore", "-m", "tests.fuzz", "--count", "60", "--seconds", "60"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=500)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found, done.stderr
    return {one["target"]: one for one in found}


@pytest.mark.parametrize("kind", KINDS)
def test_changed_files_are_accepted_or_refused_in_one_line(results, kind):
    assert results[kind]["tried"] >= 50
    assert results[kind]["findings"] == {}
