"""The figures `settings` and `heatmap`: every method over its grid."""

import argparse

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.pyplot import close
from synthetic_results import assert_nothing_overlaps, written

from stages.errors import InputError
from stages.figures import heatmap as heat
from stages.figures import lines as shared
from stages.figures import sensitivity as figure
from stages.figures import style
from stages.methods import settings

METHODS = {
    "guided-ddim": {"grid": [{"L": [250, 500], "s": [100, 0, 5]}], "setting": {"L": 500, "s": 5}},
    "classifier-free": {"grid": [{"L": [500], "s": [0]}], "setting": "validation"},
    "ready-made": {"grid": [{}], "setting": {}},
}
REPORTED = {"guided-ddim": "L500_s5", "classifier-free": "L500_s0", "ready-made": "default"}


def table(methods=METHODS, splits=("validation", "test")):
    rows = []
    for method, values in methods.items():
        for setting in settings(values):
            for split in splits:
                dice = 0.1 + setting.get("L", 0) / 1000 + setting.get("s", 0) / 1000 + 0.05 * (split == "test")
                row = {"method": method, "setting": setting.name, "split": split}
                row |= {"dice_average_otsu": dice, "dice_own_otsu": 0.9 * dice}
                rows.append(row | {"auroc": 1 - dice / 10, "image_auroc": 1 - dice / 5})
    return pd.DataFrame(rows)


def comparison(methods=METHODS, reported=None, scores=None):
    """comparison.csv by method; the first setting of a grid is reported where nothing else is said."""
    reported = reported or {name: settings(method)[0].name for name, method in methods.items()}
    rows = (table(methods) if scores is None else scores).query("split == 'test'")
    rows = rows[rows["setting"] == rows["method"].map(reported)].drop(columns="split").set_index("method")
    rows = rows.assign(settings=rows["setting"].map(lambda name: [name]))
    for metric in ("dice_average_otsu", "dice_own_otsu", "auroc", "image_auroc"):
        rows[f"{metric}_low"], rows[f"{metric}_high"] = rows[metric] - 0.02, rows[metric] + 0.01
    return rows


def draw(methods=METHODS, reported=None, scores=None):
    scores = table(methods) if scores is None else scores
    return figure.draw_settings(methods, scores, comparison(methods, reported, scores))


def lines(axes, faint):
    """The lines with points, of the test subjects or, faint, of the validation subjects: [(x, y), ...] by marker."""
    found = [artist for artist in axes.lines if artist.get_marker() in style.MARKERS and len(artist.get_xdata())]
    found = [artist for artist in found if artist.get_markerfacecolor() != "none"]
    return {artist.get_marker(): artist for artist in found if (artist.get_alpha() is not None) == faint}


def test_lines_are_the_rows_of_their_method_level_and_split():
    drawn = draw(reported=REPORTED)
    dice, free, auroc, _ = drawn.axes
    assert dice.get_title() == "guided-ddim"
    low, high = (lines(dice, faint=False)[style.MARKERS[n]] for n in (0, 1))  # L = 250 before L = 500
    assert low.get_xdata().tolist() == high.get_xdata().tolist() == [0, 5, 100]
    assert low.get_ydata() == pytest.approx([0.4, 0.405, 0.5])
    assert lines(dice, faint=True)[style.MARKERS[1]].get_ydata() == pytest.approx([0.6, 0.605, 0.7])
    assert lines(auroc, faint=False)[style.MARKERS[1]].get_ydata() == pytest.approx([0.935, 0.9345, 0.925])
    # One marker a level, whatever the method and split; one colour a method.
    assert list(lines(free, faint=False)) == list(lines(free, faint=True)) == [style.MARKERS[1]]
    colours = style.method_colours(METHODS)
    for axes, name in ((dice, "guided-ddim"), (free, "classifier-free")):
        for faint in (False, True):
            assert {to_rgb(one.get_color()) for one in lines(axes, faint).values()} == {to_rgb(colours[name])}
        assert axes.title.get_color() == colours[name]
    close(drawn)


def test_the_setting_that_the_comparison_reports_is_ringed_and_zero_has_a_place():
    drawn = draw(reported=REPORTED)
    dice = drawn.axes[0]
    (ring,) = [artist for artist in dice.lines if artist.get_markerfacecolor() == "none"]
    assert (ring.get_xdata().tolist(), ring.get_ydata().tolist()) == ([5], [pytest.approx(0.655)])
    other = draw(reported=REPORTED | {"guided-ddim": "L250_s100"})
    (ring,) = [artist for artist in other.axes[0].lines if artist.get_markerfacecolor() == "none"]
    assert (ring.get_xdata().tolist(), ring.get_ydata().tolist()) == ([100], [pytest.approx(0.5)])
    places = [dice.transData.transform((s, 0.5))[0] for s in (0, 5, 100)]
    assert dice.get_xlim()[0] < 0 < 100 < dice.get_xlim()[1]
    assert np.diff(places).min() > 20, "0, 5 and 100 are apart on paper"
    assert drawn.axes[2].get_xticks().tolist() == [0, 5, 100]
    close("all")


def test_a_method_without_s_is_a_dashed_line_in_every_column():
    drawn = draw()
    for axes in drawn.axes[:2]:
        (dashed,) = [artist for artist in axes.lines if artist.get_linestyle() == "--"]
        assert dashed.get_ydata() == pytest.approx([0.15, 0.15])
        assert dashed.get_color() == style.method_colours(METHODS)["ready-made"]
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels == ["L = 250", "L = 500", "ready-made", "test subjects", "validation subjects", "reported setting"]
    close(drawn)


def test_the_legend_counts_upwards_whatever_the_order_of_the_grid():
    grid = [{"L": [250, 1000], "s": [1, 5]}, {"L": [125], "s": [1]}]
    drawn = draw({"guided-ddim": {"grid": grid, "setting": {"L": 250, "s": 5}}})
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels[:3] == ["L = 125", "L = 250", "L = 1000"]
    close(drawn)


MANY = {
    "guided-ddim": {"grid": [{"L": [250, 500], "s": [0, 20, 100]}], "setting": "validation"},
    "one-scale": {"grid": [{"L": [10, 20], "s": [0]}], "setting": "validation"},
    "classifier-free": {"grid": [{"L": [250, 500], "w": [1, 2, 4]}], "setting": "validation"},
    "guided-ddpm": {"grid": [{"L": [250, 500], "s": [0, 20]}], "setting": "validation"},
    "toy": {"grid": [{"k": [1, 3]}], "setting": {"k": 1}},
    "mixed": {"grid": [{"view": ["plain", "equalised"], "k": [1, 3]}], "setting": "validation"},
    "vae": {"grid": [{}], "setting": {}},
    "fixed-point-gan": {"grid": [{}], "setting": {}},
    "intensity": {"grid": [{"view": ["plain", "equalised"]}], "setting": "validation"},
}


def test_every_grid_has_its_place():
    assert {name: shared.axis_key(method) for name, method in MANY.items()} == {
        "guided-ddim": "s",
        "one-scale": "L",
        "classifier-free": "w",
        "guided-ddpm": "s",
        "toy": "k",
        "mixed": "k",
        "vae": None,
        "fixed-point-gan": None,
        "intensity": None,
    }
    drawn = draw(MANY)
    first = drawn.axes[:6]
    assert [axes.get_title().replace("\n", "") for axes in first] == list(MANY)[:6]
    assert [axes.get_xlabel() for axes in drawn.axes[6:]] == [
        "gradient scale s",
        "noise level L",
        "guidance weight w",
        "gradient scale s",
        "k",
        "k",
    ]
    assert [axes.get_xscale() for axes in first] == ["symlog", "linear", "linear", "symlog", "linear", "linear"]
    assert [one.get_xdata().tolist() for one in lines(first[4], faint=False).values()] == [[1, 3]]
    assert [one.get_xdata().tolist() for one in lines(first[1], faint=False).values()] == [[10, 20]]
    assert [one.get_xdata().tolist() for one in lines(first[5], faint=False).values()] == [[1, 3], [1, 3]]
    for axes in drawn.axes:
        constant = [artist for artist in axes.lines if artist.get_linestyle() in ("--", "-.", ":")]
        assert len({(artist.get_color(), artist.get_linestyle()) for artist in constant}) == 3
    assert drawn.get_size_inches()[0] <= style.PAGE[0]
    close(drawn)


def test_a_column_shows_the_settings_of_its_own_grid():
    scores = table(MANY)
    shown = shared.points(MANY, {"classifier-free": "w"}, scores).query("split == 'validation'")
    assert shown["line"].unique().tolist() == ["L = 250", "L = 500"]
    high = shown[shown["line"] == "L = 500"]
    assert high["setting"].tolist() == ["L500_w1", "L500_w2", "L500_w4"]
    assert high["x"].tolist() == [1, 2, 4]
    rows = scores[(scores["method"] == "classifier-free") & (scores["split"] == "validation")].set_index("setting")
    assert high["auroc"].tolist() == rows.loc[high["setting"], "auroc"].tolist()


def test_without_masks_the_image_level_auroc_is_shown_and_said_to_be():
    scores = table(MANY).assign(dice_average_otsu=np.nan, auroc=np.nan)
    drawn = draw(MANY, scores=scores)
    assert len(drawn.axes) == 6
    assert drawn.axes[0].get_ylabel() == "image AUROC"
    assert "neither Dice nor AUROC over pixels" in drawn.get_supxlabel()
    (ring,) = [artist for artist in drawn.axes[0].lines if artist.get_markerfacecolor() == "none"]
    chosen = scores.query("method == 'guided-ddim' and setting == 'L250_s0' and split == 'test'")
    assert ring.get_ydata() == pytest.approx(chosen["image_auroc"])
    close(drawn)


def test_methods_of_constants_alone_make_a_figure():
    drawn = draw({"vae": MANY["vae"]})
    assert [len(axes.lines) for axes in drawn.axes] == [1, 1]
    close(drawn)


# --- heatmap ---------------------------------------------------------------------------------------------------------


def cells(axes):
    """What stands in the cells, by row and column as they are labelled."""
    rows, columns = ([text.get_text() for text in axis.get_ticklabels()] for axis in (axes.yaxis, axes.xaxis))
    places = {text.get_text(): text.get_position() for text in axes.texts}
    return {(rows[int(y)], columns[int(x)]): text for text, (x, y) in places.items()}


def heatmap(methods=METHODS, reported=None, scores=None):
    scores = table(methods) if scores is None else scores
    return heat.draw(methods, scores, comparison(methods, reported, scores))


def test_the_heatmap_has_the_test_scores_in_their_cells_and_the_reported_one_framed():
    drawn = heatmap(reported=REPORTED)
    dice, auroc = drawn.axes[:2]
    assert dice.get_title("left") == "guided-ddim: Dice (average Otsu)"
    assert cells(dice) == {
        ("s = 0", "L = 250"): "0.400",
        ("s = 5", "L = 250"): "0.405",
        ("s = 100", "L = 250"): "0.500",
        ("s = 0", "500"): "0.650",
        ("s = 5", "500"): "0.655",
        ("s = 100", "500"): "0.750",
    }
    assert cells(auroc)["s = 100", "L = 250"] == "0.950"
    for axes in (dice, auroc):
        (frame,) = [patch for patch in axes.patches if not patch.get_fill()]
        assert frame.get_xy() == (1, 1), "L = 500, s = 5"
    scales = {axes.collections[0].get_clim() for axes in drawn.axes[::2]}
    assert len(scales) == 1, "one colour scale for all methods"
    assert scales.pop() == pytest.approx((0.4, 0.75))
    close(drawn)


def test_each_setting_that_a_fold_chose_is_ringed_and_framed():
    scores = table()
    reported = comparison(reported=REPORTED, scores=scores)
    reported.at["guided-ddim", "settings"] = ["L500_s5", "L250_s100"]
    drawn = figure.draw_settings(METHODS, scores, reported)
    (rings,) = [artist for artist in drawn.axes[0].lines if artist.get_markerfacecolor() == "none"]
    assert rings.get_xdata().tolist() == [100, 5]
    labels = [text.get_text().replace("\n", " ") for text in drawn.legends[0].get_texts()]
    assert "settings that folds chose" in labels
    assert "reported setting" not in labels
    drawn = heat.draw(METHODS, scores, reported)
    frames = {patch.get_xy() for patch in drawn.axes[0].patches if not patch.get_fill()}
    assert frames == {(1, 1), (0, 2)}
    assert "framed: settings that folds chose" in drawn.get_supxlabel()
    close("all")


def test_what_the_grid_has_not_is_hatched_and_said_to_be():
    methods = {"guided-ddim": {"grid": [{"L": [250, 500], "s": [0, 5]}, {"L": [125], "s": [5]}]}}
    drawn = heatmap(methods)
    found = cells(drawn.axes[0])
    assert len(found) == 5
    assert ("s = 0", "L = 125") not in found
    assert found["s = 5", "L = 125"] == "0.280"
    (below,) = [patch for patch in drawn.axes[0].patches if patch.get_hatch()]
    assert below.get_bbox().bounds == (0, 0, 3, 2), "all cells: what has no score has no colour of its own over it"
    assert "hatched: not in the grid" in drawn.get_supxlabel()
    assert "hatched" not in heatmap().get_supxlabel()
    close("all")


def test_a_heatmap_a_value_of_a_further_key_and_none_of_a_single_number():
    methods = {
        "mixed": {"grid": [{"view": ["plain", "equalised"], "L": [250, 500], "s": [0, 5]}]},
        "toy": MANY["toy"],
    }
    drawn = heatmap(methods)
    titles = [axes.get_title("left") for axes in drawn.axes[::2]]
    assert sorted(titles) == [f"mixed, view = {view}: Dice (average Otsu)" for view in ("equalised", "plain")]
    close(drawn)


def test_without_a_grid_of_two_numbers_the_heatmap_says_so():
    drawn = heatmap({"toy": MANY["toy"]})
    assert [text.get_text() for text in drawn.texts] == ["No method has a grid of two numbers."]
    close(drawn)


def test_many_noise_levels_stay_legible():
    methods = {"guided-ddim": {"grid": [{"L": list(range(50, 650, 50)), "s": [0, 5]}]}}
    drawn = heatmap(methods)
    assert_nothing_overlaps(drawn)
    assert drawn.get_size_inches()[0] <= style.PAGE[0]
    close(drawn)


def test_the_heatmap_without_masks_shows_the_image_level_auroc():
    scores = table().assign(dice_average_otsu=np.nan, auroc=np.nan)
    drawn = heatmap(scores=scores)
    assert len(drawn.axes) == 2, "two methods with two numbers, one metric"
    assert drawn.axes[0].get_title("left") == "guided-ddim: image AUROC"
    assert "neither Dice nor AUROC over pixels" in drawn.get_supxlabel()
    close(drawn)


# --- the stage -------------------------------------------------------------------------------------------------------


def options(folder, name, output="one"):
    return argparse.Namespace(
        figure=name,
        parameters={"methods": METHODS},
        benchmark=None,
        table=folder / "scores.csv",
        comparison=folder / "comparison.csv",
        output=folder / output,
    )


@pytest.mark.parametrize("name", ["settings", "heatmap"])
def test_files_are_written_the_same_twice(tmp_path, name):
    table().to_csv(tmp_path / "scores.csv", index=False)
    written(comparison()).to_csv(tmp_path / "comparison.csv")
    for output in ("one", "two"):
        figure.main(options(tmp_path, name, output))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [f"{name}.pdf", f"{name}.png", f"{name}.svg"]
    for file in names:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"scores\.csv is missing"):
        figure.main(options(tmp_path, "settings"))
    table().to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(InputError, match=r"comparison\.csv is missing"):
        figure.main(options(tmp_path, "heatmap"))


def test_ten_methods_have_ten_colours_by_their_place():
    colours = style.method_colours(f"m{n}" for n in range(10))
    assert len(set(colours.values())) == 10
    assert style.method_colours(["m0", "m1"]) == {"m0": colours["m0"], "m1": colours["m1"]}
