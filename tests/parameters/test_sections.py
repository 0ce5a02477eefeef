"""What each rule is handed, and the identity of what comes of it."""

import copy
from pathlib import Path

import pytest
from changes import PARAMS, put

from stages import methods
from stages.errors import InputError
from stages.parameters import reading, sections
from stages.repeats import Repeat

SETTINGS: dict[str, dict] = {
    "guided-ddim": {"L": 20, "s": 5},
    "guided-ddpm": {"L": 20, "s": 2},
    "vae": {},
    "fixed-point-gan": {},
    "classifier-free": {"L": 20, "w": 2},
    "intensity": {"view": "plain"},
}
"""One of each method of `smoke`."""


def test_a_method_gets_its_networks_and_what_they_are_made_from():
    smoke = reading.benchmark(PARAMS, "smoke")
    guided = sections.section(smoke, "detect", "guided-ddim", {"L": 20, "s": 5})
    own = ["denoiser", "intensity", "noise_schedule", "classifier"]
    assert list(guided) == ["seed", "data", "compile", "detection", *own, "options", "setting", "kept"]
    assert guided["options"] == {"encode_class": "healthy", "decode_class": "healthy"}
    assert guided["setting"] == {"L": 20, "s": 5}
    assert guided["kept"] == {"healthy": True, "reconstructions": 6}
    assert "kept_slices" not in guided["detection"], "a rule that keeps nothing is not rerun"
    assert "stride" in guided["detection"]
    assert "classifier" not in sections.section(smoke, "detect", "guided-ddim", {"L": 20, "s": 0})
    plain = sections.section(smoke, "detect", "vae", {})
    assert list(plain) == ["seed", "data", "compile", "detection", "vae", "options", "setting", "kept"]
    assert "stride" not in plain["detection"]


INERT = {
    "vae/training/gpus": 2,
    "denoiser/training/save_minutes": 77,
    "data/published_slices": {"train": 3},
    "compile": "kernels",
    "detection/batch": 3,
    "detection/shards": 3,
    "detection/runtime_minutes": 3,
}


@pytest.mark.parametrize("name", ["smoke", "phantom-brain-256"])
def test_the_page_of_tables_shows_no_key_whose_change_does_not_make_it_again(name):
    parameters = copy.deepcopy(reading.benchmark(PARAMS, name))
    before = copy.deepcopy(sections.section(parameters, "tables_page"))
    assert {"seed", "methods", "vae"} <= before.keys()
    for path, value in INERT.items():
        put(parameters, path, value)
    after = sections.section(parameters, "tables_page")
    changed = {key for key in ("compile", "detection") if before.get(key) != after.get(key)}
    assert changed == ({"compile", "detection"} if "trade_off" in parameters else set()), "where seconds are measured"
    kept = ("compile", "detection")
    assert {key: value for key, value in before.items() if key not in kept} == {
        key: value for key, value in after.items() if key not in kept
    }


def test_a_repeat_has_its_own_seed_where_something_is_drawn_from_it():
    smoke = reading.benchmark(PARAMS, "smoke") | {"seed": 5, "repeats": {"folds": 2, "seeds": [7, 8]}}
    other = Repeat(2, 8)
    trained = [("train", "vae"), ("latents", "none"), ("detect", "vae"), ("trade_off_maps", None), ("trajectory", None)]
    assert {rule for rule, _ in trained} == set(sections.REPEATED)
    for rule, item in trained:
        assert sections.section(smoke, rule, item, repeat=other)["seed"] == 8
        assert sections.section(smoke, rule, item)["seed"] == 7, "the first"
    for rule in ("phantom", "split", "comparison_tables", "examples_figure_3"):
        assert sections.section(smoke, rule, repeat=other)["seed"] == 5
    assert "seed" not in sections.section(smoke, "extract")


@pytest.mark.parametrize(
    ("path", "value", "concerned"),
    [
        # what makes the phantom and the slices makes all
        ("phantom/noise", 0.1, set(SETTINGS)),
        ("data/brats/step", 2, set(SETTINGS)),
        ("data/split/train", 2, set(SETTINGS)),
        ("evaluation/healthy_quantile", 0.9, set(SETTINGS)),
        # what makes a network or a method makes its own
        ("denoiser/training/iterations", 21, {"guided-ddim", "guided-ddpm", "classifier-free"}),
        ("classifier/training/iterations", 21, {"guided-ddim", "guided-ddpm"}),
        ("detection/solver", "heun", {"guided-ddim", "classifier-free"}),
        ("vae/loss/kl_gate", False, {"vae"}),
        ("vae/training/labels", "both", {"vae"}),
        ("methods/vae/options/score", "combined", {"vae"}),
        # what makes no result, or only tables and figures, makes none; nor does what the same grid holds beside it
        ("denoiser/training/save_minutes", 99, set()),
        ("detection/batch", 3, set()),
        ("compile", "kernels", set()),
        ("data/published_slices", {"test": 3}, set()),
        ("data/licence", "CC-BY-4.0", set()),
        ("detection/kept_slices", 9, set()),
        ("evaluation/bootstrap", 3, set()),
        ("methods/classifier-free/grid", [{"L": [5, 10, 20], "w": [2]}], set()),
        ("repeats", {"folds": 1, "seeds": [0, 1]}, set()),
    ],
)  # fmt: skip
def test_the_identity_of_scores_is_that_of_all_parameters_that_make_them(path, value, concerned):
    def identities(parameters: dict) -> dict[str, str]:
        return {name: sections.identity(parameters, Repeat(1, 0), name, one) for name, one in SETTINGS.items()}

    before = reading.benchmark(PARAMS, "smoke")
    after = copy.deepcopy(before)
    put(after, path, value)
    old, new = identities(before), identities(after)
    assert len(set(old.values())) == 6
    assert {name for name in old if old[name] != new[name]} == concerned


def test_healthy_slices_are_left_out_where_the_setting_is_fixed_and_another_one_and_there_are_masks():
    def everywhere(benchmark: str, name: str) -> list[bool]:
        parameters = reading.benchmark(PARAMS, benchmark)
        method = parameters["methods"][name]
        grid = methods.settings(method)
        return [sections.kept(parameters, method, setting)["healthy"] for setting in grid]

    assert everywhere("smoke", "guided-ddim") == [False, True], "s = 0 and 5, which is reported"
    assert everywhere("smoke", "guided-ddpm") == [True, True], "the setting is chosen"
    assert sum(everywhere("brats2020", "guided-ddim")) == 1
    assert all(everywhere("chexpert", "guided-ddim")), "no masks"
    assert sections.masked(reading.benchmark(PARAMS, "phantom-chest")), "masks that the reader's key names"


def test_what_is_kept_makes_other_scores_only_where_healthy_slices_are_left_out():
    smoke = reading.benchmark(PARAMS, "smoke")
    other = copy.deepcopy(smoke)
    other["detection"]["kept_slices"] = 9
    fixed = copy.deepcopy(smoke)
    fixed["methods"]["guided-ddim"]["setting"] = {"L": 20, "s": 0}

    def identities(parameters: dict) -> list[str]:
        return [sections.identity(parameters, Repeat(1, 0), "guided-ddim", {"L": 20, "s": s}) for s in (0, 5)]

    (at_0, at_5), (other_0, other_5), (fixed_0, fixed_5) = map(identities, (smoke, other, fixed))
    assert at_5 == other_5 != fixed_5
    assert len({at_0, other_0, fixed_0}) == 3


@pytest.mark.parametrize(
    ("benchmark", "run", "identity"),
    [
        ("phantom-brain", ("guided-ddim", {"L": 500, "s": 30}), "688726247bb08551"),
        ("phantom-brain-full", ("vae", {}), "42ed8e85377c8475"),
        ("phantom-chest", ("guided-ddpm", {"L": 250, "s": 30}), "a0f4d7977fb03cc2"),
    ],
)
def test_records_that_are_there_stay_those_of_the_parameters_of_now(benchmark, run, identity):
    method, setting = run
    assert sections.identity(reading.benchmark(PARAMS, benchmark), Repeat(1, 0), method, setting).startswith(identity)


def test_another_fold_seed_or_setting_has_another_identity(config, published):
    smoke = reading.benchmark(PARAMS, "smoke")
    runs = [(Repeat(1, 0), 5), (Repeat(2, 0), 5), (Repeat(1, 1), 5), (Repeat(1, 0), 0)]
    assert len({sections.identity(smoke, repeat, "guided-ddim", {"L": 20, "s": s}) for repeat, s in runs}) == 4
    published("a,train", "b,test")
    listed = reading.benchmark(config, "brats2020")
    before = sections.identity(listed, Repeat(1, 0), "vae", {})
    Path("workflow/splits/ours.csv").write_text("subject_id,split\nb,train\na,test\n")
    assert sections.identity(listed, Repeat(1, 0), "vae", {}) != before


def test_the_trade_off_and_the_scheme_get_the_networks_of_their_method():
    smoke = reading.benchmark(PARAMS, "smoke")
    section = sections.section(smoke, "trade_off_maps")
    assert section["setting"] == {"L": 20, "s": 5}
    assert section["options"] == {"encode_class": "healthy", "decode_class": "healthy"}
    assert section["trade_off"].keys() == {"slices", "solvers"}
    assert "stride" not in section["detection"], "the stride of the other maps changes nothing here"
    assert "classifier" in section
    smoke["figures"]["scheme"] = {"L": 20, "s": 0}
    assert "classifier" not in sections.section(smoke, "trajectory")
    assert "stride" in sections.section(smoke, "trajectory")["detection"]


def test_levels_are_those_of_the_class():
    smoke = reading.benchmark(PARAMS, "smoke")
    assert sections.levels(smoke) == [10, 20]
    assert sections.levels(smoke, "healthy") == [20]
    assert sections.levels(smoke, "none") == [10, 20]
    assert sections.levels(smoke, "diseased") == []


def test_a_stage_gets_its_part_and_nothing_else():
    smoke = reading.benchmark(PARAMS, "smoke")
    section = sections.section(smoke, "train", "denoiser")
    assert list(section) == ["seed", "data", "compile", "denoiser", "intensity", "noise_schedule", "licence"]
    assert section["data"] == {"size": 16, "channels": ["t1", "t1ce", "t2", "flair"]}
    assert list(sections.section(smoke, "train", "vae")) == ["seed", "data", "compile", "vae", "licence"]
    data = sections.section(smoke, "extract")["data"]
    assert "folder" not in data
    assert "chexpert" not in data
    assert "split" not in data
    assert data["brats"] == {"percentiles": [1, 99], "slices": [8, 12], "step": 1, "pad": 32}
    assert sections.section(smoke, "split")["data"] == {
        "reader": "brats",
        "split": {"train": 3, "validation": 2, "test": 2},
    }
    evaluation = {"lesion_pixels_at_256": 20, "healthy_quantile": 0.98}
    assert sections.section(smoke, "scores") == {"evaluation": evaluation}
    with pytest.raises(InputError, match="there is no rule 'trian'"):
        sections.section(smoke, "trian")
