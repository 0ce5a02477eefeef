"""Slices, training, sums, and the table that is printed."""

import importlib
import shutil

import numpy as np
import pytest
import torch

from stages.costs import __main__ as program
from stages.costs import slices, training
from stages.costs.work import work
from stages.device import Processor
from stages.errors import InputError
from stages.networks import flops
from stages.parameters import reading
from stages.training.loop import Players
from stages.training.section import Training


def numbers(labels):
    return {split: (int((found == 0).sum()), int((found == 1).sum())) for split, found in labels.items()}


def test_slices_are_assumed_by_what_params_yaml_says(config):
    def assumed(name):
        return numbers(slices.assumed(reading.benchmark(config, name)))

    assert assumed("brats2020") == {"train": (5598, 10607), "validation": (0, 0), "test": (705, 1082)}
    assert assumed("chexpert") == {"train": (14179, 16776), "validation": (0, 0), "test": (200, 200)}
    config["benchmarks"]["phantom-brain"]["data"] |= {"split": {"train": 7, "validation": 0, "test": 2}}
    config["benchmarks"]["phantom-brain"]["data"]["brats"] |= {"slices": [10, 19], "step": 3}
    found = assumed("phantom-brain")  # 10, 13, 16, 19
    assert {split: sum(both) for split, both in found.items()} == {"train": 28, "validation": 0, "test": 8}


@pytest.mark.parametrize(("split", "reader"), [("raw", "chexpert"), ({"train": 9, "test": 3}, "chexpert")])
def test_what_params_yaml_does_not_say_is_asked_for(config, split, reader):
    parameters = reading.benchmark(config, "chexpert")
    parameters = parameters | {"data": parameters["data"] | {"split": split, "reader": reader}}
    with pytest.raises(InputError, match="by --slices"):
        slices.assumed(parameters)


def test_slices_that_are_there_are_counted(smoke, tiny_store, tiny_split_list, tmp_path):
    assert slices.extracted(smoke, tmp_path) is None
    (tmp_path / "data").symlink_to(tiny_store)
    (tmp_path / "split").mkdir()
    shutil.copy(tiny_split_list, tmp_path / "split/fold1.csv")
    assert numbers(slices.extracted(smoke, tmp_path)) == {"train": (6, 6), "validation": (0, 0), "test": (1, 1)}


@pytest.mark.parametrize(
    "name", ["denoiser", "classifier", "vae", "fixed_point_gan", "segmenter", "simplex_denoiser", "patched_denoiser"]
)
def test_training_takes_what_the_loops_steps_take(smoke, name):
    labels = np.repeat([0, 1], [6, 8])
    smoke["fixed_point_gan"]["critic_steps"] = 2
    small = {key: smoke["classifier"]["training"][key] for key in ("iterations", "batch", "max_level")}
    unet = smoke["denoiser"]["network"]
    for peer, network in (("segmenter", {"widths": [4, 8]}), ("simplex_denoiser", unet), ("patched_denoiser", unet)):
        smoke[peer] |= {"network": network, "training": smoke[peer]["training"] | small}
    smoke[name]["training"] |= {"accumulate": 2}
    found = training.of(smoke, name, labels)
    section = Training.of(smoke, name)
    objective = importlib.import_module(f"stages.training.{name}").objective(smoke, torch.device("cpu"))
    assert found.steps == section.steps(len(section.rows(labels))) > 1
    seen = []
    for network in objective.players().values():
        network.register_forward_hook(lambda _, arguments, __: seen.append(len(arguments[0])))
    players = Players(objective, section, Processor(), "never")
    images = torch.rand(section.batch, 4, 16, 16)
    targets = torch.arange(section.batch) % 2
    if name == "segmenter":
        targets = targets[:, None, None].expand(-1, 16, 16)
    batches = [(images, targets)] * section.accumulate
    with flops.Counter() as counter:
        for iteration in range(found.steps):
            players.step(iteration, batches, 1e-4, torch.Generator())
    assert found.evaluations == sum(seen)
    assert found.flops == pytest.approx(counter.total, rel=0.02)


def test_parts_follow_from_slices_settings_and_repeats(smoke):
    smoke["repeats"] = {"folds": 1, "seeds": [0, 1, 2]}
    counts = {"train": 12, "validation": 4, "test": 6}
    labels = {split: slices.by_share(split, count) for split, count in counts.items()}
    assert numbers(labels)["validation"] == (1, 3)
    parts = {(one.chapter, one.name): one for one in work(smoke, labels)}
    assert {name for chapter, name in parts if chapter == "training"} == {
        "denoiser",
        "classifier",
        "vae",
        "fixed_point_gan",
    }
    assert parts["training", "denoiser"].evaluations == 3 * 20 * 4  # iterations, images
    guided = parts["detection", "guided-ddim"]  # at s = 0 and 5; 7 steps up to L = 20 at stride 5
    # At s = 0 without the healthy slice of validation; of test six are kept, which are all.
    assert (guided.times, guided.evaluations, guided.slopes) == (6, 3 * (9 * 7 + 10 * 14), 3 * 10 * 7)
    assert guided.bytes == 3 * (9 + 10 + 2 * 6 * 4) * 16 * 16 * 2  # maps, and four channels, float16
    latents = parts["latents", "none"]  # for classifier-free at L = 10 and 20
    assert (latents.evaluations, latents.bytes) == (3 * 10 * 7, 3 * 10 * 2 * 4 * 16 * 16 * 4)
    assert parts["detection", "intensity"].bytes == 3 * 10 * 2 * 16 * 16 * 2
    assert parts["detection", "intensity"].flops == 0
    trade_off = parts["sampling", "trade-off"]  # four slices of the first repeat
    assert (trade_off.times, trade_off.bytes) == (12, 4 * 12 * 16 * 16 * 2)


def test_the_table_has_a_line_a_part_and_the_sums(capsys, root):
    path = str(root / reading.FILE)
    program.main(program.arguments().parse_args(["smoke", "--params", path, "--slices", "9", "2", "3"]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "smoke: slices 9 train, 2 validation, 3 test (by --slices); repeats 1"
    (guided,) = [line.split() for line in lines if " guided-ddim " in line]
    # At s = 0 without the healthy slice of validation.
    assert guided[:5] == ["detection", "guided-ddim", "2", f"{4 * 7 + 5 * 14}", f"{5 * 7}"]
    assert any(line.startswith("2 CPU cores ") for line in lines)
    with pytest.raises(InputError, match="--slices cannot be less than 0: -1"):
        program.main(program.arguments().parse_args(["smoke", "--params", path, "--slices", "9", "-1", "3"]))
