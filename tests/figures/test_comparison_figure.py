import argparse
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close
from synthetic_results import written

from stages.errors import InputError
from stages.evaluation import summary
from stages.figures import comparison_figure, style

NAMES = [
    "guided-ddim",
    "guided-ddim-none",
    "guided-ddim-none-healthy",
    "guided-ddpm",
    "classifier-free",
    "vae",
    "gan",
    "intensity",
]
METHODS = {name: {"grid": [{"L": [500], "s": [20]}]} for name in NAMES[:-1]}
METHODS |= {"intensity": {"grid": [{"view": ["plain", "equalised"]}]}}


def table(masked=True, unit=1.0, seeds=1):
    """Eight methods; the unit of the last one's map is `unit` times that of the others."""
    frame = pd.DataFrame({"method": NAMES, "setting": ["L500_s20"] * 7 + ["view-equalised"], "seeds": seeds})
    frame["settings"] = frame["setting"].map(lambda name: [name])
    for number, metric in enumerate(summary.METRICS):
        frame[metric] = np.linspace(0.3, 0.8, 8) + 0.01 * number
        if (not masked and "dice" in metric) or (not masked and metric in ("auroc", "auroc_all")):
            frame[metric] = np.nan
        if metric == "healthy_mean_map":
            frame[metric] *= [1] * 7 + [unit]
        frame[f"{metric}_low"], frame[f"{metric}_high"] = frame[metric] * 0.9, frame[metric] * 1.1
    return frame.set_index("method")


def point(axes, place):
    (found,) = [line for line in axes.lines if line.get_marker() == "o" and np.isfinite(line.get_xdata()[place])]
    return found


def test_a_panel_a_metric_a_row_a_method_in_the_order_of_the_parameters():
    frame, order = table(), dict(reversed(METHODS.items()))
    figure = comparison_figure.draw(order, frame)
    assert [axes.get_title().replace("\n", " ") for axes in figure.axes] == list(summary.TITLES.values())
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()][:2] == [
        "intensity\nview = equalised",
        "gan\nL = 500, s = 20",
    ]
    assert figure.axes[0].yaxis_inverted(), "the first method is on top"
    colours = style.method_colours(order)
    for axes, metric in zip(figure.axes, summary.TITLES, strict=True):
        for place, name in enumerate(order):
            row = frame.loc[name]
            assert point(axes, place).get_xdata()[place] == row[metric]
            assert point(axes, place).get_color() == colours[name]
            whiskers = [artist for artist in axes.lines if list(artist.get_ydata()) == [place, place]]
            assert [row[f"{metric}_low"], row[f"{metric}_high"]] in [list(artist.get_xdata()) for artist in whiskers]
        low, high = axes.get_xlim()
        assert low <= frame[metric].min() <= frame[metric].max() <= high
    close(figure)


def test_settings_that_differ_between_folds_are_not_those_of_the_first():
    frame = table()
    frame.at["intensity", "settings"] = ["view-equalised", "view-plain"]
    figure = comparison_figure.draw(METHODS, frame)
    assert figure.axes[0].get_yticklabels()[-1].get_text() == "intensity\nchosen by fold"
    close(figure)


def test_axes_start_at_zero_or_chance():
    frame = table()
    frame["auroc"] = frame["auroc_low"] = frame["auroc_high"] = np.linspace(0.9, 0.99, 8)
    frame.loc["guided-ddim", ["image_auroc", "image_auroc_low"]] = 0.3, 0.2
    figure = comparison_figure.draw(METHODS, frame)
    axes = dict(zip(summary.TITLES, figure.axes, strict=True))
    assert axes["auroc"].get_xlim() == pytest.approx((0.5, 1), abs=0.03)
    assert axes["image_auroc"].get_xlim()[0] < 0.2, "what is below chance is not cut off"
    for metric in ("dice_average_otsu", "mean_map_ratio", "healthy_mean_map"):
        assert -0.1 < axes[metric].get_xlim()[0] <= 0
    close(figure)


@pytest.mark.parametrize(("unit", "scale"), [(1, "linear"), (1000, "log")])
def test_mean_maps_of_very_different_units_need_a_logarithm(unit, scale):
    figure = comparison_figure.draw(METHODS, table(unit=unit))
    scales = dict(zip(summary.TITLES, [axes.get_xscale() for axes in figure.axes], strict=True))
    assert scales.pop("healthy_mean_map") == scale
    assert set(scales.values()) == {"linear"}
    close(figure)


def test_without_masks_the_figure_says_what_is_not_there():
    figure = comparison_figure.draw(METHODS, table(masked=False))
    assert [axes.get_title() for axes in figure.axes] == [
        "image AUROC",
        "healthy mean map",
        "mean map,\nhealthy / diseased",
    ]
    assert "no masks in this data set" in figure.get_supxlabel()
    close(figure)


@pytest.mark.parametrize(("seeds", "over"), [(1, "subjects"), (3, "subjects and seeds")])
def test_the_note_says_what_the_intervals_are_over(seeds, over):
    figure = comparison_figure.draw(METHODS, table(seeds=seeds))
    assert figure.get_supxlabel() == f"mean and 95 % interval (bootstrap over {over})"
    close(figure)


def test_a_method_without_a_value_has_a_dash():
    frame = table()
    frame.loc[NAMES[2], [f"mean_map_ratio{end}" for end in ("", "_low", "_high")]] = np.nan
    figure = comparison_figure.draw(METHODS, frame)
    assert [text.get_text() for text in figure.axes[-1].texts] == ["-"]
    assert not figure.axes[0].texts
    close(figure)


def test_ten_methods_are_legible_and_labels_do_not_touch():
    frame = pd.concat([table(), table().iloc[:2].set_axis(["nine", "ten"])])
    figure = comparison_figure.draw(METHODS | dict.fromkeys(["nine", "ten"], METHODS["vae"]), frame)
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 10
    assert all(box.x0 >= 0 for box in boxes)
    assert all(above.y0 > below.y1 for above, below in pairwise(boxes))
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in pairwise(titles))
    close(figure)


def options(folder, methods=METHODS, output="one"):
    return argparse.Namespace(
        parameters={"methods": methods},
        table=folder / "comparison.csv",
        output=folder / output,
    )


def test_files_are_written_the_same_twice(tmp_path):
    written(table()).to_csv(tmp_path / "comparison.csv")
    for output in ("one", "two"):
        comparison_figure.main(options(tmp_path, methods=dict(list(METHODS.items())[:2]), output=output))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["comparison.pdf", "comparison.png", "comparison.svg"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_is_wrong_with_the_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"comparison\.csv is missing"):
        comparison_figure.main(options(tmp_path))
    written(table()).to_csv(tmp_path / "comparison.csv")
    with pytest.raises(InputError, match=r"comparison\.csv does not list method 'mine'"):
        comparison_figure.main(options(tmp_path, methods=METHODS | {"mine": {"grid": [{}]}}))
    assert not (tmp_path / "one").exists()
