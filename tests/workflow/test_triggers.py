"""Which jobs a changed key of params.yaml brings, on a benchmark that is finished."""

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
