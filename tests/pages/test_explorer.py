"""The explorer's file: what lies in it, that it fits, that it is the same every time, and what is refused."""

import base64
import gzip
import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from explorer_benchmark import HOSTILE, REPEAT, REPORTED, SIZE, ExplorerBenchmark

from stages.errors import InputError
from stages.evaluation import metrics
from stages.figures import results
from stages.methods import settings
from stages.pages import explorer_page, explorer_runs, explorer_slices


def compared(benchmark, difference="plain"):
    """The same, told how maps compare an image with its reconstruction."""
    benchmark.parameters = benchmark.parameters | {"detection": {"difference": difference}}
    return benchmark


@pytest.fixture
def benchmark(tmp_path):
    return compared(ExplorerBenchmark(tmp_path))


@pytest.fixture
def unmasked(tmp_path):
    return compared(ExplorerBenchmark(tmp_path / "unmasked", masks=False))


def contents(text):
    """The page's index."""
    return json.loads(re.search(r'<script type="application/json" id="index">(.*?)</script>', text)[1])


def block(text, name):
    """The bytes of one of the page's blocks."""
    packed = re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', text)[1]
    return np.frombuffer(gzip.decompress(base64.b64decode(packed)), np.uint8)


def shown_rows(index, store):
    names = store.manifest["slice_id"].tolist()
    return [names.index(one["name"]) for one in index["slices"]]


def test_maps_lie_in_the_page_bit_for_bit_and_pictures_in_256_shades(benchmark):
    text, store = benchmark.build(), benchmark.store()
    index = contents(text)
    rows = shown_rows(index, store)
    shape = (len(rows), 2, SIZE, SIZE)
    found = block(text, "slices")
    inputs, masks = found[: np.prod(shape)].reshape(shape), found[np.prod(shape) :]
    np.testing.assert_array_equal(masks.reshape(len(rows), SIZE, SIZE), store.masks[rows])
    np.testing.assert_allclose(inputs / 255, store.images[rows], atol=0.5 / 255 + 1e-6)
    seen = 0
    for method in index["methods"]:
        for setting in method["settings"]:
            expected = benchmark.maps(method["name"], setting["name"])[rows]
            found = block(text, setting["block"])
            planes = found[: expected.nbytes].reshape(expected.itemsize, -1)
            maps = np.ascontiguousarray(planes.T).view(setting["type"]).reshape(expected.shape)
            assert maps.dtype == expected.dtype
            np.testing.assert_array_equal(maps, expected)
            rest = found[expected.nbytes :]
            assert (len(rest) > 0) == setting["reconstructions"] == (method["name"] == "guided-ddim")
            if len(rest):
                images = benchmark.images("guided-ddim", setting["name"])[rows]
                shades = (rest.reshape(shape) + inputs) / np.float32(255)
                np.testing.assert_allclose(shades, np.clip(images, 0, 1), atol=0.5 / 255 + 1e-6)
            seen += 1
    assert seen == 7 + 2 + 1


def test_scores_and_means_are_those_of_the_files(benchmark):
    index, store = contents(benchmark.build()), benchmark.store()
    rows = shown_rows(index, store)
    table = pd.read_csv(benchmark.root / "tables/scores.csv").set_index(["method", "setting"])
    names = {score["name"] for score in index["scores"]}
    assert {"dice_average_otsu", "dice_own_otsu", "auroc", "mean_map", "otsu", "average_otsu"} <= names
    assert not names & {"label", "scored", "lesion_pixels", "position"}
    for method in index["methods"]:
        assert method["reported"] == REPORTED[method["name"]]
        for setting in method["settings"]:
            slices = benchmark.slices(method["name"], setting["name"]).iloc[rows]
            for name, found in setting["scores"].items():
                np.testing.assert_array_equal(np.array(found, float), slices[name].to_numpy(float))
            means, row = setting["means"], table.loc[(method["name"], setting["name"])]
            assert means["dice_average_otsu"] == {"diseased": row["dice_average_otsu"]}
            assert means["auroc_body"] == {"diseased": row["auroc_body"]}
            assert means["mean_map"] == {"healthy": row["healthy_mean_map"], "diseased": row["diseased_mean_map"]}


def test_slices_are_two_diseased_to_one_healthy_by_the_rule_of_the_figures(benchmark):
    slices, kept = benchmark.slices("guided-ddim", "L500_s20"), np.arange(18)
    for count, expected in ((1, (1, 0)), (2, (1, 1)), (3, (2, 1)), (6, (4, 2)), (12, (8, 4)), (99, (9, 9))):
        diseased, healthy = explorer_slices.choose_slices(slices, kept, count, 0)
        assert (len(diseased), len(healthy)) == expected
        assert (slices.loc[diseased, "scored"] == 1).all()
        assert (slices.loc[healthy, "label"] == 0).all()
        assert slices.loc[diseased, "lesion_pixels"].is_monotonic_increasing
    few = slices.assign(scored=0, label=0)
    diseased, healthy = explorer_slices.choose_slices(few, kept, 6, 0)
    assert (len(diseased), len(healthy)) == (0, 6), "what one kind lacks, the other fills"


def test_volumes_are_those_of_chosen_slices_by_position_without_what_has_no_map():
    table = pd.DataFrame({"volume": [*"BBBAACD"], "position": [3, 1, 2, 0, 9, np.nan, 7]})
    every = np.arange(7)
    assert explorer_slices.choose_volumes(table, [0, 3, 5, 6], every, 9) == [[1, 2, 0], [3, 4]]
    assert explorer_slices.choose_volumes(table, [3, 0], np.array([0, 1, 3, 4]), 9) == [[3, 4], [1, 0]]
    assert explorer_slices.choose_volumes(table, [3, 0], np.array([0, 1, 3]), 9) == [[1, 0]], "one slice is no volume"
    assert explorer_slices.choose_volumes(table, [5, 6], every, 1) == []
    many = pd.DataFrame({"volume": np.repeat([*"abcde"], 2), "position": [0, 1] * 5})
    assert explorer_slices.choose_volumes(many, range(10), np.arange(10), 1) == [[4, 5]], "the middle one"
    assert explorer_slices.choose_volumes(many, range(10), np.arange(10), 2) == [[2, 3], [6, 7]]


def test_whole_volumes_have_maps_at_the_reported_settings_alone(benchmark):
    benchmark.parameters["figures"]["explorer_volumes"] = 1
    text, store = benchmark.build(), benchmark.store()
    index = contents(text)
    rows = shown_rows(index, store)
    assert len(rows) > index["chosen"] == 6
    (volume,) = index["volumes"]
    of_volume = [rows[number] for number in volume["slices"]]
    manifest = store.manifest.iloc[of_volume]
    assert manifest["subject_id"].unique().tolist() == [volume["subject"]]
    assert manifest["position"].tolist() == [index["slices"][n]["position"] for n in volume["slices"]] == [*range(6)]
    assert set(rows[6:]) < set(of_volume)
    assert "Whole volumes that these are of: 1, at the reported settings." in text
    for method in index["methods"]:
        for setting in method["settings"]:
            here = rows if setting["name"] == REPORTED[method["name"]] else rows[:6]
            assert setting["slices"] == len(here) == len(setting["own"]) == len(setting["scores"]["auroc"])
            expected = benchmark.maps(method["name"], setting["name"])[here]
            found = block(text, setting["block"])
            planes = found[: expected.nbytes].reshape(expected.itemsize, -1)
            np.testing.assert_array_equal(
                np.ascontiguousarray(planes.T).view(setting["type"]).ravel(), expected.ravel()
            )
            assert len(found) - expected.nbytes == (method["name"] == "guided-ddim") * 6 * 2 * SIZE * SIZE


def test_a_page_too_large_with_volumes_has_fewer_of_them_and_all_its_slices(benchmark, capsys):
    benchmark.parameters["figures"] |= {"explorer_volumes": 2}
    whole = len(benchmark.build().encode())
    benchmark.parameters["figures"]["explorer_megabytes"] = (whole - 100) / 1e6
    text = benchmark.build()
    assert contents(text)["chosen"] == 6
    assert len(contents(text)["volumes"]) == 1
    assert "2 whole volumes were asked for; more than these would exceed" in text
    assert "slices were asked for" not in text
    assert re.search(r"\(whole volumes: 2\) make .* 1 whole volumes are tried", capsys.readouterr().out)
    benchmark.parameters["figures"]["explorer_megabytes"] = 0.6 * whole / 1e6
    text = benchmark.build()
    assert 1 <= contents(text)["chosen"] < 6
    assert contents(text)["volumes"] == []
    assert re.search(r"\(whole volumes: 2\) make .* [1-5] slices are tried", capsys.readouterr().out), "in one step"


def test_the_common_colours_end_where_those_of_the_figures_do(benchmark):
    store = benchmark.store()
    outputs = [
        results.open_method(*item, benchmark.root / "maps" / REPEAT, benchmark.root / "scores" / REPEAT, store)
        for item in REPORTED.items()
    ]
    scale = results.common_scale(outputs, store, benchmark.parameters)
    index = contents(benchmark.build())
    assert {method["name"]: method["top"] for method in index["methods"]} == {
        name: scale.end(name) for name in REPORTED
    }
    tops = {setting["top"] for method in index["methods"] for setting in method["settings"]}
    assert len(tops) > 3, "each setting has its own end besides"


def test_it_says_what_maps_of_one_unit_are(benchmark):
    unit = "whose map is the summed absolute difference of input and reconstruction"
    assert f"{unit}." in " ".join(benchmark.build().split())
    assert f"{unit}, both scaled to [0, 1]." in " ".join(compared(benchmark, "min-max").build().split())


def test_of_several_repeats_it_says_which_it_shows(benchmark):
    assert "repeats" not in benchmark.build().split("<main")[0]
    benchmark.parameters["repeats"] = {"folds": 2, "seeds": [7, 8]}
    assert "Of fold 1, seed 7: the first of 4 repeats; means are those of the tables" in benchmark.build()


def test_where_folds_chose_several_settings_it_says_whose_is_marked(benchmark):
    assert "Folds chose several" not in benchmark.build()
    path = benchmark.root / "tables/comparison.csv"
    before = path.read_text()
    path.write_text(before.replace("L500_s20,L500_s20", 'L500_s20,"L500_s20 (1 fold), L250_s80 (1 fold)"'))
    try:
        page = benchmark.build()
    finally:
        path.write_text(before)
    assert "Folds chose several settings of guided-ddim: the reported one is here that of this fold." in page


def test_the_same_input_gives_the_same_bytes(benchmark):
    first = benchmark.build()
    assert benchmark.build() == first


def test_too_large_a_page_has_fewer_slices_and_says_so(benchmark, capsys):
    everything = benchmark.build()
    assert "slices were asked for" not in everything
    benchmark.parameters["figures"]["explorer_megabytes"] = (len(everything.encode()) - 5000) / 1e6
    text = benchmark.build()
    assert len(text.encode()) <= len(everything.encode()) - 5000
    count = len(contents(text)["slices"])
    assert 1 <= count < 6
    assert "6 slices were asked for; more than these would exceed" in text
    assert f"explorer: {count} slices of 18" in capsys.readouterr().out


def test_a_page_of_not_even_one_slice_is_refused(benchmark):
    benchmark.parameters["figures"]["explorer_megabytes"] = 0.01
    with pytest.raises(InputError, match=r"not one slice fits.*explorer_megabytes allows 0\.01"):
        benchmark.build()
    assert not benchmark.output.exists()


def test_names_are_no_markup(benchmark):
    text = benchmark.build()
    assert set(HOSTILE) & {one["name"] for one in contents(text)["slices"]}
    for name in HOSTILE:
        assert name not in text
    assert "<title>tiny &amp; &lt;small&gt;: anomaly maps</title>" in text
    assert "{{" not in text


def test_without_masks_there_is_no_dice(unmasked):
    text = unmasked.build()
    index, count = contents(text), len(contents(text)["slices"])
    assert not index["masks"]
    assert len(block(text, "slices")) == count * 2 * SIZE * SIZE
    assert "This data set has no masks, and so no Dice." in text
    assert "diseased in even steps of their order" in text
    assert {one["diseased"] for one in index["slices"]} == {True, False}
    for setting in index["methods"][0]["settings"]:
        assert setting["average"] is None
        assert set(setting["scores"]["dice_average_otsu"]) == {None}
        assert all(np.isfinite(setting["own"]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_constant_map_keeps_its_threshold(dtype):
    value = float(dtype(0.7))
    rounded = float(f"{value:.8g}")
    assert rounded != value
    assert explorer_runs.unrounded(rounded, dtype) == value
    assert explorer_runs.unrounded(0.0, dtype) == 0
    assert np.isnan(explorer_runs.unrounded(float("nan"), dtype))


def test_other_thresholds_stay():
    assert explorer_runs.unrounded(0.123456, np.float16) == 0.123456
    assert explorer_runs.unrounded(1e9, np.float16) == 1e9


def test_shades_end_at_0_and_1():
    np.testing.assert_array_equal(explorer_page.shades(np.array([-1, 0, 0.5, 1, 2])), [0, 0, 128, 255, 255])


def test_the_thresholds_of_the_page_give_the_dice_of_the_scores(benchmark):
    index, store = contents(benchmark.build()), benchmark.store()
    compared = 0
    for method in index["methods"]:
        for setting in method["settings"]:
            maps = benchmark.maps(method["name"], setting["name"]).astype(float)
            for n, row in enumerate(shown_rows(index, store)):
                if not index["slices"][n]["diseased"]:
                    continue
                for threshold, score in ((setting["average"], "average"), (setting["own"][n], "own")):
                    expected = setting["scores"][f"dice_{score}_otsu"][n]
                    assert metrics.dice(maps[row] > threshold, store.masks[row]) == pytest.approx(expected, abs=1e-7)
                    compared += 1
    assert compared == 10 * 4 * 2


def test_files_that_do_not_fit_are_refused(benchmark):
    table = benchmark.root / "tables/scores.csv"
    whole = table.read_text()
    table.write_text(whole[:-9])
    with pytest.raises(InputError, match=r"tables/scores\.csv is truncated"):
        benchmark.build()
    table.write_text(whole)
    slices = benchmark.root / "scores" / REPEAT / "intensity/view-plain/test.csv"
    slices.write_text(slices.read_text().replace("C_z005", "C_z006"))
    with pytest.raises(InputError, match="scores other slices"):
        benchmark.build()
    benchmark.parameters = benchmark.parameters | {"data": {"size": SIZE, "channels": ["t1"]}}
    with pytest.raises(InputError, match=r"has 2 channels where data\.channels names 1"):
        benchmark.build()


def test_the_command_line_writes_the_page(benchmark, tmp_path):
    command = [sys.executable, "-m", "stages.pages.explorer", "--parameters", json.dumps(benchmark.parameters)]
    command += ["--benchmark", "tiny", "--output", str(tmp_path / "page.html")]
    for name, path in (
        ("data", "data"),
        ("split-list", "split/fold1.csv"),
        ("maps", f"maps/{REPEAT}"),
        ("scores", f"scores/{REPEAT}"),
        ("table", "tables/scores.csv"),
        ("comparison", "tables/comparison.csv"),
    ):
        command += [f"--{name}", str(benchmark.root / path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"explorer: 6 slices of 18, 10 settings, 0\.\d MB\n", run.stdout)
    grid = [one.name for one in settings(benchmark.parameters["methods"]["guided-ddim"])]
    index = contents((tmp_path / "page.html").read_text())
    assert [setting["name"] for setting in index["methods"][0]["settings"]] == grid
