"""Snakemake in a toy workflow with the project's rules/stopping.smk: asked to end, killed, started twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
STOPPING = f"""
import os, sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
include: {str(ROOT / "workflow/rules/stopping.smk")!r}
"""
JOB = """
rule all:
    output: "made"
    shell: "touch begun; while ! [ -e go ]; do sleep 0.05; done; touch {output}"
"""
TERMINATED_MEANWHILE = """
import os, signal, time
from snakemake.scheduling.{module} import {holder}
original = {holder}.{method}
def slow(*arguments, **options):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
    return original(*arguments, **options)
{holder}.{method} = slow
"""
"""SIGTERM while the scheduler holds its lock."""

FAILING = """
rule all:
    log: "results/a/logs/all.log", "results/a/logs/old.log", "results/a/logs/link.log"
    shell: "echo begun > {log[0]}; echo 'error: what is wrong now' >> {log[0]}; exit 1"
"""
STAGE = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from stages import command
def main(options):
    Path("begun").touch()
    time.sleep(60)
command.run(main, command.parser("", required=False))
"""


@pytest.fixture
def folder(tmp_path):
    """Where the toy's job is, until there is a file `go`."""
    (tmp_path / "Snakefile").write_text(STOPPING + JOB)
    return tmp_path


def started(folder, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "1", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_job(folder, run):
    while not (folder / "begun").exists():
        assert run.poll() is None, run.stdout.read()
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("scheduler", "during"),
    [
        ("ilp", {"module": "milp", "holder": "Scheduler", "method": "select_jobs"}),
        ("greedy", {"module": "job_scheduler", "holder": "JobScheduler", "method": "_finish_jobs"}),
    ],
    ids=["jobs are selected", "a job's end is noted"],
)
def test_sigterm_while_the_scheduler_holds_its_lock_lets_the_job_end_with_hooks_or_without(folder, scheduler, during):
    (folder / "Snakefile").write_text(STOPPING + TERMINATED_MEANWHILE.format(**during) + JOB)
    (folder / "go").touch()
    run = started(folder, "--scheduler", scheduler, "--no-hooks")
    try:
        output, _ = run.communicate(timeout=120)  # without stopping.smk: for ever
    finally:
        run.kill()
    assert "Will exit after finishing currently running jobs" in output
    assert not (folder / ".snakemake/locks").exists()


def test_after_a_kill_the_same_command_goes_on(folder):
    run = started(folder)
    wait_for_job(folder, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert (folder / ".snakemake/locks").is_dir()
    (folder / "go").touch()
    again = started(folder)
    output, _ = again.communicate()
    assert again.returncode == 0, output
    assert "The last run in this folder was killed: its lock is removed." in output
    assert (folder / "made").exists()


def test_where_another_computer_left_its_lock_the_command_of_the_readme_frees_it(folder):
    run = started(folder)
    wait_for_job(folder, run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    (folder / ".snakemake/at_work").write_text("another-computer\n")
    (folder / "go").touch()
    refused, _ = started(folder).communicate()
    assert "Directory cannot be locked" in refused
    assert "--unlock" in refused
    freed, _ = started(folder, "--unlock").communicate()
    assert "Unlocked working directory" in freed
    again = started(folder)
    output, _ = again.communicate()
    assert again.returncode == 0, output


def test_two_runs_in_one_folder_exclude_each_other_and_a_dry_run_beside_them_changes_nothing(folder):
    run = started(folder)
    wait_for_job(folder, run)
    dry = started(folder, "-n")
    output, _ = dry.communicate()
    assert dry.returncode == 0, output
    second = started(folder)
    output, _ = second.communicate()
    assert second.returncode == 1
    assert "Directory cannot be locked" in output
    assert "--unlock" in output
    (folder / "go").touch()
    output, _ = run.communicate()
    assert run.returncode == 0, output


def test_while_a_job_outlives_its_run_the_folder_stays_locked(folder):
    (folder / "stage.py").write_text(STAGE)
    job = f"rule all:\n    output: 'made'\n    shell: 'exec {sys.executable} stage.py'\n"
    (folder / "Snakefile").write_text(STOPPING + job)
    run = started(folder)
    wait_for_job(folder, run)
    jobs = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    second = started(folder)
    output, _ = second.communicate()
    for job in jobs:
        job.kill()
    assert second.returncode == 1, output
    assert "Directory cannot be locked" in output


def test_a_run_that_fails_ends_in_what_its_failed_jobs_have_said(folder):
    (folder / "Snakefile").write_text(STOPPING + FAILING)
    logs = folder / "results/a/logs"
    logs.mkdir(parents=True)
    for name in ("old", "of-no-job"):
        (logs / f"{name}.log").write_text("error: of an earlier run\n")
        os.utime(logs / f"{name}.log", (time.time() + 3600,) * 2)  # by a clock that is ahead
    (logs / "link.log").symlink_to("nowhere")
    output, _ = started(folder).communicate()
    assert "results/a/logs/all.log: error: what is wrong now\n" in output
    assert "of an earlier run" not in output
    assert "Traceback" not in output
