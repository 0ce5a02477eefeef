import argparse
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close
from matplotlib.text import Text

from stages.data.store import open_store
from stages.errors import InputError
from stages.figures import examples, style

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


def texts_of(figure):
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that the stage would save, by name."""
    figures = {}
    monkeypatch.setattr(style, "save", lambda figure, folder, name: figures.update({name: figure}))
    yield figures
    close("all")


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
    store = open_store(results / "data/test")
    assert examples.diseased_slices(store, 20 * 64 * 10, 9) == []  # more than 200 pixels: none
    rows = examples.diseased_slices(store, 8 * 64, 99)  # more than 8 pixels
    assert store.manifest.loc[rows, "lesion_pixels"].tolist() == sorted([12, 16, 20] * 3)
    rows = examples.healthy_slices(store, 99)
    assert len(rows) == 12
    assert (store.manifest.loc[rows, "label"] == 0).all()


def test_without_masks_slices_are_spread_over_the_manifest(unmasked):
    store = open_store(unmasked / "data/test")
    for rows, label in ((examples.diseased_slices(store, 20, 3), 1), (examples.healthy_slices(store, 3), 0)):
        assert store.manifest.loc[rows, "label"].tolist() == [label] * 3
        assert store.manifest.loc[rows, "subject_id"].tolist() == ["A", "B", "C"]
    rows = examples.diseased_slices(store, 20, 3)
    assert store.manifest.loc[rows, "slice_id"].tolist() == ["A_z006", "B_z006", "C_z006"], "each the third of five"
    assert len(examples.diseased_slices(store, 20, 99)) == 15


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
    figure = examples.draw(store, methods, rows, ["t1", "flair"], [0.6, 0.4], WHOLE, "examples")
    expected = []
    for row in rows:
        expected += [store.images[row, 0], store.images[row, 1], store.masks[row]]
        expected += [methods[0].images[row, 0], methods[0].images[row, 1], methods[0].maps[row], methods[1].maps[row]]
    panels = shown(figure)
    assert len(panels) == len(expected)
    for panel, array in zip(panels, expected, strict=True):
        np.testing.assert_array_equal(panel, np.asarray(array, panel.dtype))
    scales = [(axes.images[0].get_cmap().name, axes.images[0].get_clim()) for axes in figure.axes if axes.images]
    assert scales == 2 * [*[("gray", (0, 1))] * 5, ("inferno", (0, 0.6)), ("inferno", (0, 0.4))]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts.count("Dice 1.00") == 4
    assert texts.count("no reconstruction") == 2
    assert "diffusion\nL = 20, s = 5\nmap: 0 to 0.6" in texts, "each method's scale is printed at its name"
    assert "ready-made\nmap: 0 to 0.4" in texts
    close(figure)


def test_one_channel_without_masks_and_many_methods_stay_legible(unmasked):
    images, rng = np.load(unmasked / "data/test/images.npy"), np.random.default_rng(0)
    np.save(unmasked / "data/test/images.npy", images[:, :1])
    store = open_store(unmasked / "data/test")
    maps = rng.uniform(size=store.images[:, 0].shape)
    names = [f"a-method-of-a-long-name-{n}" for n in range(8)]
    methods = [
        examples.Method(name, "view-equalised", maps, None if n % 2 else store.images, np.nan)
        for n, name in enumerate(names)
    ]
    figure = examples.draw(store, methods, [7, 8, 16, 26], ["xray"], [1.0] * 8, WHOLE, "examples")
    assert len(shown(figure)) == 4 * (1 + 4 + 8), "no mask's panel; a map for each, a reconstruction for every other"
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sum(text.startswith("mean ") for text in texts) == 4 * 8
    assert not [text for text in texts if text.startswith("Dice")]
    assert not [axes for axes in figure.axes if axes.collections and axes.images], "no outline"
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == ["A_z007, diseased", "A_z008, diseased", "B_z007, diseased", "C_z008, diseased"]
    assert max(figure.get_size_inches()) < 12, "a page, not a scroll"
    figure.canvas.draw()
    paper = figure.bbox
    boxes = [text.get_window_extent() for axes in figure.axes for text in axes.texts if text.get_text() in texts]
    assert all(box.x0 >= 0 and box.x1 <= paper.x1 and box.y0 >= 0 for box in boxes), "nothing is cut off"
    labels = sorted(
        (text.get_window_extent() for axes in figure.axes for text in axes.texts if "map: 0 to 1" in text.get_text()),
        key=lambda box: box.y0,
    )
    assert len(labels) == 8
    assert all(below.y1 <= above.y0 for below, above in pairwise(labels)), "labels of methods do not touch"
    close(figure)


def test_a_long_name_of_a_slice_goes_on_two_lines(unmasked):
    path = unmasked / "data/test/manifest.csv"
    manifest = pd.read_csv(path, dtype=str)
    manifest["slice_id"] = [f"patient64{n:03d}_study1_view1_frontal" for n in range(len(manifest))]
    manifest.to_csv(path, index=False)
    store = open_store(unmasked / "data/test")
    assert examples._slice_title(store, 8, 40) == "patient64008_study1_view1_frontal\ndiseased"
    assert examples._slice_title(store, 0, 60) == "patient64000_study1_view1_frontal, healthy"
    assert max(map(len, examples._slice_title(store, 0, 20).splitlines())) <= 20


def test_a_methods_scale_is_that_of_its_own_shown_slices(results):
    store = open_store(results / "data/test")
    methods = examples.open_methods(["diffusion", "ready-made"], results / "maps", results / "comparison.csv", store)
    assert 0.5 < examples.map_range(methods[0], [8]) <= 0.6
    assert 0.5 < examples.map_range(methods[0], [0, 8]) <= 0.6
    assert examples.map_range(methods[0], [0]) <= 0.1
    dark = examples.Method("m", "default", np.zeros((27, 32, 32)), None, 0.1)
    assert examples.map_range(dark, [0]) == 1


def test_the_scale_of_a_method_is_the_same_in_both_figures_whatever_its_unit(results, drawn):
    maps = results / "maps/ready-made/default/test/maps.npy"
    values = np.load(maps) * 100
    values[:4] = 200  # healthy slices, brighter than any diseased one of this method
    np.save(maps, values)
    examples.main(options(results, figures={"diseased_slices": 3, "healthy_slices": 12}))
    for figure in drawn.values():
        ends = [axes.images[0].get_clim() for axes in figure.axes if axes.images]
        diffusion, ready_made = sorted(set(ends) - {(0, 1)})
        assert 0.5 < diffusion[1] < 0.61, "small lesions among many healthy slices are not beyond the scale"
        assert ready_made == (0, 200), "healthy slices count for the scale"
        printed = {text.split()[-1] for text in texts_of(figure) if "map: 0 to" in text}
        assert printed == {f"{diffusion[1]:.3g}", "200"}
    assert set(drawn) == {"examples", "healthy"}


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


def test_without_masks_titles_say_the_class_and_nothing_is_outlined(unmasked, drawn):
    examples.main(options(unmasked))
    titles = [axes.get_title(loc="left") for axes in drawn["examples"].axes if axes.get_title(loc="left")]
    assert sorted(re.fullmatch(r"([ABC])_z\d+, diseased", title).group(1) for title in titles) == ["A", "B", "C"]
    texts = " ".join(texts_of(drawn["examples"]))
    assert "mean: over all pixels" in texts
    assert "Dice" not in texts
    assert "mask" not in texts
    with pytest.raises(InputError, match="has no diseased slice to show"):
        examples.main(options(unmasked, figures={"diseased_slices": 0, "healthy_slices": 1}))


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
