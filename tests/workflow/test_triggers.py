"""Which jobs a changed key of params.yaml brings, on a benchmark that is finished."""

import shutil

import pytest

from stages.parameters import inert

pytestmark = pytest.mark.slow

NETWORKS = ("denoiser", "classifier", "vae", "fixed_point_gan")


def test_keys_that_change_no_result_bring_no_job(finished):
    training = {f"benchmarks.smoke.{name}.training.{key}": 2 for name in NETWORKS for key in inert.TRAINING}
    finished.set_parameters(training | {"benchmarks.smoke.data.published_slices": {"test": 3}})
    assert finished.jobs(run="smoke") == {}


def test_batch_and_kernels_of_detection_change_only_what_they_are_timed_in(finished):
    finished.set_parameters({"benchmarks.smoke.detection.batch": 5, "benchmarks.smoke.compile": "kernels"})
    measured = {"trade_off_maps": 1, "trade_off_table": 1, "trade_off_figure": 1, "tables_page": 1, "all": 1}
    assert finished.jobs(run="smoke") == measured


def test_another_solver_reruns_only_the_methods_that_use_it(finished):
    finished.set_parameters({"benchmarks.smoke.detection.solver": "heun"})
    jobs = finished.jobs("maps", run="smoke")
    # guided-ddim and classifier-free at two settings each, from two encodings; the slice of Fig. 1
    assert jobs == {"latents": 2, "detect": 4, "trajectory": 1, "maps": 1}


def test_other_weights_do_not_concern_methods_without_a_network(finished):
    finished.set_parameters({"benchmarks.smoke.detection.weights": "ema"})
    assert finished.jobs("maps", run="smoke")["detect"] == 8, "all but the two views of intensity"


NEW = {
    "benchmarks.smoke.methods.vae-combined": {
        "detector": "vae",
        "options": {"score": "combined"},
        "grid": [{}],
        "setting": {},
    },
    "benchmarks.smoke.methods.theirs": {"grid": [{}], "setting": {}},
    "benchmarks.smoke.methods.t1": {
        "detector": "intensity",
        "options": {"channel": "t1"},
        "grid": [{"view": ["plain"]}],
        "setting": {"view": "plain"},
    },
}
"""Three methods that come when the tables are there; one is someone else's, whose maps no rule makes."""


def test_new_methods_are_not_skipped_because_one_lacks_its_maps(finished):
    finished.set_parameters(NEW)
    lacking = [f"results/smoke/maps/fold1-seed0/theirs/default/{split}/maps.npy" for split in ("validation", "test")]
    for targets in ([], ["tables"]):
        dry = finished.snakemake("-n", "--config", "run=smoke", "--", *targets)
        assert dry.returncode != 0, dry.stdout
        assert f"error: {', '.join(lacking)}: not there, and no rule makes the maps of a method" in dry.stdout
        assert "Nothing to be done" not in dry.stdout
    for path in lacking:
        (finished.folder / path).parent.mkdir(parents=True)
        (finished.folder / path).touch()
    jobs = finished.jobs(run="smoke")
    assert (jobs["detect"], jobs["scores"], jobs["comparison_tables"]) == (2, 3, 1)
    assert "train" not in jobs


def test_scores_of_maps_that_are_gone_are_not_taken_where_they_would_be_made_anew(finished):
    """Nor left as they are beside those of other methods, which are made anew."""
    finished.set_parameters({"benchmarks.smoke.methods.theirs": {"grid": [{}], "setting": {}}})
    maps = finished.folder / "results/smoke/maps/fold1-seed0"
    shutil.copytree(maps / "vae/default", maps / "theirs/default", ignore=shutil.ignore_patterns("*.json"))
    made = finished.snakemake("--workflow-profile", "profiles/test", "--config", "run=smoke", "--", "tables")
    assert made.returncode == 0, made.stdout
    shutil.rmtree(maps / "theirs")
    assert finished.jobs("tables", run="smoke") == {}
    finished.set_parameters({"benchmarks.smoke.evaluation.healthy_quantile": 0.8})
    dry = finished.snakemake("-n", "--config", "run=smoke", "--", "tables")
    assert dry.returncode != 0, dry.stdout
    assert "theirs/default/test/maps.npy: not there, and no rule makes the maps of a method" in dry.stdout


THRESHOLD = '''
"""A model that was fitted elsewhere: a number in a file."""

from pathlib import Path

from stages.detection.detector import Batch, Detection, Detector, run

NETWORKS = ()
GRID = {}
OPTIONS = {"model": ()}


class Threshold(Detector):
    reconstructs = False

    def prepare(self) -> None:
        self.threshold = float(Path(self.options["model"]).read_text())

    def detect(self, batch: Batch) -> Detection:
        return Detection((batch.images[:, 0] > self.threshold).float())


if __name__ == "__main__":
    run(Threshold)
'''


def test_a_file_that_options_name_reruns_what_is_made_of_it_when_it_changes(finished):
    (finished.folder / "stages/detection/threshold.py").write_text(THRESHOLD.lstrip())
    model = finished.folder / "models/my model.txt"
    model.parent.mkdir()
    model.write_text("0.5\n")
    method = {"detector": "threshold", "options": {"model": "models/my model.txt"}, "grid": [{}], "setting": {}}
    finished.set_parameters({"benchmarks.smoke.methods.threshold": method})
    scores = "results/smoke/scores/fold1-seed0/threshold/default"
    run = finished.snakemake("--workflow-profile", "profiles/test", "--config", "run=smoke", "--", scores)
    assert run.returncode == 0, run.stdout
    assert finished.jobs(scores, run="smoke") == {}
    model.touch()
    assert finished.jobs(scores, run="smoke") == {}, "the same model"
    model.write_text("0.25\n")
    assert finished.jobs(scores, run="smoke") == {"detect": 1, "scores": 1}
