"""The page of tables in a browser: every header sorts, and nothing is fetched."""

import argparse

import numpy as np
import pandas as pd
import pytest
from explorer_benchmark import ExplorerBenchmark

from stages.pages import tables_page


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The page of a small benchmark, and its tables by name."""
    benchmark = ExplorerBenchmark(tmp_path_factory.mktemp("tables"))
    paths = [benchmark.root / "tables" / f"{name}.csv" for name in ("scores", "comparison")]
    output = benchmark.root / "tables.html"
    options = {"parameters": benchmark.parameters, "benchmark": "tiny", "tables": paths, "output": output}
    tables_page.main(argparse.Namespace(**options))
    return output, {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths}


@pytest.fixture
def page(visit, tables):
    return visit(tables[0])


def cells(table):
    """The cells of a table's rows as they stand in the file, columns first."""
    rows = table.locator("tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [...row.cells].map((c) => c.dataset.value))"
    )
    return list(zip(*rows, strict=True))


def number(text):
    return float(text) if text else np.inf


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (600, "dark"), (360, "light")])
def test_it_fits_the_window_in_light_and_dark(visit, tables, width, scheme):
    page = visit(tables[0], viewport={"width": width, "height": 800}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("table").count() == len(tables[1])
    ink, paper = (
        page.evaluate(f"getComputedStyle(document.body).{name}.match(/\\d+/g).map(Number)")
        for name in ("color", "backgroundColor")
    )
    transparent = len(paper) == 4 and paper[3] == 0
    assert transparent or sum(abs(a - b) for a, b in zip(ink, paper, strict=False)) > 300


def test_further_columns_come_by_a_tick_and_go_again(page, tables):
    box, table = page.locator("[data-brief=table-scores]"), page.locator("#table-scores")
    further, others = table.locator("th.further"), table.locator("th:not(.further)")
    assert further.count() >= 3
    for shown in (False, True, False):
        assert [head.is_visible() for head in further.all()] == [shown] * further.count()
        assert [head.is_visible() for head in others.all()] == [True] * others.count()
        assert table.locator("tbody td.further").first.is_visible() == shown
        box.focus()
        page.keyboard.press("Space")


def test_every_header_sorts_its_column_and_says_which_way(page, tables):
    for box in page.get_by_label("Show all columns").all():
        box.check()
    sorted_columns = 0
    for name, frame in tables[1].items():
        table = page.locator(f"#table-{name}")
        heads = table.locator("thead th")
        as_filed = cells(table)
        assert [list(column) for column in as_filed] == [
            frame[column].tolist() for column in frame if frame[column].any()
        ]
        for place in range(heads.count()):
            head = heads.nth(place)
            numeric = "number" in (head.get_attribute("class") or "")
            assert numeric == all(text.replace(".", "").isdigit() for text in as_filed[place] if text)
            head.locator("button").click()
            assert head.get_attribute("aria-sort") == "ascending"
            assert table.locator("th[aria-sort]").count() == 1
            up = cells(table)
            if numeric:
                values = [number(text) for text in up[place]]
                assert values == sorted(values)
            head.locator("button").click()
            assert head.get_attribute("aria-sort") == "descending"
            down = cells(table)
            if numeric:
                values = [number(text) for text in down[place] if text]
                assert values == sorted(values, reverse=True)
            assert sorted(zip(*up, strict=True)) == sorted(zip(*down, strict=True)), "whole rows move"
            head.locator("button").click()
            assert head.get_attribute("aria-sort") is None
            assert cells(table) == as_filed
            sorted_columns += numeric
    assert sorted_columns >= 5
