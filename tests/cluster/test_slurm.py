"""profiles/slurm on a real Slurm of one node and two stand-in cards: what jobs ask for and get, and the time limit."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("slurm.sh")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol", "squeue")
SEARCHED = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
MISSING = [program for program in PROGRAMS if shutil.which(program, path=SEARCHED) is None]
ARGUMENTS = ("--workflow-profile", "profiles/slurm", "--latency-wait", "5", "--config", "run=smoke", "--")
SECONDS = 240
"""How long anything is waited for, however slow the machine."""

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"no Slurm here (make test-cluster says how): {', '.join(MISSING)}"),
    pytest.mark.skipif(os.getuid() != 0, reason="slurmd has to be started by root"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    pytest.importorskip("snakemake_executor_plugin_slurm")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True)
    yield
    subprocess.run([SCRIPT, "stop", folder], check=True)


def text_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def described(job: str) -> dict[str, str]:
    """What scontrol says of a job."""
    return dict(re.findall(r"(\S+?)=(\S*)", text_of("scontrol", "--oneliner", "show", "job", job)))


def jobs_of(rule: str) -> list[dict[str, str]]:
    """The jobs of a rule, first to last: Snakemake's plugin writes its name into their comments."""
    jobs = (line.split("|") for line in text_of("squeue", "--noheader", "-a", "-t", "all", "-o", "%i|%k").splitlines())
    return [described(number) for number, comment in sorted(jobs, key=lambda job: int(job[0])) if rule in comment]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.3)


def test_two_jobs_at_once_see_a_card_each(slurm, tmp_path):
    met = 'echo "$CUDA_VISIBLE_DEVICES" > "$SLURM_JOB_NAME"; until [ -e one ] && [ -e two ]; do sleep 0.1; done'
    command = ("sbatch", "--wait", "--gpus", "1", "--mem", "100", "--time", "2", "--output", "log", "--wrap", met)
    jobs = [subprocess.Popen([*command, "--job-name", name], cwd=tmp_path) for name in ("one", "two")]
    assert [job.wait(SECONDS) for job in jobs] == [0, 0], "they never ran at the same time"
    assert {(tmp_path / name).read_text() for name in ("one", "two")} == {"0\n", "1\n"}


def test_shards_ask_for_what_their_rule_declares_and_are_joined(slurm, finished):
    grid = [{"L": [20], "s": [0, 5, 7]}]
    finished.set_parameters({"benchmarks.smoke.detection.shards": 2, "benchmarks.smoke.methods.guided-ddim.grid": grid})
    maps = "results/smoke/maps/fold1-seed0/guided-ddim/L20_s7"
    run = finished.snakemake(*ARGUMENTS, maps)
    assert run.returncode == 0, run.stdout
    shards = jobs_of("detect_shard")
    assert [shard["JobState"] for shard in shards] == ["COMPLETED", "COMPLETED"]
    for shard in shards:
        asked = {key: shard[key] for key in ("TresPerJob", "MinMemoryNode", "CPUs/Task", "TimeLimit")}
        assert asked == {
            "TresPerJob": "gres:gpu:1",
            "MinMemoryNode": "16000M",
            "CPUs/Task": "8",
            "TimeLimit": "00:30:00",
        }
    assert max(shard["StartTime"] for shard in shards) <= min(shard["EndTime"] for shard in shards), "not side by side"
    assert not jobs_of("join_maps"), "joins run where Snakemake does"
    assert (finished.folder / maps / "test" / "maps.npy").exists()


def test_training_that_the_time_limit_ends_goes_on_in_the_next_job(slurm, finished):
    finished.set_parameters({"benchmarks.smoke.denoiser.training.iterations": 10**7})
    folder = finished.folder / "results/smoke"
    metrics, log = folder / "training/fold1-seed0/denoiser/metrics.csv", folder / "logs/train/fold1-seed0/denoiser.log"
    metrics.unlink()
    log.unlink()
    target = "results/smoke/checkpoints/fold1-seed0/denoiser.safetensors"
    command = [sys.executable, "-m", "snakemake", *ARGUMENTS, target]
    with (finished.folder / "snakemake.out").open("w") as out:
        run = subprocess.Popen(command, cwd=finished.folder, env=finished.environment, stdout=out, stderr=out)
    try:
        wait_until(lambda: metrics.exists() and len(metrics.read_text().splitlines()) > 2)
        (first,) = jobs_of("train")
        # Slurm counts limits in minutes; the end of a job can be set to the second, and is the same limit.
        text_of("scontrol", "update", f"JobId={first['JobId']}", "EndTime=now+1")
        wait_until(lambda: log.exists() and "going on from iteration" in log.read_text())
        first, second = jobs_of("train")
        assert (first["JobState"], first["TimeLimit"], first["MinMemoryNode"]) == ("TIMEOUT", "00:01:00", "16000M")
        assert (second["JobState"], second["TimeLimit"], second["MinMemoryNode"]) == ("RUNNING", "2-00:00:00", "32000M")
    finally:
        run.send_signal(signal.SIGINT)
        try:
            run.wait(60)
        except subprocess.TimeoutExpired:
            run.kill()
        subprocess.run(["scancel", "--user", "root"], check=False)
