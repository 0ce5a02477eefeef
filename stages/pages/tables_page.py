"""The tables of a benchmark on one HTML page, sorted by a click on a header, and below them the benchmark's parameters.

Every table is a CSV named on the command line, in that order; `<x>, <x>_low, <x>_high, <x>_seed_sd` become one column
`value [low, high] ± sd` that sorts by its value. Columns that decide are shown, further ones by a tick. Long tables
have a box that filters their rows, the parameters one that searches them. Below a table unfolds what made it, as its
`provenance.json` has it: code, parameters, data, seed, devices, packages. The page holds its style and its script: it
loads nothing and works from a disk, in print, and by keyboard.
"""

import argparse
import html
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from stages import command, provenance
from stages.evaluation import records
from stages.evaluation.summary import OWN_UNIT
from stages.pages import inline
from stages.pages.tables_texts import COLUMN_TEXTS, COLUMN_TITLES, FURTHER, TABLE_TEXTS
from stages.provenance import Provenance

ASSETS = Path(__file__).parent / "tables_assets"
THREE_DIGITS = (*OWN_UNIT, "average_otsu", "p", "p_subjects", "p_seeds", "p_holm", "smallest_p")
WHOLE = ("memory_mb",)
FILTERED_FROM = 13
"""Tables of so many rows have a box that filters them."""
_UNKNOWN = "not noted, as of scores that are taken from records"
LONG = 20
"""Texts of more letters go on several lines."""


@dataclass(frozen=True)
class Column:
    """One column of a table on the page.

    Attributes:
        name: in the CSV.
        low, high: the columns of its interval; None without one.
        spread: the column of its standard deviation over seeds; None without one.
        digits: format of its numbers; None where not all that is not empty is a finite number.
        further: it is shown on demand.
    """

    name: str
    low: str | None
    high: str | None
    spread: str | None
    digits: str | None
    further: bool

    @property
    def title(self) -> str:
        """Its heading: in the words of `COLUMN_TITLES`, or its name with blanks for underscores."""
        return COLUMN_TITLES.get(self.name, self.name.replace("_", " "))


def is_number(text: str) -> bool:
    """Whether a cell holds a finite number.

    >>> is_number("1e-3"), is_number("nan"), is_number("L500_s20")
    (True, False, False)
    """
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def columns(frame: pd.DataFrame) -> list[Column]:
    """The columns of a table of texts, intervals and spreads folded into their value; wholly empty ones are left out.

    An interval is <x>_low and <x>_high of a column <x>, or `low` and `high` right behind a column; a spread is
    <x>_seed_sd. Further ones are those of `FURTHER`, and what repeats the column before it word for word.
    """
    names = list(frame.columns)
    intervals = {name: (f"{name}_low", f"{name}_high") for name in names if {f"{name}_low", f"{name}_high"} <= {*names}}
    intervals |= {
        name: ("low", "high")
        for name, *ends in zip(names, names[1:], names[2:], strict=False)
        if ends == ["low", "high"] and name not in intervals
    }
    spreads = {name: f"{name}_seed_sd" for name in names if f"{name}_seed_sd" in names}
    folded = {*spreads.values(), *(end for ends in intervals.values() for end in ends)}
    found: list[Column] = []
    for name in names:
        filled = [text for text in frame[name] if text]
        if name not in folded and (filled or frame.empty):
            numeric = filled and all(map(is_number, filled))
            low, high = intervals.get(name, (None, None))
            printed = digits(name, filled) if numeric else None
            again = bool(found) and not numeric and len(frame) > 0 and frame[name].equals(frame[found[-1].name])
            found.append(Column(name, low, high, spreads.get(name), printed, again or name in FURTHER))
    return found


def digits(name: str, texts: list[str]) -> str:
    """How the numbers of a column are printed, as a format: whole, with three decimals, or with three digits.

    Three digits for columns in units of their own, p-values, and whatever is small all over.
    """
    if name in WHOLE:
        return ",.0f"
    values = np.abs([float(text) for text in texts])
    if (values == values.round()).all():
        return ",.0f" if values.max() >= 10_000 else ".0f"
    return "#.3g" if name in THREE_DIGITS or values.max() < 0.1 else ".3f"


def _cell(row: dict, column: Column, head: bool) -> str:
    """A cell, or the head of its row: the CSV's text in `data-value`, what is shown in it; cut digits in its title."""
    text = row[column.name]
    shown = COLUMN_TITLES.get(text, text) if column.name == "metric" else text
    if column.digits and text:
        shown = format(float(text), column.digits)
    title = f' title="{html.escape(text)}"' if column.digits and shown != text else ""
    shown = html.escape(shown)
    ends = [row[end] for end in (column.low, column.high) if end]
    if column.digits and text and ends and all(map(is_number, ends)):
        rounded = (format(float(end), column.digits) for end in ends)
        shown += ' <small title="[{}, {}]">[{}, {}]</small>'.format(*ends, *rounded)
    if column.digits and text and column.spread and is_number(spread := row[column.spread]):
        shown += f' <small title="{spread}">± {float(spread):{column.digits}}</small>'
    long = not column.digits and len(text) > LONG
    tag, scope = ("th", ' scope="row"') if head else ("td", "")
    return f'<{tag}{scope}{_kind(column, long)} data-value="{html.escape(text)}"{title}>{shown}</{tag}>'


def _kind(column: Column, long: bool = False) -> str:
    flags = {"number": bool(column.digits), "further": column.further, "long": long}
    names = [name for name, flag in flags.items() if flag]
    return f' class="{" ".join(names)}"' if names else ""


def table_html(name: str, frame: pd.DataFrame, title: str = "", text: str = "") -> str:
    """One table with its heading, what it is, and its box where it is long.

    Args:
        name: of the CSV, without its ending.
        frame: the CSV as texts.
        title, text: the heading and what stands below it, where `TABLE_TEXTS` does not have them.
    """
    title, text = TABLE_TEXTS.get(name, (title or name.replace("_", " ").capitalize(), text))
    key, shown = html.escape(f"table-{name}"), columns(frame)
    parts = [f'<h2 id="{key}-head">{html.escape(title)} <span class="file">{html.escape(name)}.csv</span></h2>']
    parts.append(f"<p>{html.escape(text)}</p>" if text else "")
    if frame.empty:
        return "\n".join([*parts, '<p class="note">No rows: this data set has nothing that belongs here.</p>'])
    kept = {end for column in shown for end in (column.name, column.low, column.high)}
    parts_of = {f"{column}{end}" for column in frame.columns for end in ("_low", "_high", "_seed_sd")}
    if empty := [name for name in frame.columns if name not in kept | parts_of and not frame[name].any()]:
        parts.append(f'<p class="note">Empty, and left out here: {html.escape(", ".join(empty))}.</p>')
    if further := [column for column in shown if column.further]:
        parts.append(
            f'<label class="more" hidden><input type="checkbox" data-brief="{key}"> Show all columns '
            f'<span class="count">({len(further)} more)</span></label>'
        )
    if len(frame) >= FILTERED_FROM:
        parts.append(
            f'<div class="search"><label for="{key}-filter">Show rows with</label>'
            f'<input type="search" id="{key}-filter" data-table="{key}" autocomplete="off">'
            f'<span class="count" id="{key}-count" role="status">{len(frame)} of {len(frame)} rows</span></div>'
        )
    heads = "".join(
        f'<th scope="col"{_kind(column)}><button type="button">{html.escape(column.title)}</button></th>'
        for column in shown
    )
    rows = [
        "<tr>" + "".join(_cell(row, column, head=column is shown[0]) for column in shown) + "</tr>"
        for row in frame.to_dict("records")
    ]
    return "\n".join(
        [
            *parts,
            f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{key}-head">',
            f'<table id="{key}"><caption class="spoken">{html.escape(title)}: {len(frame)} rows; a button in a header '
            f"sorts</caption><thead><tr>{heads}</tr></thead>",
            "<tbody>",
            *rows,
            "</tbody></table></div>",
            f'<p class="spoken" id="{key}-said" role="status"></p>',
        ]
    )


def provenance_html(found: Provenance | None) -> str:
    """What made a table, to unfold below it: `found` as its files say, None where nothing is noted."""
    if found is None:
        return '<p class="note">Nothing is noted of what made this table: it is older than provenance.json.</p>'
    code = found.code
    commit = f"commit {code.commit}" if code.commit else "no git repository"
    changed = {True: ", changed since", False: ", unchanged", None: ""}[code.modified]
    items = {
        "Stage": found.stage,
        "Code": f"version {code.version}, {commit}{changed}; SHA-256 of stages: {code.sha256}",
        "Parameters": f"SHA-256 {found.parameters_sha256}, of the stage's part of params.yaml (provenance.json has it)",
        "Data": f"SHA-256 {found.data_sha256}, of the digests of the slice store" if found.data_sha256 else _UNKNOWN,
        "Seed": _UNKNOWN if found.seed is None else str(found.seed),
        "Devices": "; ".join(found.devices) or _UNKNOWN,
        "Packages": ", ".join(f"{name} {version}" for name, version in found.packages.items()),
    }
    lines = [f"<dt>{term}</dt><dd>{html.escape(text)}</dd>" for term, text in items.items()]
    return "\n".join(
        ['<details class="provenance"><summary>What made this table</summary><dl>', *lines, "</dl></details>"]
    )


def glossary_html(names: list[str]) -> str:
    """What the columns mean, as far as they are known."""
    known = [name for name in dict.fromkeys(names) if name in COLUMN_TEXTS]
    items = [
        f"<dt>{html.escape(COLUMN_TITLES.get(name, name.replace('_', ' ')))}</dt>"
        f"<dd>{html.escape(COLUMN_TEXTS[name])}</dd>"
        for name in known
    ]
    return "\n".join(["<details><summary>What the columns mean</summary><dl>", *items, "</dl></details>"])


def parameter_lines(section: str, value: object) -> list[tuple[str, str]]:
    """A section of the parameters as YAML: its lines, each with the path of its key (methods.vae.grid)."""
    text = yaml.safe_dump(value, sort_keys=False, default_flow_style=None, allow_unicode=True, width=110)
    if not isinstance(value, dict | list):
        text = text.removesuffix("...\n")  # the end of a document that is a single scalar
    lines, above = [], [(-1, section)]
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        key, colon, _ = line.strip().partition(":")
        if colon and key.isprintable() and not key.startswith(("-", "[", "{", "'", '"')):
            above = [(depth, part) for depth, part in above if depth < indent] + [(indent, key)]
        lines.append((".".join(part for _, part in above), line))
    return lines


def parameters_html(parameters: dict) -> str:
    """The merged parameters, a section to unfold for each top-level key."""
    parts = []
    for section, value in parameters.items():
        lines = "".join(
            f'<span data-path="{html.escape(path)}">{html.escape(line)}</span>'
            for path, line in parameter_lines(section, value)
        )
        name = html.escape(section)
        parts.append(f'<details data-section="{name}"><summary>{name}</summary><pre>{lines}</pre></details>')
    return "\n".join(parts)


def page(
    benchmark: str, tables: dict[str, pd.DataFrame], made_by: dict[str, Provenance | None], parameters: dict
) -> str:
    """The whole page.

    Args:
        benchmark: its name.
        tables: name of the CSV -> its texts, in the order of the page.
        made_by: name of the CSV -> what made it, where that is known.
        parameters: of the benchmark, merged.
    """
    links = {f"table-{table}-head": TABLE_TEXTS.get(table, (table, ""))[0] for table in tables}
    name = html.escape(benchmark)
    parts = [
        *(f"{table_html(table, frame)}\n{provenance_html(made_by[table])}" for table, frame in tables.items()),
        glossary_html([column for frame in tables.values() for column in frame.columns]),
        '<h2 id="parameters">Parameters <span class="file">params.yaml</span></h2>',
        f"<p>What {name} runs with: the paper's values with its own over them; keys that change no result "
        "are left out.</p>",
        '<div class="search"><label for="parameters-search">Search keys and values</label>'
        '<input type="search" id="parameters-search" autocomplete="off">'
        '<span class="count" id="parameters-count" role="status"></span></div>',
        parameters_html(parameters),
    ]
    return shell(f"{benchmark}: tables and parameters", links | {"parameters": "Parameters"}, parts)


def shell(title: str, links: dict[str, str], parts: list[str]) -> str:
    """A page of tables with its style and script.

    Args:
        title: of the page.
        links: id of a heading -> what its link says.
        parts: what stands on the page, as HTML.
    """
    style, script = ((ASSETS / f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    policy = f"default-src 'none'; img-src data:; style-src {inline.source(style)}; script-src {inline.source(script)}"
    name = html.escape(title)
    anchors = [f'<a href="#{html.escape(key)}">{html.escape(text)}</a>' for key, text in links.items()]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{name}</title>\n<link rel="icon" href="data:,">',
            f"<style>{style}</style>\n</head>\n<body>",
            f"<header><h1>{name}</h1>",
            f'<nav aria-label="Tables">{" ".join(anchors)}</nav>',
            '<p class="note">A header sorts its table: once ascending, twice descending, a third time as in the file. '
            "Numbers are rounded: point at one to see all the digits of its CSV file.</p></header>\n<main>",
            *parts,
            f"</main>\n<script>{script}</script>\n</body>\n</html>\n",
        ]
    )


def arguments() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--benchmark", required=True, metavar="NAME", help="name of the benchmark")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, metavar="CSV", help="in the order of the page")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="the page to write")
    return parser


def main(options: argparse.Namespace) -> None:
    """Write the page of the tables and parameters; --parameters is the whole benchmark, merged, without inert keys."""
    tables = {path.stem: records.read_csv(path, [], []) for path in options.tables}
    made_by = {path.stem: provenance.of(path) for path in options.tables}
    records.write_text(options.output, page(options.benchmark, tables, made_by, options.parameters))
    provenance.note(options.output)


if __name__ == "__main__":
    command.run(main, arguments())
