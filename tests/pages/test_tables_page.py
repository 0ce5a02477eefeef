"""The page of tables: what it says, and, in Chromium, that it sorts, filters and searches, and asks for nothing."""

import argparse
import json
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import pytest

from stages import provenance
from stages.errors import InputError
from stages.evaluation import summary
from stages.pages import tables_page, tables_texts

SCORES = """method,setting,split,L,auroc,p,note,nothing
b,L10,test,10,0.98765432,0.00042,,
a,L9,test,9,,0.5,<script>alert(1)</script>,
c,L100,validation,100,-0.5,,x & "y",
a,L9,validation,9,0.98765432,1,last,
"""
INTERVALS = """method,auroc,auroc_low,auroc_high,difference,low,high,metric
one,0.9,0.8123,0.95,-0.25,-0.5,0.125,auroc
two,0.85,,,0.25,0.125,0.5,auroc
"""
PARAMETERS = {
    "seed": 3,
    "data": {"folder": "data/<x>", "channels": ["t1", "flair"], "split": {"train": 4}},
    "methods": {"vae": {"grid": [{"k": [1, 2]}], "options": {"score": "gradient"}}, "other": {"grid": [{}]}},
}


class Tables(HTMLParser):
    """Every table of a page: its headings, and its rows as (data-value, text) a cell."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found, self.tags, self._cell = {}, [], None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag == "table":
            self.found[attributes["id"]] = self._table = {"heads": [], "rows": []}
        elif tag == "tr":
            self._table["rows"].append([])
        elif tag in ("th", "td"):
            self._cell = [attributes.get("data-value"), ""]
            head = attributes.get("scope") == "col"
            (self._table["heads"] if head else self._table["rows"][-1]).append(self._cell)

    def handle_endtag(self, tag):
        if tag in ("th", "td"):
            self._cell = None

    def handle_data(self, data):
        if self._cell:
            self._cell[1] += data


@pytest.fixture
def page(tmp_path):
    """The page of both tables, through the command."""
    scores = SCORES + "".join(f"m{n},L1,test,1,0.5,0.5,,\n" for n in range(12))
    for name, text in (("scores", scores), ("paired", INTERVALS), ("lesion_size", "method,group\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    for output in ("page.html", "again.html"):
        arguments = ["--parameters", json.dumps(PARAMETERS), "--benchmark", "my <b>", "--tables"]
        arguments += [str(tmp_path / f"{name}.csv") for name in ("paired", "lesion_size", "scores")]
        tables_page.main(tables_page.arguments().parse_args([*arguments, "--output", str(tmp_path / output)]))
    assert (tmp_path / "page.html").read_bytes() == (tmp_path / "again.html").read_bytes()
    return tmp_path / "page.html"


def test_below_each_table_stands_what_made_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    maps, tables = tmp_path / "maps", tmp_path / "tables"
    maps.mkdir()
    tables.mkdir()
    for name in ("paired", "trade_off", "old/scores"):
        (tables / name).parent.mkdir(exist_ok=True)
        (tables / f"{name}.csv").write_text("method,auroc\na,0.5\n")
    with provenance.job("stages.detection.vae", argparse.Namespace(parameters={"seed": 1})):
        provenance.note(maps, devices=["Card <A>"])
    with provenance.job("stages.evaluation.comparison_tables", argparse.Namespace(parameters={"seed": 23})):
        provenance.note(tables, made_from=[maps])
    with provenance.job("stages.evaluation.trade_off_table", argparse.Namespace(parameters={})):
        provenance.note(tables / "trade_off.csv")
    paths = [str(tables / f"{name}.csv") for name in ("paired", "trade_off", "old/scores")]
    arguments = ["--parameters", json.dumps(PARAMETERS), "--benchmark", "b", "--output", "page.html"]
    tables_page.main(tables_page.arguments().parse_args([*arguments, "--tables", *paths]))
    _, paired, trade_off, scores = re.split(r"<h2 id=\"table-", (tmp_path / "page.html").read_text())
    expected = provenance.of(tables)
    for text in ("stages.evaluation.comparison_tables", "<dd>23</dd>", "Card &lt;A&gt;", expected.parameters_sha256):
        assert text in paired
    assert expected.code.sha256 in paired
    assert f"numpy {expected.packages['numpy']}" in paired
    assert "stages.evaluation.trade_off_table" in trade_off
    assert "stages.evaluation.comparison_tables" not in trade_off
    assert trade_off.count("not noted") == 3  # data, seed and devices
    assert "Nothing is noted of what made this table" in scores


def test_cells_are_the_files(page):
    found = Tables(page.read_text()).found
    assert list(found) == ["table-paired", "table-scores"]
    frame = pd.read_csv(page.parent / "scores.csv", dtype=str, keep_default_na=False).drop(columns="nothing")
    rows = [[value for value, _ in row] for row in found["table-scores"]["rows"] if row]
    assert rows == frame.to_numpy().tolist()
    texts = [[text for _, text in row] for row in found["table-scores"]["rows"] if row]
    assert texts[0] == ["b", "L10", "test", "10", "0.988", "0.000420", ""]
    assert texts[1][4:] == ["", "0.500", "<script>alert(1)</script>"]
    assert texts[2][4:] == ["-0.500", "", 'x & "y"']
    assert "Empty, and left out here: nothing." in page.read_text()


def test_rounded_numbers_have_all_their_digits_when_pointed_at(page):
    text = page.read_text()
    assert '<td class="number" data-value="0.98765432" title="0.98765432">0.988</td>' in text
    assert '<td class="number" data-value="10">10</td>' in text
    assert '<small title="[0.8123, 0.95]">[0.812, 0.950]</small>' in text


def test_tables_rows_and_columns_are_named(page):
    found = Tables(page.read_text())
    captions = re.findall(r"<caption[^>]*>([^<]+)</caption>", page.read_text())
    assert captions == [
        "Paired comparisons: 2 rows; a button in a header sorts",
        "All settings and splits: 16 rows; a button in a header sorts",
    ]
    rows = page.read_text().split("<tbody>")[1].split("</tbody>")[0].splitlines()
    assert all(row.startswith('<tr><th scope="row"') and row.count("<th") == 1 for row in rows if row)
    assert {attributes["scope"] for tag, attributes in found.tags if tag == "th"} == {"row", "col"}


def test_intervals_are_folded_into_their_value(page):
    table = Tables(page.read_text()).found["table-paired"]
    assert [text for _, text in table["heads"]] == ["method", "AUROC", "difference", "metric"]
    first, second = [row for row in table["rows"] if row]
    assert first[1] == ["0.9", "0.900 [0.812, 0.950]"]
    assert second[1] == ["0.85", "0.850"]  # an empty interval is not shown
    assert first[2] == ["-0.25", "-0.250 [-0.500, 0.125]"]
    assert first[3] == ["auroc", "AUROC"]


def test_the_spread_over_seeds_stands_behind_the_interval():
    texts = {"auroc": ["0.9", "0.8"], "auroc_low": ["0.8", "0.7"], "auroc_high": ["0.95", "0.9"]}
    texts |= {"auroc_seed_sd": ["0.0123", ""], "image_auroc": ["0.7", "0.6"], "image_auroc_seed_sd": ["", ""]}
    page = tables_page.table_html("comparison", pd.DataFrame(texts))
    table = Tables(page).found["table-comparison"]
    assert [text for _, text in table["heads"]] == ["AUROC", "image AUROC"]
    assert [row[0][1] for row in table["rows"] if row] == ["0.900 [0.800, 0.950] ± 0.012", "0.800 [0.700, 0.900]"]
    assert "left out" not in page


def test_columns_that_few_ask_for_and_what_is_said_again_are_further():
    frame = pd.DataFrame({"setting": ["a", "b"], "settings": ["a", "b"], "body_share": ["0.5", "0.5"], "n": ["1", "1"]})
    assert [column.name for column in tables_page.columns(frame) if column.further] == ["settings", "body_share"]
    frame["settings"] = ["a", "b (2 folds), c (1 fold)"]
    assert [column.name for column in tables_page.columns(frame) if column.further] == ["body_share"]


def test_every_metric_of_the_tables_has_its_text():
    names = {*summary.EVERY_METRIC, *(f"{metric}_by_masks" for metric in ("dice_average_otsu", "auroc"))}
    names |= {"setting_by_masks", "gap", "settings", "chosen_on", "repeat", "fold", "seed", "folds", "seeds"}
    names |= {"p_subjects", "p_seeds"}
    assert not names - tables_texts.COLUMN_TEXTS.keys()


def test_page_holds_everything_and_nothing_foreign(page):
    text, tags = page.read_text(), Tables(page.read_text()).tags
    assert [tag for tag, _ in tags].count("script") == 1  # the cell's one is text
    for tag, attributes in tags:
        assert not any(name.startswith("on") or name == "src" for name in attributes), tag
        assert attributes.get("href", "#").startswith(("#", "data:,"))
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", text)
    assert "<title>my &lt;b&gt;: tables and parameters</title>" in text
    assert "No rows" in text  # of lesion_size.csv
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    for _, attributes in tags:
        assert attributes.get("for", ids[0]) in ids
        assert attributes.get("aria-labelledby", ids[0]) in ids
        assert not attributes.get("href", "").startswith("#") or attributes["href"][1:] in ids


def test_long_tables_have_a_filter(page):
    boxes = [
        attributes["data-table"] for tag, attributes in Tables(page.read_text()).tags if "data-table" in attributes
    ]
    assert boxes == ["table-scores"]


@pytest.mark.parametrize(
    ("texts", "name", "expected"),
    [
        (["1", "2.0"], "L", ".0f"),
        (["16205"], "slices", ",.0f"),
        (["0.5", "0.01"], "auroc", ".3f"),
        (["0.05", "0.002"], "reconstruction_error", "#.3g"),
        (["0.5", "0.0001"], "p_holm", "#.3g"),
        (["1534.25", "812.5"], "memory_mb", ",.0f"),
        (["12.5", "0.01"], "healthy_mean_map", "#.3g"),
    ],
)
def test_digits(texts, name, expected):
    assert tables_page.digits(name, texts) == expected


def test_numbers_are_told_from_texts():
    frame = pd.DataFrame({"a": ["1", "", "2e-3"], "b": ["1", "x", ""], "c": ["inf", "1", ""]})
    assert [column.digits is not None for column in tables_page.columns(frame)] == [True, False, False]


def test_parameter_lines_know_their_path():
    lines = dict((line.strip(), path) for path, line in tables_page.parameter_lines("methods", PARAMETERS["methods"]))
    assert lines["options: {score: gradient}"] == "methods.vae.options"
    assert lines["- k: [1, 2]"] == "methods.vae.grid"
    assert lines["other:"] == "methods.other"
    assert tables_page.parameter_lines("seed", 3) == [("seed", "3")]


def test_missing_table(tmp_path):
    arguments = ["--parameters", "{}", "--benchmark", "b", "--tables", str(tmp_path / "gone.csv")]
    with pytest.raises(InputError, match=r"gone\.csv is missing"):
        tables_page.main(tables_page.arguments().parse_args([*arguments, "--output", str(tmp_path / "page.html")]))
    assert not (tmp_path / "page.html").exists()


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(page):
    """The page in headless Chromium, with what it logged and requested."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_page()
        logged, requested = [], []
        tab.on("console", lambda message: logged.append(message.text))
        tab.on("pageerror", lambda error: logged.append(str(error)))
        tab.on("request", lambda request: requested.append(request.url))
        tab.goto(page.as_uri())
        yield tab
        assert logged == []
        assert requested == [page.as_uri()]
        browser.close()


def column_of(tab, place: int, rows: int = 4) -> list[str]:
    """The data values of a column of scores.csv, as far as they are of its first rows."""
    values = tab.eval_on_selector_all(
        "#table-scores tbody tr", "(rows) => rows.map((row) => [...row.cells].map((cell) => cell.dataset.value))"
    )
    return [row[place] for row in values if not row[0].startswith("m")][:rows]


def test_headers_sort_by_keyboard(shown):
    header = shown.locator("#table-scores thead th").nth(4)
    method = 0
    assert header.get_attribute("aria-sort") is None
    header.locator("button").focus()
    shown.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") == "ascending"
    assert column_of(shown, 4) == ["-0.5", "0.98765432", "0.98765432", ""]  # as numbers, empty last
    assert column_of(shown, method) == ["c", "b", "a", "a"]  # equals in the order of the file
    shown.keyboard.press("Space")
    assert header.get_attribute("aria-sort") == "descending"
    assert column_of(shown, 4) == ["0.98765432", "0.98765432", "-0.5", ""]  # empty last all the same
    assert column_of(shown, method) == ["b", "a", "c", "a"]
    assert shown.locator("#table-scores-said").inner_text() == "Sorted by AUROC, descending."
    shown.keyboard.press("Enter")
    assert header.get_attribute("aria-sort") is None
    assert column_of(shown, method) == ["b", "a", "c", "a"]


def test_texts_sort_with_their_numbers(shown):
    shown.locator("#table-scores thead button").nth(1).click()
    assert column_of(shown, 1) == ["L9", "L9", "L10", "L100"]
    shown.locator("#table-scores thead button").nth(3).click()
    assert shown.locator("th[aria-sort]").count() == 1
    assert column_of(shown, 3) == ["9", "9", "10", "100"]


def test_filter(shown):
    shown.fill("#table-scores-filter", "L9 VALID")
    visible = shown.locator("#table-scores tbody tr:visible")
    assert visible.count() == 1
    assert "last" in visible.inner_text()
    assert shown.locator("#table-scores-count").inner_text() == "1 of 16 rows"
    shown.fill("#table-scores-filter", "")
    assert shown.locator("#table-scores tbody tr:visible").count() == 16


def test_search_of_parameters(shown):
    assert shown.locator("pre:visible").count() == 0  # folded
    shown.fill("#parameters-search", "vae score")
    lines = [line.strip() for line in shown.locator("pre span:visible").all_inner_texts()]
    assert lines == ["vae:", "options: {score: gradient}"]
    assert shown.locator("#parameters-count").inner_text() == "matching lines: 1"
    shown.fill("#parameters-search", "")
    assert shown.locator("details[data-section]:visible").count() == 3
