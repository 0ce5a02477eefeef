"""A copy of the project in a temporary folder, and Snakemake in it."""

import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from snakemake_jobs import Job, Options, jobs_in

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    "Snakefile",
    "params.yaml",
    "dvc.yaml",
    "environment.yml",
    "workflow",
    "profiles",
    "stages",
    "pyproject.toml",
    "LICENSE",
)
# Of the smoke benchmark, which has several channels, and a method with L and s in its grid.
FIGURES = (
    "figure-1-scheme",
    "figure-3-methods",
    "figure-4-sensitivity",
    "figure-5-scales",
    "figure-6-levels",
    "figure-7-healthy",
    "supplement-1-diseased",
    "supplement-2-healthy",
    "settings",
    "heatmap",
    "comparison",
    "lesion-size",
    "trade-off",
)
BENCHMARKS = {
    "smoke",
    "brats2020",
    "chexpert",
    "msd-brain",
    "nih-chest-64",
    "phantom-brain",
    "phantom-chest",
    "phantom-chest-full",
}
"""Those that tests run, with what they inherit from: Snakemake checks every one that there is whenever it starts."""
HIDDEN = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore")
UNGUIDED = {
    "benchmarks.smoke.methods.guided-ddim.grid": [{"L": [20], "s": [0]}],
    "benchmarks.smoke.methods.guided-ddim.setting": {"L": 20, "s": 0},
    "benchmarks.smoke.methods.guided-ddpm.grid": [{"L": [20], "s": [0]}],
    "benchmarks.smoke.trade_off.setting": {"L": 20, "s": 0},
    "benchmarks.smoke.figures.scheme": {"L": 20, "s": 0},
}
"""Keys of params.yaml without which nothing in `smoke` is guided by a classifier."""
REPEATED = {"benchmarks.smoke.repeats": {"folds": 2, "seeds": [0, 1]}}
"""Two folds, two seeds: four repeats of `smoke`."""
NEW_S = {"benchmarks.smoke.methods.guided-ddim.grid": [{"L": [20], "s": [0, 5, 7]}]}
"""Another gradient scale of `smoke`, to be decoded from the latents that are there."""


@dataclass(frozen=True)
class Project:
    """A copy of the project, of few benchmarks; its output is kept apart from the real one's."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """This test run's environment, its Python first in PATH, profiles/test for DVC."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "BENCHMARK_PROFILE": "profiles/test"}

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Run a command here; stdout holds both streams."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run Snakemake here."""
        return self.run(sys.executable, "-m", "snakemake", *arguments)

    def plan(self, *targets: str, **options: Any) -> list[Job]:
        """The jobs that Snakemake would run for some targets (none: all); options as in `snakemake_jobs.Options`."""
        return jobs_in(self.folder, self.environment, Options(targets=targets, **options))

    def jobs(self, *targets: str, **options: Any) -> dict[str, int]:
        """Rule -> number of these jobs; {} where there is nothing to do."""
        return counts(self.plan(*targets, **options))

    def set_parameters(self, values: dict[str, object]) -> None:
        """Set keys of params.yaml, named as `benchmarks.smoke.detection.batch`; comments are lost."""
        path = self.folder / "params.yaml"
        content = yaml.safe_load(path.read_text())
        for key, value in values.items():
            *above, last = key.split(".")
            section = content
            for part in above:
                section = section.setdefault(part, {})
            section[last] = value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def copied_to(self, folder: Path) -> "Project":
        """With all that was made here, as old as it is."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Project(folder)

    def write_test_profile(self) -> None:
        """profiles/test: this machine, for tests."""
        path = self.folder / "profiles" / "test" / "config.yaml"
        path.parent.mkdir()
        path.write_text(PROFILE)


def counts(jobs: Iterable[Job]) -> dict[str, int]:
    """Rule -> number of jobs."""
    return dict(Counter(job.rule for job in jobs))


def copy(folder: Path) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    for part in (*PARTS, *HIDDEN):
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    (folder / "params.yaml").write_text(parameters())
    return Project(folder)


@cache
def parameters() -> str:
    """params.yaml with these benchmarks alone."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    content["benchmarks"] = {name: values for name, values in content["benchmarks"].items() if name in BENCHMARKS}
    return yaml.safe_dump(content, sort_keys=False)


# Networks this small are fastest on one thread, two at a time.
PROFILE = """
cores: 2
resources:
  - gpu=2
set-threads:
  train: 1
  latents: 1
  detect: 1
  trade_off_maps: 1
  trajectory: 1
rerun-incomplete: true
"""


@pytest.fixture(scope="session")
def new_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """A function that copies the project into a temporary folder of a name, with profiles/test."""

    def make(name: str) -> Project:
        project = copy(tmp_path_factory.mktemp(name) / "project")
        project.write_test_profile()
        return project

    return make


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[], Any]], Any]:
    """A function that makes something of a name: the first of pytest's processes does, the others wait for it."""
    own = tmp_path_factory.getbasetemp()
    # Each process of pytest-xdist has its folder in one that they share.
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name: str, maker: Callable[[], Any]) -> Any:
        made = shared / f"{name}.pickle"
        with FileLock(shared / f"{name}.lock"):
            if not made.exists():
                made.write_bytes(pickle.dumps(maker()))
            return pickle.loads(made.read_bytes())

    return make


@pytest.fixture(scope="session")
def every_job(once: Callable, new_project: Callable[[str], Project]) -> list[Job]:
    """The jobs of `smoke` and of `phantom-chest`, from nothing to everything: together they have every rule."""
    return once("every_job", lambda: new_project("jobs").plan(run="smoke,phantom-chest"))


@pytest.fixture(scope="session")
def smoked(once: Callable, new_project: Callable[[str], Project]) -> Project:
    """A project in which Snakemake has run the whole `smoke` benchmark; not to be changed."""

    def make() -> Project:
        project = new_project("smoke")
        run = project.snakemake("--workflow-profile", "profiles/test", "--config", "run=smoke")
        (project.folder / "snakemake.log").write_text(run.stdout)
        assert run.returncode == 0, run.stdout
        return project

    return once("smoked", make)


@pytest.fixture
def finished(smoked: Project, tmp_path: Path) -> Project:
    """A copy of the finished project that a test may change (modification times are kept)."""
    return smoked.copied_to(tmp_path / "project")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return copy(tmp_path / "project")


@pytest.fixture(scope="session")
def root() -> Path:
    """The real project."""
    return ROOT
