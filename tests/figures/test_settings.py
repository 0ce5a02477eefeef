import argparse

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close

from stages.errors import InputError
from stages.figures import settings as figure
from stages.figures import style
from stages.methods import settings

METHODS = {
    "guided-ddim": {"grid": [{"L": [250, 500], "s": [100, 0, 5]}], "setting": {"L": 500, "s": 5}},
    "classifier-free": {"grid": [{"L": [500], "s": [0]}], "setting": "validation"},
    "ready-made": {"grid": [{}], "setting": {}},
}


def table(methods=METHODS, splits=("validation", "test")):
    rows = []
    for method, values in methods.items():
        for setting in settings(values):
            for split in splits:
                dice = 0.1 + setting.get("L", 0) / 1000 + setting.get("s", 0) / 1000 + 0.05 * (split == "test")
                row = {"method": method, "setting": setting.name, "split": split}
                rows.append(row | {"dice_average_otsu": dice, "auroc": 1 - dice / 10, "image_auroc": 1 - dice / 5})
    return pd.DataFrame(rows)


def line(axes, label):
    (found,) = [artist for artist in axes.lines if artist.get_label() == label]
    return found


def test_lines_are_the_rows_of_their_method_level_and_split():
    drawn = figure.draw(METHODS, table())
    dice, free, auroc, _ = drawn.axes
    assert dice.get_title() == "guided-ddim"
    assert line(dice, "test L = 250").get_xdata().tolist() == [0, 5, 100]
    assert line(dice, "test L = 250").get_ydata() == pytest.approx([0.4, 0.405, 0.5])
    assert line(dice, "validation L = 500").get_ydata() == pytest.approx([0.6, 0.605, 0.7])
    assert line(auroc, "test L = 500").get_ydata() == pytest.approx([0.935, 0.9345, 0.925])
    assert line(dice, "test L = 500").get_alpha() is None
    assert line(dice, "validation L = 500").get_alpha() < 0.5
    # One marker a level, whatever the method and split; one colour a method.
    markers = {axes_line.get_marker() for axes_line in (line(dice, "validation L = 500"), line(free, "test L = 500"))}
    assert markers == {line(dice, "test L = 500").get_marker()} != {line(dice, "test L = 250").get_marker()}
    colours = style.method_colours(METHODS)
    for axes, name in ((dice, "guided-ddim"), (free, "classifier-free")):
        lines_of = [artist for artist in axes.lines if artist.get_label().startswith(("test", "validation"))]
        assert {artist.get_color() for artist in lines_of} == {colours[name]}
        assert axes.title.get_color() == colours[name]
    close(drawn)


def test_the_reported_setting_is_ringed_on_the_test_line_and_zero_has_a_place():
    drawn = figure.draw(METHODS, table())
    dice = drawn.axes[0]
    (ring,) = [artist for artist in dice.lines if artist.get_markerfacecolor() == "none"]
    assert (ring.get_xdata().tolist(), ring.get_ydata().tolist()) == ([5], [pytest.approx(0.655)])
    places = [dice.transData.transform((s, 0.5))[0] for s in (0, 5, 100)]
    assert dice.get_xlim()[0] < 0 < 100 < dice.get_xlim()[1]
    assert np.diff(places).min() > 20, "0, 5 and 100 are apart on paper"
    assert drawn.axes[2].get_xticks().tolist() == [0, 5, 100]
    close(drawn)


def test_a_method_without_s_is_a_dashed_line_in_every_column():
    drawn = figure.draw(METHODS, table())
    for axes in drawn.axes[:2]:
        (dashed,) = [artist for artist in axes.lines if artist.get_linestyle() == "--"]
        assert dashed.get_ydata() == pytest.approx([0.15, 0.15])
        assert dashed.get_color() == style.method_colours(METHODS)["ready-made"]
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels == ["L = 250", "L = 500", "ready-made", "test subjects", "validation subjects", "reported setting"]
    close(drawn)


def test_the_legend_counts_upwards_whatever_the_order_of_the_grid():
    grid = [{"L": [250, 1000], "s": [1, 5]}, {"L": [125], "s": [1]}]
    methods = {"guided-ddim": {"grid": grid, "setting": {"L": 250, "s": 5}}}
    drawn = figure.draw(methods, table(methods))
    labels = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert labels[:3] == ["L = 125", "L = 250", "L = 1000"]
    close(drawn)


@pytest.mark.parametrize("methods", [{"ready-made": METHODS["ready-made"]}, {"guided-ddim": METHODS["guided-ddim"]}])
def test_files_are_written_the_same_twice(tmp_path, methods):
    scores = table(methods, splits=("test",))
    scores.to_csv(tmp_path / "scores.csv", index=False)
    for folder in ("one", "two"):
        figure.main(
            argparse.Namespace(
                parameters={"methods": methods}, scores=tmp_path / "scores.csv", output=tmp_path / folder
            )
        )
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["settings.pdf", "settings.png", "settings.svg"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


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
    assert {name: figure.axis_key(method) for name, method in MANY.items()} == {
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
    drawn = figure.draw(MANY, table(MANY))
    first = drawn.axes[:6]
    assert [axes.get_title().replace("\n", "") for axes in first] == list(MANY)[:6]
    assert [axes.get_xlabel() for axes in drawn.axes[6:]] == [
        "guidance scale s",
        "noise level L",
        "guidance weight w",
        "guidance scale s",
        "k",
        "k",
    ]
    assert [axes.get_xscale() for axes in first] == ["symlog", "linear", "linear", "symlog", "linear", "linear"]
    assert line(first[4], "test").get_xdata().tolist() == [1, 3]
    assert line(first[1], "test s = 0").get_xdata().tolist() == [10, 20]
    assert line(first[5], "test view = equalised").get_xdata().tolist() == [1, 3]
    for axes in drawn.axes:
        constant = [artist for artist in axes.lines if artist.get_linestyle() in ("--", "-.", ":")]
        assert len({(artist.get_color(), artist.get_linestyle()) for artist in constant}) == 3
    assert drawn.get_size_inches()[0] <= style.PAGE[0]
    close(drawn)


def test_a_column_shows_the_settings_of_its_own_grid():
    scores = table(MANY)
    shown = figure.lines(MANY["classifier-free"], "classifier-free", scores, "validation")
    assert list(shown) == ["L = 250", "L = 500"]
    assert shown["L = 500"]["setting"].tolist() == ["L500_w1", "L500_w2", "L500_w4"]
    rows = scores[(scores["method"] == "classifier-free") & (scores["split"] == "validation")].set_index("setting")
    expected = rows.loc[["L500_w1", "L500_w2", "L500_w4"], "auroc"]
    assert shown["L = 500"]["auroc"].tolist() == expected.tolist()


def test_without_masks_the_image_level_auroc_is_shown_and_said_to_be():
    scores = table(MANY).assign(dice_average_otsu=np.nan, auroc=np.nan)
    drawn = figure.draw(MANY, scores)
    assert len(drawn.axes) == 6
    assert drawn.axes[0].get_ylabel() == "image AUROC"
    assert "neither Dice nor AUROC over pixels" in drawn.get_supxlabel()
    (ring,) = [artist for artist in drawn.axes[0].lines if artist.get_markerfacecolor() == "none"]
    assert ring.get_ydata() == pytest.approx(
        scores.query("setting == 'L250_s0' and split == 'test'")["image_auroc"][:1]
    )
    close(drawn)


def test_methods_of_constants_alone_make_a_figure():
    drawn = figure.draw({"vae": MANY["vae"]}, table({"vae": MANY["vae"]}))
    assert [len(axes.lines) for axes in drawn.axes] == [1, 1]
    close(drawn)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"scores\.csv is missing"):
        figure.read(tmp_path / "scores.csv", METHODS)


def test_a_table_that_lacks_a_setting_is_refused(tmp_path):
    path, rows = tmp_path / "scores.csv", table()
    rows.to_csv(path, index=False)
    assert len(figure.read(path, METHODS)) == len(rows)
    for broken in (rows.iloc[:2], rows[rows["method"] != "classifier-free"], pd.concat([rows, rows.iloc[-1:]])):
        broken.to_csv(path, index=False)
        with pytest.raises(InputError, match=r"scores\.csv does not list \S+ \S+ on test once: tabulate again"):
            figure.read(path, METHODS)


def test_settings_are_printed_as_the_paper_writes_them():
    assert style.setting_title("L500_s100") == "L = 500, s = 100"
    assert style.setting_title("L500_s0.5") == "L = 500, s = 0.5"
    assert style.setting_title("scale1e+06") == "scale = 1e+06"
    assert style.setting_title("view-equalised") == "view = equalised"
    assert style.setting_title("view-plain_k3") == "view = plain, k = 3"
    assert style.setting_title("k-5_s-0.5") == "k = -5, s = -0.5"
    assert style.setting_title("default") == ""


def test_ten_methods_have_ten_colours_by_their_place():
    colours = style.method_colours(f"m{n}" for n in range(10))
    assert len(set(colours.values())) == 10
    assert style.method_colours(["m0", "m1"]) == {"m0": colours["m0"], "m1": colours["m1"]}
