"""The texts of the HTML report: they render without a complaint, and each figure that the rules show has its own."""

import io
import re
from pathlib import Path

import pytest
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined

from stages.parameters import reading

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "workflow/report"


def rendered(path: Path, config: dict) -> str:
    """A text as Snakemake renders it: Jinja2, then docutils, here with its warnings as errors."""
    source = Environment(undefined=StrictUndefined).from_string(path.read_text(encoding="utf-8"))
    snakemake = type("Snakemake", (), {"config": config})
    warnings = io.StringIO()
    overrides = {"warning_stream": warnings, "report_level": 1, "halt_level": 5}
    parts = publish_parts(
        source.render(snakemake=snakemake, categories={}, files={}), writer="html", settings_overrides=overrides
    )
    assert not warnings.getvalue(), path.name
    return parts["html_body"]


@pytest.mark.parametrize("path", sorted(REPORT.glob("*.rst")), ids=lambda path: path.stem)
def test_text_renders(path):
    body = " ".join(rendered(path, reading.load(ROOT / "params.yaml")).split())
    assert "{{" not in body
    if path.stem != "workflow":
        for words in ("As it should be:", "Wrong would be"):
            assert words in body


@pytest.mark.parametrize("run", [["brats2020", "phantom-chest"], "brats2020, phantom-chest"])
def test_global_text_names_what_was_run(run):
    """`run` as Snakemake holds it: a list, or a text from --config."""
    config = reading.read(ROOT / "params.yaml") | {"run": run}
    items = re.findall(r"<li><strong>(.*?)</strong>, (.*?)</li>", rendered(REPORT / "workflow.rst", config), re.DOTALL)
    assert [name for name, _ in items] == ["brats2020", "phantom-chest"]
    assert "256 x 256" in items[0][1]
    assert "data/brats2020" in items[0][1]
    assert "64 x 64" in items[1][1]
    assert "no patient" in items[1][1]


def test_every_figure_of_the_rules_has_its_caption():
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    names = set(re.findall(r'captioned\(\s*"([a-z0-9-]+)"', rules))
    assert {"figure-1-scheme", "figure-7-healthy", "tables"} <= names
    assert names <= {path.stem for path in REPORT.glob("*.rst")}
