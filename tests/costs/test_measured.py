"""What is timed of each kind of pass, by the operations that it makes and by a clock of the tests."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from stages.costs import __main__ as program
from stages.costs import measured, slices, training
from stages.costs.passes import Pass
from stages.costs.work import work
from stages.device import Processor
from stages.networks import flops
from stages.parameters import reading

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def labels():
    return {split: slices.by_share(split, count) for split, count in (("train", 12), ("validation", 4), ("test", 6))}


@pytest.fixture(scope="module")
def parts(config, labels):
    return list(work(reading.benchmark(config, "smoke"), labels))


def passes_of(parts):
    return dict.fromkeys(one for part in parts for one in part.passes)


def test_the_passes_that_are_timed_make_the_operations_that_are_counted(smoke, labels, monkeypatch):
    smoke["fixed_point_gan"]["critic_steps"] = 2
    asked = {}

    def counted(make, how, most, device):
        asked[one] = (how, most)
        run = make("never")
        return flops.counted(lambda: run(2)) / 2

    monkeypatch.setattr(measured, "an_image", counted)
    passes, processor, found = passes_of(work(smoke, labels)), Processor(), {}
    for one in passes:
        found[one] = measured.of(smoke, one, processor)
    used = {one.network for one in passes}
    costs = {
        kind.SECTION: flops.of(kind, smoke)
        for kind in flops.listed()
        if kind.PART == "network" and kind.SECTION in used
    }
    for one in passes:
        if one.kind != "training":
            assert found[one] == pytest.approx(getattr(costs[one.network], one.kind), rel=0.02), one
            assert asked[one] == (smoke["compile"], smoke["detection"]["batch"])
    turns = {one.turns for one in passes if one.network == "fixed_point_gan" and one.kind == "training"}
    assert turns == {("discriminator",), ("discriminator", "generator")}
    for name in ("denoiser", "classifier", "vae", "fixed_point_gan"):
        expected = training.of(smoke, name, labels["train"])
        made = sum(images * found[one] for one, images in expected.passes.items())
        assert made == pytest.approx(expected.flops, rel=0.02), name


def test_passes_are_those_that_the_parts_evaluate(smoke, parts):
    for part in parts:
        if part.chapter != "training":
            assert sum(part.passes.values()) == part.evaluations
            assert sum(images for one, images in part.passes.items() if one.kind == "slope") == part.slopes
            assert all(part.passes.values())
    found = training.of(smoke, "denoiser", np.zeros(12))
    assert found.passes == {Pass("denoiser", "training", found.precision, ("network",)): found.evaluations}


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a test lets it."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(measured.time, "perf_counter", lambda: now.seconds)
    return now


@pytest.mark.parametrize(("each", "most", "batch"), [(0.001, 24, 24), (0.25, 24, 8), (0.25, 3, 3), (60, 24, 1)])
def test_a_pass_is_timed_at_the_largest_batch_that_there_is_time_for(clock, each, most, batch):
    seen = []

    def make(how):
        def run(images):
            seen.append((how, images))
            # The first of a batch takes longer, and one repetition meets a busy machine.
            clock.seconds += each * images * {0: 1, 1: 50, 3: 9}.get(seen.count((how, images)), 1)

        return run

    assert measured.an_image(make, "kernels", most, CPU) == pytest.approx(each)
    assert [images for how, images in seen if how == "never"] == [1, 1]
    assert [images for how, images in seen if how == "kernels"] == [batch] * (1 + measured.REPETITIONS)


def test_a_batch_that_does_not_fit_is_halved_as_a_job_does(clock, capsys):
    def run(images):
        if images > 5:
            raise torch.OutOfMemoryError
        clock.seconds += 0.01 * images

    assert measured.an_image(lambda how: run, "never", 16, CPU) == pytest.approx(0.01)
    assert "4 at a time" in capsys.readouterr().out


def test_hours_of_this_machine_are_those_of_its_passes(parts):
    hours_an_image = {"forward": 1, "slope": 2, "training": 0}
    an_image = {one: 3600.0 * hours_an_image[one.kind] for one in passes_of(parts)}
    lines = list(program.table(parts, an_image))
    (line,) = [line.split() for line in lines if line.startswith("this machine")]
    heads = next(line for line in lines if line.startswith("hours")).split()[2:]
    hours = dict(zip(heads, (float(word.replace(",", "")) for word in line[2:]), strict=False))
    (guided,) = [part for part in parts if part.name == "guided-ddim"]
    assert measured.seconds(an_image, guided) == 3600 * (guided.evaluations + guided.slopes)
    assert hours["training"] == 0
    assert hours["all"] == sum(part.evaluations + part.slopes for part in parts if part.chapter != "training")
    assert not any(line.startswith("this machine") for line in program.table(parts))
