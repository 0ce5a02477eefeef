"""Benchmarks that inherit from others, and those of this project that do."""

import pytest
from changes import PARAMS, put, refusal

from stages import methods
from stages.parameters import reading, sections


def test_a_benchmark_inherits_from_another_and_that_from_a_third(config):
    config["benchmarks"] |= {
        "child": {"inherits": "smoke", "methods": {"vae": None}, "detection": {"weights": "ema"}},
        "grandchild": {"inherits": "child", "detection": {"batch": 3}},
    }
    loaded = reading.load(config)
    parent, grandchild = reading.benchmark(loaded, "smoke"), reading.benchmark(loaded, "grandchild")
    assert "inherits" not in grandchild
    assert grandchild["methods"] == {name: method for name, method in parent["methods"].items() if name != "vae"}
    assert grandchild["detection"] == parent["detection"] | {"weights": "ema", "batch": 3}
    assert grandchild["data"]["folder"] == "data/smoke", "the phantom is the parent's"


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            {"batch": 0},
            "benchmarks.grandchild.detection.batch must be at least 1, not 0 (slices in one forward pass, at most: a "
            "detector halves a batch that does not fit into the memory of its card)",
        ),
        (
            {"stride": 4},
            "benchmarks.smoke.methods.classifier-free.grid[0].L must hold multiples of detection.stride = 4, not 10 "
            "(in benchmark grandchild)",
        ),
        (
            {"stride": 4, "convention": "released-code"},
            "benchmarks.grandchild.detection.stride must be 1 under convention released-code, not 4",
        ),
    ],
)
def test_what_is_wrong_with_an_heir_is_named_where_it_stands(config, overrides, sentence):
    config["benchmarks"] |= {
        "child": {"inherits": "smoke"},
        "grandchild": {"inherits": "child", "detection": overrides},
    }
    assert refusal(config) == f"params.yaml: {sentence}"


@pytest.mark.parametrize("change", [{"phantom": {"noise": 0.1}}, {"seed": 1}])
def test_another_phantom_than_the_inherited_one_needs_its_own_folder(config, change):
    config["benchmarks"]["child"] = {"inherits": "smoke", **change}
    message = "data.folder must be data/child in a benchmark with a phantom, not data/smoke (in benchmark child)"
    assert message in refusal(config)
    put(config, "benchmarks/child/data", {"folder": "data/child"})
    reading.load(config)


@pytest.mark.parametrize(
    ("benchmarks", "sentence"),
    [
        (
            {"a": {"inherits": "smok"}},
            "benchmarks.a.inherits names 'smok', but benchmarks has only brats2020, smoke, a",
        ),
        ({"a": {"inherits": "b"}, "b": {"inherits": "a"}}, "benchmarks.b.inherits leads in a circle: a -> b -> a"),
        ({"a": {"inherits": "a"}}, "benchmarks.a.inherits leads in a circle: a -> a"),
        ({"a": {"inherits": ["smoke"]}}, "benchmarks.a.inherits must be text, not ['smoke'] (the benchmark whose keys"),
    ],
)
def test_what_cannot_be_inherited_is_refused(config, benchmarks, sentence):
    config["benchmarks"] |= benchmarks
    message = refusal(config)
    assert sentence in message
    assert "\n" not in message


def test_a_benchmark_may_be_only_data(config):
    config["benchmarks"]["smoke"]["methods"] = None
    parameters = reading.benchmark(reading.load(config), "smoke")
    assert methods.of(parameters) == methods.sampled(parameters) == {}
    assert methods.networks_in_use(parameters) == sections.levels(parameters) == []


def test_each_ablation_turns_one_thing_to_what_the_paper_has():
    """Beside the methods that it does without."""

    def leaves(section: dict, path: tuple = ()) -> dict:
        found = {}
        for key, value in section.items():
            found |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
        return found

    paper = leaves(PARAMS["paper"])
    # What `paper` itself departs in: float32 takes twice as long.
    paper |= {key: "32-true" for key in paper if key[-1] == "precision"}
    heirs = [name for name, values in PARAMS["benchmarks"].items() if "inherits" in values]
    others = ("-full", "-256", "-peers")
    ablations = [name for name in heirs if name.startswith("phantom-") and not name.endswith(others)]
    assert len(ablations) == 10
    turned = set()
    for name in ablations:
        parent, own = (leaves(reading.benchmark(PARAMS, one)) for one in (PARAMS["benchmarks"][name]["inherits"], name))
        changed = {key for key, value in own.items() if parent[key] != value} - {("figures", "method")}
        assert changed, name
        assert all(own[key] == paper[key] for key in changed), name
        assert {key[0] for key in parent.keys() - own.keys()} <= {"methods", "trade_off"}
        assert "intensity" not in reading.benchmark(PARAMS, name)["methods"], "which none of this touches"
        turned |= {key[-1] for key in changed}
    switches = {"intensity", "weights", "max_level", "label_dropout", "mirror", "schedule", "jitter", "weight_decay"}
    assert turned == switches | {"kl_gate", "difference", "precision"}
