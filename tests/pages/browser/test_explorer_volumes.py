"""The explorer's whole volumes, its numbers, and a benchmark of images in colour, in a browser."""

import numpy as np
import pytest
from explorer_benchmark import ExplorerBenchmark
from explorer_view import at, cell, go, limit, pixels, ready, shown_value, slice_rows, until

from stages.evaluation import metrics
from stages.pages.explorer_page import shades


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """The small benchmark with one whole volume."""
    result = ExplorerBenchmark(tmp_path_factory.mktemp("volumes"))
    result.parameters = result.parameters | {"detection": {"difference": "plain"}}
    result.parameters["figures"] |= {"explorer_volumes": 1}
    result.build()
    return result


def chosen_and_rest(page):
    """Numbers of the chosen slices, and of what is in the volume besides."""
    return tuple(
        [int(value) for value in page.locator(f"#slice > {which}").evaluate_all("(all) => all.map((o) => o.value)")]
        for which in ("option", "optgroup > option")
    )


def place(page):
    return page.locator("#volume-place").text_content()


def test_the_wheel_goes_through_the_volume_and_back_and_then_moves_the_page(page, benchmark, store):
    rows, (chosen, rest) = slice_rows(page, store), chosen_and_rest(page)
    assert len(chosen) == 6
    assert rest
    in_volume = {*store.manifest["subject_id"].iloc[[rows[number] for number in rest]]}
    start = next(n for n in chosen if store.manifest["subject_id"].iloc[rows[n]] in in_volume)
    page.select_option("#slice", str(start))
    position = store.manifest["position"].iloc[rows[start]]
    assert place(page) == f"z = {position}, {position + 1} of 6"
    page.locator("#map-picture").hover()
    maps, seen = benchmark.maps("guided-ddim", "L500_s20").astype(float), []
    for turn, ends in ((-100, 0), (100, 5)):
        for _ in range(8):
            page.mouse.wheel(0, turn)
            page.wait_for_timeout(20)
        until(page, f"document.getElementById('volume').value === '{ends}'")
        ready(page)
        row = rows[int(page.input_value("#slice"))]
        assert store.manifest["position"].iloc[row] == ends
        found, mask = maps[row] > limit(page), store.masks[row] != 0
        expected = metrics.dice(found, mask) if mask.any() else found.mean()
        assert shown_value(page) == pytest.approx(expected, abs=1e-6)
        np.testing.assert_array_equal(pixels(page, "input")[..., 0], shades(store.images[row, 1]))
        seen.append(page.locator("#shown").text_content())
    assert len(set(seen)) == 2
    until(page, "scrollY > 0")  # at the last slice the wheel moves the page
    page.focus("#volume")
    page.keyboard.press("ArrowLeft")
    assert place(page) == "z = 4, 5 of 6"


def test_a_small_turn_of_a_touch_pad_is_no_slice(page):
    page.select_option("#slice", str(chosen_and_rest(page)[1][0]))
    before = place(page)
    page.locator("#input-picture").hover()
    away = -1 if before.startswith("z = 5") else 1
    page.mouse.wheel(0, 20 * away)
    page.wait_for_timeout(100)
    assert place(page) == before
    page.mouse.wheel(0, 40 * away)
    until(page, "(before) => document.getElementById('volume-place').textContent !== before", before)


def test_a_slice_that_was_not_chosen_is_shown_at_the_reported_setting_and_no_other(page):
    chosen, rest = chosen_and_rest(page)
    go(page, L=500, s=80)
    page.select_option("#slice", str(rest[0]))
    until(page, at(L=500, s=20))
    ready(page)
    note = page.locator("#note")
    assert note.text_content() == "Of this slice of the volume there is a map at the reported setting alone."
    assert (
        "Reconstructions are kept of the slices that were chosen" in page.locator("#no-reconstruction").text_content()
    )
    assert page.locator("#no-reconstruction").is_visible()
    page.locator("#key-s").fill("2")
    until(page, at(L=500, s=80))
    ready(page)
    assert int(page.input_value("#slice")) in chosen
    assert "is the nearest slice of the volume that has a map at this setting" in note.text_content()
    assert page.locator("#reconstruction-picture").is_visible()


def test_numbers_have_few_digits_and_all_of_them_when_pointed_at(page, benchmark, store):
    row = slice_rows(page, store)[0]
    values = benchmark.slices("guided-ddim", "L500_s20").iloc[row]
    cut = 0
    for name in ("auroc", "mean_map", "otsu", "average_otsu", "dice_own_otsu", "lesions"):
        found = cell(page, name)
        text, value = found.text_content(), found.get_attribute("value")
        assert float(value) == values[name]
        assert text == f"{values[name]:.4g}"
        assert found.get_attribute("title") == (None if text == value else value)
        cut += text != value
    assert cut >= 4
    assert page.input_value("#threshold-number") == f"{limit(page):.4g}"
    assert page.locator("#counts data").text_content() == f"{limit(page):.4g}"


def test_the_name_of_a_slice_is_read_whole(visit, benchmark, store, tmp_path):
    name = store.manifest["slice_id"].iloc[slice_rows(ready(visit(benchmark.output)), store)[0]]
    long = "BraTS20_Training_355-a-name-of-an-extraordinary-length-without-any-blank-in-it_z099"
    (tmp_path / "page.html").write_text(benchmark.output.read_text().replace(f'"{name}"', f'"{long}"'))
    for width in (1280, 390):
        page = ready(visit(tmp_path / "page.html", viewport={"width": width, "height": 800}))
        assert page.locator("#shown").text_content().startswith(f"{long}, lesion of ")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        inside = "(e) => e.scrollWidth <= e.clientWidth && getComputedStyle(e).textOverflow !== 'ellipsis'"
        assert page.locator("h2").evaluate(inside)
        assert long in page.locator("#input-picture").get_attribute("aria-label")


def test_each_picture_says_what_it_shows(page):
    said = {name: page.locator(f"#{name}-picture").get_attribute("aria-label") for name in ("map", "mask", "overlay")}
    top, count = page.locator("#top").text_content(), page.locator("#counts").text_content().split(" above ")[0]
    assert said["map"].endswith(f"in colours from 0 to {top}")
    assert "guided-ddim L = 500, s = 20" in said["map"]
    lesion = page.locator("#slice option:checked").text_content().split(", ")[1]
    assert said["mask"].endswith(lesion)
    assert f"{count} above the threshold, " in said["overlay"]
    assert page.locator("table caption").text_content().strip()
    assert set(page.locator("table th").evaluate_all("(all) => all.map((th) => th.scope)")) == {"row", "col"}


def test_an_address_of_numbers_that_were_not_computed_leads_to_the_nearest(visit, benchmark):
    page = ready(visit(benchmark.output, "#method=guided-ddim&L=260&s=0&threshold=0.25"))
    until(page, at(L=250, s=0))
    assert page.locator("#note").text_content() == "L = 260, s = 0 was not computed; the nearest: L = 250, s = 0."
    assert limit(page) == 0.25


def test_red_green_and_blue_are_one_picture_in_colour(visit, tmp_path):
    benchmark = ExplorerBenchmark(tmp_path, channels=("red", "green", "blue"))
    benchmark.parameters = benchmark.parameters | {"detection": {"difference": "plain"}}
    benchmark.build()
    page, store = ready(visit(benchmark.output)), benchmark.store()
    row, images = slice_rows(page, store)[0], benchmark.images("guided-ddim", "L500_s20")
    assert page.locator("#channel-field").is_hidden()
    for panel, expected in (("input", store.images[row]), ("reconstruction", images[row])):
        found = pixels(page, panel)
        np.testing.assert_array_equal(found, np.moveaxis(shades(expected), 0, -1))
        assert np.ptp(found.astype(int), axis=-1).max() > 50
