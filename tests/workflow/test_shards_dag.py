"""What shards add to the plan, and that their number reruns nothing; a few jobs of them, through to the end."""

import json
import os
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from snakemake_project import counts

from stages.data.store import open_split

SHARDS, MINUTES = "benchmarks.smoke.detection.shards", "benchmarks.smoke.detection.runtime_minutes"


def finish(project) -> None:
    """Let Snakemake take everything for done, by joins where there are shards, which it deletes afterwards."""
    for job in project.plan("maps", run="smoke"):
        for path in (project.folder / path for path in job.output):
            (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
            if path.suffix:
                path.touch()
            elif job.rule.startswith("join_"):
                (path / "cost.json").write_text(json.dumps({"shards": len(job.named["shards"])}))
            elif job.rule in ("latents", "detect"):
                (path / "cost.json").write_text("{}")
    done = project.snakemake("--cores", "1", "--touch", "--quiet", "all", "--config", "run=smoke", "--", "maps")
    assert done.returncode == 0, done.stdout
    for folder in (project.folder / "results/smoke/state").glob("*/shards"):
        shutil.rmtree(folder)
    assert project.jobs("maps", run="smoke") == {}


@pytest.fixture(scope="module")
def all_made(new_project):
    """A function that makes a project finished in a number of shards, once; not to be changed."""

    @cache
    def make(shards: int):
        project = new_project("shards")
        project.set_parameters({SHARDS: shards})
        finish(project)
        return project

    return make


def test_each_shard_is_a_job_and_a_join_makes_the_folder(project):
    project.set_parameters({SHARDS: 3})
    plan = project.plan("maps", run="smoke")
    jobs = counts(plan)
    assert not {"latents", "detect"} & jobs.keys()
    assert {rule: jobs[rule] for rule in ("latents_shard", "join_latents", "detect_shard", "join_maps")} == {
        "latents_shard": 3 * 2,
        "join_latents": 2,
        "detect_shard": 3 * 10,
        "join_maps": 10,
    }
    for job in plan:
        if job.rule == "join_maps":
            assert [path.rpartition("/")[2] for path in job.named["shards"]] == ["1-of-3", "2-of-3", "3-of-3"]
        if "shard" in job.wildcards:
            options = dict(pairwise(job.command.split()))
            assert options["--shard"] == job.wildcards["shard"]
            assert options["--state"].endswith(f"/{job.wildcards['shard']}")


@pytest.mark.parametrize(("made", "asked"), [(1, 3), (3, 1), (3, 5)])
def test_another_number_of_shards_reruns_nothing(all_made, tmp_path, made, asked):
    project = all_made(made).copied_to(tmp_path / "project")
    project.set_parameters({SHARDS: asked, MINUTES: 7})
    assert project.jobs("maps", run="smoke") == {}
    project.set_parameters({"benchmarks.smoke.methods.guided-ddim.grid": [{"L": [20], "s": [0, 5, 7]}]})
    new = {"detect": 1} if asked == 1 else {"detect_shard": asked, "join_maps": 1}
    assert project.jobs("maps", run="smoke") == new | {"maps": 1}, "what is new is cut as it is asked"
    for folder in project.folder.glob("results/smoke/maps/*/vae/default"):
        shutil.rmtree(folder)
    again = project.plan("maps", run="smoke")
    assert sum(job.rule in new for job in again) == 2 * sum(new.values()), "and what was deleted"


DAMAGED = (
    "",
    "{",
    "[]",
    "null",
    "[" * 100_000,
    *(f'{{"shards": {value}}}' for value in ('"2"', 0, -1, 2.0, 10**12, "true")),
)


def test_what_cost_json_cannot_have_said_is_not_believed(project):
    project.set_parameters({SHARDS: 3})
    made_by = [job for job in project.plan("maps", run="smoke") if job.rule in ("join_latents", "join_maps")]
    assert len(made_by) > len(DAMAGED)
    for job, text in zip(made_by, DAMAGED, strict=False):
        (project.folder / job.output[0]).mkdir(parents=True)
        (project.folder / job.output[0] / "cost.json").write_text(text)
    pipe = project.folder / made_by[-1].output[0]
    pipe.mkdir(parents=True)
    os.mkfifo(pipe / "cost.json")
    again = [job for job in project.plan("maps", run="smoke") if job.rule in ("join_latents", "join_maps")]
    assert [len(job.named["shards"]) for job in again] == [3] * len(made_by)


def test_a_cluster_is_asked_for_a_shards_share_of_the_time(project):
    def asked(shards: int) -> dict[str, set[int]]:
        project.set_parameters({SHARDS: shards, MINUTES: 600})
        dry = project.snakemake("-n", "--config", "run=smoke", "--", "maps").stdout
        found: dict[str, set[int]] = {}
        rule = ""
        for line in dry.splitlines():
            words = line.split()
            if words[:1] in (["rule"], ["localrule"]):
                rule = words[1].rstrip(":")
            elif words[:1] == ["resources:"] and "runtime=" in line:
                found.setdefault(rule, set()).add(int(line.partition("runtime=")[2].split(",")[0]))
        return found

    # L = 20 of T = 40, L = 10, and methods that do not sample.
    assert asked(1)["detect"] == {300, 150, 30}
    assert asked(1)["latents"] == {300}
    assert asked(3)["detect_shard"] == {100, 50, 30}
    assert asked(3)["latents_shard"] == {100}


def test_the_plan_of_a_benchmark_that_is_not_there_yet_names_no_shards(project):
    assert not [path for path in Path(project.folder).glob("results/*")]
    assert not any("shard" in rule for rule in project.jobs("maps", run="smoke"))


@pytest.mark.slow
def test_snakemake_runs_shards_and_joins_them(project):
    """By a method without networks, so that nothing is trained."""
    project.set_parameters({SHARDS: 2, "benchmarks.smoke.detection.batch": 2})
    maps = "results/smoke/maps/fold1-seed0/intensity/view-plain"
    run = project.snakemake("--cores", "2", "--config", "run=smoke", "--", maps)
    assert run.returncode == 0, run.stdout
    assert run.stdout.count("rule detect_shard:") == 2
    results = project.folder / "results/smoke"
    assert json.loads((project.folder / maps / "cost.json").read_text())["shards"] == 2
    assert not list(results.glob("state/*/shards/maps/*/*/*")), "temporary once they are joined"
    channel = ["t1", "t1ce", "t2", "flair"].index("flair")
    for split in ("validation", "test"):
        store = open_split(results / "data", results / "split/fold1.csv", split)
        found = np.load(project.folder / maps / split / "maps.npy")
        assert len(found) > 2, "several batches, so that either shard has some"
        np.testing.assert_array_equal(found, store.images[:, channel])
        for name in ("images.npy", "images.csv"):  # the method makes no reconstructions, of which none need be listed
            assert not (project.folder / maps / split / name).exists()
