"""Configurations that tests of parameters change."""

import copy

import pytest
from changes import PARAMS, put


@pytest.fixture
def config() -> dict:
    benchmarks = {name: PARAMS["benchmarks"][name] for name in ("brats2020", "smoke")}
    return copy.deepcopy({"run": ["smoke"], "records": "fresh", "paper": PARAMS["paper"], "benchmarks": benchmarks})


@pytest.fixture
def published(config, tmp_path, monkeypatch):
    """A function that publishes a split list of given rows, which brats2020 then names."""

    def publish(*rows: str) -> None:
        path = tmp_path / "workflow/splits/ours.csv"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(["subject_id,split", *rows]) + "\n")
        monkeypatch.chdir(tmp_path)
        put(config, "benchmarks/brats2020/data", {"split": "ours"})

    return publish
