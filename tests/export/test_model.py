"""What is chosen by name: a method, its setting, whose networks."""

from pathlib import Path

import pytest
import yaml
from translate_project import CASES

from stages import checkpoint
from stages.errors import InputError
from stages.evaluation import records
from stages.export import model


def plan(project: Path, benchmark: str = "brain", **choice: object) -> model.Plan:
    return model.plan(model.Choice(benchmark, **choice))


def test_the_reported_setting_is_taken_and_single_keys_of_it_changed(project, monkeypatch):
    monkeypatch.chdir(project)
    assert plan(project).setting == {"L": 20, "s": 5}  # of params.yaml
    with pytest.raises(InputError, match=r"comparison\.csv is not there.*or name --L and --w"):
        plan(project, method="classifier-free")
    table = project / "results/brain/tables/comparison.csv"
    rows = ["method,setting,settings", "guided-ddim,L20_s0,L20_s0", "classifier-free,L10_w2,L10_w2"]
    records.write_text(table, "\n".join(rows) + "\n")
    try:
        assert plan(project).setting == {"L": 20, "s": 0}
        assert set(plan(project).checkpoints) == {"denoiser"}  # unguided
        assert plan(project, setting={"s": 7}).setting == {"L": 20, "s": 7}  # outside of the grid
        assert plan(project, method="classifier-free").setting == {"L": 10, "w": 2}
    finally:
        table.unlink()


def test_where_folds_chose_several_settings_a_repeat_has_that_of_its_own_fold(project, monkeypatch):
    monkeypatch.chdir(project)
    config = yaml.safe_load(Path("params.yaml").read_text())
    config["benchmarks"]["folded"] = {"inherits": "brain", "repeats": {"folds": 2, "seeds": [0]}}
    config["benchmarks"]["folded"]["methods"] = {"intensity": {"setting": "validation"}}
    monkeypatch.setattr("stages.parameters.reading.load", lambda *_: config)
    tables = project / "results/folded/tables"
    words = '"view-plain (1 fold), view-equalised (1 fold)"'
    records.write_text(tables / "comparison.csv", f"method,setting,settings\nintensity,view-plain,{words}\n")
    rows = ["fold,method,setting,split,slices,diseased,image_auroc,mean_map_ratio,dice_average_otsu,auroc"]
    for fold, best in ((1, "plain"), (2, "equalised")):
        rows += [
            f"{fold},intensity,view-{view},validation,20,10,{0.9 if view == best else 0.5},1,.5,.5"
            for view in ("plain", "equalised")
        ]
    records.write_text(tables / "repeats.csv", "\n".join(rows) + "\n")
    found = [plan(project, "folded", method="intensity", repeat=f"fold{fold}-seed0").setting for fold in (1, 2)]
    assert found == [{"view": "plain"}, {"view": "equalised"}]


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"method": "mine"}, "mine is no method of brain, whose methods are .*guided-ddim.*"),
        ({"repeat": "fold2-seed0"}, "fold2-seed0 is no repeat .*"),
        (
            {"benchmark": "chest", "method": "intensity"},
            r".*\.csv is not .*, or set methods\.intensity\.setting in params.yaml",
        ),
        ({"setting": {"w": 2}}, "guided-ddim knows no w: its settings have L, s"),
        ({"setting": {"L": 12}}, r"the setting L = 12, s = 5 of guided-ddim: L must hold multiples of .* = 5, not 12"),
        ({"setting": {"L": 25}}, r"the setting L = 25, .*: L must stay within .*max_level = 20, not 25"),
        ({"checkpoints": Path("elsewhere")}, r"elsewhere/denoiser\.safetensors is missing: .* --checkpoints"),
        ({"method": "vae"}, r"results/brain/checkpoints/fold1-seed0/vae\.safetensors is missing: .*"),
        ({"benchmark": "other"}, r"params\.yaml: benchmarks has no 'other', only .*"),
    ],
)
def test_what_cannot_be_chosen(project, monkeypatch, choice, sentence):
    monkeypatch.chdir(project)
    with pytest.raises(InputError, match=f"^{sentence}$"):
        plan(project, **choice)


def test_checkpoints_of_another_seed_are_refused_with_advice_that_fits(project, run, tmp_path):
    own, brought = project / "results/brain/checkpoints/fold1-seed0", tmp_path / "brought"
    brought.mkdir()
    for path in own.iterdir():
        tensors, _ = checkpoint.load(path)
        checkpoint.save(brought / path.name, tensors, {"parameters": {"seed": 8}})
    with pytest.raises(InputError, match=r"with seed = 8 where this job has 0: say with --benchmark and --repeat, and"):
        run("brain", project / "raw" / CASES[0], "--checkpoints", brought)
    config = yaml.safe_load((project / "params.yaml").read_text())
    config["benchmarks"]["brain"]["repeats"] = {"folds": 1, "seeds": [8]}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config))
    theirs = ["--params", tmp_path / "params.yaml", "--results", tmp_path / "results", "--repeat", "fold1-seed8"]
    said, _ = run("brain", project / "raw" / CASES[0], "--checkpoints", brought, *theirs, *("--L", 20, "--s", 5))
    assert said["repeat"] == "fold1-seed8"
    parked = tmp_path / "parked"
    own.rename(parked)
    brought.rename(own)
    try:
        with pytest.raises(InputError, match=r"with seed = 8 where this job has 0; delete it and run Snakemake again"):
            run("brain", project / "raw" / CASES[0])
    finally:
        own.rename(brought)
        parked.rename(own)


def test_a_wrong_benchmark_hinders_no_other(project, monkeypatch, tmp_path):
    monkeypatch.chdir(project)
    config = yaml.safe_load((project / "params.yaml").read_text())
    config["benchmarks"]["chest"]["seed"] = "x"
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(config))
    assert plan(project, params=tmp_path / "params.yaml").method == "guided-ddim"
    with pytest.raises(InputError, match=r"params\.yaml: benchmarks\.chest\.seed must be"):
        plan(project, "chest", params=tmp_path / "params.yaml")
