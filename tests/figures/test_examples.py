import dataclasses
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close
from matplotlib.text import Text
from synthetic_results import (
    METHODS,
    PARAMETERS,
    REPEAT,
    SETTINGS,
    assert_nothing_overlaps,
    content,
    stage_options,
    write_all,
    write_method,
)

from stages import digests
from stages.detection.difference import anomaly_map
from stages.errors import InputError
from stages.figures import examples, selection, style


def options(folder, figure="figure-3-methods", **more):
    rest = {"repeats": {"folds": 1, "seeds": [0]}, "detection": {"difference": "plain"}}
    return stage_options(folder, figure, **(rest | more))


def one_channel_options(folder, figure="figure-2-methods", **parameters):
    return options(folder, figure, **({"data": {"size": 32, "channels": ["xray"]}} | parameters))


def images(figure):
    return [image for axes in figure.axes for image in axes.images]


def pixels(figure):
    return [np.asarray(image.get_array()) for image in images(figure)]


def texts(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def test_several_channels_have_a_row_a_method_of_their_own_pixels(results):
    shown = content(results, [7, 17])
    figure, (diffusion, ready_made) = examples.draw(shown), shown.methods
    expected = []
    for row in (7, 17):
        expected += [*shown.store.images[row], shown.store.masks[row]]
        expected += [*diffusion.images[row], diffusion.maps[row], ready_made.maps[row]]
    found = pixels(figure)
    assert len(found) == len(expected)
    for panel, array in zip(found, expected, strict=True):
        np.testing.assert_array_equal(panel, np.asarray(array, panel.dtype))
    looks = [(image.get_cmap().name, image.get_clim()) for image in images(figure)]
    assert looks == 2 * [*[("gray", (0, 1))] * 5, ("inferno", (0, 0.6)), ("inferno", (0, 90))]
    dice = diffusion.slices["dice_average_otsu"]
    assert [text for text in texts(figure) if text.startswith("Dice ")][::2] == [
        f"Dice {dice[7]:.2f}",
        f"Dice {dice[17]:.2f}",
    ]
    assert texts(figure).count("no reconstruction") == 2
    assert "guided-ddim\nL = 20, s = 5" in texts(figure)
    assert "ready-made\nmap: 0 to 90" in texts(figure), "a unit of its own is printed at the name"
    assert {text.get_text() for text in figure.axes[-1].get_xticklabels()} == {"0", "0.6"}, "the colour bar"
    assert_nothing_overlaps(figure)
    close(figure)


def test_one_channel_has_a_column_a_method_with_reconstruction_above_map(one_channel):
    shown = content(one_channel, [7, 17], ["xray"])
    figure, (diffusion, ready_made) = examples.draw(shown), shown.methods
    expected = []
    for row in (7, 17):
        expected += [shown.store.images[row, 0], shown.store.masks[row]]
        expected += [diffusion.images[row, 0], diffusion.maps[row], ready_made.maps[row]]
    for panel, array in zip(pixels(figure), expected, strict=True):
        np.testing.assert_array_equal(panel, np.asarray(array, panel.dtype))
    places = [image.get_extent() for image in images(figure)]
    assert places[2][0] == places[3][0] > places[0][1], "a method's reconstruction and map are one column"
    assert places[3][3] > places[2][2], "the map is below"
    assert_nothing_overlaps(figure)
    close(figure)


@pytest.mark.parametrize("count", [1, 8, 11])
@pytest.mark.parametrize("figure", ["figure-2-methods", "figure-3-methods"])
def test_many_methods_of_long_names_stay_legible_on_a_page(results, one_channel, count, figure):
    several = figure == "figure-3-methods"
    base = content(one_channel, [7, 8, 16, 26], ["xray"])
    names = [f"a-method-of-a-rather-long-name-{n}" for n in range(count)]
    methods = [
        dataclasses.replace(base.methods[0], name=name, images=None if n % 3 else base.store.images)
        for n, name in enumerate(names)
    ]
    base = dataclasses.replace(base, titles=["L = 20, s = 5"] * count)
    scale = dataclasses.replace(base.scale, own={name: 0.1234 for name in names[1::2]})
    shown = dataclasses.replace(base, methods=methods, scale=scale)
    if several:
        images = np.repeat(base.store.images, 4, axis=1)
        shown = dataclasses.replace(
            shown,
            store=dataclasses.replace(base.store, images=images),
            methods=[
                dataclasses.replace(method, images=None if method.images is None else images) for method in methods
            ],
            channels=["t1", "t1ce", "t2", "flair"],
        )
    drawing = examples.draw(shown)
    width, height = drawing.get_size_inches()
    assert width <= style.PAGE[0] + 0.01
    assert count > 8 or height <= style.PAGE[1] + 0.01
    assert_nothing_overlaps(drawing)
    close(drawing)


def test_every_figure_of_several_channels(results, drawn):
    for name in examples.SEVERAL_CHANNELS:
        examples.main(options(results, name))
    rows = {
        name: re.findall(r"[ABC]_z\d+", " ".join(text for text in texts(figure) if "_z" in text))
        for name, figure in drawn.items()
    }
    assert [len(rows[name]) for name in examples.SEVERAL_CHANNELS] == [2, 1, 4, 4]
    assert not set(rows["figure-3-methods"]) & set(rows["supplement-1-diseased"]), "the supplement shows others"
    assert not set(rows["figure-7-healthy"]) & set(rows["supplement-2-healthy"])
    assert len({name[0] for name in rows["figure-3-methods"] + rows["supplement-1-diseased"]}) == 3
    healthy = drawn["figure-7-healthy"]
    assert not [text for text in texts(healthy) if "Dice" in text or "mask" in text]
    assert "mean: over all pixels" in " ".join(texts(healthy)).replace("\n", " ")
    assert len({image.get_clim() for figure in drawn.values() for image in images(figure)}) == 3, "same scales"


def test_a_figure_is_for_the_channels_that_it_needs(results, one_channel, drawn):
    for name in examples.ONE_CHANNEL:
        examples.main(one_channel_options(one_channel, name))
    assert set(drawn) == set(examples.ONE_CHANNEL)
    with pytest.raises(InputError, match=r"figure-3-methods is not for data\.channels xray"):
        examples.main(one_channel_options(one_channel, "figure-3-methods"))
    with pytest.raises(InputError, match=r"figure-2-methods is not for data\.channels t1, flair"):
        examples.main(options(one_channel, "figure-2-methods"))


def test_slices_are_those_of_the_rule(results, drawn):
    examples.main(options(results))
    slices = pd.read_csv(results / "scores" / REPEAT / "guided-ddim/L20_s5/test.csv")
    expected = slices["slice_id"][selection.diseased_slices(slices, np.arange(27), 2, 0)].tolist()
    found = re.findall(r"[ABC]_z\d+", " ".join(texts(drawn["figure-3-methods"])))
    assert found == expected


def test_of_several_repeats_the_first_is_shown_and_named(results, drawn):
    examples.main(options(results, repeats={"folds": 1, "seeds": [3, 4, 5]}))
    examples.main(options(results, "figure-7-healthy", repeats={"folds": 2, "seeds": [3]}))
    notes = [" ".join(texts(figure)).replace("\n", " ") for figure in drawn.values()]
    assert "fold 1, seed 3: the first of 3 repeats" in notes[0]
    assert "fold 1, seed 3: the first of 2 repeats" in notes[1]
    for figure in drawn.values():
        assert_nothing_overlaps(figure)
    examples.main(options(results))
    assert "repeats" not in " ".join(texts(drawn["figure-3-methods"]))


def test_what_the_maps_are_is_said_as_the_benchmark_compares(results, drawn):
    """Maps of scaled images share a scale where the benchmark makes such ones, and the colour bar says so."""
    inputs = np.load(results / "data/images.npy").astype(np.float32)
    images = 0.5 * inputs + 0.3 * inputs**2
    for name, setting in SETTINGS.items():
        write_method(results, name, setting, anomaly_map(inputs, images, "min-max"), images)
    examples.main(options(results, detection={"difference": "min-max"}))
    found = " ".join(texts(drawn["figure-3-methods"])).replace("\n", " ")
    assert "summed absolute difference of input and reconstruction, both scaled to [0, 1], one scale" in found
    assert "map: 0 to" not in found
    assert_nothing_overlaps(drawn["figure-3-methods"])
    examples.main(options(results))
    found = " ".join(texts(drawn["figure-3-methods"])).replace("\n", " ")
    assert "both scaled" not in found
    assert found.count("map: 0 to") == 2, "plain differences are another unit"


def test_a_supplement_without_further_slices_says_so(results, drawn):
    figures = PARAMETERS["figures"] | {"diseased_slices": 99}
    examples.main(options(results, "supplement-1-diseased", figures=figures))
    assert [text for text in texts(drawn["supplement-1-diseased"]) if text] == [
        "All diseased slices of the test split that can be shown are in the main figures."
    ]


def test_without_masks_nothing_is_outlined_and_the_mean_takes_the_place_of_dice(unmasked, drawn):
    examples.main(options(unmasked))
    figure = drawn["figure-3-methods"]
    assert not any(axes.collections for axes in figure.axes[:2]), "no outline"
    assert len(pixels(figure)) == 2 * (2 + 3 + 1), "no mask"
    found = " ".join(texts(figure))
    assert "Dice" not in found
    assert "mask" not in found
    assert found.count("diseased") == 2
    means = pd.read_csv(unmasked / "scores" / REPEAT / "guided-ddim/L20_s5/test.csv")
    row = selection.diseased_slices(means, np.arange(27), 2, 0)[0]
    assert f"mean {means['mean_map'][row]:.3f}" in texts(figure)


def test_files_are_written_the_same_twice_with_text_as_text(results):
    for output in ("one", "two"):
        examples.main(options(results, output=output))
    names = [f"figure-3-methods.{kind}" for kind in ("pdf", "png", "svg")]
    assert sorted(path.name for path in (results / "one").iterdir()) == names
    for name in names:
        assert (results / "one" / name).read_bytes() == (results / "two" / name).read_bytes(), name
    text = (results / "one/figure-3-methods.svg").read_text()
    assert len(set(re.findall(r">([ABC]_z\d+), lesion \d+ pixels<", text))) == 2
    assert text.count("<image") == 2 * (3 + 3 + 1) + 1, "a picture a panel, not one of them all; and the colour bar"


def test_a_long_name_of_a_slice_goes_on_two_lines(results):
    path = results / "data/manifest.csv"
    manifest = pd.read_csv(path, dtype=str)
    manifest["slice_id"] = [
        f"patient64{n:03d}_study1_view1_frontal_of_a_long_series_from_that_hospital" for n in range(len(manifest))
    ]
    manifest.to_csv(path, index=False)
    digests.write(path.parent)
    write_all(results)
    figure = examples.draw(content(results, [7, 8, 16, 17]))
    assert [text.count("\n") for text in texts(figure) if "patient" in text] == [1] * 4
    assert_nothing_overlaps(figure)
    close(figure)


def test_what_is_missing_or_does_not_fit_is_named(results):
    with pytest.raises(InputError, match=r"comparison\.csv does not list method 'vae'"):
        examples.main(options(results, methods=METHODS | {"vae": {"grid": [{}]}}))
    with pytest.raises(InputError, match=r"2 channels where data\.channels names 3"):
        examples.main(options(results, data={"size": 32, "channels": ["t1", "t2", "flair"]}))
    scores = results / "scores" / REPEAT / "guided-ddim/L20_s5/test.csv"
    whole = scores.read_text()
    lines = whole.splitlines(keepends=True)
    scores.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
    with pytest.raises(InputError, match=r"L20_s5/test\.csv scores other slices"):
        examples.main(options(results))
    scores.write_text(whole)
    path = results / "maps" / REPEAT / "guided-ddim/L20_s5/test/images.npy"
    np.save(path, np.load(path)[:, :1])
    with pytest.raises(InputError, match=r"L20_s5/test/images\.npy"):
        examples.main(options(results))
    (results / "maps" / REPEAT / "guided-ddim/L20_s5/test/maps.npy").unlink()
    with pytest.raises(InputError, match=r"L20_s5/test/maps\.npy"):
        examples.main(options(results))
    (results / "comparison.csv").unlink()
    with pytest.raises(InputError, match=r"comparison\.csv is missing"):
        examples.main(options(results))
    assert not (results / "figures").exists()


def test_a_split_without_the_slices_is_refused(results):
    path = results / "scores" / REPEAT / "guided-ddim/L20_s5/test.csv"
    scores = pd.read_csv(path)
    scores.assign(label=1).to_csv(path, index=False)
    with pytest.raises(InputError, match="has no healthy slice to show"):
        examples.main(options(results, "figure-7-healthy"))
    scores.assign(scored=0, label=0).to_csv(path, index=False)
    with pytest.raises(InputError, match="has no diseased slice to show"):
        examples.main(options(results))


def test_slices_are_chosen_among_those_whose_reconstructions_are_kept(results, drawn):
    folder, kept = results / "maps" / REPEAT / "guided-ddim/L20_s5/test", [4, 6, 8, 17, 18]
    images = np.load(folder / "images.npy")[kept]
    np.save(folder / "images.npy", images)
    ids = pd.read_csv(results / "data/manifest.csv")["slice_id"][kept]
    ids.to_csv(folder / "images.csv", index=False)
    examples.main(options(results))
    examples.main(options(results, "figure-7-healthy"))
    names = "figure-3-methods", "figure-7-healthy"
    diseased, healthy = (set(re.findall(r"[ABC]_z\d+", " ".join(texts(drawn[name])))) for name in names)
    assert diseased < {"A_z004", "A_z006", "A_z008", "B_z008"}
    assert len(diseased) == 2
    assert healthy == {"C_z000"}


def test_the_setting_shown_is_that_of_the_comparison(results, drawn):
    table = pd.read_csv(results / "comparison.csv")
    table.loc[0, "setting"] = "L10_s0"
    table.to_csv(results / "comparison.csv", index=False)
    examples.main(options(results))
    assert "guided-ddim\nL = 10, s = 0" in texts(drawn["figure-3-methods"])


def test_dice_stands_where_it_hides_less_of_the_lesion(results):
    masks = np.zeros_like(np.load(results / "data/masks.npy"))
    for row, column in ((7, 0), (17, 24)):
        masks[row, 26:, column : column + 8] = 1
    shown = content(results, [7, 17])
    shown = dataclasses.replace(shown, store=dataclasses.replace(shown.store, masks=masks))
    figure = examples.draw(shown)
    notes = [text for text in figure.findobj(Text) if text.get_text().startswith("Dice ")]
    assert [note.get_ha() for note in notes] == ["right", "right", "left", "left"]
    close(figure)


def test_a_method_may_have_reconstructions_of_another_type(results, drawn):
    """Someone else's maps in single precision, with reconstructions."""
    inputs = np.load(results / "data/images.npy").astype(np.float32)
    write_method(results, "ready-made", "default", inputs.sum(axis=1) * 0.5, inputs * 0.5)
    examples.main(options(results))
    assert "ready-made" in texts(drawn["figure-3-methods"]), "no scale of its own at its name"
