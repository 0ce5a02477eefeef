"""What cost.json says: of all batches, whichever process went through them, and of the encoding a share."""

import json
from types import SimpleNamespace

import pytest
import torch

from stages import device
from stages.detection import latents, resumable
from stages.detection.cost import Cost
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.intensity import Intensity
from stages.errors import InputError

BATCH = 10
"""Seconds that a batch takes by the clock of these tests; the twelve slices are three batches."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that a batch of the intensity's or of the decoder's moves on."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(resumable, "time", SimpleNamespace(perf_counter=lambda: now.seconds))

    def slow(original):
        def detect(self, batch):
            now.seconds += BATCH
            return original(self, batch)

        return detect

    for method in (Intensity, GuidedDdim):
        monkeypatch.setattr(method, "detect", slow(method.detect))
    return now


@pytest.fixture
def costs(networks, detected):
    """Runs the intensity baseline and returns its cost."""

    def run(out="maps"):
        detected(Intensity, {"view": "plain"}, {"channel": "flair"}, checkpoints=(), out=out)
        return json.loads((networks / out / "cost.json").read_text())

    return run


def test_seconds_are_an_images_and_memory_is_the_peak(clock, costs, monkeypatch):
    monkeypatch.setattr(resumable, "peak_memory", iter([300.0, 500.0, 400.0]).__next__)
    assert costs() == {
        "seconds": pytest.approx(3 * BATCH / 12),
        "memory_mb": 500.0,
        "device": device.describe(torch.device("cpu")),
    }


def test_a_killed_jobs_batches_count_once(clock, costs, killed, monkeypatch):
    monkeypatch.setattr(resumable, "peak_memory", iter([900.0, 200.0, 300.0]).__next__)
    cost, starts = killed(costs)
    assert starts == [0, 5, 5, 10]
    assert clock.seconds == 4 * BATCH, "one batch was done twice"
    assert cost["seconds"] == pytest.approx(3 * BATCH / 12)
    assert cost["memory_mb"] == 900


def test_the_time_between_two_jobs_does_not_count(clock, costs, killed):
    def later():
        clock.seconds += 1e6
        return costs()

    cost, _ = killed(later)
    assert cost["seconds"] == pytest.approx(3 * BATCH / 12)


@pytest.mark.parametrize(("level", "share"), [(10, 0.5), (20, 1)])
def test_decoding_bears_the_encodings_share(clock, networks, encoded, detected, level, share):
    encoded()
    path = networks / "latents/cost.json"
    note = json.loads(path.read_text())
    assert set(note) == {"seconds", "memory_mb", "device", "level"}
    assert note["level"] == 20
    path.write_text(json.dumps(note | {"seconds": 8, "memory_mb": 1e6}))
    detected(GuidedDdim, {"L": level, "s": 0}, {"encode_class": "none", "decode_class": "healthy"})
    cost = json.loads((networks / "maps/cost.json").read_text())
    assert cost["seconds"] == pytest.approx(3 * BATCH / 12 + 8 * share)
    assert cost["memory_mb"] == 1e6
    assert set(cost) == {"seconds", "memory_mb", "device"}


def test_encoding_is_timed_too(clock, networks, encoded, monkeypatch):
    original = latents.DiffusionModel.encode

    def slow(self, *arguments):
        clock.seconds += BATCH
        return original(self, *arguments)

    monkeypatch.setattr(latents.DiffusionModel, "encode", slow)
    encoded()
    assert json.loads((networks / "latents/cost.json").read_text())["seconds"] == pytest.approx(3 * BATCH / 12)


@pytest.mark.parametrize("text", [None, "torn", "{}"])
def test_an_encoding_without_its_cost_is_refused_at_once(networks, encoded, detected, text, monkeypatch):
    encoded()
    monkeypatch.setattr(GuidedDdim, "detect", lambda self, batch: pytest.fail("a batch was decoded first"))
    path = networks / "latents/cost.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(InputError, match=r"latents/cost\.json is missing or damaged; delete .*latents and run"):
        detected(GuidedDdim, {"L": 20, "s": 0}, {"encode_class": "none", "decode_class": "healthy"})
    assert not (networks / "maps").exists()


def test_all_splits_count_by_their_images():
    arrays = [
        SimpleNamespace(rows=10, seconds=5.0, memory_mb=700.0),
        SimpleNamespace(rows=30, seconds=3.0, memory_mb=800.0),
    ]
    cost = Cost.of(arrays, torch.device("cpu"))
    assert (cost.seconds, cost.memory_mb) == (pytest.approx(0.2), 800)
