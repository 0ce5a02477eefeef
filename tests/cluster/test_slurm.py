"""profiles/slurm on a real Slurm of one node and two stand-in cards: what jobs ask for and get, and the time limit."""

import importlib.util
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
from same_results import differing, results
from snakemake_jobs import Job
from snakemake_project import Project

SCRIPT = Path(__file__).with_name("slurm.sh")
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "scontrol", "squeue")
SEARCHED = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
PLUGIN = "snakemake_executor_plugin_slurm"
MISSING = [program for program in PROGRAMS if shutil.which(program, path=SEARCHED) is None]
MISSING += [PLUGIN] if importlib.util.find_spec(PLUGIN) is None else []
ARGUMENTS = ("--workflow-profile", "profiles/slurm", "--latency-wait", "5", "--config", "run=smoke", "--")
WHERE_SNAKEMAKE_RUNS = ("join_latents", "join_maps", "all")
"""Rules whose jobs are not submitted."""
ONE_THREAD = [f"{rule}=1" for rule in ("train", "latents_shard", "detect_shard", "trade_off_maps", "trajectory")]
"""As profiles/test has it: the same sums in the same order."""
CORES = 16
"""Of the node."""
SECONDS = 600
"""How long anything is waited for, however slow the machine."""

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"no Slurm here (make test-cluster says how): {', '.join(MISSING)}"),
    pytest.mark.skipif(os.getuid() != 0, reason="slurmd has to be started by root"),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True)
    yield
    subprocess.run([SCRIPT, "stop", folder], check=True)


def text_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def jobs_of(project: Project, rule: str) -> list[dict[str, str]]:
    """What scontrol says of a rule's jobs, first to last: Snakemake's plugin writes its name into their comments."""
    lines = text_of("scontrol", "--oneliner", "show", "jobs").splitlines()
    jobs = [dict(re.findall(r"(\S+?)=(\S*)", line)) for line in lines]
    of_rule = [job for job in jobs if job.get("Comment", "").startswith(f"rule_{rule}_wildcards_")]
    return sorted((job for job in of_rule if Path(job["WorkDir"]) == project.folder), key=lambda job: int(job["JobId"]))


def asked(job: dict[str, str]) -> tuple[int, int, int, int]:
    """Threads, cards, MB and minutes of a job of Slurm."""
    days, hours, minutes, _ = re.fullmatch(r"(?:(\d+)-)?(\d+):(\d+):(\d+)", job["TimeLimit"]).groups(default="0")
    number, unit = re.fullmatch(r"([\d.]+)([MG])", job["MinMemoryNode"]).groups()
    return (
        int(job["CPUs/Task"]),
        int(job.get("TresPerJob", "gres:gpu:0").removeprefix("gres:gpu:")),
        round(float(number) * {"M": 1, "G": 1024}[unit]),
        (int(days) * 24 + int(hours)) * 60 + int(minutes),
    )


def declared(job: Job) -> tuple[int, int, int, int]:
    """What a rule declares of the same."""
    found = job.resources
    return found["threads"], found.get("gpu", 0), found["mem_mb"], found["runtime"]


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
    shards = jobs_of(finished, "detect_shard")
    assert [shard["JobState"] for shard in shards] == ["COMPLETED", "COMPLETED"]
    assert [asked(shard) for shard in shards] == [(8, 1, 16000, 30)] * 2
    assert max(shard["StartTime"] for shard in shards) <= min(shard["EndTime"] for shard in shards), "not side by side"
    assert not jobs_of(finished, "join_maps"), "joins run where Snakemake does"
    assert (finished.folder / maps / "test" / "maps.npy").exists()


@pytest.mark.skipif("WHOLE" not in os.environ, reason="takes minutes: make test-cluster")
def test_every_job_of_the_benchmark_gets_what_its_rule_declares_and_the_results_are_those_of_this_machine(
    slurm, new_project, smoked
):
    project = new_project("submitted")
    project.set_parameters({"benchmarks.smoke.detection.shards": 2})
    planned = [job for job in project.plan(run="smoke", cores=CORES) if job.rule not in WHERE_SNAKEMAKE_RUNS]
    run = project.snakemake("--set-threads", *ONE_THREAD, *ARGUMENTS)
    assert run.returncode == 0, run.stdout
    for rule in {job.rule for job in planned}:
        jobs = jobs_of(project, rule)
        assert {job["JobState"] for job in jobs} == {"COMPLETED"}, rule
        wanted = [declared(job) for job in planned if job.rule == rule]
        if f"{rule}=1" in ONE_THREAD:
            wanted = [(1, *others) for _, *others in wanted]
        assert sorted(map(asked, jobs)) == sorted(wanted), rule
    assert not project.jobs(run="smoke")
    assert differing(results(project), results(smoked)) == []


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
        (first,) = jobs_of(finished, "train")
        assert asked(first) == (8, 1, 16000, 1440)
        # Slurm counts limits in minutes; the end of a job can be set to the second, and is the same limit.
        text_of("scontrol", "update", f"JobId={first['JobId']}", "EndTime=now+1")
        wait_until(lambda: log.exists() and "going on from iteration" in log.read_text())
        first, second = jobs_of(finished, "train")
        assert first["JobState"] == "TIMEOUT"
        assert (second["JobState"], *asked(second)) == ("RUNNING", 8, 1, 32000, 2 * 1440)
    finally:
        run.send_signal(signal.SIGINT)
        try:
            run.wait(60)
        except subprocess.TimeoutExpired:
            run.kill()
        subprocess.run(["scancel", "--user", "root"], check=False)
