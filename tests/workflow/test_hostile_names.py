"""Folders and cases bear whatever names: a benchmark goes to its report, and nothing of a name is executed."""

import json
import os

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

FOLDER = '-it\'s $(touch pwned); {x} "raw"'
CASES = ["a b", "it's", "$(touch pwned)", "x; touch pwned", "{x}", "-n", '"q"']
METHODS = ("guided-ddim", "guided-ddpm", "vae", "fixed-point-gan", "classifier-free")
WITHOUT_NETWORKS = {f"benchmarks.smoke.methods.{name}": None for name in METHODS} | {
    "benchmarks.smoke.trade_off": None,
    "benchmarks.smoke.figures.method": "intensity",
}


def test_names_are_names(project):
    project.write_test_profile()
    made = project.snakemake("--workflow-profile", "profiles/test", "--config", "run=smoke", "--", "data/smoke")
    assert made.returncode == 0, made.stdout
    raw = project.folder / FOLDER
    (project.folder / "data/smoke").rename(raw)
    for case, name in zip(sorted(path for path in raw.iterdir() if path.is_dir()), CASES, strict=True):
        for file in case.iterdir():
            file.rename(case / file.name.replace(case.name, name))
        case.rename(raw / name)
    project.set_parameters(
        WITHOUT_NETWORKS | {"benchmarks.smoke.phantom": None, "benchmarks.smoke.data.folder": FOLDER}
    )
    run = project.snakemake("--workflow-profile", "profiles/test", "--config", "run=smoke")
    assert run.returncode == 0, run.stdout
    results = project.folder / "results/smoke"
    assert len(list((results / "export/intensity").glob("*_map.nii.gz"))) == 2
    report = project.snakemake("--config", "run=smoke", "--report", "report.html")
    assert report.returncode == 0, report.stdout
    assert "figure-3-methods.png" in (project.folder / "report.html").read_text()
    shown = set(pd.read_csv(results / "scores/fold1-seed0/intensity/view-plain/test.csv")["subject_id"])
    explorer = (results / "explorer.html").read_text()
    assert all(json.dumps(name)[1:-1] in explorer for name in shown), shown
    assert not list(project.folder.rglob("pwned"))
    case = raw / "a b"
    case.rename(os.fsdecode(os.fsencode(raw) + b"/caf\xe9"))
    said = project.snakemake("--workflow-profile", "profiles/test", "--config", "run=smoke", "--", "exports")
    assert said.returncode != 0
    assert "Traceback" not in said.stdout
    assert "caf" in said.stdout
