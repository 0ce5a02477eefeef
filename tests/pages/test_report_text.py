"""The first page of the HTML report, rendered from workflow.rst as Snakemake renders it: two benchmarks, in order."""

import io
import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

from docutils.core import publish_parts
from jinja2 import Environment

SOURCE = Path(__file__).parents[2] / "workflow/report/workflow.rst"
CONFIG = {
    "paper": {"data": {"size": 256, "folder": "data/BraTS2020"}},
    "benchmarks": {
        "b-phantom": {"data": {"size": 64}, "phantom": {"anatomy": "brain"}},
        "a-real": None,
        "c-own": {"inherits": "b-small", "data": {"folder": "data/own"}},
        "b-small": {"data": {"size": 32}},
    },
}


class Name(str):
    """A category or a chapter: Snakemake's has a name and an order."""

    @property
    def name(self):
        return str(self)


def result(path, kind, title, caption):
    mime = "text/html" if kind == "page" else "image/png"
    return SimpleNamespace(path=Path(path), labels={kind: title}, mime=mime, caption=caption)


def rendered():
    chapters = {
        Name("4. Tables"): [result("r/tables.html", "page", "tables", "<p>All.</p>")],
        Name("1. Figures"): [
            result(
                "r/figure-4.png", "figure", "Fig. 4: Dice & AUROC", "<p>A <em>line</em> of s &lt; 9.</p>\n<p>More.</p>"
            ),
            result("r/figure-1.png", "figure", "Fig. 1: the scheme", '<p>It\'s all\nof "it".</p>'),
        ],
    }
    text = Environment(trim_blocks=True, lstrip_blocks=True).from_string(SOURCE.read_text(encoding="utf-8"))
    categories = {Name("b-phantom"): chapters, Name("a-real"): chapters, Name("c-own"): chapters}
    source = text.render(snakemake=SimpleNamespace(config=CONFIG), categories=categories, files=[])
    warnings = io.StringIO()
    body = publish_parts(source, writer="html", settings_overrides={"warning_stream": warnings})["html_body"]
    assert warnings.getvalue() == ""
    return body


class Page(HTMLParser):
    """The elements of a page with their attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def test_benchmarks_chapters_and_figures_stand_in_order_before_the_words_on_how_to_read_them():
    body = rendered()
    places = [body.rindex(text) for text in ("<h1>a-real", "<h1>b-phantom", "<h1>c-own", "<h1>How to read it")]
    assert places == sorted(places)
    first = body[places[0] : places[1]]
    assert re.findall(r"<figcaption><b>(.*?)</b>", first) == ["Fig. 1: the scheme", "Fig. 4: Dice &amp; AUROC"]
    assert re.findall(r"<h2>(.*?)</h2>", first) == ["1. Figures", "4. Tables"]
    assert "256 x 256 pixels:\nthe images in data/BraTS2020" in first
    assert "64 x 64 pixels:\nphantoms that the benchmark makes itself" in body[places[1] : places[2]]
    assert "32 x 32 pixels:\nthe images in data/own" in body[places[2] : places[3]], "what it inherits counts"


def test_pictures_are_named_and_taken_from_the_results_and_pages_open():
    page = Page(rendered())
    images = page.all("img")
    assert [image["alt"] for image in images[:2]] == [
        'a-real, Fig. 1: the scheme. It\'s all of "it".',
        "a-real, Fig. 4: Dice & AUROC. A line of s < 9. More.",
    ]
    assert len(images) == 6
    assert images[1]["onload"] == 'this.onload = null; this.src = results["r/figure-4.png"].data_uri'
    clicks = [link["onclick"] for link in page.all("a") if "onclick" in link]
    assert 'app.setView({content: "img", contentPath: results["r/figure-1.png"].data_uri' in clicks[0]
    assert 'app.setView({content: "html", contentPath: results["r/tables.html"].data_uri' in clicks[2]
    assert len(page.all("details")) == 6
