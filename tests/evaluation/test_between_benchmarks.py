"""A benchmark beside those that inherit from it, from their records."""

import numpy as np
import pandas as pd
import pytest
from synthetic_results import IDENTITY

from stages.errors import InputError
from stages.evaluation import between_benchmarks, comparison_tables, quoted
from stages.evaluation.between_benchmarks import arguments, main


@pytest.fixture
def two(tmp_path, monkeypatch, new_benchmark):
    """`plain` and `clearer`, two seeds each: the same slices, lesions three times as bright in the second's maps."""
    found = {name: new_benchmark(tmp_path / name, seeds=(0, 1)) for name in ("plain", "clearer")}
    for path in (tmp_path / "clearer/maps").rglob("maps.npy"):
        masks = np.asarray(found["clearer"].store(path.parent.name).masks)
        np.save(path, np.load(path) + 2 * masks.astype(np.float16))
    monkeypatch.setattr(comparison_tables.sections, "identity", lambda *_: IDENTITY)
    monkeypatch.setattr(between_benchmarks.reading, "load", lambda _: {})
    monkeypatch.setattr(between_benchmarks.reading, "benchmark", lambda _, name: found[name].parameters)
    return found


def run(root, *names):
    main(arguments().parse_args([*names, "--results", str(root), "--output", str(root / "rows.csv")]))
    return pd.read_csv(root / "rows.csv").set_index(["method", "metric"])


def test_a_difference_is_that_of_the_two_tables(two, tmp_path, capsys):
    tables = {}
    for name, one in two.items():
        one.score_all()
        one.tabulate()
        tables[name] = pd.read_csv(one.root / "tables/comparison.csv").set_index("method")
    rows = run(tmp_path, "plain", "clearer")
    for (method, metric), row in rows.iterrows():
        values = [tables[name].loc[method, metric] for name in ("clearer", "plain")]
        assert [row["value"], row["base_value"]] == pytest.approx(values)
        assert row["difference"] == pytest.approx(values[0] - values[1])
        assert row["low"] <= row["difference"] <= row["high"]
    dice = rows.loc[("ready-made", "dice_average_otsu")]
    assert rows.loc[("ready-made", "auroc"), "difference"] > 0.2, "brighter lesions are found"
    assert dice["seeds"] == 2
    assert (rows["p_holm"] >= rows["p"]).all()
    heads, _, first, second, _, *said = capsys.readouterr().out.splitlines()
    assert heads == "| benchmark | method | setting | of plain | Dice (average Otsu) | AUROC | image AUROC |"
    cells = {line.split(" | ")[1]: line.split(" | ")[2:5] for line in (first, second)}
    assert cells["`ready-made`"][:2] == ["default", "default"]
    assert cells["`ready-made`"][2].startswith(f"{dice['value']:.3f}: {dice['difference']:+.3f} [{dice['low']:+.3f}, ")
    assert cells["`guided-ddim`"][:2] == list(rows.loc[("guided-ddim", "auroc"), ["setting", "base_setting"]])
    assert said[0].startswith("Value: difference to plain [95 % interval, ")
    assert f"Dice (average Otsu) {dice['subjects']} subjects, at least {dice['smallest_p']:.3g}" in said[1]
    assert said[1].endswith("p (Holm): adjusted over the 2 rows of a metric.")
    assert "A t-test over two seeds can hardly reject: it takes a difference of 12.7 standard errors." in said
    assert said[-1] == "*: p (Holm) below .05."


@pytest.mark.parametrize(("kind", "options"), [("between", []), ("same_settings", ["--same-settings"])])
def test_a_page_quotes_what_the_command_prints(two, kind, options, tmp_path, capsys):
    for one in two.values():
        one.score_all()
    run(tmp_path, "plain", "clearer", *options)
    page = tmp_path / "page.md"
    page.write_text(f"<!-- {kind} of plain: clearer -->\nold\n<!-- end -->\n")
    printed = capsys.readouterr().out
    quoted.main(quoted.arguments().parse_args([str(page), "--results", str(tmp_path)]))
    assert page.read_text() == f"<!-- {kind} of plain: clearer -->\n{printed}<!-- end -->\n"


def test_other_settings_are_compared_at_those_of_the_first_where_asked(two, tmp_path):
    own = {"L": 10, "s": 0.5}
    two["plain"].parameters["methods"]["guided-ddim"]["setting"] = {"L": 20, "s": 0.5}
    two["clearer"].parameters["methods"]["guided-ddim"]["setting"] = own
    for one in two.values():
        one.score_all()
    dice = ("guided-ddim", "dice_average_otsu")
    different, alike = run(tmp_path, "plain", "clearer"), run(tmp_path, "plain", "clearer", "--same-settings")
    assert different.loc[dice, ["setting", "base_setting"]].tolist() == ["L10_s0.5", "L20_s0.5"]
    assert alike.loc[dice, ["setting", "base_setting"]].tolist() == ["L20_s0.5", "L20_s0.5"]
    assert different.loc[dice, "value"] != alike.loc[dice, "value"]
    two["clearer"].parameters["methods"]["guided-ddim"]["grid"] = [{"L": [10], "s": [0.5]}]
    with pytest.raises(InputError, match=r"clearer has no setting L20_s0\.5 of guided-ddim, which plain reports"):
        run(tmp_path, "plain", "clearer", "--same-settings")


def test_repeats_that_only_one_has_finished_are_left_out(two, tmp_path, capsys):
    for one in two.values():
        one.score_all()
    two["clearer"].record("ready-made", "default", "fold1-seed1").unlink()
    assert (run(tmp_path, "plain", "clearer")["seeds"] == 1).all()
    assert "clearer: Missing of 2 repeats: fold1-seed1 (lacks 1 records)." in capsys.readouterr().err


def test_other_slices_are_refused(two, tmp_path):
    for one in two.values():
        one.score_all()
    for path in (tmp_path / "clearer/record").rglob("*.csv"):
        path.write_text(path.read_text().replace("T3_z005", "T3_z006"))
    with pytest.raises(InputError, match="clearer was not scored on the slices of plain"):
        run(tmp_path, "plain", "clearer")


def test_benchmarks_without_a_common_method_are_refused(two, tmp_path):
    for one in two.values():
        one.score_all()
    two["clearer"].parameters["methods"] = {"ready-made": two["clearer"].parameters["methods"]["ready-made"]}
    two["plain"].parameters["methods"].pop("ready-made")
    with pytest.raises(InputError, match="plain and clearer share no method"):
        run(tmp_path, "plain", "clearer")
