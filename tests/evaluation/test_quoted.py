"""Tables that pages quote: those of the records, of whatever is finished."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from synthetic_results import IDENTITY

from stages.errors import InputError
from stages.evaluation import comparison_tables, quoted
from stages.repeats import Repeat

ROOT = Path(__file__).parents[2]


def test_pages_say_what_records_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    differ = [str(page) for page, before, after in quoted.of_pages(quoted.PAGES, Path("results")) if before != after]
    assert differ == [], "run python -m stages.evaluation.quoted"


def test_the_first_seed_of_the_real_patients_is_that_of_their_table():
    seeds, one = (ROOT / "results" / name / "record" for name in ("brats2018-cv-seeds", "brats2018-cv"))
    copies = sorted(seeds.glob("fold*-seed0/*/*.csv"))
    assert len(copies) == 5 * 20, "five folds of nine methods' settings"
    assert [path for path in copies if path.read_bytes() != (one / path.relative_to(seeds)).read_bytes()] == []


@pytest.fixture
def page(repeated, monkeypatch, tmp_path):
    """Writes a page anew that quotes the tables of a kind, and gives its text."""
    monkeypatch.setattr(comparison_tables.sections, "identity", lambda *_: IDENTITY)
    monkeypatch.setattr(quoted.reading, "load", lambda _: {})
    monkeypatch.setattr(quoted.reading, "benchmark", lambda *_: repeated.parameters)
    monkeypatch.setattr(quoted, "trained_on", lambda _, method: "masks" if method["setting"] == {} else "labels")
    (tmp_path / "mine").symlink_to(repeated.root)
    file = tmp_path / "page.md"

    def written(*marks):
        file.write_text("Before.\n" + "".join(f"<!-- {mark} -->\nold\n<!-- end -->\nBetween.\n" for mark in marks))
        quoted.main(quoted.arguments().parse_args([str(file), "--results", str(tmp_path)]))
        return file.read_text()

    return written


def rows(text):
    """The cells of a page's only table, heads first."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]


def test_whole_records_give_the_comparison(page, repeated):
    repeated.score_all()
    text = page("comparison of mine: auroc lesion_rate")
    repeated.tabulate()
    table = pd.read_csv(repeated.root / "tables/comparison.csv").set_index("method")
    heads, *found = rows(text)
    assert heads == ["method", "setting", "AUROC", "lesions found"]
    assert [line[0] for line in found] == ["`guided-ddim`", "`ready-made` (masks)"]
    assert found[0][1] == "L 20, s 0.5 (1 fold), L 10, s 0.5 (1 fold)"
    row = table.loc["guided-ddim"]
    numbers = row[["auroc", "auroc_seed_sd", "auroc_low", "auroc_high"]].map(lambda value: f"{value:.3f}"[1:])
    assert found[0][2] == "{} ± {} [{}, {}]".format(*numbers)
    assert text.startswith("Before.\n<!-- comparison of mine: auroc lesion_rate -->\n| method |")
    assert text.endswith("<!-- end -->\nBetween.\n")
    assert f"{row['subjects']} test subjects, {row['slices']} slices, {row['scored']} of them scored.\n" in text
    assert "Not there yet" not in text


@pytest.mark.parametrize(("scored", "said"), [(7, "7 of them scored"), (0, "4 of them diseased")])
def test_where_no_mask_lets_score_a_slice_the_diseased_are_counted(scored, said):
    counts = {"subjects": 5, "slices": 9, "scored": scored, "diseased": 4, "folds": 1, "seeds": 1}
    block = SimpleNamespace(repeats=[Repeat(1, 0)], choices={"mine": None})
    parameters = {"repeats": {"folds": 1, "seeds": [0]}, "methods": {"mine": {}}}
    found = SimpleNamespace(parameters=parameters, blocks=[block], compared=[pd.DataFrame([counts])])
    assert quoted.notes(found)[0] == f"5 test subjects, 9 slices, {said}."


def test_what_is_not_finished_is_said(page, repeated):
    repeated.score_all()
    for repeat in repeated.repeats[1:]:
        repeated.record("ready-made", "default", repeat.name).unlink()
    repeated.parameters["repeats"]["folds"] = 3
    repeated.parameters["methods"]["later"] = {"grid": [{}], "setting": {}}
    text = page("comparison of mine: auroc")
    heads, first, second = rows(text)
    assert [heads[2], first[2], second[2]] == ["folds", "1, 2 (2 seeds)", "1"]
    assert "Not there yet, of 3 folds: 3." in text
    assert (
        "Over 3 subjects, 9 scored slices, 1 seed alone, not to be compared with the first rows: `ready-made`." in text
    )
    assert "Without a record: `later`." in text


def test_seeds_that_are_not_finished_are_named(page, repeated):
    repeated.score_all()
    repeated.parameters["repeats"]["seeds"] = [*repeated.parameters["repeats"]["seeds"], 7, 8]
    assert "Not there yet, of 4 seeds: 7, 8." in page("comparison of mine: auroc")


def test_the_gap_and_the_paired_tests_are_those_of_the_tables(page, repeated):
    repeated.score_all()
    text = page("choice of mine", "paired of mine")
    repeated.tabulate()
    document = (repeated.root / "tables/comparison.md").read_text()
    table = document.split("## Chosen by labels, and by masks\n\n")[1].split("\n\n")[0]
    assert table in text
    assert "With one setting, so that nothing is chosen: ready-made (masks)." in text
    pairs = pd.read_csv(repeated.root / "tables/paired.csv").set_index("metric")
    sign = 1 if pairs.loc["auroc", "method"] == "guided-ddim" else -1
    difference = f"{sign * pairs.loc['auroc', 'difference']:+.3f} ["
    assert any(line.startswith("| AUROC ") and difference in line for line in text.splitlines()), "no bound is best"


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ("compare of mine", "compare is no table of mine"),
        (
            "choice of mine: auroc",
            "choice is no table of mine with auroc named: name comparison or between or same_settings",
        ),
        ("between of mine", "between is no table of mine: name comparison or choice or paired"),
        ("comparison of mine: aurock", "no metric 'aurock'"),
    ],
)
def test_marks_that_name_nothing_are_refused(mark, said):
    with pytest.raises(InputError, match=said):
        quoted.rewritten(f"<!-- {mark} -->\n<!-- end -->\n", Path("results"), lambda _: None)


def test_a_mark_without_an_end_is_refused(tmp_path):
    with pytest.raises(InputError, match="one of 2 marks of tables has no <!-- end -->"):
        quoted.rewritten(
            "<!-- choice of a -->\n<!-- paired of a -->\n<!-- end -->\n", tmp_path, lambda _: pytest.fail("read")
        )


def test_a_benchmark_without_records_is_refused(page):
    with pytest.raises(InputError, match="has no whole repeat of any method"):
        page("choice of mine")
