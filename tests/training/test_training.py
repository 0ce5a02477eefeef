"""The training loop: deterministic, resumable after any kind of end, clear where something is wrong."""

import signal

import numpy as np
import pandas as pd
import pytest
import torch
from runs import command, kill, train

from stages import checkpoint, digests, provenance, split_lists
from stages.data.store import StoreWriter
from stages.device import describe
from stages.errors import InputError
from stages.networks.unet import NO_CLASS
from stages.split_lists import SplitList
from stages.training import batches, denoiser
from stages.training.batches import augment, batch_indices
from stages.training.loop import Players, learning_rate

STAGES = ("denoiser", "classifier")


@pytest.mark.parametrize("stage", STAGES)
def test_two_runs_with_one_seed_write_the_same_bytes(stage, tiny_store, tiny_parameters, tmp_path):
    first = train(stage, tiny_parameters, tiny_store, tmp_path / "a")
    assert first == train(stage, tiny_parameters, tiny_store, tmp_path / "b")
    assert first != train(stage, tiny_parameters | {"seed": 4}, tiny_store, tmp_path / "c")
    metrics = pd.read_csv(tmp_path / "a/log/metrics.csv")
    assert metrics["step"].tolist() == [5, 10, 12]
    assert np.isfinite(metrics["loss"]).all()
    assert (tmp_path / "a/log/sheet.png").stat().st_size > 0
    assert not list((tmp_path / "a/state").glob("*"))


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_ends_in_the_same_weights(stage, tiny_store, tiny_parameters, tmp_path):
    tiny_parameters[stage]["training"] |= {"iterations": 60, "ema": 0.9999}  # whose average warms up all the time
    whole = train(stage, tiny_parameters, tiny_store, tmp_path / "whole")
    for how in (signal.SIGKILL, signal.SIGTERM):
        kill(stage, tiny_parameters, tiny_store, tmp_path / "killed", how, saves=3)
    assert train(stage, tiny_parameters, tiny_store, tmp_path / "killed") == whole
    columns = ["step", "loss"]
    a, b = (pd.read_csv(tmp_path / run / "log/metrics.csv")[columns] for run in ("whole", "killed"))
    pd.testing.assert_frame_equal(a, b)


def test_a_split_is_learnt_from_as_if_it_were_alone(tiny_store, tiny_slices, tiny_parameters, tmp_path):
    """Other splits' slices before, between and behind it change no byte."""
    alone = train("denoiser", tiny_parameters, tiny_store, tmp_path / "alone")
    rows, splits = tiny_slices.manifest.to_dict("records"), {}
    with StoreWriter(tmp_path / "data", channels=2, size=16) as writer:
        for n, row in enumerate(rows):
            if n in (0, 1, 7):
                other = {"slice_id": f"other{n}", "subject_id": f"other{n}", "label": 0, "lesion_pixels": 0}
                writer.append(np.ones((1, 2, 16, 16)), np.zeros((1, 16, 16)), [row | other])
                splits[f"other{n}"] = ("validation", "test", "unused")[n % 3]
            writer.append(tiny_slices.images[n : n + 1].astype(np.float32), tiny_slices.masks[n : n + 1], [row])
            splits[row["subject_id"]] = "train"
    split_lists.write(tmp_path / "split.csv", SplitList("subject_id", splits))
    assert train("denoiser", tiny_parameters, tmp_path / "data", tmp_path / "among") == alone


@pytest.mark.parametrize("ema", [0.9999, 0.4])
def test_the_average_holds_nothing_of_the_initial_weights(ema, tiny_store, tiny_parameters, tmp_path, monkeypatch):
    original, steps = Players.step, []

    def step(self, *arguments):
        losses = original(self, *arguments)
        steps.append({name: weight.double() for name, weight in self.objective.network.state_dict().items()})
        return losses

    monkeypatch.setattr(Players, "step", step)
    tiny_parameters["denoiser"]["training"] |= {"ema": ema, "schedule": "constant", "learning_rate": 0.01}
    train("denoiser", tiny_parameters, tiny_store, tmp_path)
    shares = np.array([ema ** (len(steps) - n) for n in range(1, len(steps) + 1)])
    shares /= shares.sum()
    averaged = {
        name: sum(float(share) * weights[name] for share, weights in zip(shares, steps, strict=True))
        for name in steps[0]
    }
    tensors, _ = checkpoint.load(tmp_path / "denoiser.safetensors")
    assert len(steps) == 12
    for name, weight in averaged.items():
        torch.testing.assert_close(tensors[f"ema.{name}"].double(), weight, rtol=1e-5, atol=1e-7)
    assert any((averaged[name] - steps[-1][name]).abs().max() > 1e-4 for name in averaged)


def test_the_state_of_another_run_is_not_used(tiny_store, tiny_parameters, tmp_path, capsys):
    expected = train("denoiser", tiny_parameters, tiny_store, tmp_path / "a")
    (tmp_path / "b/state").mkdir(parents=True)
    header = {"run": {"parameters": "others"}, "progress": {}}
    checkpoint.save(tmp_path / "b/state/state.safetensors", {"network/x": torch.zeros(1)}, header)
    assert train("denoiser", tiny_parameters, tiny_store, tmp_path / "b") == expected
    assert "starting afresh" in capsys.readouterr().out
    (tmp_path / "c/state").mkdir(parents=True)
    (tmp_path / "c/state/state.safetensors").write_bytes(b"torn")
    assert train("denoiser", tiny_parameters, tiny_store, tmp_path / "c") == expected


def test_training_learns(tiny_store, tiny_parameters, tmp_path):
    tiny_parameters["classifier"]["training"] |= {"iterations": 60, "accumulate": 1, "max_level": 5, "log_every": 20}
    train("classifier", tiny_parameters, tiny_store, tmp_path)
    metrics = pd.read_csv(tmp_path / "log/metrics.csv")
    assert metrics["accuracy"].iloc[-1] > 0.9
    assert metrics["loss"].iloc[-1] < metrics["loss"].iloc[0] / 2


def test_checkpoint_says_what_trained_it(tiny_store, tiny_parameters, tmp_path):
    train("denoiser", tiny_parameters, tiny_store, tmp_path)
    tensors, header = checkpoint.load(tmp_path / "denoiser.safetensors")
    assert header["parameters"] == tiny_parameters
    assert header["step"] == 12
    assert header["repeat"] is None
    assert len(header["data_sha256"]) == 64
    raw, averaged = tensors["out.2.weight"], tensors["ema.out.2.weight"]
    assert raw.shape == averaged.shape
    assert not torch.equal(raw, averaged)


def test_a_run_notes_its_device_and_its_data_and_is_its_repeats(tiny_store, tiny_parameters, tmp_path):
    out = tmp_path / "fold2-seed3"
    options = denoiser.arguments().parse_args(command("denoiser", tiny_parameters, tiny_store, out))
    with provenance.job("stages.training.denoiser", options):
        denoiser.main(options)
    _, header = checkpoint.load(out / "denoiser.safetensors")
    assert header["repeat"] == "fold2-seed3"
    note = provenance.of(out / "denoiser.safetensors")
    assert (note.stage, note.seed, note.parameters) == ("stages.training.denoiser", 3, tiny_parameters)
    assert note.devices == [describe(torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"))]
    assert note.data_sha256 == provenance.sha256(digests.read(tiny_store))
    assert note.inputs == ["data", "split.csv"]
    assert note.outputs == ["denoiser.safetensors"]


def test_a_loss_that_is_not_finite_stops_in_one_sentence(tiny_store, tiny_parameters, tmp_path):
    tiny_parameters["denoiser"]["training"] |= {"learning_rate": 1e30, "warmup": 0}
    with pytest.raises(InputError, match="loss is no longer finite at iteration"):
        train("denoiser", tiny_parameters, tiny_store, tmp_path)
    assert not (tmp_path / "denoiser.safetensors").exists()


def test_accumulated_batches_are_one_large_batch():
    rows = np.concatenate([batch_indices(10, 4, number, seed=1) for number in range(5)])
    assert sorted(rows[:10]) == list(range(10))
    assert sorted(rows[10:]) == list(range(10))
    assert list(rows) == list(batch_indices(10, 20, 0, seed=1))


def test_an_epoch_is_shuffled_once_for_all_its_batches(monkeypatch):
    class Watched:
        shuffled = 0

        def permutation(self, slices):
            Watched.shuffled += 1
            return np.arange(slices)

    batches._epoch.cache_clear()
    monkeypatch.setattr(np.random, "default_rng", lambda seed: Watched())
    try:
        for number in range(25):  # of 4 of 10 rows: ten epochs, five batches lie in two
            batch_indices(10, 4, number, seed=1)
        assert Watched.shuffled == 10
    finally:
        batches._epoch.cache_clear()


def test_what_is_done_to_a_batchs_rows_changes_no_later_batch():
    first = batch_indices(10, 10, 0, seed=1)
    kept = first.copy()
    first[:] = 0
    assert list(batch_indices(10, 10, 0, seed=1)) == list(kept)


def test_learning_rate_warms_up_and_decays():
    rates = [learning_rate(i, 100, peak=2.0, warmup=9, schedule="cosine") for i in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) < 2
    assert rates[50] == pytest.approx(1.0)
    assert rates[99] < 0.01
    assert learning_rate(77, 100, peak=2.0, warmup=0, schedule="constant") == 2.0


@pytest.mark.parametrize("iterations", [100, 101])
def test_learning_rate_decays_in_its_second_half(iterations):
    rates = [learning_rate(i, iterations, peak=2.0, warmup=0, schedule="decay") for i in range(iterations)]
    assert all(rate == 2.0 for rate in rates[: iterations // 2 + 1])
    falls = -np.diff(rates[iterations // 2 + 1 :])
    np.testing.assert_allclose(falls, 2 * 2.0 / iterations)
    assert rates[-1] == pytest.approx(2 * 2.0 / iterations)  # a step later it would be 0


def test_augmentation_mirrors_left_and_right_and_leaves_the_background():
    image = torch.zeros(64, 1, 4, 4)
    image[:, :, 1, 0] = 0.5
    mirrored, masks = augment(image, image[:, 0], True, 0, [0, 1], torch.Generator().manual_seed(0))
    assert 16 < int((mirrored[:, 0, 1, 3] == 0.5).sum()) < 48
    assert torch.equal(mirrored.sum(dim=(1, 2, 3)), image.sum(dim=(1, 2, 3)))
    assert torch.equal(masks, mirrored[:, 0])
    jittered, _ = augment(2 * image - 1, image, False, 0.2, [-1, 1], torch.Generator().manual_seed(0))
    assert (jittered[:, :, 0] == -1).all()
    assert jittered[:, 0, 1, 0].std() > 0.05


def test_dropped_labels_are_the_promised_share():
    seen = []

    class Spy(torch.nn.Module):
        def forward(self, x, t, y):
            seen.append(y)
            assert t.min() >= 0
            assert t.max() < 20
            return torch.zeros(x.shape[0], 2 * x.shape[1], *x.shape[2:])

    schedule = denoiser.NoiseSchedule.linear(40, (1e-4, 0.02))
    objective = denoiser.DenoisingObjective(Spy(), schedule, [-1, 1], max_level=20, label_dropout=0.2)
    terms = objective.loss(
        "network",
        objective.players(),
        torch.zeros(2000, 1, 2, 2),
        torch.ones(2000).long(),
        torch.Generator().manual_seed(0),
    )
    assert float(terms["mse"]) == pytest.approx(1, abs=0.05)
    assert 0.17 < float((seen[0] == NO_CLASS).float().mean()) < 0.23
