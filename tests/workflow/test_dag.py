"""What Snakemake would do, and what it refuses before it does anything."""

import shutil

import pytest
import yaml
from snakemake_project import UNGUIDED, counts

from stages import methods
from stages.parameters import reading
from stages.repeats import repeats

SMOKE = ("--config", "run=smoke")


def refusal(project, *arguments: str) -> str:
    """Output of a dry run that must fail with one sentence and leave nothing behind."""
    dry = project.snakemake("-n", *arguments)
    assert dry.returncode != 0, dry.stdout
    assert "Traceback" not in dry.stdout
    assert not (project.folder / "results").exists()
    return dry.stdout


def test_jobs_of_smoke(every_job):
    assert counts(job for job in every_job if job.benchmark == "smoke") == {
        "phantom": 1,
        "extract": 1,
        "split": 1,
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
        "sensitivity_heatmap": 1,
        "comparison_figure": 1,
        "lesion_size": 1,
        "trade_off_figure": 1,
        "tables_page": 1,
        "explorer": 1,
        "export": 1,
    }


def test_a_benchmark_has_the_figures_that_its_data_and_methods_have(project, every_job):
    """One channel: Fig. 2 in place of Fig. 3. A method without L and s: no Fig. 1, 4, 5 and 6."""
    chest = {job.rule for job in every_job if job.benchmark == "phantom-chest"}
    assert {
        "scheme",
        "examples_figure_2",
        "sensitivity_figure_4",
        "sweep_figure_5",
        "sweep_figure_6",
        "examples_figure_7",
        "examples_supplement_3",
    } <= chest
    assert not {"examples_figure_3", "examples_supplement_1", "examples_supplement_2"} & chest
    project.set_parameters({"benchmarks.smoke.figures.method": "vae"})
    smoke = project.jobs(run="smoke")
    assert not {"scheme", "trajectory", "sensitivity_figure_4", "sweep_figure_5", "sweep_figure_6"} & set(smoke)
    assert {"examples_figure_3", "sensitivity_heatmap"} <= set(smoke), "other methods have L and s"


def test_jobs_of_every_benchmark_in_one_go(project, root):
    shutil.copy(root / "params.yaml", project.folder)
    config = yaml.safe_load((project.folder / "params.yaml").read_text())
    benchmarks = {name: reading.benchmark(config, name) for name in config["benchmarks"]}
    for values in benchmarks.values():
        if "phantom" not in values:
            (project.folder / values["data"]["folder"]).mkdir(parents=True, exist_ok=True)
    jobs = project.jobs(run=",".join(benchmarks))
    each = [(values, len(repeats(values))) for values in benchmarks.values()]
    assert max(times for _, times in each) == 15, "brats2018-cv-seeds has five folds with three seeds"
    assert jobs["train"] == sum(times * len(methods.networks_in_use(values)) for values, times in each)
    assert jobs["extract"] == jobs["comparison_tables"] == len(benchmarks)
    assert jobs["split"] == sum(values["repeats"]["folds"] for values in benchmarks.values())
    folders = {values["data"]["folder"] for values in benchmarks.values() if "phantom" in values}
    assert jobs["phantom"] == len(folders), "who inherits a phantom reads the same files"
    detected = [
        times * len(methods.settings(method)) for values, times in each for method in values["methods"].values()
    ]
    assert jobs["detect"] == jobs["scores"] == sum(detected)
    classes = [
        times * len({methods.encoding(m) for m in values["methods"].values()} - {None}) for values, times in each
    ]
    assert jobs["latents"] == sum(classes)


@pytest.mark.parametrize(
    ("milestone", "with_these", "without_these"),
    [
        ("data", {"phantom", "extract", "split"}, {"train", "detect"}),
        ("checkpoints", {"extract", "train"}, {"latents", "detect", "trajectory"}),
        ("maps", {"train", "latents", "detect", "trade_off_maps", "trajectory"}, {"scores", "trade_off_table"}),
        ("tables", {"scores", "comparison_tables", "trade_off_table"}, {"examples_figure_3", "comparison_figure"}),
        ("figures", {"comparison_tables", "examples_figure_3", "tables_page", "explorer"}, {"export"}),
        ("exports", {"comparison_tables", "export"}, {"examples_figure_3", "trade_off_table"}),
    ],
)
def test_milestones(project, milestone, with_these, without_these):
    jobs = project.jobs(milestone, run="smoke")
    assert jobs[milestone] == 1
    assert with_these <= jobs.keys()
    assert not without_these & jobs.keys()


def test_no_classifier_where_nothing_is_guided(project):
    ablation = {"benchmarks.smoke.methods.guided-ddpm.grid": [{"L": [20], "s": [0, 2]}]}
    project.set_parameters(UNGUIDED | ablation)
    assert project.jobs(run="smoke")["train"] == 4, "the ablation is guided still"
    project.set_parameters(UNGUIDED)
    assert project.jobs(run="smoke")["train"] == 3
    assert project.jobs("checkpoints", run="smoke")["train"] == 3


def test_maps_of_someone_else_are_scored(project):
    project.set_parameters({"benchmarks.smoke.methods.theirs": {"grid": [{}], "setting": {}}})
    assert "results/smoke/maps/fold1-seed0/theirs/default/test/maps.npy" in refusal(project, *SMOKE)
    for split in ("validation", "test"):
        path = project.folder / f"results/smoke/maps/fold1-seed0/theirs/default/{split}/maps.npy"
        path.parent.mkdir(parents=True)
        path.touch()
    jobs = project.jobs(run="smoke")
    assert (jobs["detect"], jobs["scores"]) == (10, 11)


def test_a_misspelt_key_is_named(project):
    project.set_parameters({"benchmarks.smoke.denoiser.training.iteratoins": 20})
    sentence = (
        "params.yaml: benchmarks.smoke.denoiser.training.iteratoins is not a known key; did you mean 'iterations'?"
    )
    assert sentence in refusal(project, *SMOKE)
    run = project.snakemake("--cores", "1", *SMOKE)
    assert run.returncode != 0
    assert not (project.folder / "results").exists()


def test_a_key_that_stands_twice_is_named(project):
    with (project.folder / "params.yaml").open("a") as params:
        params.write("run: [smoke]\n")
    assert "params.yaml: run stands twice, on lines" in refusal(project, *SMOKE)


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
    split = project.folder / "results/brats2020/split/fold1.csv"
    split.parent.mkdir()
    split.touch()
    arguments = ("--config", "run=brats2020", "--", "data")
    touched = project.snakemake("--cores", "1", "--touch", "--forceall", *arguments)
    assert touched.returncode == 0, touched.stdout
    assert project.jobs("data", run="brats2020", triggers=("mtime", "params")) == {}
    for name in (".DS_Store", "HGG/BraTS_1/Thumbs.db", "HGG/BraTS_1/._BraTS_1_t1.nii", "__MACOSX/HGG/BraTS_1/_"):
        path = project.folder / "data/brats2020" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert project.jobs("data", run="brats2020", triggers=("mtime", "params")) == {}, "no file of the data set"
    (project.folder / "data/brats2020/HGG/BraTS_3").mkdir()
    assert project.jobs("data", run="brats2020", triggers=("mtime", "params")) == {"extract": 1, "split": 1, "data": 1}


def test_what_a_job_said_is_said_again_at_the_end_and_little_beside_it(project):
    for number in range(369):
        (project.folder / f"data/brats2020/BraTS20_Training_{number:03}").mkdir(parents=True)
    for _ in range(2):  # the second time Snakemake also says what has changed since
        said = project.snakemake("--cores", "1", "--config", "run=brats2020", "--", "data").stdout
        (project.folder / "data/brats2020/BraTS20_Training_369").mkdir(exist_ok=True)
    sentence = "error: data/brats2020/BraTS20_Training_000/BraTS20_Training_000_t1.nii.gz: the file is missing"
    (place,) = [
        at for at, line in enumerate(said.splitlines()) if line.startswith("results/brats2020/logs/extract.log")
    ]
    assert sentence in said.splitlines()[place]
    assert place == len(said.splitlines()) - 1, "the sentence is the last line"
    assert len(said) < 8000


def test_no_rule_makes_a_raw_data_set(project):
    (project.folder / "data/brats2020/BraTS_1").mkdir(parents=True)
    for path in (project.folder / "stages").rglob("*.py"):  # newer than the data set
        path.touch()
    assert "phantom" not in project.jobs(run="brats2020")
    assert "No rule to produce data/brats2020" in refusal(project, "--forceall", "data/brats2020")


def test_a_removed_grid_value_is_not_read(project, every_job):
    def inputs(jobs) -> dict[str, str]:
        """Those of the rules that read the whole grid."""
        rules = ("comparison_tables", "examples_figure_3", "explorer", "export")
        return {job.rule: " ".join(job.input) for job in jobs if job.benchmark == "smoke" and job.rule in rules}

    before = inputs(every_job)
    project.set_parameters({"benchmarks.smoke.methods.classifier-free.grid": [{"L": [20], "w": [2]}]})
    after = inputs(project.plan(run="smoke"))
    assert len(before) == len(after) == 4
    assert all("classifier-free/L10_w2" in paths for paths in before.values())
    assert not any("classifier-free/L10_w2" in paths for paths in after.values())
    assert all("classifier-free/L20_w2" in paths for paths in after.values())


def test_lint(project):
    lint = project.snakemake("--lint", *SMOKE)
    assert lint.returncode == 0, lint.stdout
