"""What tests of single images share."""

import json
from pathlib import Path

import pytest
import translate_project

from stages.export import translate


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """The project of translate_project, made once."""
    return translate_project.make(tmp_path_factory.mktemp("translate"))


@pytest.fixture
def run(project, tmp_path, monkeypatch, capsys):
    """Runs the command in the project; returns translate.json and the error stream."""
    monkeypatch.chdir(project)

    def call(benchmark: str, *arguments: object) -> tuple[dict, str]:
        line = ["--benchmark", benchmark, "--output", str(tmp_path / "out"), "--threads", "1", *map(str, arguments)]
        translate.main(translate.arguments().parse_args(line))
        return json.loads((tmp_path / "out" / "translate.json").read_text()), capsys.readouterr().err

    return call
