"""Results that a clock dated a day ahead: what is edited since reruns its jobs, and what is not reruns none."""

import fcntl
import os
import time

import pytest

pytestmark = pytest.mark.slow

DAY = 86_400
RUN = ("--workflow-profile", "profiles/test", "--config", "run=smoke")


def dates(project):
    """Path -> date, of all that the workflow has made."""
    made = (path for folder in ("results", "data") for path in (project.folder / folder).rglob("*"))
    return {path: path.lstat().st_mtime for path in made}


def test_an_edited_module_reruns_its_jobs_after_a_clock_that_was_a_day_ahead(finished):
    for path, date in dates(finished).items():
        os.utime(path, (date + DAY, date + DAY), follow_symlinks=False)
    ahead = dates(finished)
    locks = finished.folder / ".snakemake/locks"
    locks.mkdir(exist_ok=True)

    # On a computer whose clock is late, while another one is at work, all that this one makes looks like that.
    (locks / "0.output.lock").write_text("results/other/data\n")
    (finished.folder / ".snakemake/at_work").write_text("another-computer\n")
    said = finished.snakemake(*RUN)
    assert "they stay so while another run is at work in this folder" in said.stdout, said.stdout
    assert dates(finished) == ahead
    assert not locks.exists()  # a run's end takes the whole folder

    # A run that has begun, but has not got as far as its lock.
    with (finished.folder / ".snakemake/at_work").open() as at_work:
        fcntl.flock(at_work, fcntl.LOCK_SH)
        said = finished.snakemake(*RUN)
    assert "they stay so while another run is at work in this folder" in said.stdout, said.stdout
    assert dates(finished) == ahead

    said = finished.snakemake("-n", *RUN)
    assert "a run dates them back, and may do more than is listed here" in said.stdout, said.stdout
    assert dates(finished) == ahead

    said = finished.snakemake(*RUN)
    assert "more were dated in the future, as by a clock that jumped: they are dated back" in said.stdout
    assert "Nothing to be done" in said.stdout, said.stdout
    below = finished.folder / "results/smoke"
    assert max(date for path, date in dates(finished).items() if below in path.parents) < time.time()

    with (finished.folder / "stages/evaluation/scores.py").open("a") as module:
        module.write("# edited\n")
    jobs = finished.jobs(run="smoke")
    assert (jobs["scores"], jobs["comparison_tables"]) == (10, 1)
    assert not {"phantom", "extract", "train", "latents", "detect"} & jobs.keys()
