"""The HTML report of the `smoke` benchmark in a browser: self-contained; its categories, captions and results open."""

from pathlib import Path

import pytest
from explorer_view import until
from snakemake_project import FIGURES

pytestmark = pytest.mark.slow

FOREIGN = ("cdn.tailwindcss.com should not be used in production", "The input spec uses Vega-Lite v3")
"""What the page of Snakemake itself warns of: it carries these scripts within, and asks for nothing."""


@pytest.fixture(scope="module")
def report(smoked, tmp_path_factory):
    """The report of the finished smoke benchmark, as `make report` makes it."""
    output = tmp_path_factory.mktemp("report") / "report.html"
    smoke = ("--workflow-profile", "profiles/test", "--config", "run=smoke")
    for arguments in (
        ["--cores", "1", *smoke, "--", "crates"],
        [*smoke, "--report", str(output), "--", "all", "crates"],
    ):
        run = smoked.snakemake(*arguments)
        assert run.returncode == 0, run.stdout
    return output


@pytest.fixture
def page(visit, report):
    page = visit(report, expected=FOREIGN, viewport={"width": 1400, "height": 900})
    page.wait_for_selector("nav li")
    return page


RESULTS = """
Object.fromEntries(
  Object.entries(results).map(([path, { caption, labels, mime_type }]) => [path, { caption, labels, mime: mime_type }]),
)
"""


def contents(page):
    """Category -> subcategory -> the results in it, and what is known of each result."""
    return page.evaluate("categories"), page.evaluate(RESULTS)


def side(page):
    """The bar at the left: menu, lists of results, captions."""
    return page.locator("nav").first


def open_subcategory(page, category, subcategory):
    """Go there by the menu, as a reader does."""
    categories, _ = contents(page)
    page.locator("nav a").filter(has=page.locator("svg")).nth(1).click()  # the menu's top; nth(0) hides the menu
    side(page).get_by_text("Results" if len(categories) == 1 else category, exact=True).last.click()
    if len(categories[category]) > 1:
        side(page).get_by_text(subcategory, exact=True).last.click()
    page.wait_for_selector("nav table tbody tr")


BESIDE = """
(() => {
  const [bar, content] = ["nav", "nav + div"].map((name) => document.querySelector(`#app > div > ${name}`))
    .map((element) => element.getBoundingClientRect());
  const small = innerWidth < 700 ? bar.height < innerHeight / 3 : bar.width < innerWidth / 3;
  const after = innerWidth < 700 ? content.top >= bar.bottom - 1 : content.left >= bar.right - 1;
  return small && after && content.right <= innerWidth + 1;
})()
"""
"""Whether the bar is small, and what is shown lies beside it, on a phone below it, within the window."""


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_it_opens_on_the_figures_also_on_a_phone(visit, report, width, height):
    page = visit(report, expected=FOREIGN, viewport={"width": width, "height": height})
    page.wait_for_selector("nav li")
    figures = page.locator(".document figure")
    assert figures.count() == len(FIGURES)
    first = figures.first
    assert first.locator("figcaption").inner_text() == "Fig. 1: the scheme"
    until(page, "document.querySelector('.document figure img').naturalWidth > 300")
    assert page.locator(".document h1").first.bounding_box()["y"] > 0, "nothing is lost above the window"
    assert first.locator("img").bounding_box()["y"] < height - 50
    diagram = page.locator("#app #rulegraph")
    assert diagram.bounding_box()["y"] > figures.last.bounding_box()["y"]
    for target in (None, first.locator("a")):
        if target:
            target.click()
        until(page, BESIDE)  # the bar's width changes slowly


def test_each_figure_of_the_first_page_is_named_and_is_that_of_the_results(page):
    _, results = contents(page)
    pictures = {path for path, result in results.items() if result["mime"].startswith("image/")}
    images = page.locator(".document figure img")
    alternatives, sources = [], []
    for image in images.all():
        image.scroll_into_view_if_needed()
        handle = image.element_handle()
        handle.wait_for_selector("xpath=self::*[starts-with(@src, 'data:image/png')]", state="attached")
        alternatives.append(image.get_attribute("alt"))
        sources.append(image.get_attribute("src"))
    assert set(sources) == set(page.evaluate("(paths) => paths.map((path) => results[path].data_uri)", [*pictures]))
    assert all(len(text) > 100 and text.startswith("smoke, ") and "<" not in text for text in alternatives)
    assert len(set(alternatives)) == len(FIGURES)
    caption = page.locator(".document details").first
    assert caption.locator("p").first.is_hidden()
    caption.locator("summary").click()
    assert "The method at one glance" in caption.inner_text()
    page.get_by_role("link", name="smoke: tables and parameters").click()
    assert page.frame_locator("#app iframe").locator("h1").inner_text() == "smoke: tables and parameters"


def test_what_made_the_results_is_there_for_other_programs(page, smoked):
    with page.expect_download() as download:
        page.get_by_role("link", name="smoke: RO-Crate metadata").click()
    written = smoked.folder / "results/smoke/ro-crate-metadata.json"
    assert download.value.suggested_filename == written.name
    assert Path(download.value.path()).read_bytes() == written.read_bytes()


def test_it_opens_with_what_the_workflow_is(page):
    menu = side(page).inner_text()
    assert "Workflow" in menu
    assert "Statistics" in menu
    side(page).get_by_text("Workflow", exact=True).click()
    page.wait_for_selector("#app svg.marks, #app canvas.marks")
    side(page).get_by_text("Statistics", exact=True).click()
    page.wait_for_selector("#app svg.marks, #app canvas.marks")


def test_every_result_has_a_benchmark_a_label_and_a_caption(page):
    categories, results = contents(page)
    assert "smoke" in categories
    listed = [path for chapters in categories.values() for paths in chapters.values() for path in paths]
    assert sorted(listed) == sorted(results)
    assert {Path(path).stem for path in listed} == {*FIGURES, "tables", "ro-crate-metadata"}
    for path, result in results.items():
        assert len(result["caption"] or "") > 80, path
        assert result["labels"], path
    images = [path for path, result in results.items() if result["mime"].startswith("image/")]
    assert len({str(results[path]["labels"]) for path in images}) == len(images), "no two have the same labels"


def test_each_figure_opens_with_its_caption(page):
    categories, results = contents(page)
    opened = 0
    for category, chapters in categories.items():
        for chapter, paths in chapters.items():
            open_subcategory(page, category, chapter)
            rows = page.locator("nav table tbody tr")
            assert rows.count() == len(paths)
            for path in paths:
                result = results[path]
                if not result["mime"].startswith("image/"):
                    continue
                row = rows.filter(has_text=next(iter(result["labels"].values()))).first
                row.locator("a").first.click()  # the eye
                picture = page.locator("#app img[src^='data:image']").last
                picture.wait_for()
                assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 300
                row.locator("a").last.click()  # what it is
                page.get_by_text("Description", exact=True).wait_for()
                caption = page.evaluate(
                    "(html) => new DOMParser().parseFromString(html, 'text/html').body.innerText", result["caption"]
                )
                shown = side(page).inner_text()
                assert " ".join(caption.split())[:60] in " ".join(shown.split())
                opened += 1
                open_subcategory(page, category, chapter)
                rows = page.locator("nav table tbody tr")
    assert opened == len(FIGURES)


def test_the_page_of_tables_opens_and_sorts(page):
    categories, results = contents(page)
    pages = [path for path, result in results.items() if result["mime"] == "text/html"]
    assert pages, "no HTML among the results"
    for category, chapters in categories.items():
        for chapter, paths in chapters.items():
            for path in set(paths) & set(pages):
                open_subcategory(page, category, chapter)
                label = next(iter(results[path]["labels"].values()))
                page.locator("nav table tbody tr").filter(has_text=label).first.locator("a").first.click()
                frame = page.frame_locator("#app iframe")
                header = frame.locator("table thead th").first
                header.locator("button").click()
                assert header.get_attribute("aria-sort") == "ascending"
