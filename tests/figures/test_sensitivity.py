import argparse

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close

from stages.errors import InputError
from stages.figures import sensitivity, style
from stages.parameters import setting_name, settings

METHODS = {
    "diffusion": {"grid": [{"L": [250, 500], "s": [100, 0, 5]}], "setting": {"L": 500, "s": 5}},
    "classifier-free": {"grid": [{"L": [500], "s": [0]}], "setting": "validation"},
    "ready-made": {"grid": [{}], "setting": {}},
}


def table(methods=METHODS, splits=("validation", "test")):
    rows = []
    for method, values in methods.items():
        for setting in settings(values):
            for split in splits:
                dice = 0.1 + setting.get("L", 0) / 1000 + setting.get("s", 0) / 1000 + 0.05 * (split == "test")
                row = {"method": method, "setting": setting_name(setting), "split": split}
                row |= {"L": setting.get("L", np.nan), "s": setting.get("s", np.nan)}
                rows.append(row | {"dice_average_otsu": dice, "auroc": 1 - dice / 10})
    return pd.DataFrame(rows)


def line(axes, label):
    (found,) = [artist for artist in axes.lines if artist.get_label() == label]
    return found


def test_lines_are_the_rows_of_their_method_level_and_split():
    figure = sensitivity.draw(METHODS, table())
    dice, free, auroc, _ = figure.axes
    assert dice.get_title() == "diffusion"
    assert line(dice, "test 250").get_xdata().tolist() == [0, 5, 100]
    assert line(dice, "test 250").get_ydata() == pytest.approx([0.4, 0.405, 0.5])
    assert line(dice, "validation 500").get_ydata() == pytest.approx([0.6, 0.605, 0.7])
    assert line(auroc, "test 500").get_ydata() == pytest.approx([0.935, 0.9345, 0.925])
    assert line(dice, "test 500").get_alpha() is None
    assert line(dice, "validation 500").get_alpha() < 0.5
    # One colour a level, whatever the method and split.
    colours = {axes_line.get_color() for axes_line in (line(dice, "validation 500"), line(free, "test 500"))}
    assert colours == {line(dice, "test 500").get_color()} != {line(dice, "test 250").get_color()}
    close(figure)


def test_the_reported_setting_is_ringed_on_the_test_line_and_zero_has_a_place():
    figure = sensitivity.draw(METHODS, table())
    dice = figure.axes[0]
    (ring,) = [artist for artist in dice.lines if artist.get_markerfacecolor() == "none"]
    assert (ring.get_xdata().tolist(), ring.get_ydata().tolist()) == ([5], [pytest.approx(0.655)])
    places = [dice.transData.transform((s, 0.5))[0] for s in (0, 5, 100)]
    assert dice.get_xlim()[0] < 0 < 100 < dice.get_xlim()[1]
    assert np.diff(places).min() > 20, "0, 5 and 100 are apart on paper"
    assert figure.axes[2].get_xticks().tolist() == [0, 5, 100]
    close(figure)


def test_a_method_without_s_is_a_dashed_line_in_every_column():
    figure = sensitivity.draw(METHODS, table())
    for axes in figure.axes[:2]:
        (dashed,) = [artist for artist in axes.lines if artist.get_linestyle() == "--"]
        assert dashed.get_ydata() == pytest.approx([0.15, 0.15])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["L = 250", "L = 500", "ready-made", "test subjects", "validation subjects", "reported setting"]
    close(figure)


@pytest.mark.parametrize("methods", [{"ready-made": METHODS["ready-made"]}, {"diffusion": METHODS["diffusion"]}])
def test_files_are_written_the_same_twice(tmp_path, methods):
    scores = table(methods, splits=("test",))
    if "diffusion" not in methods:
        scores = scores.drop(columns=["L", "s"])  # as in a table whose grids name neither
    scores.to_csv(tmp_path / "scores.csv", index=False)
    for folder in ("one", "two"):
        sensitivity.main(
            argparse.Namespace(
                parameters={"methods": methods}, scores=tmp_path / "scores.csv", output=tmp_path / folder
            )
        )
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["sensitivity.pdf", "sensitivity.png", "sensitivity.svg"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"scores\.csv is missing"):
        sensitivity.read(tmp_path / "scores.csv")


def test_settings_are_printed_as_the_paper_writes_them():
    assert style.setting_title("L500_s100") == "L = 500, s = 100"
    assert style.setting_title("L500_s0.5") == "L = 500, s = 0.5"
    assert style.setting_title("scale1e+06") == "scale = 1e+06"
    assert style.setting_title("default") == ""
