"""The documentation site: `make docs` builds all of it; here what needs no module imported."""

import doctest
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture
def extension():
    """A module of docs/ by its name."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


def test_guides_are_built_without_a_warning(tmp_path):
    """Without the modules' pages, to which one link leads and whose build takes a minute."""
    options = ["--tag", "guides", "--define", "suppress_warnings=ref.python,toc.not_readable"]
    words = ["--fail-on-warning", "--keep-going", "--quiet", "-d", str(tmp_path / "cache"), *options]
    command = [sys.executable, "-m", "sphinx", *words, str(ROOT / "docs"), str(tmp_path / "html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "guided-ddim" in (tmp_path / "html/results.html").read_text()
    assert "noise_schedule" in (tmp_path / "html/generated/parameters.html").read_text()


def test_every_parameter_of_the_paper_is_on_its_page(extension):
    page = extension("parameters_page").page()
    paper = yaml.safe_load((ROOT / "params.yaml").read_text())["paper"]

    def keys(section: dict, above: str = "") -> list[str]:
        return [name for key, value in section.items() for name in named(key, value, above)]

    def named(key: str, value: object, above: str) -> list[str]:
        return [f"{above}{key}", *(keys(value, f"{above}{key}.") if isinstance(value, dict) else [])]

    free = {"methods", "solvers", "setting", "published_slices", "split", "scheme"}  # whose keys are others' names
    wanted = [
        name
        for section, value in paper.items()
        if section not in free and isinstance(value, dict)
        for name in keys(value)
        if not free & set(name.split(".")[:-1])
    ]
    assert len(wanted) > 100
    assert [name for name in wanted if f"| `{name}` |" not in page] == []
    assert "| `iterations` |" not in page  # it stands below training
    assert "paper: 50000" in page
    assert "`50000`" in page


def test_docstrings_are_plain_text(extension):
    assert doctest.testmod(extension("plain_docstrings")) == (0, 2)
