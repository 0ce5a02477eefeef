"""--sdm apptainer: jobs run in the image that BENCHMARK_IMAGE names; a stand-in for apptainer notes its calls."""

import os

import pytest

STAND_IN = """#!/bin/bash
if [ "$1" = --version ]; then echo "apptainer version 1.4.0"; exit; fi
echo "$@" >> "${0%/*}/calls"
while [ "$1" != -c ]; do shift; done
exec bash -c "$2"
"""
PHANTOM = ("--cores", "1", "--config", "run=smoke", "--", "data/smoke")


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """What the stand-in was called with, a file of a line a call."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apptainer").write_text(STAND_IN)
    (folder / "apptainer").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return folder / "calls"


def test_a_job_runs_in_the_image(project, calls, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCHMARK_IMAGE", str(tmp_path / "image.sif"))
    run = project.snakemake("--sdm", "apptainer", *PHANTOM)
    assert run.returncode == 0, run.stdout
    (call,) = calls.read_text().split("exec ")[1:]
    assert f"--home {project.folder}" in call
    assert f"{tmp_path / 'image.sif'} bash -c" in call
    assert "python -m stages.phantoms.brain" in call
    again = project.snakemake("-n", *PHANTOM)
    assert "Software environment definition has changed" in again.stdout, "docs/clusters.md says so"


def test_without_a_name_of_the_image_nothing_runs_outside_of_it(project, calls, monkeypatch):
    monkeypatch.delenv("BENCHMARK_IMAGE", raising=False)
    run = project.snakemake("--sdm", "apptainer", *PHANTOM)
    assert run.returncode == 1
    assert "BENCHMARK_IMAGE, which names it, is not set" in run.stdout
    assert "Traceback" not in run.stdout
    assert not (project.folder / "data").exists()
