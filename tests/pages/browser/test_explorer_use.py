"""The explorer by keyboard, by address, without masks, with hostile names, damaged, and in an old browser."""

import re

import pytest
from explorer_benchmark import HOSTILE, ExplorerBenchmark
from explorer_view import limit, pictures, ready, score, shown_value, slice_rows, until


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
        ("channel", "ArrowUp", "sequence"),
        ("key-s", "ArrowRight", "s"),
        ("key-L", "ArrowLeft", "L"),
        ("reported", "Space", "L"),
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


def test_it_starts_with_the_last_sequence(page):
    assert page.locator("#channel option:checked").inner_text() == "FLAIR"


def test_a_button_that_is_disabled_hands_its_focus_on(page):
    page.focus("#next")
    for _ in range(page.locator("#slice option").count() - 1):
        page.keyboard.press("Enter")
    assert page.locator("#next").is_disabled()
    assert page.evaluate("document.activeElement.id") == "previous"


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
    page.select_option("#channel", "0")
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
    odd = "#slice=no&sequence=&method=<b>&s=&L=x&setting=L9&threshold=Infinity&opacity=900&above=x&%E0%A4%A"
    assert pictures(ready(visit(benchmark.output, odd))) == pictures(page)


def test_without_masks_everything_but_dice_is_there(visit, tmp_path):
    benchmark = ExplorerBenchmark(tmp_path, masks=False)
    benchmark.parameters = benchmark.parameters | {"detection": {"difference": "plain"}}
    benchmark.build()
    page = ready(visit(benchmark.output))
    assert page.locator("#no-mask").text_content() == "This data set has no masks."
    assert page.locator("#no-mask").is_visible()
    assert page.locator("#mask-picture").is_hidden()
    assert page.locator("#mask-field").is_hidden()
    assert page.locator("#average").is_disabled()
    assert page.locator("#own").get_attribute("aria-pressed") == "true"
    assert "no mask, so no Dice" in page.locator("#counts").text_content()
    row = slice_rows(page, benchmark.store())[0]
    maps, slices = benchmark.maps("guided-ddim", "L500_s20"), benchmark.slices("guided-ddim", "L500_s20")
    assert shown_value(page) == pytest.approx((maps[row] > slices.at[row, "otsu"]).mean(), abs=1e-6)
    assert float(score(page, "mean_map")) == slices.at[row, "mean_map"]
    assert score(page, "dice_average_otsu") == "-"
    page.locator("#threshold").fill("500")
    threshold = limit(page)
    assert shown_value(page) == pytest.approx((maps[row] > threshold).mean(), abs=1e-6)


def test_a_damaged_file_says_so_and_the_rest_works(visit, benchmark, tmp_path):
    text = benchmark.output.read_text()
    start = text.index('id="run-5">') + len('id="run-5">')
    (tmp_path / "page.html").write_text(text[:start] + text[start + 100 :])
    page = ready(visit(tmp_path / "page.html"))
    assert page.locator("#trouble").is_hidden()
    page.locator("#key-s").fill("2")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "guided-ddim L = 500, s = 80 cannot be shown" in page.locator("#trouble").text_content()
    page.locator("#key-s").fill("1")
    page.wait_for_selector("#trouble", state="hidden")


def test_a_browser_that_is_too_old_is_told(visit, benchmark):
    page = visit(benchmark.output, script="delete window.DecompressionStream")
    page.wait_for_selector("#trouble:not([hidden])")
    assert "This browser is too old" in page.locator("#trouble").text_content()
