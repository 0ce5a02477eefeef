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


def test_every_figure_of_the_rules_has_its_caption():
    rules = "".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    names = set(re.findall(r'captioned\(\s*"([a-z0-9-]+)"', rules))
    assert {"figure-1-scheme", "figure-7-healthy", "tables"} <= names
    assert names <= {path.stem for path in REPORT.glob("*.rst")}
