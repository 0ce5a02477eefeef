import argparse
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close

from stages.data.store import open_store
from stages.errors import InputError
from stages.figures import examples

PARAMETERS = {
    "data": {"size": 32, "channels": ["t1", "flair"]},
    "evaluation": {"lesion_pixels_at_256": 20},
    "methods": {"diffusion": {}, "ready-made": {}},
    "figures": {"diseased_slices": 3, "healthy_slices": 2},
}
WHOLE = (slice(None), slice(None))


def options(results, output="figures", **parameters):
    return argparse.Namespace(
        parameters=PARAMETERS | parameters,
        data=results / "data",
        maps=results / "maps",
        comparison=results / "comparison.csv",
        output=results / output,
    )


def shown(figure):
    """The pixel arrays of a figure's panels, in the order in which they were made; the colour bar's is not one."""
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_slices_stand_at_even_quantiles():
    values = np.arange(100)[::-1]
    subjects = np.array([f"s{n}" for n in range(100)])
    chosen = examples.choose_slices(values, subjects, 4)
    assert values[chosen] == pytest.approx([12.5, 37.5, 62.5, 87.5], abs=1)


def test_subjects_differ_as_far_as_there_are_enough_and_no_slice_comes_twice():
    subjects = np.repeat(["A", "B", "C"], 5)
    values = np.tile(np.arange(5), 3)
    assert len(set(subjects[examples.choose_slices(values, subjects, 3)])) == 3
    five = examples.choose_slices(values, subjects, 5)
    assert len(set(five)) == 5
    assert sorted(np.unique(subjects[five], return_counts=True)[1]) == [1, 2, 2]
    assert sorted(examples.choose_slices(values, subjects, 99)) == list(range(15))
    assert sorted(examples.choose_slices(np.zeros(4), np.array(["A"] * 4), 3)) == [0, 1, 2]
    assert examples.choose_slices(np.array([]), np.array([]), 3) == []
    assert five == examples.choose_slices(values, subjects, 5)


def test_diseased_slices_are_scored_ones_and_healthy_slices_healthy(results):
    manifest = open_store(results / "data/test").manifest
    rows = examples.diseased_slices(manifest, 20 * 64 * 10, 32, 9)  # more than 200 pixels: none
    assert rows == []
    rows = examples.diseased_slices(manifest, 8 * 64, 32, 99)  # more than 8 pixels
    assert manifest.loc[rows, "lesion_pixels"].tolist() == sorted([12, 16, 20] * 3)
    rows = examples.healthy_slices(manifest, 99)
    assert len(rows) == 12
    assert (manifest.loc[rows, "label"] == 0).all()


def test_the_window_holds_all_that_is_not_black_and_is_square():
    images = np.zeros((2, 1, 32, 32))
    images[0, 0, 10:14, 5:15] = images[1, 0, 12:20, 8:12] = 1
    rows, columns = examples.crop(images)
    assert rows.stop - rows.start == columns.stop - columns.start == 14
    assert (rows.start, columns.start) == (8, 3)
    assert examples.crop(np.ones((1, 1, 8, 8))) == (slice(0, 8), slice(0, 8))
    assert examples.crop(np.zeros((1, 1, 8, 8))) == (slice(0, 8), slice(0, 8))
    images[0, 0, 0, 0] = 1  # at the edge: the window stays inside
    rows, columns = examples.crop(images)
    assert (rows.start, columns.start) == (0, 0)


def test_each_panel_shows_its_own_pixels(results):
    store = open_store(results / "data/test")
    methods = examples.open_methods(["diffusion", "ready-made"], results / "maps", results / "comparison.csv", store)
    assert [(method.name, method.setting) for method in methods] == [("diffusion", "L20_s5"), ("ready-made", "default")]
    rows = [7, 17]
    figure = examples.draw(store, methods, rows, ["t1", "flair"], 0.6, WHOLE, "examples")
    expected = []
    for row in rows:
        expected += [store.images[row, 0], store.images[row, 1], store.masks[row]]
        expected += [methods[0].images[row, 0], methods[0].images[row, 1], methods[0].maps[row], methods[1].maps[row]]
    panels = shown(figure)
    assert len(panels) == len(expected)
    for panel, array in zip(panels, expected, strict=True):
        np.testing.assert_array_equal(panel, np.asarray(array, panel.dtype))
    scales = {(axes.images[0].get_cmap().name, axes.images[0].get_clim()) for axes in figure.axes if axes.images}
    assert scales == {("gray", (0, 1)), ("inferno", (0, 0.6))}
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts.count("Dice 1.00") == 4
    assert "diffusion\nL = 20, s = 5" in texts
    close(figure)


def test_the_scale_is_that_of_the_brightest_method(results):
    store = open_store(results / "data/test")
    methods = examples.open_methods(["diffusion", "ready-made"], results / "maps", results / "comparison.csv", store)
    assert 0.5 < examples.map_range(methods, [8]) <= 0.6
    assert examples.map_range(methods, [0]) <= 0.1
    dark = examples.Method("m", "default", np.zeros((27, 32, 32)), None, 0.1)
    assert examples.map_range([dark], [0]) == 1


def test_files_are_written_the_same_twice_with_text_as_text(results):
    examples.main(options(results))
    examples.main(options(results, output="again"))
    names = [f"{name}.{kind}" for name in ("examples", "healthy") for kind in ("pdf", "png", "svg")]
    assert sorted(path.name for path in (results / "figures").iterdir()) == sorted(names)
    for name in names:
        assert (results / "figures" / name).read_bytes() == (results / "again" / name).read_bytes(), name
    text = (results / "figures/examples.svg").read_text()
    shown_ids = re.findall(r">([ABC]_z\d+), lesion \d+ pixels<", text)
    assert len(set(shown_ids)) == 3
    assert {name[0] for name in shown_ids} == {"A", "B", "C"}
    assert "Dice 1.00" in text
    text = (results / "figures/healthy.svg").read_text()
    assert len(set(re.findall(r">([ABC]_z\d+), healthy<", text))) == 2
    assert "Dice" not in text


def test_what_is_missing_is_named(results):
    with pytest.raises(InputError, match=r"comparison\.csv does not list method 'vae'"):
        examples.main(options(results, methods={"vae": {}}))
    with pytest.raises(InputError, match=r"2 channels where data\.channels names 1"):
        examples.main(options(results, data={"size": 32, "channels": ["flair"]}))
    with pytest.raises(InputError, match="no scored diseased slice"):
        examples.main(options(results, evaluation={"lesion_pixels_at_256": 10**6}))
    (results / "maps/diffusion/L20_s5/test/maps.npy").unlink()
    with pytest.raises(InputError, match=r"L20_s5/test/maps\.npy"):
        examples.main(options(results))
    (results / "comparison.csv").unlink()
    with pytest.raises(InputError, match=r"comparison\.csv is missing"):
        examples.main(options(results))
    assert not (results / "figures").exists()


def test_the_setting_shown_is_that_of_the_comparison(results):
    table = pd.read_csv(results / "comparison.csv")
    table.loc[0, "setting"] = "L10_s0"
    table.to_csv(results / "comparison.csv", index=False)
    with pytest.raises(InputError, match=r"maps/diffusion/L10_s0/test/maps\.npy"):
        examples.main(options(results))
