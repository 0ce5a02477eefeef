"""What folds and seeds multiply, what a further one adds, and what records spare. Planned only: files are made up."""

import json
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from snakemake_project import REPEATED, counts

from stages import methods
from stages.parameters import reading, sections
from stages.repeats import Repeat, repeats

TABLES = "results/smoke/tables/comparison.csv"


@pytest.fixture
def repeated(project):
    """A project whose `smoke` has two folds and two seeds."""
    project.set_parameters(REPEATED)
    return project


def smoke(project) -> dict:
    return reading.benchmark(yaml.safe_load((project.folder / "params.yaml").read_text()), "smoke")


def finish(project) -> None:
    """Let Snakemake take everything for done: empty outputs, and its own notes of what made them."""
    jobs = project.plan(run="smoke")
    for job in jobs:
        for path in map(Path, job.output):
            target = project.folder / path
            if path.suffix:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
            else:
                target.mkdir(parents=True, exist_ok=True)
    record(project, *repeats(smoke(project)))
    done = project.snakemake("--cores", "1", "--touch", "--quiet", "all", "--config", "run=smoke")
    assert done.returncode == 0, done.stdout
    assert project.jobs(run="smoke") == {}


@pytest.fixture(scope="module")
def all_done(new_project):
    """A project that Snakemake takes for done; not to be changed."""
    project = new_project("done")
    finish(project)
    return project


@pytest.fixture
def done(all_done, tmp_path):
    """A copy of it."""
    return all_done.copied_to(tmp_path / "project")


def record(project, *of: Repeat) -> list[Path]:
    """Records of some repeats, as the parameters of now make them."""
    values, paths = smoke(project), []
    for repeat in of:
        for method, grid in values["methods"].items():
            for setting in methods.settings(grid):
                path = project.folder / f"results/smoke/record/{repeat.name}/{method}/{setting.name}.csv"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(f"# identity: {sections.identity(values, repeat, method, setting)}\n")
                paths.append(path)
    return paths


def test_repeats_multiply_what_is_drawn_and_nothing_before_or_after(repeated):
    plan = repeated.plan(run="smoke")
    jobs = counts(plan)
    assert (jobs["phantom"], jobs["extract"], jobs["split"]) == (1, 1, 2)
    assert {rule: jobs[rule] for rule in ("train", "latents", "detect", "scores")} == {
        "train": 4 * 4,
        "latents": 4 * 2,
        "detect": 4 * 10,
        "scores": 4 * 10,
    }
    assert all(jobs[rule] == 1 for rule in ("comparison_tables", "trade_off_maps", "trajectory", "explorer", "export"))
    read = {job.rule: job.named for job in plan}
    assert len(read["comparison_tables"]["scores"]) == 40
    for rule in ("examples_figure_3", "sweep_figure_5", "explorer", "export"):
        assert len(read[rule]["maps"]) == len(read[rule]["scores"]) == 10, "the first repeat's"
        assert all("/fold1-seed0/" in path for path in [*read[rule]["maps"], *read[rule]["scores"]])
        assert read[rule]["split"] == ["results/smoke/split/fold1.csv"]


def test_a_job_gets_the_seed_and_the_split_of_its_repeat(repeated):
    jobs = [job for job in repeated.plan(run="smoke") if "repeat" in job.wildcards]
    assert {job.rule for job in jobs} == {"train", "latents", "detect", "scores", "trade_off_maps", "trajectory"}
    for job in jobs:
        fold, seed = job.wildcards["repeat"].removeprefix("fold").split("-seed")
        assert job.named["split"] == [f"results/smoke/split/fold{fold}.csv"]
        assert f"--split-list results/smoke/split/fold{fold}.csv" in job.command
        assert (f'"seed": {seed}' in job.command) == (job.rule != "scores")
        others = {repeat.name for repeat in repeats(smoke(repeated))} - {job.wildcards["repeat"]}
        assert not [name for name in others if name in job.command], "of another repeat"


@pytest.mark.parametrize(
    ("folds", "seeds", "added"),
    [(1, [0, 1], {"fold1-seed1"}), (2, [0], {"fold2-seed0"}), (1, [7], {"fold1-seed7"})],
)
def test_a_further_repeat_brings_only_its_own_jobs(done, folds, seeds, added):
    done.set_parameters({"benchmarks.smoke.repeats": {"folds": folds, "seeds": seeds}})
    plan = done.plan(run="smoke")
    jobs = counts(plan)
    assert jobs.get("split", 0) == folds - 1
    assert not {"phantom", "extract"} & jobs.keys()
    assert {rule: jobs[rule] for rule in ("train", "detect", "scores")} == {"train": 4, "detect": 10, "scores": 10}
    assert {job.wildcards["repeat"] for job in plan if "repeat" in job.wildcards} == added
    assert jobs["comparison_tables"] == 1


def test_a_new_scale_decodes_once_a_repeat(repeated):
    finish(repeated)
    repeated.set_parameters({"benchmarks.smoke.methods.guided-ddim.grid": [{"L": [20], "s": [0, 5, 7]}]})
    jobs = repeated.jobs("tables", run="smoke")
    assert jobs == {"detect": 4, "scores": 4, "comparison_tables": 1, "tables": 1}


def test_scores_do_not_run_again_because_records_come_to_be_reused(done):
    assert not {"detect", "scores"} & done.jobs(run="smoke", records="reuse").keys()


def test_records_spare_what_made_them(repeated):
    everything = repeated.jobs(TABLES, run="smoke")
    kept = record(repeated, *repeats(smoke(repeated)))
    assert repeated.jobs(TABLES, run="smoke") == everything, "records: fresh"
    (job,) = repeated.plan(TABLES, run="smoke", records="reuse")
    assert job.rule == "comparison_tables"
    assert {repeated.folder / path for path in job.named["scores"]} == set(kept)
    assert "--record results/smoke/record" in job.command
    assert "--scores results/smoke/scores" in job.command, "whose counts of pixels may be there"
    (reuse,) = [after for word, after in pairwise(shlex.split(job.command)) if word == "--reuse"]
    values, (first, *_) = json.loads(reuse), repeats(smoke(repeated))
    made_with = sections.identity(values, first, "vae", {})
    assert made_with == sections.identity(smoke(repeated), first, "vae", {})
    assert "--reuse" not in "".join(job.command for job in repeated.plan(TABLES, run="smoke"))


def test_tables_of_records_alone_take_no_network(project):
    record(project, Repeat(1, 0))
    assert project.jobs("tables", run="smoke", records="reuse") == {"comparison_tables": 1, "tables": 1}
    next(iter(project.folder.glob("results/smoke/record/*/vae/*.csv"))).unlink()
    assert {"trade_off_maps", "trade_off_table"} <= project.jobs("tables", run="smoke", records="reuse").keys()
    record(project, Repeat(1, 0))
    assert "trade_off_table" in project.jobs("figures", run="smoke", records="reuse")


def test_records_that_come_while_jobs_run_change_no_plan(project):
    """The stage is handed the same whether or not a job that reads the rules again finds the record."""
    commands = []
    for _ in range(2):
        plan = project.plan(TABLES, run="smoke", records="reuse", forced=True)
        commands.append([job.command for job in plan if job.rule == "comparison_tables"])
        record(project, Repeat(1, 0))
    assert commands[0] == commands[1]


def test_only_what_has_no_record_is_computed(repeated):
    record(repeated, Repeat(1, 0), Repeat(1, 1), Repeat(2, 1))
    plan = repeated.plan(TABLES, run="smoke", records="reuse")
    assert counts(plan) == {
        "phantom": 1,
        "extract": 1,
        "split": 1,
        "train": 4,
        "latents": 2,
        "detect": 10,
        "scores": 10,
        "comparison_tables": 1,
    }
    assert {job.wildcards["repeat"] for job in plan if "repeat" in job.wildcards} == {"fold2-seed0"}


def test_records_of_other_parameters_are_computed_again_and_one_line_says_so(project):
    record(project, Repeat(1, 0))
    project.set_parameters({"benchmarks.smoke.vae.training.epochs": 4})
    arguments = ("-n", "--config", "run=smoke", "records=reuse", "--")
    dry = project.snakemake(*arguments, TABLES)
    said = "other parameters made 1 of the records, which are computed again: fold1-seed0/vae/default"
    line = f"results/smoke/record: {said}"
    assert dry.stdout.count(line) == 1, dry.stdout
    assert [
        job.wildcards["method"] for job in project.plan(TABLES, run="smoke", records="reuse") if job.rule == "scores"
    ]
    assert line not in project.snakemake(*arguments, "data").stdout, "nothing of it is planned"
    assert line not in project.snakemake("-n", "--config", "run=smoke", "--", TABLES).stdout, "nothing is reused"


def test_figures_still_need_the_maps_of_the_first_repeat_and_leave_its_records_alone(repeated):
    record(repeated, *repeats(smoke(repeated)))
    plan = repeated.plan("figures", run="smoke", records="reuse")
    detected = [job for job in plan if job.rule in ("detect", "scores")]
    assert {job.wildcards["repeat"] for job in detected} == {"fold1-seed0"}
    writes = [job.command for job in plan if job.rule == "scores"]
    assert len(writes) == 10
    assert all("--record results/smoke/state/record/fold1-seed0/" in command for command in writes)


def test_a_benchmark_of_only_data_has_only_its_jobs(project):
    project.set_parameters({"benchmarks.smoke.methods": None})
    assert project.jobs(run="smoke") == {"phantom": 1, "extract": 1, "split": 1, "all": 1}


def test_a_named_list_is_read_again_when_it_changes(project):
    (project.folder / "data/brats2020/case").mkdir(parents=True)
    published = project.folder / "workflow/splits/ours.csv"
    published.parent.mkdir(exist_ok=True)
    published.write_text("subject_id,split\na,train\nb,test\n")
    project.set_parameters({"benchmarks.brats2020.data": {"split": "ours"}})
    (split,) = [job for job in project.plan("data", run="brats2020") if job.rule == "split"]
    assert "workflow/splits/ours.csv" in split.input


def test_an_unknown_repeat_is_named(project):
    target = "results/smoke/checkpoints/fold1-seed3/vae.safetensors"
    dry = project.snakemake("-n", "--config", "run=smoke", "--", target)
    assert dry.returncode != 0
    assert "fold1-seed3 is no repeat of the benchmark, whose repeats in params.yaml are fold1-seed0" in dry.stdout


def test_git_tracks_records_of_all_benchmarks_but_smoke(project):
    record(project, Repeat(1, 0))
    (project.folder / "results/ours/record/fold1-seed0/vae").mkdir(parents=True)
    (project.folder / "results/ours/metrics").mkdir()
    names = ("record/fold1-seed0/vae/default.csv", "metrics/vae.json", "metrics/.snakemake_timestamp", "scores.csv")
    for name in names:
        (project.folder / "results/ours" / name).touch()
    project.run("git", "init", "--quiet")
    seen = project.run("git", "ls-files", "--others", "--exclude-standard", "results").stdout.splitlines()
    assert seen == ["results/ours/metrics/vae.json", "results/ours/record/fold1-seed0/vae/default.csv"]
