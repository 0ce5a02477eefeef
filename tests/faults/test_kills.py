"""A smoke run that is killed at seeded moments ends, started again as a user would, in the files of an undisturbed one.

One moment of a few jobs in the test suite; `make test-faults` sets KILLS=20 and says how it went.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest
from same_results import RESULTS, differing, results
from snakemake_project import Project

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "0"))
SMOKE = ("--workflow-profile", "profiles/test", "--config", "run=smoke", "--")
FEW_JOBS = (str(RESULTS / "scores/fold1-seed0/vae/default"),)
LONGEST_SECONDS = 40
"""Between a start and its kill: some find Snakemake at its own work, others any job of the run."""
HANG_SECONDS = 300
"""After a signal that lets running jobs end, on a busy machine."""
RUN_SECONDS = 1800
"""Of a run to its end, on a busy machine."""


def start(project: Project, targets: tuple[str, ...]) -> subprocess.Popen:
    """What a user types, in a process group of its own."""
    with (project.folder / "snakemake.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *SMOKE, *targets],
            cwd=project.folder,
            env=project.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )


def heed_ctrl_c() -> None:
    """Where pytest runs in the background, a shell has let it ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def disturb(project: Project, targets: tuple[str, ...], delays: Iterator[float], send: Callable) -> tuple[int, bool]:
    """Start, wait, `send` a signal, until no delay is left or all is done: how often it was sent, and whether it is.

    A run that goes on after a signal, as with a job that is tried again, gets the next one too.
    """
    sent, run = 0, start(project, targets)
    for delay in delays:
        if run.poll() is not None:
            run = start(project, targets)
        try:
            run.wait(delay)
        except subprocess.TimeoutExpired:
            sent += send(run)
        if run.poll() == 0:
            break
    run.wait(RUN_SECONDS)
    return sent, run.returncode == 0


def finish(project: Project, targets: tuple[str, ...]) -> None:
    assert start(project, targets).wait(RUN_SECONDS) == 0, (project.folder / "snakemake.log").read_text()[-3000:]


def to_the_run(number: signal.Signals, *, and_its_jobs: bool) -> Callable[[subprocess.Popen], int]:
    """A signal that ends it."""

    def send(run: subprocess.Popen) -> int:
        (os.killpg if and_its_jobs else os.kill)(run.pid, number)
        run.wait(HANG_SECONDS)
        return 1

    return send


def to_a_job(number: signal.Signals) -> Callable[[subprocess.Popen], int]:
    """A signal to the stages that run at this moment, or as soon as one does."""

    def send(run: subprocess.Popen) -> int:
        while run.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                stages = [child for child in psutil.Process(run.pid).children(recursive=True) if is_stage(child)]
                for stage in stages:
                    stage.send_signal(number)
                if stages:
                    return 1
            time.sleep(0.05)
        return 0

    return send


def is_stage(process: psutil.Process) -> bool:
    words = process.cmdline()
    return words[1:2] == ["-m"] and words[2].startswith("stages.")


def test_a_run_that_is_killed_goes_on_and_ends_in_the_same_files(smoked, new_project):
    project = new_project("killed")
    run = start(project, FEW_JOBS)
    while not list((project.folder / RESULTS / "data").glob("*")) and run.poll() is None:  # extraction is at work
        time.sleep(0.01)
    to_the_run(signal.SIGKILL, and_its_jobs=True)(run)
    assert run.returncode == -signal.SIGKILL
    assert list((project.folder / ".snakemake/locks").iterdir())
    finish(project, FEW_JOBS)
    assert "its lock is removed" in (project.folder / "snakemake.log").read_text()
    found, expected = results(project), results(smoked)
    assert differing(found, {name: expected.get(name) for name in found}) == []
    assert "checkpoints/fold1-seed0/vae.safetensors" in found
    assert "scores/fold1-seed0/vae/default/test.csv" in found


@pytest.mark.skipif(not KILLS, reason="takes minutes: make test-faults")
@pytest.mark.parametrize(
    ("send", "share"),
    [
        (to_the_run(signal.SIGKILL, and_its_jobs=True), 1),
        (to_the_run(signal.SIGTERM, and_its_jobs=False), 4),
        (to_the_run(signal.SIGTERM, and_its_jobs=True), 4),
        (to_the_run(signal.SIGINT, and_its_jobs=True), 4),  # Ctrl-C
        (to_a_job(signal.SIGKILL), 4),
        (to_a_job(signal.SIGTERM), 4),
        (to_a_job(signal.SIGINT), 4),
    ],
    ids=[
        "SIGKILL",
        "SIGTERM",
        "SIGTERM-to-all",
        "SIGINT-to-all",
        "SIGKILL-to-a-job",
        "SIGTERM-to-a-job",
        "SIGINT-to-a-job",
    ],
)
def test_signals_at_seeded_moments(smoked, new_project, send, share, capsys):
    asked, sent, runs = max(1, KILLS // share), 0, 0
    expected = results(smoked)
    random.seed(0)
    began = time.monotonic()
    while sent < asked:
        project = new_project("disturbed")
        delays = (random.uniform(1, LONGEST_SECONDS) for _ in range(asked - sent))
        more, done = disturb(project, (), delays, send)
        sent += more
        runs += 1
        if not done:
            finish(project, ())
        assert differing(results(project), expected) == []
        assert not list((project.folder / RESULTS).rglob("*.partial"))
    with capsys.disabled():
        print(f"\n{sent} of {sent} signals survived in {runs} runs, {time.monotonic() - began:.0f} s")
