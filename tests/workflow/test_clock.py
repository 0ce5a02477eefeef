"""Results that a clock dated a day ahead: what is edited since reruns its jobs, and what is not reruns none."""

import os
import time

import pytest

pytestmark = pytest.mark.slow

DAY = 86_400


def test_an_edited_module_reruns_its_jobs_after_a_clock_that_was_a_day_ahead(finished):
    for folder in ("results", "data"):
        for path in sorted((finished.folder / folder).rglob("*")):
            date = path.lstat().st_mtime + DAY
            os.utime(path, (date, date), follow_symlinks=False)
    said = finished.snakemake("-n", "--config", "run=smoke")
    assert "more were dated in the future, as by a clock that jumped: they are dated back" in said.stdout
    assert "Nothing to be done" in said.stdout, said.stdout
    assert max(path.lstat().st_mtime for path in (finished.folder / "results/smoke").rglob("*")) < time.time()
    with (finished.folder / "stages/evaluation/scores.py").open("a") as module:
        module.write("# edited\n")
    jobs = finished.jobs(run="smoke")
    assert (jobs["scores"], jobs["comparison_tables"]) == (10, 1)
    assert not {"phantom", "extract", "train", "latents", "detect"} & jobs.keys()
