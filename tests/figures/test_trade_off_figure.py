"""The figure of the trade-off: the right rows on each panel, strides that can be read, the same bytes, refusals."""

import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation

from stages.errors import InputError
from stages.figures import trade_off_figure

SETTING = {"L": 500, "s": 20}
STRIDES = {"ddim": [10, 25, 50, 100], "heun": [25, 50, 100], "adams-bashforth": [10, 25, 50, 100], "o-belm": [25, 50]}


def table(masks: bool = True) -> pd.DataFrame:
    rows = []
    for solver, strides in STRIDES.items():
        for stride in strides:
            unet = (2 if solver == "heun" else 1) * 1000 // stride
            quality = 0.9 - 0.4 * stride / 1000
            for s in (20, 0):
                row = {"solver": solver, "stride": stride, "s": s, "evaluations": unet * 1.5 if s else unet}
                row |= {"dice_average_otsu": quality if masks else np.nan, "auroc": quality if masks else np.nan}
                row |= {"image_auroc": quality, "reconstruction_error": np.nan if s else stride / 10_000}
                rows.append(row)
    return pd.DataFrame(rows)


@pytest.fixture
def drawn(tmp_path):
    """Runs the stage on a table and returns the bytes of its three files."""

    def run(rows, setting=SETTING):
        rows.to_csv(tmp_path / "trade_off.csv", index=False)
        trade_off = {"setting": setting, "solvers": STRIDES}
        text = json.dumps({"trade_off": trade_off})
        line = ["--parameters", text, "--table", str(tmp_path / "trade_off.csv"), "--output", str(tmp_path / "out")]
        trade_off_figure.main(trade_off_figure.arguments().parse_args(line))
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    return run


def test_a_panel_shows_its_metric_over_the_evaluations_of_its_scale():
    figure = trade_off_figure.draw(table(), SETTING, list(STRIDES))
    axes = figure.axes
    assert [one.get_title(loc="left") for one in axes] == [
        "Dice (average Otsu), s = 20",
        "AUROC, s = 20",
        "Round-trip error, s = 0",
    ]
    assert axes[0].lines[0].get_xydata().tolist() == [[15, 0.86], [30, 0.88], [60, 0.89], [150, 0.896]]
    np.testing.assert_allclose(axes[2].lines[1].get_xydata(), [[20, 0.01], [40, 0.005], [80, 0.0025]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["DDIM", "Heun", "Adams-Bashforth", "O-BELM"]
    assert len({line.get_marker() for line in axes[0].lines[:4]}) == 4
    assert axes[0].get_xscale() == axes[2].get_yscale() == "log"
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["10", "20", "50", "100"]
    few = trade_off_figure.draw(
        table().query("solver == 'ddim' and stride < 50"), SETTING, ["ddim"]
    )  # 40 to 150 evaluations
    assert [label.get_text() for label in few.axes[0].get_xticklabels()] == ["50", "70", "100", "150"]
    plt.close(few)
    plt.close(figure)


def test_an_error_of_rounding_alone_leaves_few_ticks():
    rows = table()
    rows.loc[rows["solver"] == "o-belm", "reconstruction_error"] /= 1e13
    figure = trade_off_figure.draw(rows, SETTING, list(STRIDES))
    ticks = [label.get_text() for label in figure.axes[2].get_yticklabels()]
    assert 4 <= len(ticks) <= 7
    assert all(re.fullmatch(r"1e-\d\d|0\.0*1", tick) for tick in ticks), ticks
    plt.close(figure)


def test_strides_stand_at_their_points_and_nowhere_on_another():
    figure = trade_off_figure.draw(table(), SETTING, list(STRIDES))
    for axes, rows in zip(figure.axes, [13, 13, 13], strict=True):
        labels = [text for text in axes.texts if isinstance(text, Annotation)]
        boxes = [label.get_window_extent() for label in labels]
        assert rows / 2 < len(labels) <= rows
        assert all(boxes[n].count_overlaps(boxes[:n]) == 0 for n in range(len(boxes)))
    heun = trade_off_figure.draw(table().query("solver == 'heun'"), SETTING, ["heun"])
    assert [text.get_text() for text in heun.axes[0].texts] == ["100", "50", "25"]
    plt.close(figure)
    plt.close(heun)


def test_without_masks_the_image_auroc_takes_the_place_of_both():
    figure = trade_off_figure.draw(table(masks=False), SETTING, list(STRIDES))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["Image AUROC, s = 20", "Round-trip error, s = 0"]
    plt.close(figure)


def test_at_scale_zero_scores_and_error_share_their_rows():
    figure = trade_off_figure.draw(table(), SETTING | {"s": 0}, list(STRIDES))
    assert figure.axes[0].lines[0].get_xdata().tolist() == [10, 20, 40, 100]
    plt.close(figure)


def test_the_same_bytes_every_time(drawn):
    first = drawn(table())
    assert sorted(first) == ["trade-off.pdf", "trade-off.png", "trade-off.svg"]
    assert drawn(table()) == first


def test_a_damaged_table_is_refused(tmp_path, drawn):
    with pytest.raises(InputError, match=r"trade_off\.csv lacks the column 'evaluations'"):
        drawn(table().drop(columns="evaluations"))
    assert not (tmp_path / "out").exists()
