import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.pyplot import close
from matplotlib.text import Text
from synthetic_results import written

from stages.errors import InputError
from stages.evaluation import summary
from stages.figures import lines as shared
from stages.figures import published, sensitivity, style
from stages.methods import settings

METHODS = {
    "guided-ddim": {"detector": "ddim", "grid": [{"L": [250, 500], "s": [100, 0, 5]}], "setting": {"L": 500, "s": 5}},
    "gan": {"detector": "fixed_point_gan", "grid": [{}], "setting": {}},
    "intensity": {"detector": "intensity", "grid": [{"view": ["plain", "inverted"]}], "setting": {"view": "plain"}},
}
NEEDS_MASKS = list(summary.NEEDS_MASKS)
REPORTED = {"guided-ddim": "L500_s5", "gan": "default", "intensity": "view-plain"}


def table(methods=METHODS, masked=True):
    rows = []
    for number, (method, values) in enumerate(methods.items()):
        for setting in settings(values):
            for split in ("validation", "test"):
                dice = 0.1 * number + (setting.get("L", 0) + setting.get("s", 0)) / 1000 + 0.05 * (split == "test")
                row = {"method": method, "setting": setting.name, "split": split}
                row |= {"dice_own_otsu": dice, "dice_average_otsu": dice - 0.03}
                row |= {"auroc": 1 - dice / 10, "image_auroc": 1 - dice / 5}
                rows.append(row | ({} if masked else dict.fromkeys(NEEDS_MASKS, np.nan)))
    return pd.DataFrame(rows)


def comparison(scores, reported=REPORTED):
    rows = scores[(scores["split"] == "test") & (scores["setting"] == scores["method"].map(reported))]
    rows = (
        rows.drop(columns="split")
        .set_index("method")
        .assign(settings=lambda found: found["setting"].map(lambda name: [name]))
    )
    for metric in (*NEEDS_MASKS, "image_auroc"):
        rows[f"{metric}_low"], rows[f"{metric}_high"] = rows[metric] - 0.02, rows[metric] + 0.01
    return rows


def draw(methods=METHODS, name="guided-ddim", masked=True, paper=None, reported=REPORTED):
    scores = table(methods, masked)
    return sensitivity.draw_figure_4(methods, name, scores, comparison(scores, reported), paper)


def lines(axes, dashed=False, pale=False):
    """The lines with points, by marker: ours, the dashed published ones, or ours that are pale beside them."""
    found = [artist for artist in axes.lines if artist.get_marker() in style.MARKERS and len(artist.get_xdata())]
    found = [artist for artist in found if artist.get_markerfacecolor() != "none"]
    found = [artist for artist in found if (artist.get_alpha() is not None) == pale]
    return {artist.get_marker(): artist for artist in found if (artist.get_linestyle() != "-") == dashed}


LOW, HIGH, HIGHEST = style.MARKERS[:3]  # of L = 250, 500 and 750
DICE = ["Dice: each slice's own Otsu threshold", "Dice: average Otsu threshold"]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_lines_are_the_test_rows_of_the_method_by_noise_level():
    figure = draw()
    dice, auroc = figure.axes
    assert list(lines(dice)) == [LOW, HIGH]
    assert lines(dice)[LOW].get_xdata().tolist() == [0, 5, 100]
    assert lines(dice)[LOW].get_ydata() == pytest.approx([0.3, 0.305, 0.4])
    assert lines(auroc)[HIGH].get_ydata() == pytest.approx([0.945, 0.9445, 0.935])
    assert len({str(artist.get_color()) for artist in lines(dice).values()}) == 2
    assert legend(figure) == ["L = 250", "L = 500", *DICE, "reported setting, 95 % interval"]
    close(figure)


def test_dice_is_at_own_thresholds_and_pale_beside_it_at_the_average_one():
    figure = draw()
    dice, auroc = figure.axes
    strong, pale = lines(dice), lines(dice, pale=True)
    assert dice.get_ylabel() == "Dice"
    for marker in (LOW, HIGH):
        assert pale[marker].get_ydata() == pytest.approx(strong[marker].get_ydata() - 0.03)
        assert pale[marker].get_color() == strong[marker].get_color()
        assert pale[marker].get_linewidth() < strong[marker].get_linewidth()
        assert pale[marker].get_zorder() < strong[marker].get_zorder()
    assert not lines(auroc, pale=True)
    close(figure)


def test_where_folds_chose_several_settings_each_has_a_ring_and_what_they_come_to_is_a_line():
    scores = table()
    reported = comparison(scores)
    reported.loc["guided-ddim", NEEDS_MASKS] -= 0.1
    reported.at["guided-ddim", "settings"] = ["L500_s5", "L250_s100"]
    reported.at["intensity", "settings"] = ["view-plain", "view-inverted"]
    figure = sensitivity.draw_figure_4(METHODS, "guided-ddim", scores, reported, None)
    dice = figure.axes[0]
    rings = [artist for artist in dice.lines if artist.get_markerfacecolor() == "none"]
    places = scores.query("split == 'test' and method == 'guided-ddim'").set_index("setting")["dice_own_otsu"]
    found = {(ring.get_xdata()[0], ring.get_ydata()[0]) for ring in rings}
    assert found == {(5, places["L500_s5"]), (100, places["L250_s100"])}
    assert not any(container.lines[2] for container in dice.containers), "no interval is of one setting"
    names = {text.get_text().replace("\n", " "): text.xy[1] for text in dice.texts}
    assert names["guided-ddim, chosen by fold"] == pytest.approx(0.455)
    assert "intensity, chosen by fold" in names
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "settings that folds chose" in labels
    assert not any("interval" in label for label in labels)
    close(figure)


def test_the_reported_setting_is_ringed_with_its_interval_and_zero_has_a_place():
    figure = draw()
    dice = figure.axes[0]
    (ring,) = [artist for artist in dice.lines if artist.get_markerfacecolor() == "none"]
    assert (ring.get_xdata().tolist(), ring.get_ydata().tolist()) == ([5], [pytest.approx(0.555)])
    (interval,) = dice.containers
    (segment,) = interval.lines[2][0].get_segments()
    np.testing.assert_allclose(segment, [[5, 0.535], [5, 0.565]])
    places = [dice.transData.transform((s, 0.5))[0] for s in (0, 5, 100)]
    assert dice.get_xlim()[0] < 0 < 100 < dice.get_xlim()[1]
    assert np.diff(places).min() > 50, "0, 5 and 100 are apart on paper"
    assert dice.get_xscale() == "symlog"
    assert figure.axes[1].get_xlabel() == "gradient scale s"
    close(figure)


def test_every_other_method_is_a_named_horizontal_line():
    figure = draw()
    colours = style.method_colours(METHODS)
    for axes, scores in zip(figure.axes, ((0.15, 0.25), (0.985, 0.975)), strict=True):
        flat = {artist.get_color(): artist for artist in axes.lines if list(artist.get_xdata()) == [0, 1]}
        assert flat[colours["gan"]].get_ydata() == pytest.approx([scores[0]] * 2)
        assert flat[colours["intensity"]].get_ydata() == pytest.approx([scores[1]] * 2)
        assert colours["guided-ddim"] not in flat
        assert [text.get_text() for text in axes.texts] == ["gan", "intensity, view = plain"]
        low, high = axes.get_ylim()
        assert low < min(scores) < max(scores) < high
    close(figure)


def test_published_values_are_dashed_with_the_look_of_their_noise_level():
    paper = published.read("brats2020")
    figure = draw(paper=paper)
    for axes, column in zip(figure.axes, ("dice", "auroc"), strict=True):
        theirs, ours = lines(axes, dashed=True), lines(axes)
        for level, marker in ((250, LOW), (500, HIGH), (750, HIGHEST)):
            found = theirs[marker]
            rows = paper[paper["L"] == level].sort_values("s")
            assert found.get_xdata() == pytest.approx(rows["s"])
            assert found.get_ydata().tolist() == rows[column].tolist()
            if level != 750:  # our grid has none
                assert found.get_color() == ours[marker].get_color()
        assert list(ours) == [LOW, HIGH]
        names = [text.get_text() for text in axes.texts]
        assert names == ["gan", "intensity, view = plain", "fixed-point-gan, published"]
        assert axes.get_xlim()[1] > 1500
    values = {tuple(artist.get_ydata()) for artist in figure.axes[0].lines if list(artist.get_xdata()) == [0, 1]}
    assert (0.693, 0.693) in values
    assert "L = 750 (published only)" in legend(figure)
    assert "published, brats2020 (Wolleb et al. 2022)" in legend(figure)
    close(figure)


def test_without_masks_there_is_one_panel_and_nothing_published():
    figure = draw(masked=False, paper=published.read("brats2020"))
    (axes,) = figure.axes
    assert axes.get_ylabel() == "image AUROC"
    assert "neither Dice nor AUROC over pixels" in figure.get_supxlabel()
    assert not lines(axes, dashed=True)
    close(figure)


@pytest.mark.parametrize(
    ("grid", "reported", "places"),
    [
        ([{"L": [500], "s": [5, 20]}], "L500_s5", [5, 20]),
        ([{"L": [250, 500], "s": [5]}], "L500_s5", [5]),
        ([{"L": [500], "s": [5]}], "L500_s5", [5]),
        ([{"L": [500], "s": [0]}], "L500_s0", [0]),
        ([{"L": [500], "w": [1, 2]}], "L500_w2", [1, 2]),
        ([{"k": [3, 1]}], "k1", [1, 3]),
    ],
)
@pytest.mark.parametrize("paper", [None, "brats2020"])
def test_any_grid_makes_a_figure(grid, reported, places, paper):
    methods = {"mine": {"grid": grid, "setting": {}}, "gan": METHODS["gan"]}
    paper = paper and published.read(paper)
    figure = draw(methods, "mine", paper=paper, reported={"mine": reported, "gan": "default"})
    axes = figure.axes[0]
    found = next(iter(lines(axes).values()))
    assert found.get_xdata().tolist() == places
    assert axes.get_xlim()[0] < places[0] <= places[-1] < axes.get_xlim()[1]
    figure.canvas.draw()
    close(figure)


def test_a_method_without_numbers_is_a_line_like_the_others():
    figure = draw(name="intensity", reported=REPORTED)
    assert [text.get_text() for text in figure.axes[0].texts][-1] == "intensity, view = plain"
    assert len(figure.axes[0].texts) == 3
    close(figure)


def test_names_of_many_close_methods_do_not_touch_and_are_not_cut_off():
    methods = {"guided-ddim": METHODS["guided-ddim"]}
    methods |= {f"a-method-of-a-rather-long-name-{n}": {"grid": [{"L": [500], "s": [20]}]} for n in range(12)}
    reported = {name: "L500_s20" for name in methods} | {"guided-ddim": "L500_s5"}
    scores = table(methods)
    scores.loc[scores["method"] != "guided-ddim", NEEDS_MASKS] = 0.52
    paper = published.read("brats2020")
    drawn = sensitivity.draw_figure_4(methods, "guided-ddim", scores, comparison(scores, reported), paper)
    drawn.canvas.draw()
    assert drawn.get_size_inches()[0] == style.PAGE[0]
    for axes in drawn.axes:
        boxes = sorted((Text.get_window_extent(text) for text in axes.texts), key=lambda box: box.y0)  # without arrows
        assert len(boxes) == 13
        assert all(below.y1 <= above.y0 + 0.5 for below, above in pairwise(boxes))
        assert all(box.x1 <= drawn.bbox.x1 for box in boxes)
    box = drawn.legends[0].get_window_extent()
    assert box.x1 <= drawn.bbox.x1
    assert box.y0 >= drawn.axes[0].get_window_extent().y1, "the legend is above the panel"
    close(drawn)


@pytest.mark.parametrize("levels", [[500], [250, 500], [125, 250, 500], [62.5, 125, 250, 500, 900]])
def test_the_legend_is_not_cut_off(levels):
    methods = {"guided-ddim": {"grid": [{"L": levels, "s": [0, 5]}]}}
    figure = draw(methods, paper=published.read("brats2020"), reported={"guided-ddim": "L500_s5"})
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert box.y1 <= figure.bbox.y1
    assert box.y0 >= figure.axes[0].get_window_extent().y1, "the legend is above the panel"
    close(figure)


@pytest.mark.parametrize("ends", [(-0.3, 0.0), (0.0, 0.4)])
def test_the_interval_is_not_cut_off(ends):
    scores = table()
    reported = comparison(scores)
    for metric in ("dice_own_otsu", "auroc"):
        for name, end in zip(("low", "high"), ends, strict=True):
            reported[f"{metric}_{name}"] = reported[metric] + end
    figure = sensitivity.draw_figure_4(METHODS, "guided-ddim", scores, reported, None)
    for axes, metric in zip(figure.axes, ("dice_own_otsu", "auroc"), strict=True):
        low, high = axes.get_ylim()
        assert low < reported.at["guided-ddim", f"{metric}_low"] < reported.at["guided-ddim", f"{metric}_high"] < high
    close(figure)


def test_names_are_moved_no_farther_than_they_must():
    np.testing.assert_allclose(shared.spread([0.5, 1.5], 0.1, 2), [0.5, 1.5])
    np.testing.assert_allclose(shared.spread([1.0, 1.0], 0.1, 2), [0.95, 1.05])
    np.testing.assert_allclose(shared.spread([1.02, 1.0, 1.5], 0.1, 2), [1.06, 0.96, 1.5])
    np.testing.assert_allclose(shared.spread([0, 0, 2, 2], 0.1, 2), [0, 0.1, 1.9, 2], atol=1e-12)
    np.testing.assert_allclose(shared.spread([1.0] * 5, 1, 2), [0, 0.5, 1, 1.5, 2], atol=1e-12)
    assert len(shared.spread([], 0.1, 2)) == 0


def options(folder, output="one", **figures):
    return argparse.Namespace(
        parameters={"methods": METHODS, "figures": {"method": "guided-ddim"} | figures},
        benchmark=None,
        figure="figure-4-sensitivity",
        table=folder / "scores.csv",
        comparison=folder / "comparison.csv",
        output=folder / output,
    )


ROOT = Path(__file__).parents[2]


def properties(schema):
    """Every `properties` of a schema, at any depth."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield value
            yield from properties(value)


def test_files_are_written_the_same_twice(tmp_path):
    table().to_csv(tmp_path / "scores.csv", index=False)
    written(comparison(table())).to_csv(tmp_path / "comparison.csv")
    for output in ("one", "two"):
        sensitivity.main(options(tmp_path, output, published="brats2020"))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [f"figure-4-sensitivity.{kind}" for kind in ("pdf", "png", "svg")]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    sensitivity.main(options(tmp_path, "three"))
    assert "ublished" not in (tmp_path / "three/figure-4-sensitivity.svg").read_text()


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(InputError, match=r"scores\.csv is missing"):
        sensitivity.main(options(tmp_path))
    table().to_csv(tmp_path / "scores.csv", index=False)
    written(comparison(table()).drop(index="gan")).to_csv(tmp_path / "comparison.csv")
    with pytest.raises(InputError, match=r"comparison\.csv does not list method 'gan': run the rule comparison_tables"):
        sensitivity.main(options(tmp_path))
    table()[lambda rows: rows["setting"] != "L250_s100"].to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(InputError, match=r"scores\.csv does not list guided-ddim at L250_s100: run the rule"):
        sensitivity.main(options(tmp_path))
    assert not (tmp_path / "one").exists()


def test_the_published_table_is_that_of_the_paper_and_the_schema_names_its_data_sets():
    schema = yaml.safe_load((ROOT / "workflow/schemas/params.schema.yaml").read_text())
    names = [found["published"]["enum"] for found in properties(schema) if "published" in found]
    assert names == [pd.read_csv(published.FILE, comment="#")["dataset"].unique().tolist()]
    paper = published.read("brats2020")
    assert len(paper) == 26
    best = paper.loc[paper["dice"].idxmax()]
    assert (best["L"], best["s"], best["dice"], best["auroc"]) == (500, 50, 0.702, 0.987)
    assert paper.groupby("L").size().to_dict() == {250: 7, 500: 11, 750: 7}
    assert paper[paper["L"].isna()][["method", "dice", "auroc"]].to_numpy().tolist() == [
        ["fixed_point_gan", 0.693, 0.965]
    ]
    assert published.FILE.read_text().startswith("# "), "its source"
    assert paper[["dice", "auroc"]].map(lambda value: 0 < value < 1).all(axis=None)
    assert (paper["L"].isna() == paper["s"].isna()).all()
    assert not paper.duplicated(["dataset", "method", "L", "s"]).any()


def test_of_a_benchmark_what_its_tables_list_is_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(sensitivity.reading, "load", lambda _: {})
    monkeypatch.setattr(sensitivity.reading, "benchmark", lambda _, name: options(tmp_path).parameters)
    monkeypatch.setattr(sensitivity, "draw_figure_4", lambda methods, *_: drawn.append(list(methods)))
    monkeypatch.setattr(style, "save", lambda *_: None)
    table()[lambda rows: rows["method"] != "gan"].to_csv(tmp_path / "scores.csv", index=False)
    written(comparison(table()).drop(index="gan")).to_csv(tmp_path / "comparison.csv")
    given = options(tmp_path)
    given.parameters, given.benchmark = None, "mine"
    sensitivity.main(given)
    assert drawn == [["guided-ddim", "intensity"]]
    written(comparison(table()).drop(index="guided-ddim")).to_csv(tmp_path / "comparison.csv")
    with pytest.raises(InputError, match=r"comparison\.csv lists no guided-ddim of mine"):
        sensitivity.main(given)
    given.benchmark = None
    with pytest.raises(InputError, match="either --parameters or --benchmark"):
        sensitivity.main(given)
