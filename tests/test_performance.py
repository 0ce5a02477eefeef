"""`python -m tests.performance` times what it says it does: by a clock of the tests, and once through on `smoke`."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from performance import __main__ as command
from performance import hours, measured, timing, work
from performance.roofs import Traffic
from performance.timing import Stretch, Work
from performance.work import Size
from torch.nn import functional

from stages import methods
from stages.costs import evaluations, slices
from stages.costs.work import work as parts_of
from stages.device import Processor
from stages.errors import InputError
from stages.networks import build, flops
from stages.networks.unet import EncoderClassifier, UNet
from stages.parameters import reading

PARAMS = Path(__file__).parents[1] / "params.yaml"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def size():
    return Size.of(reading.load(PARAMS), "smoke")


@pytest.fixture(scope="module")
def each(size):
    """Network -> what it takes for an image."""
    return {kind.SECTION: flops.of(kind, size.parameters) for kind in (UNet, EncoderClassifier)}


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only where a test lets it."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: now.seconds)
    return now


def ticking(clock, *stretches, batch=1):
    """Work whose stretches are pairs of steps and seconds a step."""

    def path(seconds):
        while True:
            clock.seconds += seconds
            yield

    kinds = [Stretch(lambda seconds=seconds: path(seconds), steps) for steps, seconds in stretches]
    return Work(tuple(kinds), batch, batch, nullcontext, CPU)


def test_a_stretch_that_is_cut_off_counts_in_proportion(clock):
    found = ticking(clock, (10, 0.5), (3, 2.0))
    assert (found.steps, found.made(4), found.made(20)) == (13, 7, 13)
    for most in (1, 4, 20):
        assert found.seconds(most) == pytest.approx(10 * 0.5 + 3 * 2.0)
    before = clock.seconds
    found.seconds(4)
    assert clock.seconds - before == pytest.approx(4 * 0.5 + 3 * 2.0)


def test_both_sides_are_timed_in_turns_within_the_budget(clock):
    here, plain = ticking(clock, (100, 0.125), batch=4), ticking(clock, (100, 0.375))
    times = timing.in_turns(here, plain, budget=40)
    assert times.most == 16  # five pairs of 16 (.125 + .375) s
    assert times.here == pytest.approx(np.full(5, 12.5))
    assert times.plain == pytest.approx(np.full(5, 37.5))
    assert len(timing.in_turns(here, plain, budget=0.1).here) == 3
    sides = [measured.Measured(one, first=2, flops=one.batch * 1e9, bytes=1e6, memory=1) for one in (here, plain)]
    ours, reference = measured.rows(*sides, times)
    assert ours["speedup"] == ours["speedup_low"] == ours["speedup_high"] == pytest.approx(12)
    assert (ours["images_per_second"], ours["flops_per_second"]) == pytest.approx((0.32, 0.32e9))
    assert (reference["seconds"], reference["steps"], reference["steps_made"]) == (pytest.approx(37.5), 100, 16)


def test_a_batch_fits_time_and_memory(clock, monkeypatch):
    def make(batch):
        return ticking(clock, (1, 0.1 * batch), batch=batch)

    in_use = iter([100.0, 350.0] * 9)  # before a batch of one image and at its peak, in MB
    monkeypatch.setattr(timing, "peak_memory", lambda: next(in_use))
    monkeypatch.setattr(timing, "memory", lambda where: 1e6)
    assert timing.largest_batch(24, make, budget=1e6) == 24
    assert timing.largest_batch(24, make, budget=9) == 16
    assert timing.largest_batch(24, make, budget=1e-3) == 1
    monkeypatch.setattr(timing, "memory", lambda where: (100 + 9 * 250) / timing.MEMORY_SHARE)
    assert timing.largest_batch(24, make, budget=1e6) == 8


@pytest.mark.skipif(not timing.CLEAR_REFS.exists(), reason="a peak can be forgotten on Linux alone")
def test_a_peak_is_forgotten():
    held = np.ones(25_000_000)
    high = timing.forget_peak(CPU)
    del held
    assert timing.forget_peak(CPU) < high - 150


def test_an_operation_reads_what_it_is_given_and_writes_what_it_makes():
    left, right = torch.ones(4, 8), torch.ones(8, 2)
    with Traffic() as counter:
        product = left @ right
    assert counter.bytes == 4 * (4 * 8 + 8 * 2 + 4 * 2)
    with Traffic() as counter:
        product.T[:1].reshape(-1)
        torch.empty(100)
    assert counter.bytes == 0
    with Traffic() as counter, torch.autocast("cpu", torch.bfloat16):
        left @ right
    assert counter.bytes == (4 + 2) * (4 * 8 + 8 * 2) + 2 * (4 * 8 + 8 * 2 + 4 * 2)
    with Traffic() as counter:
        product.add_(torch.ones(1).expand(4, 2))
    assert counter.bytes == 4 * (8 + 1 + 8)


def test_operations_are_those_of_the_networks(size, each):
    forward, slope = each["denoiser"].forward, each["classifier"].slope
    assert work.operations(size, "forward") == forward
    assert work.operations(size, "guided step") == pytest.approx(forward + slope, rel=1e-3)
    counted = [evaluations.of_method(size.parameters, "guided-ddim", one) for one in size.settings]
    steps = sum(one["denoiser"].forward for one in counted)
    guided = sum(one["classifier"].slope for one in counted if "classifier" in one)
    (encoded,) = evaluations.of_latents(size.parameters, size.method["options"]["encode_class"]).values()
    assert steps > guided > 0
    for again, encodings in ((False, 1), (True, len(size.settings))):  # every setting of smoke has the same L
        expected = (steps + encodings * encoded.forward) * forward + guided * slope
        assert work.operations(size, "grid", again) == pytest.approx(expected, rel=1e-3)
    expected = (encoded.forward + steps / len(size.settings)) * forward + encoded.forward * slope
    assert work.operations(size, "translation") == pytest.approx(expected, rel=1e-3)
    for name in work.TRAINED:
        found = work.operations(size, f"training step, {name}")
        assert found == pytest.approx(each[name].training, rel=0.01)


@pytest.mark.parametrize("what", work.WHAT)
def test_both_sides_make_all_their_steps_on_finite_images(size, what):
    here = work.here(size, what, Processor(), "never")(3)
    plain = work.plain(size, what, CPU)(3)
    assert (here.batch, plain.batch) == (3, 1 if what in work.DETECTION else 3)
    assert here.images / here.batch == plain.images / plain.batch == (len(size.settings) if what == "grid" else 1)
    for side in (here, plain):
        for stretch in side.stretches:
            with side.context():
                made = list(stretch.path())
            assert len(made) >= stretch.steps
            if stretch.steps > 1:
                assert len(made) == stretch.steps
                assert all(x.isfinite().all() for _, x in made)
    assert plain.steps - here.steps == (len(size.settings) - 1) * here.stretches[0].steps * (what == "grid")


@pytest.mark.parametrize("kind", [UNet, EncoderClassifier])
def test_the_plain_reference_computes_the_same(size, kind):
    network = work._drawn(build.network(kind, kind.SECTION, size.parameters)).eval()
    image = size.images(2, CPU)
    given = [torch.tensor([0, 7]), torch.tensor([0, 1])][: len(kind.INPUTS)]
    expected = network.to(memory_format=torch.channels_last)(image, *given)
    found = work.as_built(network.to(memory_format=torch.contiguous_format))(image, *given)
    assert expected.abs().max() > 1e-3
    assert functional.mse_loss(found, expected) < 1e-10 * expected.square().mean()


def test_hours_follow_from_steps(size):
    each = {"forward": 2.0, "guided step": 5.0, "training step, denoiser": 7.0}
    labels = slices.assumed(size.parameters)
    found = {(one.chapter, one.name): (one, hours.timed(one, size, each)) for one in parts_of(size.parameters, labels)}
    training, seconds = found["training", "denoiser"]
    assert seconds == 7 * training.evaluations
    encoding, seconds = found["latents", size.method["options"]["encode_class"]]
    assert seconds == 2 * encoding.evaluations
    grid, seconds = found["detection", "guided-ddim"]
    steps = grid.evaluations - grid.slopes
    assert seconds == 5 * grid.slopes + 2 * (steps - grid.slopes)
    assert found["training", "classifier"][1] is None
    assert found["detection", "vae"][1] is None


def test_the_command_runs(tmp_path, capsys):
    line = ["--sizes", "smoke", "--precision", "32-true", "--seconds", ".05", "--threads", "1", "--device", "cpu"]
    command.main(command.arguments().parse_args([*line, "--params", str(PARAMS), "--output", str(tmp_path)]))
    table = pd.read_csv(tmp_path / "performance.csv")
    timed = table[table["what"].isin(work.WHAT)]
    assert list(timed["what"]) == [what for what in work.WHAT for _ in range(2)]
    assert list(timed["side"]) == ["here", "plain"] * len(work.WHAT)
    assert timed["images_per_second"].to_numpy() == pytest.approx(timed["images"] / timed["seconds"], rel=1e-4)
    assert (timed["seconds_low"] <= timed["seconds"]).all()
    assert (timed["first_seconds"] > 0).all()
    assert (timed["compile"] == "never").all()
    assert (timed["steps_made"] <= timed["steps"]).all()
    products = table[table["what"] == measured.PRODUCT]
    assert len(products) == 2
    peak = products["flops_per_second"].max()
    assert timed["share_of_peak"].to_numpy() == pytest.approx(timed["flops_per_second"] / peak, rel=1e-4)
    operations = pd.read_csv(tmp_path / "operations.csv")
    assert set(operations["what"]) == set(work.WHAT)
    for _, one in operations.groupby("what"):
        # How much the twelve take of so tiny a step is the machine's affair.
        assert one["share"].is_monotonic_decreasing
        assert 0 < one["share"].sum() <= 1.0001
        assert one["operation"].str.contains("conv").any()
    assert {path.suffix for path in tmp_path.glob("roofline.*")} == {".png", ".svg", ".pdf"}
    said = capsys.readouterr().out
    assert "smoke, float32, compile never, forward: batch" in said
    assert "detection, guided-ddim" in said


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["--sizes", "phantom-brain-gate"], "phantom-brain-gate cannot be timed, since figures.method"),
        (["--sizes", "nothing"], "benchmarks has no 'nothing'"),
        (["--seconds", "0"], "must be above 0"),
    ],
    ids=str,
)
def test_what_cannot_be_timed_is_refused(line, sentence):
    with pytest.raises(InputError, match=sentence):
        command.main(command.arguments().parse_args([*line, "--params", str(PARAMS)]))


def test_a_card_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cuda: PyTorch sees no card here"):
        command.main(command.arguments().parse_args(["--device", "cuda"]))


def test_the_default_sizes_can_be_timed():
    config = reading.load(PARAMS)
    for name in command.arguments().parse_args([]).sizes:
        size = Size.of(config, name)
        assert size.setting["s"] > 0
        assert size.setting in methods.settings(size.method)
