import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close
from matplotlib.text import Text
from synthetic_results import REPEAT, assert_nothing_overlaps, content, stage_options, write_method

from stages.detection.difference import anomaly_map
from stages.errors import InputError
from stages.figures import style, sweep
from stages.methods import Setting


def options(folder, figure="figure-5-scales", **more):
    rest = {"repeats": {"folds": 1, "seeds": [0]}, "detection": {"difference": "plain"}}
    return stage_options(folder, figure, **(rest | more))


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


@pytest.mark.parametrize(
    ("figure", "columns", "headings"),
    [
        ("figure-5-scales", ["L20_s0", "L20_s5"], ["s = 0", "s = 5"]),
        ("figure-6-levels", ["L10_s5", "L20_s5"], ["L = 10", "L = 20"]),
    ],
)
def test_columns_are_the_settings_ascending_with_their_own_pixels_and_dice(results, drawn, figure, columns, headings):
    sweep.main(options(results, figure))
    found, images = texts(drawn[figure]), drawn[figure].axes[0].images
    assert [text for text in found if text.startswith(("s = ", "L = "))] == headings
    name = next(text for text in found if "_z" in text).split(",")[0]
    slices = pd.read_csv(results / "scores" / REPEAT / "guided-ddim/L20_s5/test.csv")
    row = int(np.flatnonzero(slices["slice_id"] == name)[0])
    scored = slices.loc[slices["scored"] == 1, "lesion_pixels"]
    assert abs(slices["lesion_pixels"][row] - scored.median()) <= 0.02 * np.ptp(scored), "the median slice"
    rows, cols = np.load(results / "data/images.npy")[row].any(axis=0).nonzero()
    window = images[0].get_array().shape[0]
    assert window >= max(np.ptp(rows), np.ptp(cols)) + 1
    for index, setting in enumerate(columns):
        folder = results / "maps" / REPEAT / "guided-ddim" / setting / "test"
        reconstruction = np.load(folder / "images.npy")[row].astype(np.float32)
        panel = images[3 + 3 * index]  # after the input's two channels and the mask
        assert np.asarray(panel.get_array()).sum() == pytest.approx(reconstruction[0].sum(), rel=1e-5)
        anomaly_map = images[5 + 3 * index]
        assert np.asarray(anomaly_map.get_array()).sum() == pytest.approx(
            np.load(folder / "maps.npy")[row].astype(float).sum(), rel=1e-5
        )
        dice = pd.read_csv(results / "scores" / REPEAT / f"guided-ddim/{setting}/test.csv")["dice_average_otsu"][row]
        assert found.count(f"Dice {dice:.2f}") >= 1
    assert len({images[5 + 3 * index].get_clim() for index in range(2)}) == 1, "one colour scale"
    bold = [text.get_text() for text in drawn[figure].findobj(Text) if text.get_weight() == "bold"]
    assert headings[1] in bold, "the reported setting"
    assert headings[0] not in bold


GRID = [{"L": [250, 500], "s": [0, 5]}, {"L": [125], "s": [5]}, {"L": [500], "s": [80]}]


@pytest.mark.parametrize(
    ("reported", "keys", "expected"),
    [
        ({"L": 500, "s": 5}, ("s", "w"), ("s", [(500, 0), (500, 5), (500, 80)])),
        ({"L": 500, "s": 5}, ("L",), ("L", [(125, 5), (250, 5), (500, 5)])),
        ({"L": 500, "s": 80}, ("L",), ("L", [(125, 5), (250, 5), (500, 5)])),  # a single L there: the s of most L
        ({"L": 250, "s": 0}, ("L",), ("L", [(125, 5), (250, 5), (500, 5)])),  # two L there, three elsewhere
        ({"L": 125, "s": 5}, ("s",), ("s", [(500, 0), (500, 5), (500, 80)])),
    ],
)
def test_all_else_stays_as_reported_unless_the_grid_has_more_elsewhere(reported, keys, expected):
    key, shown = sweep.columns({"grid": GRID}, Setting(reported), keys)
    assert (key, [(setting["L"], setting["s"]) for setting in shown]) == expected


def test_a_grid_with_one_value_or_without_the_key_has_one_column():
    one = Setting({"L": 500, "s": 100})
    assert sweep.columns({"grid": [{"L": [500], "s": [100]}]}, one, ("L",)) == ("L", [one])
    assert sweep.columns({"grid": [{"L": [500], "s": [100]}]}, one, ("s", "w")) == ("s", [one])
    guided = Setting({"L": 500, "w": 1})
    assert sweep.columns({"grid": [{"L": [500], "w": [2, 1]}]}, guided, ("s", "w")) == (
        "w",
        [guided, {"L": 500, "w": 2}],
    )
    assert sweep.columns({"grid": [{"view": ["plain", "inverted"]}]}, Setting({"view": "plain"}), ("L",)) == (
        None,
        [{"view": "plain"}],
    )


def test_one_setting_and_a_method_without_the_key_make_figures(results, drawn):
    one = {"guided-ddim": {"grid": [{"L": [20], "s": [5]}], "setting": {"L": 20, "s": 5}}}
    sweep.main(options(results, methods=one))
    assert [text for text in texts(drawn["figure-5-scales"]) if text.startswith("s = ")] == ["s = 5"]
    figures = {"method": "ready-made"}
    sweep.main(options(results, "figure-6-levels", figures=figures))
    found = texts(drawn["figure-6-levels"])
    assert found.count("no recon-\nstruction") == 2
    assert "colour bar: the maps, in the unit of this method" in " ".join(found).replace("\n", " ")


def test_where_the_reported_setting_is_not_among_them_the_figure_says_so(results, drawn):
    methods = {
        "guided-ddim": {"grid": [{"L": [10, 20], "s": [0]}, {"L": [20], "s": [5]}], "setting": {"L": 20, "s": 5}}
    }
    sweep.main(options(results, "figure-6-levels", methods=methods))
    found = " ".join(texts(drawn["figure-6-levels"])).replace("\n", " ")
    assert "guided-ddim, s = 0: over the noise level L" in found
    assert "the reported setting is L = 20, s = 5: the grid has fewer L there" in found


@pytest.mark.parametrize("count", [1, 4, 12])
def test_text_lies_on_no_other_text(results, count):
    shown = [Setting({"L": 500, "s": 25 * n}) for n in range(count)]
    base = content(results, [7], scale=None)
    base = dataclasses.replace(base, methods=base.methods[:1] * count, titles=[one.title for one in shown])
    figure = sweep.draw(base, "s", shown, shown[0])
    assert figure.get_size_inches()[0] <= style.PAGE[0] + 0.01
    assert_nothing_overlaps(figure)
    close(figure)


def test_of_several_repeats_the_first_is_shown_and_named(results, drawn):
    sweep.main(options(results, repeats={"folds": 1, "seeds": [3, 4, 5]}))
    assert "fold 1, seed 3: the first of 3 repeats" in " ".join(texts(drawn["figure-5-scales"])).replace("\n", " ")
    assert_nothing_overlaps(drawn["figure-5-scales"])


def test_the_colour_bar_says_that_images_are_scaled(results, drawn):
    inputs = np.load(results / "data/images.npy").astype(np.float32)
    for n, setting in enumerate(("L20_s5", "L20_s0")):
        images = 0.5 * inputs + (0.2 + 0.1 * n) * inputs**2
        write_method(results, "guided-ddim", setting, anomaly_map(inputs, images, "min-max"), images)
    sweep.main(options(results, detection={"difference": "min-max"}))
    found = " ".join(texts(drawn["figure-5-scales"])).replace("\n", " ")
    assert "difference of input and reconstruction, both scaled to [0, 1]" in found
    assert_nothing_overlaps(drawn["figure-5-scales"])


def test_without_masks_there_is_no_dice(unmasked, drawn):
    sweep.main(options(unmasked))
    found = " ".join(texts(drawn["figure-5-scales"]))
    assert "Dice" not in found
    assert found.count("mean 0.") == 2


def test_files_are_written_the_same_twice(results):
    for output in ("one", "two"):
        sweep.main(options(results, output=output))
    names = sorted(path.name for path in (results / "one").iterdir())
    assert names == [f"figure-5-scales.{kind}" for kind in ("pdf", "png", "svg")]
    for name in names:
        assert (results / "one" / name).read_bytes() == (results / "two" / name).read_bytes()


def test_what_is_wrong_is_named(results):
    table = pd.read_csv(results / "comparison.csv")
    table.assign(setting="L999_s5").to_csv(results / "comparison.csv", index=False)
    with pytest.raises(InputError, match=r"L999_s5 is no setting of the method's grid"):
        sweep.main(options(results))
    table.to_csv(results / "comparison.csv", index=False)
    path = results / "scores" / REPEAT / "guided-ddim/L20_s5/test.csv"
    pd.read_csv(path).assign(scored=0, label=0).to_csv(path, index=False)
    with pytest.raises(InputError, match="has no diseased slice"):
        sweep.main(options(results))
    (results / "maps" / REPEAT / "guided-ddim/L20_s0/test/maps.npy").unlink()
    with pytest.raises(InputError, match=r"L20_s0/test/maps\.npy"):
        sweep.main(options(results))
