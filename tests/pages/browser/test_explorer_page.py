"""The explorer in a browser: its numbers are the files', its controls change what is seen, nothing is fetched."""

import numpy as np
import pytest
from explorer_benchmark import SIZE
from explorer_view import PANELS, at, go, limit, pictures, pixels, ready, score, shown_value, slice_rows, until

from stages.evaluation import metrics
from stages.methods import settings
from stages.pages.explorer_page import shades


@pytest.mark.parametrize(
    ("width", "scheme"), [(1400, "light"), (1000, "dark"), (1000, "light"), (640, "dark"), (360, "light")]
)
def test_it_loads_from_disk_and_fits_the_window(visit, benchmark, width, scheme):
    page = ready(visit(benchmark.output, viewport={"width": width, "height": 800}, color_scheme=scheme))
    assert page.title() == page.locator("h1").text_content() == "tiny & <small>: anomaly maps"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("#trouble").is_hidden()
    for panel in PANELS:
        box = page.locator(f"#{panel}-picture").bounding_box()
        assert box["width"] > 100
        assert box["height"] == pytest.approx(box["width"], abs=1)
    background, ink = (
        page.evaluate(f"getComputedStyle(document.body).{name}.match(/\\d+/g).slice(0, 3).map(Number)")
        for name in ("backgroundColor", "color")
    )
    assert (sum(background) > sum(ink)) == (scheme == "light")
    until(page, "location.hash.length > 1")  # the address is written without a complaint


def test_dice_and_the_scores_are_those_of_the_files(page, benchmark, store):
    rows, checked = slice_rows(page, store), 0
    for method, values in benchmark.parameters["methods"].items():
        for setting in settings(values)[::3]:
            go(page, method=method, **setting)
            slices = benchmark.slices(method, setting.name)
            for number, row in enumerate(rows):
                page.select_option("#slice", str(number))
                expected = slices.iloc[row]
                for column in ("auroc", "mean_map", "otsu", "average_otsu", "dice_average_otsu", "dice_own_otsu"):
                    text = score(page, column)
                    assert text == "-" if np.isnan(expected[column]) else float(text) == expected[column]
                for button, column in (("average", "dice_average_otsu"), ("own", "dice_own_otsu")):
                    page.click(f"#{button}")
                    assert page.locator(f"#{button}").get_attribute("aria-pressed") == "true"
                    threshold = expected["average_otsu" if button == "average" else "otsu"]
                    assert limit(page) == pytest.approx(threshold, rel=1e-7)
                    if expected["label"]:
                        assert shown_value(page) == pytest.approx(expected[column], abs=1e-6)
                        checked += 1
                    else:
                        assert "no lesion in this slice" in page.locator("#counts").text_content()
    assert checked == (3 + 1 + 1) * 4 * 2


def test_the_threshold_moves_dice_as_numpy_computes_it(page, benchmark, store):
    go(page, method="guided-ddim", L=250, s=80)
    maps, values = benchmark.maps("guided-ddim", "L250_s80").astype(float), []
    for number, row in enumerate(slice_rows(page, store)):
        page.select_option("#slice", str(number))
        for position in (0, 137, 400, 650, 999):
            page.locator("#threshold").fill(str(position))
            threshold = limit(page)
            found, mask = maps[row] > threshold, store.masks[row] != 0
            values.append(metrics.dice(found, mask) if mask.any() else found.mean())
            assert shown_value(page) == pytest.approx(values[-1], abs=1e-6)
            assert int(page.input_value("#threshold")) == position
    assert len(set(values)) > 15, "the threshold changes something"
    page.locator("#threshold-number").fill(str(maps[row, 7, 7]))  # a pixel at the threshold is not above it
    assert shown_value(page) == pytest.approx((maps[row] > maps[row, 7, 7]).mean(), abs=1e-6)
    assert (maps[row] >= maps[row, 7, 7]).mean() > shown_value(page) + 1e-6
    assert page.locator("#average").get_attribute("aria-pressed") == "false"


def test_the_plot_shows_dice_over_thresholds_and_takes_clicks(page, benchmark, store):
    points = page.locator("#plot polyline").get_attribute("points").split(" ")
    assert len(points) == 301
    assert page.locator("#plot").get_attribute("aria-label").startswith("Dice over the threshold, at most 0.")
    dot = page.locator("#plot circle")
    heights = dict(tuple(map(float, point.split(","))) for point in points)
    assert min(abs(float(dot.get_attribute("cy")) - y) for x, y in heights.items()) < 8
    box = page.locator("#plot").bounding_box()
    page.locator("#plot").click(position={"x": 0.7 * box["width"], "y": 0.5 * box["height"]})
    threshold = limit(page)
    assert float(dot.get_attribute("cx")) / 360 == pytest.approx(0.7, abs=0.01)
    row = slice_rows(page, store)[0]
    expected = metrics.dice(benchmark.maps("guided-ddim", "L500_s20")[row] > threshold, store.masks[row])
    assert shown_value(page) == pytest.approx(expected, abs=1e-6)


def test_each_panel_shows_its_own_pixels(page, benchmark, store):
    rows = slice_rows(page, store)
    images = benchmark.images("guided-ddim", "L500_s80")
    maps = benchmark.maps("guided-ddim", "L500_s80")
    for number, channel, sequence in ((1, 0, "t1"), (3, 1, "flair")):
        go(page, method="guided-ddim", L=500, s=80, sequence=sequence)
        page.select_option("#slice", str(number))
        row = rows[number]
        for panel, expected in (("input", store.images), ("reconstruction", images)):
            found = pixels(page, panel)
            np.testing.assert_array_equal(found, np.repeat(shades(expected[row, channel])[..., None], 3, axis=2))
        np.testing.assert_array_equal(pixels(page, "mask")[..., 0] > 127, store.masks[row] > 0)
        # inferno grows lighter from end to end
        light = pixels(page, "map").astype(float).sum(axis=2)
        ranks = maps[row].astype(float).ravel().argsort()
        assert (np.diff(light.ravel()[ranks]) >= -12).all()
        assert light.max() > 3 * light.min() + 100
    page.locator("#opacity").fill("0")
    page.uncheck("#outline")
    page.uncheck("#mask")
    overlay, size = pixels(page, "overlay"), 768 // SIZE
    np.testing.assert_array_equal(overlay[size // 2 :: size, size // 2 :: size], pixels(page, "input"))


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda page: page.locator("#key-s").fill("2"), {"reconstruction", "map", "overlay"}),
        (lambda page: page.locator("#key-L").fill("1"), {"reconstruction", "map", "overlay"}),
        (lambda page: page.select_option("#slice", "2"), {*PANELS}),
        (lambda page: page.select_option("#channel", "0"), {"input", "reconstruction", "overlay"}),
        (lambda page: page.locator("#threshold").fill("700"), {"overlay"}),
        (lambda page: page.locator("#opacity").fill("10"), {"overlay"}),
        (lambda page: page.check("#above"), {"overlay"}),
        (lambda page: page.uncheck("#outline"), {"overlay"}),
        (lambda page: page.uncheck("#mask"), {"overlay"}),
        (lambda page: page.uncheck("#common"), {"map", "overlay"}),
    ],
    ids=["s", "L", "slice", "sequence", "threshold", "opacity", "above", "outline", "mask", "common"],
)
def test_each_control_changes_the_pictures_that_depend_on_it(page, change, changed):
    before = pictures(page)
    change(page)
    after = pictures(ready(page))
    assert {panel for panel in PANELS if before[panel] != after[panel]} == changed


def test_colours_stay_as_a_slider_moves_unless_each_setting_is_to_have_its_own(page):
    end, s = page.locator("#top"), page.locator("#key-s")
    common = end.text_content()
    s.fill("2")
    ready(page)
    assert end.text_content() == common
    page.uncheck("#common")
    own = end.text_content()
    s.fill("0")
    until(page, "(own) => document.getElementById('top').textContent !== own", own)


def test_a_setting_that_was_not_computed_leads_to_the_nearest_and_says_so(page):
    note = page.locator("#note")
    assert note.text_content() == ""
    page.locator("#key-s").fill("2")
    ready(page)
    page.locator("#key-L").fill("0")
    ready(page)
    assert note.text_content() == "L = 125, s = 80 was not computed; the nearest: L = 125, s = 20."
    assert page.input_value("#key-s") == "1"
    page.locator("#key-L").fill("2")  # the wish for s = 80 is not forgotten
    until(page, at(L=500, s=80))
    assert note.text_content() == ""
    page.locator("#key-L").fill("0")
    page.locator("#key-s").fill("0")  # what is moved last counts most
    until(page, at(L=250, s=0))
    assert note.text_content() == "L = 125, s = 0 was not computed; the nearest: L = 250, s = 0."
    page.click("#reported")
    until(page, at(L=500, s=20))
    assert note.text_content() == ""
    assert page.locator("#reported").is_disabled()


def test_methods_differ_in_their_settings_and_reconstructions(page):
    page.select_option("#method", label="intensity")
    ready(page)
    assert page.locator("#key-view option").all_text_contents() == ["plain", "inverted"]
    assert page.locator("#no-reconstruction").text_content() == "This method writes no reconstruction."
    assert page.locator("#no-reconstruction").is_visible()
    assert page.locator("#reconstruction-picture").is_hidden()
    page.select_option("#key-view", label="inverted")
    until(page, at(view="inverted"))
    page.select_option("#method", label="ready-made")
    ready(page)
    assert page.locator("#setting").text_content() == "This method has no settings."
    page.locator("#threshold").fill("300")
    page.select_option("#method", label="guided-ddim")
    ready(page)
    assert page.locator("#reconstruction-picture").is_visible()
    assert page.locator("#average").get_attribute("aria-pressed") == "true", "no threshold in another method's unit"
