import re

import numpy as np
import pandas as pd
import pytest

from stages.evaluation import summary, typeset


def comparison(methods=("guided-ddim", "vae", "intensity"), **columns):
    """Three methods: the last is best where higher is better and worst where lower is."""
    rows = pd.DataFrame({"method": methods, "setting": ["L500_s100", "default", "view-equalised"]})
    rows = rows.assign(
        chosen_on="params.yaml", subjects=5, slices=40, diseased=30, scored=20, average_otsu=0.2, body_share=0.3
    )
    for metric in summary.EVERY_METRIC:
        rows[metric] = columns.get(metric, [0.25, 0.5, 0.75])
        rows[f"{metric}_low"], rows[f"{metric}_high"] = rows[metric] - 0.125, rows[metric] + 0.125
        rows[f"{metric}_seed_sd"] = columns.get("seed_sd", np.nan)
    return rows


def headline(**columns):
    return typeset.metric_table(comparison(**columns), summary.TITLES)


def cells(latex):
    """The rows of the tabular as lists of cells, after the checks that a compiler would make of them."""
    depth = 0
    for brace in re.sub(r"\\[{}]", "", latex):
        depth += (brace == "{") - (brace == "}")
        assert depth >= 0, "a brace closes what nothing opened"
    assert depth == 0
    assert re.findall(r"\\(begin|end){tabular}", latex) == ["begin", "end"]
    commands = {"toprule", "midrule", "bottomrule", "shortstack", "strut", "textbf", "scriptsize", "begin", "end", "pm"}
    commands |= {"textbackslash", "textasciitilde", "textasciicircum", "space"}
    assert set(re.findall(r"\\([A-Za-z]+)", latex)) <= commands
    plain = re.sub(r"\$([-<]|\\pm)\$|\\[&%$#_{}\\]", "", latex)
    assert not re.findall(r"[%$#_~^<>]", plain), "a special character stands unescaped"
    columns = re.search(r"\\begin{tabular}{(\w+)}", latex).group(1)
    rows = [line.removesuffix(r" \\") for line in latex.splitlines() if line.endswith(r"\\")]
    rows = [re.split(r"(?<!\\)&", row) for row in rows]
    assert {len(row) for row in rows} == {len(columns)}
    return [[cell.strip() for cell in row] for row in rows]


def lines(table):
    """The lines of a table in Markdown, without the blanks that align its columns."""
    found = re.sub(" +", " ", table.markdown()).splitlines()
    assert len({line.count("|") for line in found}) == 1
    return found


def test_latex_is_a_booktabs_tabular_of_two_lines_a_method():
    text = headline().latex()
    head, *rows = cells(text)
    rules = [text.index(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert rules == sorted(rules)
    assert head[0] == r"\shortstack{\strut Method}"
    assert head[2] == r"\shortstack{\strut Dice \\ (average Otsu)}"
    assert len(head) == 2 + len(summary.TITLES)
    assert [row[:2] for row in rows] == [
        ["guided-ddim", r"L500\_s100"],
        ["", ""],
        ["vae", "default"],
        ["", ""],
        ["intensity", "view-equalised"],
        ["", ""],
    ]
    assert rows[0][2] == "0.250"
    assert rows[1][2] == r"{\scriptsize [0.125, 0.375]}"


def test_the_best_is_bold_at_the_end_that_is_better():
    _, *rows = cells(headline().latex())
    bold = {
        metric: [row[2 + index].startswith(r"\textbf{") for row in rows[::2]]
        for index, metric in enumerate(summary.TITLES)
    }
    markdown = [line.split("|")[3:-1] for line in lines(headline())[2:]]
    for index, found in enumerate(bold.values()):
        assert [row[index].startswith(" **") for row in markdown] == found
    assert bold.pop("mean_map_ratio") == [True, False, False], "lower is better"
    assert bold.pop("healthy_mean_map") == [False] * 3, "methods' units differ"
    assert set(bold) == set(summary.HIGHER_IS_BETTER)
    assert list(bold.values()) == [[False, False, True]] * 4


def test_ties_as_printed_are_bold_together_and_one_method_is_not():
    table = comparison(auroc=[0.9001, 0.9004, 0.5], image_auroc=[0.9, np.nan, np.nan])
    assert typeset.best(table, "auroc") == [True, True, False]
    assert typeset.best(table, "image_auroc") == [False, False, False]
    assert typeset.best(comparison(auroc=[np.nan, 0.2, 0.3]), "auroc") == [False, False, True]
    assert typeset.best(comparison(auroc=[1.0, 1.0, 1.0]), "auroc") == [False, False, False], "none of equals is best"


@pytest.mark.parametrize("name", ["a_b & 50% #1", "}x{^2~$y$", "back\\slash"])
def test_names_are_escaped(name):
    table = typeset.metric_table(comparison(methods=[name, "b", "c"]), summary.TITLES)
    _, *rows = cells(table.latex())
    commands = {"textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^"}
    read = re.sub(r"\\(text\w+) |\\(.)", lambda found: commands.get(found[1], found[2]), rows[0][0])
    assert read == name


def test_columns_without_any_value_are_left_out_and_single_ones_are_dashes():
    nothing = [np.nan] * 3
    table = headline(dice_average_otsu=nothing, dice_own_otsu=nothing, auroc=[np.nan, 0.5, 0.6])
    head, first, ends, *_ = cells(table.latex())
    assert head[2:4] == [r"\shortstack{\strut AUROC}", r"\shortstack{\strut Image AUROC}"]
    assert (first[2], ends[2]) == ("--", r"{\scriptsize }")
    markdown = lines(table)
    assert "Dice" not in markdown[0]
    assert markdown[2].startswith("| guided-ddim | L500_s100 | - | 0.250 [0.125, 0.375] |")


def test_a_value_without_interval_stands_alone():
    rows = comparison()
    rows[["image_auroc_low", "image_auroc_high"]] = np.nan
    table = typeset.metric_table(rows, summary.TITLES)
    assert "| **0.750** |" in lines(table)[4]
    assert cells(table.latex())[2][5] == r"{\scriptsize }"


def test_mean_maps_of_any_unit_keep_their_digits():
    text = "\n".join(lines(headline(healthy_mean_map=[0.00012345, 0.036, 123.4])))
    assert [re.search(rf"\| {value} \[", text) is not None for value in (r"0\.000123", r"0\.0360", "123")] == [True] * 3


def test_negative_numbers_have_a_minus_sign():
    _, first, ends, *_ = cells(headline(healthy_mean_map=[-0.5, 0.2, 0.3]).latex())
    assert (first[6], ends[6]) == ("$-$0.500", r"{\scriptsize [$-$0.625, $-$0.375]}")


def test_the_spread_over_seeds_stands_beside_the_value():
    table = headline(seed_sd=0.0126)
    assert lines(table)[2].startswith("| guided-ddim | L500_s100 | 0.250 ± 0.013 [0.125, 0.375] |")
    assert cells(table.latex())[1][2] == r"0.250 $\pm$ 0.013"
    assert cells(table.latex())[5][2] == r"\textbf{0.750 $\pm$ 0.013}"
    assert cells(table.latex())[6][2] == r"{\scriptsize [0.625, 0.875]}"


def test_settings_of_several_folds_go_on_in_the_second_line_of_latex():
    rows = comparison().assign(setting=["L500_s20 (2 folds), L250_s20 (1 fold)", "default", "x"])
    table = typeset.metric_table(rows, summary.TITLES)
    assert [row[1] for row in cells(table.latex())[1:4]] == [r"L500\_s20 (2 folds),", r"L250\_s20 (1 fold)", "default"]
    assert "| L500_s20 (2 folds), L250_s20 (1 fold) |" in lines(table)[2]


def test_what_an_image_costs_has_no_interval_and_is_bold_where_it_is_low():
    rows = comparison(seconds=[0.0123, 4.5, 678.9], memory_mb=[900.4, 12345.6, 900.4])
    _, _, *table = lines(typeset.metric_table(rows, {"seconds": "seconds", "memory_mb": "MB"}))
    assert table[0] == "| guided-ddim | L500_s100 | **0.0123** | **900** |"
    assert table[1].endswith("| 4.50 | 12346 |")
    assert table[2].endswith("| 679 | **900** |")
