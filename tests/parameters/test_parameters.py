"""params.yaml: merged, checked, refused with one sentence that names the key as the user wrote it."""

# ruff: noqa: E501 (a table of sentences)

import copy
import json
import subprocess
import sys

import pytest
import yaml
from changes import PARAMS, ROOT, put, refusal
from sklearn.model_selection import ParameterGrid

from stages import methods
from stages.errors import InputError
from stages.parameters import reading
from stages.parameters.by_schema import SCHEMA

PEER = {"detector": "anofpdm", "options": {}, "grid": [{"L": [20], "w": [3]}], "setting": "validation"}


def test_params_yaml_is_good():
    assert reading.load(ROOT / "params.yaml")["run"] == PARAMS["run"]


def test_paper_values_are_the_papers():
    paper = reading.benchmark(PARAMS, "brats2020")
    # The published lines are the one thing that others do not inherit: they belong to this data set.
    assert paper["figures"].pop("published") == "brats2020"
    assert paper == PARAMS["paper"]
    assert (paper["data"]["size"], paper["noise_schedule"]["timesteps"]) == (256, 1000)
    assert (paper["denoiser"]["training"]["iterations"], paper["classifier"]["training"]["iterations"]) == (
        50_000,
        20_000,
    )
    assert paper["denoiser"]["training"]["batch"] == 10
    names = {setting.name for setting in methods.settings(paper["methods"]["guided-ddim"])}
    fig4 = {f"L{level}_s{scale}" for level in (250, 500, 750) for scale in (5, 10, 20, 50, 100, 250, 500)}
    assert names - {"L250_s0", "L500_s0", "L750_s0"} == fig4 | {f"L500_s{scale}" for scale in (350, 750, 1000, 1500)}


def test_merge_sections_merge_lists_replace_null_removes():
    base = {"a": {"b": 1, "c": [1, 2]}, "d": 3, "e": {"f": 1}}
    merged = reading.deep_merge(base, {"a": {"c": [9]}, "d": None, "e": 5, "g": {"h": {"i": None, "j": 1}}})
    assert merged == {"a": {"b": 1, "c": [9]}, "e": 5, "g": {"h": {"j": 1}}}
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": 3, "e": {"f": 1}}


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        # misspelt keys, at every depth
        ("benchmarks/smoke/denoiser/training/iteratoins", 5, "benchmarks.smoke.denoiser.training.iteratoins is not a known key; "
         "did you mean 'iterations'?"),
        ("benchmarks/smoke/seeed", 5, "benchmarks.smoke.seeed is not a known key; did you mean 'seed'?"),
        ("benchmarks/smoke/methods/guided-ddim/gird", [], "benchmarks.smoke.methods.guided-ddim.gird is not a known key"),
        ("benchmarks/smoke/phantom/zzz", 1, "phantom.zzz is not a known key; known here: anatomy, cases, shape"),
        ("paper/noise_schedule/beat", 5, "paper.noise_schedule.beat is not a known key; did you mean 'beta'?"),
        ("papre", {}, "papre is not a known key; did you mean 'paper'?"),
        ("benchmarks/Smoke Test", {}, "benchmarks.Smoke Test is not a good name"),
        # missing
        ("benchmarks/smoke/phantom", {"anatomy": "brain", "cases": 7}, "benchmarks.smoke.phantom.shape is missing"),
        ("benchmarks/smoke/phantom", {"cases": 7}, "benchmarks.smoke.phantom.anatomy is missing"),
        ("benchmarks/smoke/phantom/anatomy", "leg", "phantom.anatomy must be brain or chest, not the text 'leg'"),
        ("benchmarks/smoke/denoiser/training/label_dropout", None, "benchmarks.smoke.denoiser.training.label_dropout is missing"),
        ("benchmarks/smoke/denoiser/training", {"betas": None, "ema": None, "batch": 0}, "smoke.denoiser.training.betas is missing, and so is ema"),
        # types
        ("benchmarks/smoke/denoiser/training/batch", "ten", "training.batch must be a whole number, not the text 'ten' (images"),
        ("benchmarks/smoke/denoiser/training/batch", 4.0, "training.batch must be a whole number, not 4.0"),
        ("benchmarks/smoke/denoiser/training/learning_rate", "1e-3", "the text '1e-3' (YAML reads it as a number only as 1.0e-03)"),
        ("benchmarks/smoke/denoiser/training/learning_rate", float("inf"), "learning_rate must be a number, not inf"),
        ("benchmarks/smoke/denoiser/training/mirror", 1, "training.mirror must be true or false, not 1"),
        ("benchmarks/smoke/denoiser", 5, "benchmarks.smoke.denoiser must be a section of keys, not 5"),
        ("benchmarks/smoke", [], "benchmarks.smoke must be a section of keys, not []"),
        ("benchmarks", None, "benchmarks must be a section of keys, not empty"),
        ("benchmarks/smoke/detection/weights", False, "must be raw or ema, not false (yes, no, on and off"),
        # ranges
        ("benchmarks/smoke/denoiser/training/batch", 0, "benchmarks.smoke.denoiser.training.batch must be at least 1, not 0"),
        ("benchmarks/smoke/denoiser/training/ema", 1, "training.ema must be less than 1, not 1"),
        ("paper/data/brats/percentiles", [1, 101], "paper.data.brats.percentiles[1] must be at most 100, not 101"),
        ("benchmarks/smoke/data/channels", ["t1", "t3"], "data.channels[1] must be t1 or t1ce or t2 or flair, not the text 't3'"),
        ("benchmarks/smoke/data/channels", ["t1", "t1"], "data.channels holds a value twice"),
        ("benchmarks/smoke/phantom/shape", [24, 24], "phantom.shape needs at least 3 values, not [24, 24]"),
        ("benchmarks/smoke/methods/guided-ddim/setting", "validatoin", "guided-ddim.setting cannot be the text 'validatoin'"),
        ("benchmarks/smoke/methods/guided-ddim/grid", [{"L": [], "s": [0]}], "grid[0].L needs at least 1 value, not []"),
        ("benchmarks/smoke/methods/guided-ddim/options", {"decode_class": "ill"}, "decode_class must be healthy or diseased or none"),
        ("paper/methods/vae/options/score", "best", "methods.vae.options.score must be reconstruction or gradient or combined"),
        ("benchmarks/smoke/methods/vae", {"options": {"skore": "gradient"}}, "options.skore is not a known key; did you mean 'score'?"),
        ("benchmarks/smoke/methods/vae", {"detector": "vea"}, "vae.detector names what cannot be used: stages/detection/vea.py is not there"),
        ("benchmarks/smoke/methods/vae", {"detector": "store"}, "stages/detection/store.py is not there"),
        ("benchmarks/smoke/methods/vae", {"detector": "detector"}, "stages/detection/detector.py lacks the literal NETWORKS"),
        ("benchmarks/smoke/methods/theirs", {"options": {"k": 1}, "grid": [{}], "setting": {}}, "methods.theirs.detector is missing"),
        ("paper/methods/intensity/grid", [{"view": ["Plain"]}], "grid[0].view[0] cannot be the text 'Plain' (a number from 0 on, or a word"),
        ("paper/methods/intensity/grid", [{"view": [1]}], "intensity.grid[0].view may hold plain, inverted, equalised, not 1"),
        ("paper/methods/guided-ddim/grid", [{"L": ["deep"], "s": [1]}], "guided-ddim.grid[0].L must hold numbers, not deep"),
        ("paper/methods/intensity/options/channel", "xray", "options.channel must be one of data.channels, t1, t1ce, t2, flair, not xray"),
        ("benchmarks/smoke/methods/peer", PEER | {"detector": "grad_cam", "grid": [{"resolution": [8, 5]}]}, "peer.grid[0].resolution may hold the resolutions of the classifier, 16, 8, not 8, 5"),
        ("benchmarks/smoke/methods/peer", PEER | {"detector": "gradient", "grid": [{"samples": [2.5], "sigma": [0.1]}]}, "peer.grid[0].samples must hold whole numbers from 1 to 10,000, not 2.5"),
        ("benchmarks/smoke/methods/peer", PEER | {"detector": "gradient", "grid": [{"samples": [0], "sigma": [0.1]}]}, "peer.grid[0].samples must hold whole numbers from 1 to 10,000, not 0"),
        ("benchmarks/smoke/methods/peer", PEER | {"options": {"channels": "flair"}}, "peer.options.channels must be a list out of data.channels, t1, t1ce, t2, flair, each once, not the text 'flair'"),
        ("benchmarks/smoke/methods/peer", PEER | {"options": {"channels": ["flair", "t3"]}}, "options.channels must be a list out of data.channels, t1, t1ce, t2, flair, each once"),
        ("benchmarks/smoke/methods/peer", PEER | {"options": {"channels": ["t2", "t2"]}}, "options.channels must be a list out of data.channels"),
        ("benchmarks/smoke/methods/peer", PEER | {"options": {"channels": []}}, "options.channels must be a list out of data.channels"),
        ("paper/methods/intensity/options/channel", ["flair"], "options.channel must be one of data.channels"),
        ("paper/methods/vae/options/channels", ["t3"], "vae.options.channels must be a list out of data.channels"),
        ("benchmarks/smoke/methods/guided-ddim/options", {"channels": ["t2"]}, "smoke.trade_off.setting is sampled with guided-ddim, whose maps are of some channels alone"),
        ("benchmarks/smoke/vae/network/widths", [8] * 5, "vae.network.widths must be fewer: data.size = 16 cannot be halved 5 times"),
        ("benchmarks/smoke/data/split/validation", {"healthy": "x"}, "split.validation.healthy must be a whole number, not the text 'x'"),
        ("benchmarks/smoke/data/phantom", {}, "data.phantom is not a known key"),
        ("benchmarks/smoke/loop", {}, "benchmarks.smoke.loop is not a known key"),
        ("benchmarks/smoke/gaussian", {"k": 2}, "figures; for a network of your own, write stages/training/gaussian.py with objective or fit"),
        ("benchmarks/smoke/data/mine", {"k": 2}, "images; for a reader of your own, write stages/data/mine.py with RAW_DATA"),
        ("benchmarks/smoke/methods/vae", {"mine": {}}, "methods.vae.mine is not a known key; known here: "),
        ("paper/methods/intensity/grid", [{"view": ["plane"]}], "view may hold plain, inverted, equalised, not plane"),
        ("benchmarks/smoke/methods/theirs", {"detector": "vae", "options": {"score": "gradient", "encode_class": "none"}, "grid": [{}], "setting": {}}, "options.encode_class is not a known key"),
        ("benchmarks/smoke/detection", {"convention": "released-code", "stride": 1, "batch": 8}, "guided-ddpm.grid[0].L must be [500] under convention released-code, not [20]"),
        ("benchmarks/smoke/data/reader", "nobody", "data.reader names what cannot be used: stages/data/nobody.py is not there"),
        ("benchmarks/smoke/data", {"images": {"maskes": {}}}, "images.maskes is not a known key; did you mean 'masks'?"),
        ("benchmarks/smoke/data", {"images": {"scale": "tpye"}}, "images.scale cannot be the text 'tpye' (what becomes 0 and 1"),
        ("benchmarks/smoke/data", {"reader": "chexpert"}, "must be xray, not the text 't1'"),
        ("benchmarks/smoke/data/split", {"train": {"healthy": 1, "diseased": 1}}, "split.train must be a whole number, not {"),
        # which benchmarks
        ("run", "smoke,smok", "run names 'smok', but benchmarks has only brats2020, smoke"),
        ("run", [], "run needs at least 1 value"),
        ("run", 5, "run must be text or a list, not 5"),
        # one number against another
        ("benchmarks/smoke/data/brats/pad", 40, "data.brats.pad must be a multiple of data.size, but 40 is none of 16"),
        ("benchmarks/smoke/data/brats/slices", [12, 8], "data.brats.slices must not end before they begin: [12, 8]"),
        ("benchmarks/smoke/data/brats/slices", [8, 16], "data.brats.slices must end before phantom.shape's z = 16, not [8, 16]"),
        ("benchmarks/smoke/data/brats/percentiles", [99, 1], "data.brats.percentiles must ascend"),
        ("benchmarks/smoke/data/folder", "data/brats2020", "data.folder must be data/smoke in a benchmark with a phantom"),
        ("benchmarks/smoke/phantom/cases", 6, "phantom.cases must be enough for data.split and repeats.folds, 7, not 6"),
        ("benchmarks/smoke/repeats", {"folds": 4}, "phantom.cases must be enough for data.split and repeats.folds, 8, not 7"),
        ("benchmarks/smoke/repeats", {"folds": 0}, "repeats.folds must be at least 1, not 0"),
        ("benchmarks/smoke/repeats", {"seeds": []}, "repeats.seeds needs at least 1 value, not []"),
        ("benchmarks/smoke/repeats", {"seeds": [1, 1]}, "repeats.seeds holds a value twice"),
        ("benchmarks/smoke/repeats", {"seed": [1]}, "repeats.seed is not a known key; did you mean 'seeds'?"),
        ("records", "resue", "records must be fresh or reuse, not the text 'resue'"),
        ("benchmarks/smoke/evaluation/healthy_quantile", 1, "evaluation.healthy_quantile must be less than 1, not 1"),
        ("benchmarks/smoke/detection/difference", "min_max", "detection.difference must be plain or min-max, not the text"),
        ("benchmarks/smoke/vae/loss", {"kl_gate": 1}, "vae.loss.kl_gate must be true or false, not 1"),
        ("benchmarks/smoke/vae/training/schedule", "linear", "schedule must be constant or cosine or decay, not the text 'linear'"),
        ("benchmarks/smoke/data/brats/step", 0, "data.brats.step must be at least 1, not 0"),
        ("benchmarks/smoke/data/brats/patient", "(a)(b)", "data.brats.patient must have one group in brackets, which holds the patient, not 2"),
        ("benchmarks/smoke/data/brats/patient", "(a", "data.brats.patient is no regular expression: "),
        # who is in which split
        ("benchmarks/smoke/data/split", "no-such-list", "data.split names the list workflow/splits/no-such-list.csv, which is not there"),
        ("benchmarks/smoke/data/split", "raw", "data.split names what cannot be used: data.split must be counts or the name of a list, not raw"),
        ("benchmarks/smoke/data/split", 5, "data.split must be a section of keys or text, not 5"),
        ("benchmarks/smoke/data/split", "../list", "data.split cannot be the text '../list' (who is in which split"),
        ("benchmarks/smoke/phantom/shape", [40, 24, 16], "phantom.shape must fit into data.brats.pad = 32"),
        ("benchmarks/smoke/noise_schedule/beta", [0.02, 0.01], "noise_schedule.beta must ascend"),
        ("benchmarks/smoke/noise_schedule/timesteps", 15, "denoiser.training.max_level must be at most noise_schedule.timesteps = 15"),
        ("benchmarks/smoke/detection/stride", 4, "grid[0].L must hold multiples of detection.stride = 4, not 10"),
        ("benchmarks/smoke/denoiser/training/max_level", 15, "L must stay within denoiser.training.max_level = 15, not 20"),
        ("benchmarks/smoke/classifier/training/max_level", 15, "L must stay within classifier.training.max_level = 15"),
        ("benchmarks/smoke/detection/convention", "released-code", "detection.stride must be 1 under convention released"),
        ("benchmarks/smoke/detection", {"convention": "released-code", "stride": 1, "solver": "heun"}, "detection.solver must be ddim under convention released"),
        ("benchmarks/smoke/detection/solver", "o-belm", "detection.solver cannot be o-belm, which decodes from two noise levels, while the rule latents hands on one; trade_off.solvers may name it"),
        ("benchmarks/smoke/trade_off/solvers/o-belm", [20], "trade_off.solvers.o-belm must hold strides below trade_off.setting.L = 20, not 20"),
        ("benchmarks/smoke/trade_off/solvers", {"euler": [5]}, "trade_off.solvers.euler is not a good name"),
        ("benchmarks/smoke/trade_off/solvers/heun", [3], "trade_off.solvers.heun must hold divisors of trade_off.setting.L = 20, not 3"),
        ("benchmarks/smoke/trade_off/method", "vae", "trade_off.method must be one of the methods whose sampler can be looked into, guided-ddim, not vae"),
        ("benchmarks/smoke/trade_off/setting/L", 40, "trade_off.setting.L must stay within denoiser.training.max_level = 20, not 40"),
        ("benchmarks/smoke/trade_off/slices", 1, "trade_off.slices must be at least 2"),
        ("benchmarks/smoke/figures/method", "difusion", "figures.method must be one of the methods guided-ddim, guided-ddpm"),
        ("benchmarks/smoke/figures/scheme/L", 18, "figures.scheme.L must hold multiples of detection.stride = 5, not 18"),
        ("benchmarks/smoke/figures/published", "brats2018", "figures.published must be brats2020, not the text 'brats2018'"),
        ("benchmarks/smoke/figures/explorer_slices", 7, "figures.explorer_slices must be at most detection.kept_slices = 6, out of which it takes them"),
        ("benchmarks/smoke/figures/healthy_slices", 3, "figures.healthy_slices must be at most 2: of the detection.kept_slices = 6, 2 are healthy"),
        ("benchmarks/smoke/figures/diseased_slices", 5, "figures.diseased_slices must be at most 4: of the detection.kept_slices = 6, 4 are diseased"),
        ("benchmarks/smoke/detection/kept_slices", 2, "detection.kept_slices must be at least 3, not 2"),
        ("benchmarks/smoke/data/split/validation", 0, "setting cannot be chosen on validation: data.split"),
        ("benchmarks/smoke/methods/guided-ddim/setting", {"L": 20, "s": 7}, "setting must be one setting of the grid"),
        ("benchmarks/smoke/methods/guided-ddim/grid", [{"L": [20], "s": [5], "k": [1]}], "grid[0] must name L and s for guided_ddim, not L, s, k"),
        ("benchmarks/smoke/denoiser/training/label_dropout", 0.0, "encode_class cannot work without a class where denoiser.training.label_dropout is 0"),
        ("benchmarks/smoke/vae/training/labels", "ill", "vae.training.labels must be healthy or both, not the text 'ill'"),
        ("benchmarks/smoke/classifier/training/labels", "healthy", "classifier.training.labels cannot be healthy: classifier learns to tell the classes apart"),
        ("benchmarks/smoke/methods/vae", {"trained_on": "masks"}, "methods.vae.trained_on is for maps of someone else"),
        ("benchmarks/smoke/methods/theirs", {"grid": [{}], "setting": {}, "trained_on": "all"}, "theirs.trained_on must be nothing or healthy or labels or masks"),
        ("benchmarks/smoke/denoiser/network/groups", 3, "denoiser.network.groups must divide every width of the network, but 8"),
        ("benchmarks/smoke/denoiser/network/heads", 3, "denoiser.network.heads must divide every width with attention, but 16"),
        ("benchmarks/smoke/classifier/network/head_channels", 12, "head_channels must divide every width with attention"),
        ("benchmarks/smoke/denoiser/network/attention", [5], "attention may only name resolutions of the network, [16, 8], not 5"),
        ("benchmarks/smoke/denoiser/network/multipliers", [1] * 6, "data.size = 16 cannot be halved 5 times"),
    ],
)  # fmt: skip
def test_refusals(config, path, value, sentence):
    put(config, path, value)
    message = refusal(config)
    assert message.startswith("params.yaml: ")
    assert sentence in message
    assert "\n" not in message


def test_a_value_of_the_paper_that_a_benchmark_breaks_is_named_where_it_stands(config):
    config["benchmarks"]["smoke"]["methods"]["guided-ddim"]["setting"] = None
    assert "benchmarks.smoke.methods.guided-ddim.setting is missing" in refusal(config)
    config["benchmarks"]["smoke"] = {"detection": {"stride": 3}}
    assert "paper.methods.guided-ddim.grid[0].L must hold multiples of detection.stride = 3, not 250" in refusal(config)
    assert refusal(config).endswith("(in benchmark smoke)")


def test_settings_that_would_share_a_folder_are_refused(config):
    config["benchmarks"]["smoke"]["methods"]["guided-ddim"]["grid"] = [{"L": [20], "s": [5, 1.0000001, 1.0000002]}]
    assert "methods.guided-ddim.grid has two settings that would both be named L20_s1" in refusal(config)


@pytest.mark.parametrize("run", ["smoke", "smoke,brats2020", "smoke, brats2020", ["smoke", "brats2020", "smoke"]])
def test_run_is_a_name_a_text_or_a_list(config, run):
    config["run"] = run
    assert reading.load(config)["run"] == ["smoke", "brats2020"][: 1 if run == "smoke" else 2]


def test_a_chest_phantom_has_enough_images_of_the_size(config):
    config["benchmarks"]["chest"] = copy.deepcopy(PARAMS["benchmarks"]["phantom-chest"])
    config["benchmarks"]["chest"]["data"]["folder"] = "data/chest"
    reading.load(config)
    put(config, "benchmarks/chest/phantom/size", 32)
    assert "phantom.size must be at least data.size = 64, not 32" in refusal(config)
    put(config, "benchmarks/chest/phantom/patients", 10)
    assert "phantom.patients must be enough for data.split and repeats.folds, 452, not 10" in refusal(config)


def test_networks_that_no_method_uses_are_not_held_against_the_data(config):
    config["benchmarks"]["smoke"]["methods"] = {name: None for name in PARAMS["paper"]["methods"]} | {
        "vae": {"setting": {}}
    }
    config["benchmarks"]["smoke"] |= {"trade_off": None, "figures": {"method": "vae", "explorer_slices": 4}}
    put(config, "benchmarks/smoke/denoiser/network/multipliers", [1] * 6)
    reading.load(config)


def test_a_method_of_someone_else_needs_a_grid_only(config):
    config["benchmarks"]["smoke"]["methods"]["autoencoder"] = {"grid": [{}], "setting": {}}
    method = reading.benchmark(reading.load(config), "smoke")["methods"]["autoencoder"]
    assert [setting.name for setting in methods.settings(method)] == ["default"]
    assert methods.networks(method, {}) == []


def test_a_class_that_training_has_not_shown_cannot_be_told(config):
    put(config, "benchmarks/smoke/denoiser/training/labels", "healthy")
    reading.load(config)
    put(config, "benchmarks/smoke/methods/guided-ddpm/options", {"decode_class": "diseased"})
    sentence = "options.decode_class cannot be diseased where denoiser.training.labels is healthy"
    assert sentence in refusal(config)


def test_what_masks_train_needs_a_data_set_with_masks(config):
    config["benchmarks"]["phantom-chest"] = copy.deepcopy(PARAMS["benchmarks"]["phantom-chest"])
    put(config, "benchmarks/phantom-chest/segmenter", {"network": {"widths": [8, 16]}})
    put(config, "benchmarks/phantom-chest/methods/bound", {"detector": "segmenter", "grid": [{}], "setting": {}})
    reading.load(config)
    put(config, "benchmarks/phantom-chest/data/chexpert", {})
    assert "segmenter cannot be trained: it learns from masks" in refusal(config)


def test_settings_are_the_union_of_the_blocks_once_and_in_order():
    method = {"grid": [{"L": [250, 500], "s": [0, 2.5]}, {"L": [500], "s": [0.0, 1000]}]}
    names = [setting.name for setting in methods.settings(method)]
    assert names == ["L250_s0", "L250_s2.5", "L500_s0", "L500_s2.5", "L500_s1000"]
    of_scikit_learn = {methods.Setting(setting).name for setting in ParameterGrid(method["grid"])}
    assert set(names) == of_scikit_learn


def test_a_word_of_a_grid_stands_in_the_settings_name():
    method = {"grid": [{"view": ["plain", "inverted"], "k": [1]}]}
    names = [setting.name for setting in methods.settings(method)]
    assert names == ["view-plain_k1", "view-inverted_k1"]


def test_a_detectors_grid_is_read_from_its_module(monkeypatch):
    assert methods.grid({"detector": "guided_ddim"}) == {"L": (), "s": ()}
    assert methods.grid({"detector": "intensity"}) == {"view": ("plain", "inverted", "equalised")}
    assert methods.grid({"grid": [{}]}) is None
    monkeypatch.setattr(methods.imports, "constant", lambda *_: {"k": "word"})
    with pytest.raises(InputError, match="GRID must map each key to a tuple of words"):
        methods.grid({"detector": "guided_ddim"})


def test_a_benchmark_may_leave_the_trade_off_out(config):
    config["benchmarks"]["smoke"]["trade_off"] = None
    assert "trade_off" not in reading.benchmark(reading.load(config), "smoke")


def test_what_is_merged_is_not_there_twice(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {b: 1, c: 2}\nd: {<<: *a, c: 3}\n")
    assert reading.read(path)["d"] == {"b": 1, "c": 3}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run: [a]\npaper: {seed: 1\n", "params.yaml line 3: not YAML"),
        ("run: [a]\nrun: [b]\n", "params.yaml: run stands twice, on lines 1 and 2"),
        (
            "paper:\n  denoiser:\n    - batch: 1\n      batch: 2\n",
            "paper.denoiser[0].batch stands twice, on lines 3 and 4",
        ),
        ("", "params.yaml: the file must be a section of keys, not empty"),
        ("run: [a]\n", "params.yaml: paper is missing"),
        ("run: [a]\n\tb: 1", "params.yaml line 2: not YAML"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, text, sentence):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        reading.load(path)
    assert sentence in str(caught.value)


def test_other_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        reading.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"run: \xff\xfe")
    with pytest.raises(InputError, match="line 1: not UTF-8"):
        reading.load(tmp_path / "params.yaml")


def test_every_key_of_the_schema_is_described_and_closed():
    def walk(node: object, path: str) -> None:
        if not isinstance(node, dict):
            return
        if "properties" in node and path.rpartition("/")[2] not in ("if", "then", "split", "anatomy", "overrides"):
            assert node["additionalProperties"] is False, path
            for key, value in node["properties"].items():
                target = value if "$ref" not in value else definitions[value["$ref"].rpartition("/")[2]]
                assert target.get("description"), f"{path}/{key}"
        for key, value in node.items():
            walk(value, f"{path}/{key}")

    definitions = yaml.safe_load(SCHEMA.read_text())["$defs"]
    walk(definitions, "")


def test_command_line():
    command = [sys.executable, "-m", "stages.parameters"]
    good = subprocess.run(
        [*command, "smoke", "train", "denoiser"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert json.loads(good.stdout)["denoiser"]["network"]["channels"] == 8
    other = subprocess.run(
        [*command, "smoke", "train", "vae", "--repeat", "fold1-seed7"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.stderr.startswith("error: fold1-seed7 is no repeat of the benchmark")
    bad = subprocess.run([*command, "smok"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert bad.stderr.startswith("error: params.yaml: benchmarks has no 'smok'")
    assert "Traceback" not in bad.stderr
