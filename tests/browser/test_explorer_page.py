"""The explorer in a browser: its numbers are the files', its controls change what is seen, nothing is fetched."""

import base64
import io
import re

import numpy as np
import pytest
from explorer_benchmark import HOSTILE, SIZE, ExplorerBenchmark
from PIL import Image

from stages.data.store import open_store
from stages.evaluation import metrics
from stages.figures.explorer_page import shades
from stages.methods import setting_name, settings

READY = "main[aria-busy=false]"
PANELS = ("input", "reconstruction", "map", "mask", "overlay")


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    result = ExplorerBenchmark(tmp_path_factory.mktemp("explorer"))
    result.build()
    return result


@pytest.fixture(scope="module")
def store(benchmark):
    return open_store(benchmark.root / "data/test")


@pytest.fixture
def page(visit, benchmark):
    return ready(visit(benchmark.output))


def ready(page):
    page.wait_for_selector(READY)
    return page


def until(page, holds, argument=None):
    """Wait until a JavaScript expression or function holds; the page's policy forbids Playwright's own way, by eval."""
    for _ in range(250):
        if page.evaluate(holds, argument):
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"never: {holds} ({argument}) at {page.url}")


def shown_value(page):
    """Dice, or the share of pixels above the threshold, as the page has computed it."""
    return float(page.locator("#value").get_attribute("value"))


def picture(page, panel):
    """What a panel shows, as a PNG in base64."""
    return page.evaluate("(id) => document.getElementById(id).toDataURL()", f"{panel}-picture")


def pixels(page, panel):
    """The (H, W, 3) colours of a panel."""
    png = base64.b64decode(picture(page, panel).split(",")[1])
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def pictures(page):
    """What each panel shows, to be compared."""
    return {panel: picture(page, panel) for panel in PANELS}


def go(page, **state):
    """Go to a state by the address, as a link does."""
    page.evaluate("(hash) => { location.hash = hash; }", "&".join(f"{key}={value}" for key, value in state.items()))
    until(page, "location.hash.includes('opacity=')")  # the page has drawn it, and written its own address
    return ready(page)


def slice_rows(page, store):
    """The rows of the store that the page shows, by its options."""
    names = store.manifest["slice_id"].tolist()
    texts = page.locator("#slice option").all_text_contents()
    return [next(row for row, name in enumerate(names) if text.startswith(f"{name},")) for text in texts]


def score(page, name):
    return page.locator(f'#scores tr[data-score="{name}"] td').first.text_content()


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
        for name in map(setting_name, settings(values)):
            go(page, method=method, setting=name)
            slices = benchmark.slices(method, name)
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
                    assert float(page.input_value("#threshold-number")) == pytest.approx(threshold, rel=1e-7)
                    if expected["label"]:
                        assert shown_value(page) == pytest.approx(expected[column], abs=1e-6)
                        checked += 1
                    else:
                        assert "no lesion in this slice" in page.locator("#counts").text_content()
    assert checked == 10 * 4 * 2


def test_the_threshold_moves_dice_as_numpy_computes_it(page, benchmark, store):
    go(page, method="diffusion", setting="L250_s80")
    maps, values = benchmark.maps("diffusion", "L250_s80").astype(float), []
    for number, row in enumerate(slice_rows(page, store)):
        page.select_option("#slice", str(number))
        for position in (0, 137, 400, 650, 999):
            page.locator("#threshold").fill(str(position))
            threshold = float(page.input_value("#threshold-number"))
            found, mask = maps[row] > threshold, store.masks[row] != 0
            values.append(metrics.dice(found, mask) if mask.any() else found.mean())
            assert shown_value(page) == pytest.approx(values[-1], abs=1e-6)
            assert int(page.input_value("#threshold")) == position
    assert len(set(values)) > 15, "the threshold changes something"
    page.locator("#threshold-number").fill("0.3125")
    assert shown_value(page) == pytest.approx((maps[row] > 0.3125).mean(), abs=1e-6)
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
    threshold = float(page.input_value("#threshold-number"))
    assert float(dot.get_attribute("cx")) / 360 == pytest.approx(0.7, abs=0.01)
    row = slice_rows(page, store)[0]
    expected = metrics.dice(benchmark.maps("diffusion", "L500_s20")[row] > threshold, store.masks[row])
    assert shown_value(page) == pytest.approx(expected, abs=1e-6)


def test_each_panel_shows_its_own_pixels(page, benchmark, store):
    rows = slice_rows(page, store)
    images = np.load(benchmark.root / "maps/diffusion/L500_s80/test/images.npy")
    maps = benchmark.maps("diffusion", "L500_s80")
    for number, channel, sequence in ((1, 0, "t1"), (3, 1, "flair")):
        go(page, method="diffusion", setting="L500_s80", sequence=sequence)
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
        (lambda page: page.select_option("#channel", "1"), {"input", "reconstruction", "overlay"}),
        (lambda page: page.locator("#threshold").fill("700"), {"overlay"}),
        (lambda page: page.locator("#opacity").fill("10"), {"overlay"}),
        (lambda page: page.check("#above"), {"overlay"}),
        (lambda page: page.uncheck("#outline"), {"overlay"}),
        (lambda page: page.uncheck("#mask"), {"overlay"}),
        (lambda page: page.check("#common"), {"map", "overlay"}),
    ],
    ids=["s", "L", "slice", "sequence", "threshold", "opacity", "above", "outline", "mask", "common"],
)
def test_each_control_changes_the_pictures_that_depend_on_it(page, change, changed):
    before = pictures(page)
    change(page)
    after = pictures(ready(page))
    assert {panel for panel in PANELS if before[panel] != after[panel]} == changed


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
    until(page, "location.hash.includes('setting=L500_s80')")
    assert note.text_content() == ""
    page.locator("#key-L").fill("0")
    page.locator("#key-s").fill("0")  # what is moved last counts most
    until(page, "location.hash.includes('setting=L250_s0')")
    assert note.text_content() == "L = 125, s = 0 was not computed; the nearest: L = 250, s = 0."
    page.click("#reported")
    until(page, "location.hash.includes('setting=L500_s20')")
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
    until(page, "location.hash.includes('setting=view-inverted')")
    page.select_option("#method", label="ready-made")
    ready(page)
    assert page.locator("#setting").text_content() == "This method has no settings."
    page.locator("#threshold").fill("300")
    page.select_option("#method", label="diffusion")
    ready(page)
    assert page.locator("#reconstruction-picture").is_visible()
    assert page.locator("#average").get_attribute("aria-pressed") == "true", "no threshold in another method's unit"


def test_the_keyboard_alone_reaches_and_changes_everything(page):
    visible = "[...document.querySelectorAll('button, select, input, summary')].filter((e) => e.offsetParent)"
    expected = set(page.evaluate(f"{visible}.filter((e) => !e.disabled).map((e) => e.id || e.localName)"))
    assert {"slice", "next", "channel", "method", "key-L", "key-s", "threshold", "opacity", "summary"} <= expected

    def reach(wanted):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id || document.activeElement.localName") == wanted:
                return page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        raise AssertionError(f"Tab does not reach {wanted}")

    assert {reach(control) for control in sorted(expected)} == {"solid"}, "and the focus is seen"
    for control, key, state in (
        ("next", "Enter", "slice"),
        ("slice", "ArrowDown", "slice"),
        ("channel", "ArrowDown", "sequence"),
        ("key-s", "ArrowRight", "setting"),
        ("key-L", "ArrowLeft", "setting"),
        ("reported", "Space", "setting"),
        ("threshold", "ArrowRight", "threshold"),
        ("own", "Space", "threshold"),
        ("average", "Enter", "threshold"),
        ("threshold-number", "9", "threshold"),
        ("opacity", "ArrowLeft", "opacity"),
        ("above", "Space", "above"),
        ("outline", "Space", "outline"),
        ("mask", "Space", "mask"),
        ("common", "Space", "common"),
        ("method", "ArrowDown", "method"),
        ("previous", "Space", "slice"),
    ):
        before = page.evaluate("(key) => new URLSearchParams(location.hash.slice(1)).get(key)", state)
        reach(control)
        page.keyboard.press(key)
        until(
            page, "([key, before]) => new URLSearchParams(location.hash.slice(1)).get(key) !== before", [state, before]
        )
    reach("summary")
    page.keyboard.press("Enter")
    assert page.locator("details li").first.is_visible()


def test_arrow_keys_go_through_the_slices(page):
    count = page.locator("#slice option").count()
    for step in range(1, count + 1):
        page.keyboard.press("ArrowRight")
        assert page.input_value("#slice") == str(min(step, count - 1))
    assert page.locator("#next").is_disabled()
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#slice") == str(count - 2)
    page.focus("#opacity")
    page.keyboard.press("ArrowLeft")
    assert page.input_value("#slice") == str(count - 2), "a slider keeps its arrow keys"


def test_names_that_look_like_markup_are_only_names(page, benchmark):
    texts = page.locator("#slice option").all_text_contents()
    hostile = [number for number, text in enumerate(texts) if text.startswith(HOSTILE)]
    assert hostile
    for number in hostile:
        page.select_option("#slice", str(number))
        label = page.locator("#map-picture").get_attribute("aria-label")
        assert any(name in label for name in HOSTILE)
    assert page.locator("img").count() == 0
    # Were one of them taken for markup after all, the page's policy would not run it.
    assert re.search(r"script-src 'sha256-[\w+/=]+'", benchmark.output.read_text())


def test_the_address_leads_back_to_the_view(page, visit, benchmark):
    page.select_option("#slice", "3")
    page.select_option("#channel", "1")
    page.locator("#key-s").fill("0")
    page.locator("#threshold").fill("444")
    page.locator("#opacity").fill("35")
    page.check("#above")
    page.uncheck("#mask")
    until(page, "location.hash.includes('mask=0')")
    fragment = page.evaluate("location.hash")
    other = ready(visit(benchmark.output, fragment))
    assert pictures(other) == pictures(page)
    assert shown_value(other) == shown_value(page)
    assert other.input_value("#key-s") == "0"


def test_an_address_that_says_nothing_that_exists_shows_the_first_view(page, visit, benchmark):
    odd = "#slice=no&sequence=&method=<b>&setting=L9&threshold=Infinity&opacity=900&above=x&%E0%A4%A"
    assert pictures(ready(visit(benchmark.output, odd))) == pictures(page)


def test_without_masks_everything_but_dice_is_there(visit, tmp_path):
    benchmark = ExplorerBenchmark(tmp_path, masks=False)
    benchmark.build()
    page = ready(visit(benchmark.output))
    assert page.locator("#no-mask").text_content() == "This data set has no masks."
    assert page.locator("#no-mask").is_visible()
    assert page.locator("#mask-picture").is_hidden()
    assert page.locator("#mask-field").is_hidden()
    assert page.locator("#average").is_disabled()
    assert page.locator("#own").get_attribute("aria-pressed") == "true"
    assert "no mask, so no Dice" in page.locator("#counts").text_content()
    row = slice_rows(page, open_store(benchmark.root / "data/test"))[0]
    maps, slices = benchmark.maps("diffusion", "L500_s20"), benchmark.slices("diffusion", "L500_s20")
    assert shown_value(page) == pytest.approx((maps[row] > slices.at[row, "otsu"]).mean(), abs=1e-6)
    assert float(score(page, "mean_map")) == slices.at[row, "mean_map"]
    assert score(page, "dice_average_otsu") == "-"
    page.locator("#threshold").fill("500")
    threshold = float(page.input_value("#threshold-number"))
    assert shown_value(page) == pytest.approx((maps[row] > threshold).mean(), abs=1e-6)


def test_a_damaged_file_says_so_and_the_rest_works(visit, benchmark, tmp_path):
    text = benchmark.output.read_text()
    start = text.index('id="run-5">') + len('id="run-5">')
    (tmp_path / "page.html").write_text(text[:start] + text[start + 100 :])
    page = ready(visit(tmp_path / "page.html"))
    assert page.locator("#trouble").is_hidden()
    page.locator("#key-s").fill("2")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "diffusion L = 500, s = 80 cannot be shown" in page.locator("#trouble").text_content()
    page.locator("#key-s").fill("1")
    page.wait_for_selector("#trouble", state="hidden")


def test_a_browser_that_is_too_old_is_told(visit, benchmark):
    page = visit(benchmark.output, script="delete window.DecompressionStream")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "This browser is too old" in page.locator("#trouble").text_content()
