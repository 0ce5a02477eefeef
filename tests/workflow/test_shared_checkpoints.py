"""`make share` here and `make checkpoints FROM=` in another folder, offline: what came is not trained again."""

import re
import shutil

import pytest
from shared_checkpoint import VAE as PLACE
from shared_checkpoint import write_vae
from snakemake_project import copy

pytestmark = pytest.mark.slow

VAE = f"results/smoke/{PLACE}"


def test_shared_checkpoints_are_not_trained_again(project, root, tmp_path):
    """A stand-in for a trained network: its weights are those of the start."""
    made = project.snakemake("--cores", "2", "--quiet", "all", "--config", "run=smoke", "--", "data")
    assert made.returncode == 0, made.stdout
    results = project.folder / "results/smoke"
    write_vae(results)
    other = copy(tmp_path / "other")
    for folder in (project.folder, other.folder):
        shutil.copy(root / "Makefile", folder)
        shutil.copy(root / "pyproject.toml", folder)
    text = (root / "docs/sharing.md").read_text()
    give, take = re.findall(r"^```bash\n(make .*?)\n```$", text, re.MULTILINE | re.DOTALL)
    for where, command in ((project, give), (other, take)):
        run = where.run("bash", "-eu", "-c", command.replace("make ", "make --old-file=env "))
        assert run.returncode == 0, run.stdout
        shutil.copytree(project.folder / "share", other.folder / "downloads", dirs_exist_ok=True)
    jobs = [job for job in other.plan("checkpoints", run="smoke") if job.rule == "train"]
    assert len(jobs) == 3
    assert "vae" not in {job.wildcards["network"] for job in jobs}
    assert other.jobs(VAE, run="smoke") == {}
