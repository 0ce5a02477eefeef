"""What Snakemake would do, and what it refuses before it does anything."""

import re

import pytest
import yaml

from stages import methods
from stages.parameters import reading

SMOKE = ("--config", "run=smoke")


def refusal(project, *arguments: str) -> str:
    """Output of a dry run that must fail with one sentence and leave nothing behind."""
    dry = project.snakemake("-n", *arguments)
    assert dry.returncode != 0, dry.stdout
    assert "Traceback" not in dry.stdout
    assert not (project.folder / "results").exists()
    return dry.stdout


def test_jobs_of_smoke(project):
    assert project.jobs(*SMOKE) == {
        "phantom": 1,
        "extract": 1,
        "train": 4,
        "latents": 2,
        "detect": 10,
        "scores": 10,
        "trade_off_maps": 1,
        "trajectory": 1,
        "comparison_tables": 1,
        "trade_off_table": 1,
        "scheme": 1,
        "examples_figure_3": 1,
        "examples_figure_7": 1,
        "sensitivity_figure_4": 1,
        "sweep_figure_5": 1,
        "sweep_figure_6": 1,
        "examples_supplement_1": 1,
        "examples_supplement_2": 1,
        "sensitivity_settings": 1,
        "comparison_figure": 1,
        "lesion_size": 1,
        "trade_off_figure": 1,
        "tables_page": 1,
        "explorer": 1,
        "export": 1,
        "all": 1,
    }


def test_a_benchmark_has_the_figures_that_its_data_and_methods_have(project):
    """One channel: Fig. 2 in place of Fig. 3. A method without L and s: no Fig. 1, 4, 5 and 6."""
    chest = project.jobs("--config", "run=phantom-chest")
    assert {
        "scheme",
        "examples_figure_2",
        "sensitivity_figure_4",
        "sweep_figure_5",
        "sweep_figure_6",
        "examples_figure_7",
        "examples_supplement_3",
    } <= set(chest)
    assert not {"examples_figure_3", "examples_supplement_1", "examples_supplement_2"} & set(chest)
    project.edit("params.yaml", "    figures: {scheme: {L: 20, s: 5},", "    figures: {method: vae,")
    smoke = project.jobs(*SMOKE)
    assert not {"scheme", "trajectory", "sensitivity_figure_4", "sweep_figure_5", "sweep_figure_6"} & set(smoke)
    assert "examples_figure_3" in smoke


def test_jobs_of_every_benchmark_in_one_go(project):
    config = yaml.safe_load((project.folder / "params.yaml").read_text())
    benchmarks = {name: reading.benchmark(config, name) for name in config["benchmarks"]}
    for values in benchmarks.values():
        if "phantom" not in values:
            (project.folder / values["data"]["folder"]).mkdir(parents=True, exist_ok=True)
    jobs = project.jobs("--config", f"run={','.join(benchmarks)}")
    listed = [method for values in benchmarks.values() for method in values["methods"].values()]
    assert jobs["train"] == 4 * len(benchmarks)
    assert jobs["extract"] == jobs["comparison_tables"] == len(benchmarks)
    assert jobs["phantom"] == sum("phantom" in values for values in benchmarks.values())
    assert jobs["detect"] == jobs["scores"] == sum(len(methods.settings(method)) for method in listed)
    classes = [{methods.encoding(m) for m in values["methods"].values()} - {None} for values in benchmarks.values()]
    assert jobs["latents"] == sum(map(len, classes))


def test_milestones(project):
    assert "train" not in project.jobs(*SMOKE, "--", "data")
    checkpoints = project.jobs(*SMOKE, "--", "checkpoints")
    assert set(checkpoints) == {"phantom", "extract", "train", "checkpoints"}
    assert "scores" not in project.jobs(*SMOKE, "--", "maps")
    assert {"trade_off_maps", "trajectory"} <= set(project.jobs(*SMOKE, "--", "maps"))
    assert not {"examples_figure_3", "comparison_figure"} & set(project.jobs(*SMOKE, "--", "tables"))
    assert "explorer" in project.jobs(*SMOKE, "--", "figures")
    assert "examples_figure_3" not in project.jobs(*SMOKE, "--", "exports")


def test_no_classifier_where_nothing_is_guided(project):
    project.edit(
        "params.yaml", "      setting: {L: 20, s: 5}\n      slices", "      setting: {L: 20, s: 0}\n      slices"
    )
    project.edit("params.yaml", "scheme: {L: 20, s: 5}", "scheme: {L: 20, s: 0}")
    project.edit("params.yaml", "- {L: [20], s: [0, 5]}", "- {L: [20], s: [0]}")
    project.edit("params.yaml", "        setting: {L: 20, s: 5}", "        setting: {L: 20, s: 0}")
    assert project.jobs(*SMOKE)["train"] == 4, "the ablation is guided still"
    project.edit("params.yaml", "          - {L: [20], s: [0, 2]}", "          - {L: [20], s: [0]}")
    assert project.jobs(*SMOKE)["train"] == 3
    assert project.jobs(*SMOKE, "--", "checkpoints")["train"] == 3


def test_maps_of_someone_else_are_scored(project):
    project.edit(
        "params.yaml",
        "          score: gradient\n",
        "          score: gradient\n      theirs: {grid: [{}], setting: {}}\n",
    )
    assert "results/smoke/maps/theirs/default/test/maps.npy" in refusal(project, *SMOKE)
    for split in ("validation", "test"):
        path = project.folder / f"results/smoke/maps/theirs/default/{split}/maps.npy"
        path.parent.mkdir(parents=True)
        path.touch()
    jobs = project.jobs(*SMOKE)
    assert (jobs["detect"], jobs["scores"]) == (10, 11)


def test_a_misspelt_key_is_named(project):
    project.edit(
        "params.yaml", "      training:\n        iterations: 20\n", "      training:\n        iteratoins: 20\n"
    )
    sentence = (
        "params.yaml: benchmarks.smoke.denoiser.training.iteratoins is not a known key; did you mean 'iterations'?"
    )
    assert sentence in refusal(project, *SMOKE)
    run = project.snakemake("--cores", "1", *SMOKE)
    assert run.returncode != 0
    assert not (project.folder / "results").exists()


def test_a_key_that_stands_twice_is_named(project):
    project.edit(
        "params.yaml", "    evaluation: {bootstrap: 20}\n", "    evaluation: {bootstrap: 20}\n    evaluation: {}\n"
    )
    assert "params.yaml: benchmarks.smoke.evaluation stands twice, on lines" in refusal(project, *SMOKE)


def test_an_unknown_benchmark_is_named(project):
    assert "run names 'smok', but benchmarks has only" in refusal(project, "--config", "run=smok")


def test_a_missing_data_set_is_named(project):
    message = refusal(project, "--config", "run=brats2020")
    assert "data/brats2020 is not there: benchmark brats2020 needs its raw data set" in message
    assert "https://www.med.upenn.edu/cbica/brats2020" in message


def test_a_case_that_comes_reruns_extraction(project):
    for case in ("HGG/BraTS_1", "HGG/BraTS_2"):
        (project.folder / "data/brats2020" / case).mkdir(parents=True)
    store = project.folder / "results/brats2020/data"
    store.mkdir(parents=True)
    arguments = ("--config", "run=brats2020", "--rerun-triggers", "mtime", "--", "data")
    touched = project.snakemake("--cores", "1", "--touch", *arguments)
    assert touched.returncode == 0, touched.stdout
    assert project.jobs(*arguments) == {}
    (project.folder / "data/brats2020/HGG/BraTS_3").mkdir()
    assert project.jobs(*arguments) == {"extract": 1, "data": 1}


def test_no_rule_makes_a_raw_data_set(project):
    (project.folder / "data/brats2020/BraTS_1").mkdir(parents=True)
    for path in (project.folder / "stages").rglob("*.py"):  # newer than the data set
        path.touch()
    assert "phantom" not in project.jobs("--config", "run=brats2020")
    direct = project.snakemake("-n", "--forceall", "data/brats2020")
    assert "rule phantom" not in direct.stdout


@pytest.mark.parametrize("rule", ["comparison_tables", "examples_figure_3", "export"])
def test_a_removed_grid_value_is_not_read(project, rule):
    def inputs() -> str:
        dry = project.snakemake("-n", *SMOKE).stdout
        return re.search(rf"^rule {rule}:\n    input: (.*)$", dry, flags=re.MULTILINE)[1]

    assert "classifier-free/L10_w2" in inputs()
    project.edit("params.yaml", "- {L: [10, 20], w: [2]}", "- {L: [20], w: [2]}")
    assert "classifier-free/L10_w2" not in inputs()
    assert "classifier-free/L20_w2" in inputs()


def test_lint(project):
    lint = project.snakemake("--lint", *SMOKE)
    assert lint.returncode == 0, lint.stdout
