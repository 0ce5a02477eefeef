"""pyproject.toml, its lock and conda's environment.yml say the same."""

import json
import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from rattler import MatchSpec

import stages

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA_NAMES = {"torch": "pytorch", "playwright": "playwright-python"}

REQUIREMENTS = [
    Requirement(line)
    for lines in (
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    )
    for line in lines
    if isinstance(line, str)  # not a group that another one includes
]


def locked() -> dict[str, list[str]]:
    """Name -> the versions that constraints.txt pins, one for each platform or Python it tells apart."""
    versions = defaultdict(list)
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        match = re.fullmatch(r"([a-z0-9-]+)==([0-9][^ ;]*)( ; .+)?", line)
        assert match, f"constraints.txt: {line!r} is no pin: no local path, host or hash may be in it"
        versions[match[1]].append(match[2])
    return versions


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=lambda requirement: requirement.name)
def test_every_dependency_is_locked_within_its_bounds(requirement):
    versions = locked()[requirement.name]
    assert versions, f"constraints.txt lacks {requirement.name}: make lock"
    assert all(version in requirement.specifier for version in versions)


def test_conda_has_the_same_packages_and_bounds():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["name"] == PROJECT["project"]["name"]
    specs = [MatchSpec(line, strict=True) for line in environment["dependencies"]]
    conda = {spec.name.normalized: SpecifierSet(str(spec.version)) for spec in specs}
    assert len(conda) == len(specs)
    expected = {
        CONDA_NAMES.get(requirement.name, requirement.name): requirement.specifier for requirement in REQUIREMENTS
    }
    expected |= {"python": SpecifierSet(PROJECT["project"]["requires-python"]), "pip": SpecifierSet(">=25.1")}
    assert conda == expected


def test_version_is_said_once():
    assert PROJECT["project"]["version"] == stages.__version__


def test_who_cites_and_who_archives_read_the_same():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    zenodo = json.loads((ROOT / ".zenodo.json").read_text())
    assert citation["version"] == stages.__version__
    assert citation["license"] == zenodo["license"] == PROJECT["project"]["license"]
    assert citation["title"] == zenodo["title"]
    assert citation["keywords"] == zenodo["keywords"]
    assert citation["references"][0]["doi"] == zenodo["related_identifiers"][0]["identifier"]


def test_ci_tests_the_pythons_that_are_promised():
    checks = yaml.safe_load((ROOT / ".github" / "workflows" / "checks.yml").read_text())
    tested = checks["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested[0] == PROJECT["project"]["requires-python"].removeprefix(">=")
    assert tested == sorted(tested, key=lambda version: int(version.split(".")[1]))
