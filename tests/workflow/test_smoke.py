"""The whole `smoke` benchmark, from nothing to figures, and what a change reruns."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest
from snakemake_project import FIGURES, UNGUIDED

pytestmark = pytest.mark.slow

SMOKE = ("--config", "run=smoke")
RESULTS = Path("results/smoke")
SLICES = (
    "examples_figure_3",
    "sweep_figure_5",
    "sweep_figure_6",
    "examples_figure_7",
    "examples_supplement_1",
    "examples_supplement_2",
)
CHARTS = ("sensitivity_figure_4", "sensitivity_settings", "sensitivity_heatmap", "comparison_figure", "lesion_size")
# What follows the slice scores.
TABLES = dict.fromkeys(("comparison_tables", *SLICES, *CHARTS, "tables_page", "explorer", "export"), 1)
TRADE_OFF = {"trade_off_maps": 1, "trade_off_table": 1, "trade_off_figure": 1}
SCHEME = {"trajectory": 1, "scheme": 1}


def test_everything_is_there(smoked):
    results = smoked.folder / RESULTS
    comparison = pd.read_csv(results / "tables" / "comparison.csv").set_index("method")
    assert comparison.loc["guided-ddim", ["setting", "chosen_on"]].tolist() == ["L20_s5", "params.yaml"]
    assert comparison.loc["classifier-free", "chosen_on"] == "image labels of validation subjects"
    assert comparison["auroc"].between(0, 1).all()
    assert set(comparison.index) == {
        "guided-ddim",
        "guided-ddpm",
        "vae",
        "fixed-point-gan",
        "classifier-free",
        "intensity",
    }
    assert len(pd.read_csv(results / "tables" / "scores.csv")) == 10 * 2
    assert set(pd.read_csv(results / "tables" / "repeats.csv")["repeat"]) == {"fold1-seed0"}
    assert len(list((results / "record/fold1-seed0").glob("*/*.csv"))) == 10
    assert json.loads((results / "metrics/guided-ddim.json").read_text())
    assert len(list((results / "metrics").glob("*.json"))) == len(comparison)
    expected = {f"{name}.{extension}" for name in FIGURES for extension in ("png", "svg", "pdf")}
    notes = {f"{name}.provenance.json" for name in FIGURES}
    assert {path.name for path in (results / "figures").iterdir()} == expected | notes
    assert all((results / "figures" / name).stat().st_size > 1000 for name in expected)
    assert all((results / name).stat().st_size > 1000 for name in ("explorer.html", "tables.html"))
    assert len(list((results / "export/guided-ddim").glob("*_map.nii.gz"))) == 2
    trade_off = pd.read_csv(results / "tables/trade_off.csv")
    assert len(trade_off) == 2 * (2 + 1 + 2 + 1)
    assert not list(results.rglob("*.partial"))


def test_nothing_is_left_to_do_on_any_number_of_cores(smoked):
    assert smoked.jobs(run="smoke") == {}
    assert smoked.jobs(run="smoke", cores=1, gpu=1) == {}
    assert smoked.jobs(run="smoke", cores=8, gpu=4) == {}


def test_each_job_says_its_device_and_progress_bars_stay_out_of_logs(smoked):
    output = (smoked.folder / "snakemake.log").read_text()
    logs = [
        smoked.folder / RESULTS / "logs" / f"{name}.log"
        for name in ("train/fold1-seed0/denoiser", "latents/fold1-seed0/none")
    ]
    for log in logs:
        text = log.read_text()
        lines = [line for line in text.splitlines() if line.startswith("device: ")]
        assert len(lines) == 1, text
        assert lines[0] in output
        assert "\r" not in text


@pytest.mark.parametrize(
    ("key", "value", "jobs"),
    [
        (
            "benchmarks.smoke.figures.diseased_slices",
            1,
            dict.fromkeys(("examples_figure_3", "examples_supplement_1", "tables_page"), 1),
        ),
        ("benchmarks.smoke.trade_off.solvers.adams-bashforth", [5], TRADE_OFF | {"tables_page": 1}),
        ("benchmarks.smoke.evaluation.bootstrap", 21, TABLES),
        (
            "benchmarks.smoke.methods.guided-ddim.grid",
            [{"L": [20], "s": [0, 5, 7]}],
            {"detect": 1, "scores": 1} | TABLES,
        ),
        ("benchmarks.smoke.methods.vae.options.score", "combined", {"detect": 1, "scores": 1} | TABLES),
        ("benchmarks.smoke.vae.network.widths", [8, 24], {"train": 1, "detect": 1, "scores": 1} | TABLES),
        (
            "benchmarks.smoke.classifier.network.head_channels",
            4,
            # what is not guided does not know the classifier
            {"train": 1, "detect": 2, "scores": 2} | TABLES | TRADE_OFF | SCHEME,
        ),
        (
            "benchmarks.smoke.detection.stride",
            10,
            {"latents": 2, "detect": 6, "scores": 6} | TABLES | SCHEME,
        ),
        ("run", ["smoke", "phantom-brain"], {}),
    ],
)
def test_one_number_reruns_what_depends_on_it_and_nothing_else(finished, key, value, jobs):
    finished.set_parameters({key: value})
    expected = {**jobs, "all": 1} if jobs else {}
    assert finished.jobs(run="smoke") == expected


def test_an_edited_module_reruns_what_imports_it(finished):
    with (finished.folder / "stages/figures/style.py").open("a") as module:
        module.write("# edited\n")
    rules = {*SLICES, *CHARTS, "scheme", "trade_off_figure", "explorer", "export"}
    assert finished.jobs(run="smoke") == dict.fromkeys([*rules, "all"], 1)


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("pages/explorer_assets/page.css", "explorer"),
        ("pages/tables_assets/page.js", "tables_page"),
        ("figures/fig4_published.csv", "sensitivity_figure_4"),
    ],
)
def test_an_edited_part_of_a_page_reruns_it(finished, file, rule):
    with (finished.folder / "stages" / file).open("a") as part:
        part.write("\n")
    assert finished.jobs(run="smoke") == {rule: 1, "all": 1}


def test_what_verify_says_of_damaged_maps_makes_them_again_in_a_finished_benchmark(finished):
    maps = finished.folder / RESULTS / "maps/fold1-seed0/vae/default/test/maps.npy"
    written = maps.read_bytes()
    maps.write_bytes(written[:-1] + bytes([written[-1] ^ 1]))
    said = finished.run(sys.executable, "-m", "stages.verify", "smoke")
    assert said.returncode == 1
    remove, again = re.findall(r"\((rm -r .*?|snakemake -- .*?)\)", said.stdout)
    again = again.replace("snakemake", "snakemake --workflow-profile profiles/test")
    run = finished.run("bash", "-eu", "-c", f"{remove}\n{again}")
    assert run.returncode == 0, run.stdout
    assert maps.read_bytes() == written


def test_a_removed_grid_value_leaves_the_tables(finished):
    finished.set_parameters({"benchmarks.smoke.methods.classifier-free.grid": [{"L": [20], "w": [2]}]})
    run = finished.snakemake("--workflow-profile", "profiles/test", *SMOKE, "--until", "comparison_tables")
    assert run.returncode == 0, run.stdout
    scores = pd.read_csv(finished.folder / RESULTS / "tables" / "scores.csv")
    rows = scores[scores["method"] == "classifier-free"]
    assert set(rows["setting"]) == {"L20_w2"}
    assert (finished.folder / RESULTS / "maps" / "fold1-seed0" / "classifier-free" / "L10_w2").is_dir()


def test_a_grid_without_guidance_runs_without_a_classifier(finished):
    finished.set_parameters(UNGUIDED)
    for path in (finished.folder / RESULTS).glob("**/classifier*"):
        if "free" not in path.name:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    jobs = finished.jobs(run="smoke")
    assert "comparison_tables" in jobs
    # guided-ddim now reports s = 0, for which it had not needed the healthy slices
    assert jobs.keys() <= {*TABLES, *TRADE_OFF, *SCHEME, "latents", "detect", "scores", "all"}
    assert jobs["detect"] == jobs["scores"] == 1


def test_a_killed_training_goes_on_by_itself(finished):
    training = "benchmarks.smoke.denoiser.training"
    finished.set_parameters({f"{training}.iterations": 400, f"{training}.save_minutes": 0.001})
    results = finished.folder / RESULTS
    snakemake = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/test", *SMOKE, "--", "checkpoints"],
        cwd=finished.folder,
        env=finished.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (results / "state/fold1-seed0/denoiser/state.safetensors").exists() and snakemake.poll() is None:
        assert time.monotonic() < deadline, "no state was saved"
        time.sleep(0.05)
    for process in psutil.Process(snakemake.pid).children(recursive=True):
        if "stages.training.denoiser" in process.cmdline():
            os.kill(process.pid, signal.SIGKILL)
    output, _ = snakemake.communicate(timeout=300)
    assert snakemake.returncode == 0, output
    assert "Trying to restart" in output
    assert "train_denoiser: going on from iteration" in (results / "logs/train/fold1-seed0/denoiser.log").read_text()
    assert (results / "checkpoints/fold1-seed0/denoiser.safetensors").is_file()
