"""A clone that has pulled is as good as the original, with or without raw data: it would run the same jobs.

What lies in the results does not matter here, only that it is there: stand-ins are versioned, nothing is trained.
"""

import re
import shutil
from pathlib import Path

import pytest
from snakemake_project import NEW_S, Project, counts

pytestmark = pytest.mark.slow

SMOKE = {"run": ["smoke"]}
RAW = {"benchmarks.smoke.phantom": None, "benchmarks.smoke.data.folder": "data/raw"}
"""As if smoke had a raw data set, which nobody may pass on."""


def git(project: Project, *arguments: str) -> None:
    run = project.run("git", *arguments)
    assert run.returncode == 0, run.stdout


def make_up(project: Project) -> None:
    """Stand-ins for every output and log of `smoke`."""
    for job in project.plan(run="smoke"):
        for name in (*job.output, *job.log):
            path = project.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.write_text("step,loss\n1,0.5\n")
            else:
                path.mkdir(exist_ok=True)
                (path / "it.json").write_text('{"dice": 0.5}\n')


def stand_in(project: Project) -> None:
    """Make up every output and log of `smoke`, and tell Snakemake that they are up to date."""
    make_up(project)
    seal(project)
    assert project.jobs(run="smoke") == {}


def seal(project: Project) -> None:
    run = project.snakemake("--cores", "1", "--touch", "--forceall", "--quiet", "all", "--config", "run=smoke")
    assert run.returncode == 0, run.stdout


def follow(project: Project, root: Path, section: str) -> str:
    """Run the commands that docs/versions.md shows in a section; what they print."""
    text = (root / "docs/versions.md").read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    commands = "".join(re.findall(r"^```bash\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert commands
    run = project.run("bash", "-eu", "-c", commands)
    assert run.returncode == 0, run.stdout
    return run.stdout


def versioned(project: Project, root: Path) -> None:
    """Commit what is there, and push the results to a folder beside, as docs/versions.md says."""
    git(project, "init", "--quiet")
    for key in ("user.name", "user.email"):
        git(project, "config", key, "test@example.org")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "start")
    follow(project, root, "In a folder")


def pulled(project: Project, root: Path, folder: Path) -> Project:
    """A clone in which `make pull` has run."""
    git(project, "clone", "--quiet", str(project.folder), str(folder))
    clone = Project(folder)
    shutil.copy(root / "Makefile", folder)
    run = clone.run("make", "--old-file=env", "pull")
    assert run.returncode == 0, run.stdout
    return clone


def with_a_new_s(project: Project) -> dict[str, int]:
    project.set_parameters(NEW_S)
    return counts(project.plan(run="smoke"))


def test_a_pulled_clone_would_run_what_the_original_would(project, root, tmp_path):
    project.write_test_profile()
    project.set_parameters(SMOKE)
    stand_in(project)
    versioned(project, root)
    clone = pulled(project, root, tmp_path / "clone")
    assert clone.jobs(run="smoke") == {}
    shutil.rmtree(project.folder / "data/smoke")  # which comes from a seed
    assert project.jobs(run="smoke") == {}
    (clone.folder / "results/smoke/metrics/it.json").write_text('{"dice": 0.75}\n')
    compared = follow(clone, root, "Compare")
    assert re.search(r"metrics/it\.json +dice +0\.5 +0\.75 +0\.25", compared), compared
    git(clone, "checkout", "--quiet", "results/smoke/metrics")
    jobs = with_a_new_s(clone)
    assert {rule: jobs.get(rule, 0) for rule in ("phantom", "extract", "train", "latents", "detect")} == {
        **dict.fromkeys(("phantom", "extract", "train", "latents"), 0),
        "detect": 1,
    }
    assert with_a_new_s(project) == jobs | {"phantom": 1}, "made again alone, for the export"


def test_where_nobody_has_versioned_results_a_pull_says_so(project, root):
    shutil.copy(root / "Makefile", project.folder)
    run = project.run("make", "--old-file=env", "pull")
    assert run.returncode != 0
    assert [line for line in run.stdout.splitlines() if not line.startswith("make")] == [
        "error: there is no dvc.lock, so nobody has versioned results here: make them (snakemake), then as "
        "docs/versions.md says"
    ]


def test_a_clone_without_raw_data_would_run_all_but_the_export(project, root, tmp_path):
    (project.folder / "data/raw/HGG/case1").mkdir(parents=True)
    project.write_test_profile()
    project.set_parameters(SMOKE | RAW)
    stand_in(project)
    versioned(project, root)
    clone = pulled(project, root, tmp_path / "clone")
    assert not (clone.folder / "data").exists()
    assert clone.jobs(run="smoke") == {}
    said = clone.snakemake("-n", "--config", "run=smoke").stdout
    assert "data/raw is not there: results/smoke/data is taken as it is, and the export of smoke" in said
    jobs = with_a_new_s(project)
    assert (jobs["detect"], jobs["export"]) == (1, 1)
    del jobs["export"]
    assert with_a_new_s(clone) == jobs
    shutil.rmtree(project.folder / "data/raw")
    assert with_a_new_s(project) == jobs, "raw data that are gone are no reason either"
    clone.set_parameters({"benchmarks.smoke.data.size": 8})
    assert clone.jobs("data", run="smoke")["extract"] == 1, "asked for all the same, and will say what it lacks"
    (clone.folder / "data/raw/HGG/case1").mkdir(parents=True)
    clone.set_parameters({"benchmarks.smoke.data.size": 16})
    assert with_a_new_s(clone) == jobs | {"export": 1}, "raw data that come are those it was made of"
