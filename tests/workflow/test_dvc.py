"""DVC versions what Snakemake makes: `dvc repro` from scratch, then neither has anything to do, here or in a clone."""

import re
import time
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

RESULTS = Path("results/smoke")
MEASURED = ("cost.json", "provenance.json", "comparison.md", "comparison.tex")
"""What holds, beside or after the tables, how long something took, or when."""


def git(project, *arguments: str) -> None:
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    run = project.run("git", *identity, *arguments)
    assert run.returncode == 0, run.stdout


@pytest.fixture(scope="module")
def versioned(new_project):
    """A git repository with `run: [smoke]` in which `dvc repro` has run everything from scratch."""
    project = new_project("dvc")
    project.set_parameters({"run": ["smoke"]})
    git(project, "init", "--quiet")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", "start")
    run = project.run("dvc", "repro")
    assert run.returncode == 0, run.stdout
    return project


def test_nothing_is_left_to_do_for_either(versioned):
    again = versioned.run("dvc", "repro")
    assert "Data and pipelines are up to date." in again.stdout, again.stdout
    assert versioned.jobs() == {}
    status = versioned.run("dvc", "status")
    assert "Data and pipelines are up to date." in status.stdout, status.stdout


def test_two_runs_with_one_seed_are_identical(smoked, versioned):
    def contents(project) -> dict[str, bytes]:
        results = project.folder / RESULTS
        folders = ("data", "split", "checkpoints", "latents", "maps", "scores", "record", "tables", "metrics")
        paths = [path for folder in folders for path in (results / folder).rglob("*") if path.is_file()]
        paths = [path for path in paths if not path.name.endswith(MEASURED)]
        paths = [path for path in paths if path.parts[-2:] != ("_trade_off", "digests.json")]  # of runs.csv, too
        paths = [path for path in paths if not path.match("checkpoints/*/*.md")]  # cards say when training ran
        return {str(path.relative_to(results)): timeless(path) for path in paths}

    def timeless(path: Path) -> bytes:
        """What a file holds; of tables all but the seconds and the memory that were measured."""
        if path.suffix != ".csv":
            return path.read_bytes()
        table = pd.read_csv(path, dtype=str, comment="#")  # of a record, below its identity
        measured = [name for name in table.columns if name.startswith(("seconds", "memory"))]
        return table.drop(columns=measured).to_csv().encode()

    first, second = contents(smoked), contents(versioned)
    assert first.keys() == second.keys()
    assert {
        "checkpoints/fold1-seed0/denoiser.safetensors",
        "scores/fold1-seed0/guided-ddim/L20_s5/test.csv",
        "metrics/guided-ddim.json",
    } <= first.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_metrics_and_plots_are_shown(versioned):
    metrics = versioned.run("dvc", "metrics", "show", "--json")
    assert "classifier-free" in metrics.stdout, metrics.stdout
    plots = versioned.run("dvc", "plots", "show", "--out", "plots")
    assert plots.returncode == 0, plots.stdout
    assert "loss" in (versioned.folder / "plots" / "index.html").read_text()


def test_a_clone_is_sealed_and_refused_when_stale(versioned, tmp_path):
    git(versioned, "add", "dvc.lock", "results")
    git(versioned, "commit", "--quiet", "-m", "results")
    git(versioned, "clone", "--quiet", str(versioned.folder), str(tmp_path / "clone"))
    clone = type(versioned)(tmp_path / "clone")
    clone.run("dvc", "cache", "dir", "--local", str(versioned.folder / ".dvc" / "cache"))
    assert clone.run("dvc", "checkout").returncode == 0
    time.sleep(0.1)
    for path in (clone.folder / "stages").rglob("*.py"):  # git gives no promise about modification times
        path.touch()
    assert "train" in clone.jobs()
    assert clone.run("dvc", "status", "-q").returncode == 0
    seal = clone.snakemake("--cores", "1", "--touch", "--forceall", "--quiet", "all")
    assert seal.returncode == 0, seal.stdout
    assert clone.jobs() == {}
    with (clone.folder / "stages/errors.py").open("a") as module:
        module.write("# edited\n")
    assert clone.run("dvc", "status", "-q").returncode != 0


def test_an_experiment_runs_what_its_number_is_used_by_and_keeps_the_file(versioned):
    git(versioned, "add", "--all")
    git(versioned, "commit", "--quiet", "--allow-empty", "-m", "all")
    params = versioned.folder / "params.yaml"
    before, maps = params.read_text(), versioned.folder / RESULTS / "maps/fold1-seed0/vae/default/test/maps.npy"
    made, changed = maps.stat().st_mtime_ns, before.replace("explorer_slices: 4", "explorer_slices: 3")
    params.write_text(changed)
    run = versioned.run("dvc", "exp", "run", "--name", "fewer")
    assert run.returncode == 0, run.stdout
    assert params.read_text() == changed != before
    assert maps.stat().st_mtime_ns == made
    assert versioned.jobs() == {}
    shown = versioned.run("dvc", "exp", "show", "--only-changed", "--csv", "--no-pager")
    assert re.search(r"fewer.*explorer_slices|explorer_slices.*fewer", shown.stdout, re.DOTALL), shown.stdout
