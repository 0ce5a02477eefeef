"""Tables from records: without the workflow, beside scores, and instead of them."""

import shutil

import pandas as pd
import pytest
from synthetic_results import IDENTITY

from stages.errors import InputError
from stages.evaluation import comparison_tables


@pytest.fixture
def made_with(monkeypatch):
    """What the parameters of now would make, by run; IDENTITY unless a test changes it."""
    found = {}

    def identity(parameters, repeat, method, setting):
        return found.get(f"{repeat.name}/{method}/{setting.name}", IDENTITY)

    monkeypatch.setattr(comparison_tables.sections, "identity", identity)
    return found


@pytest.fixture
def by_name(repeated, made_with, monkeypatch):
    """Tabulates from records alone by the benchmark's name, whatever else params.yaml must hold."""
    monkeypatch.setattr(comparison_tables.reading, "load", lambda _: {})
    monkeypatch.setattr(comparison_tables.reading, "benchmark", lambda *_: repeated.parameters)
    monkeypatch.setattr(comparison_tables.sections, "section", lambda parameters, rule: parameters)
    return lambda: repeated.tabulate(parameters=None, benchmark="mine", scores=None, metrics=None)


def test_records_alone_make_the_tables_of_the_repeats_that_are_there(repeated, by_name, capsys):
    repeated.score_all()
    by_name()
    whole = pd.read_csv(repeated.root / "tables/comparison.csv").set_index("method")
    assert whole[["ap", "best_dice", "ap_body"]].isna().all(axis=None), "no pixel counts"
    assert not (repeated.root / "metrics").exists()
    assert capsys.readouterr().err == ""
    repeated.record("guided-ddim", "L20_s0", "fold2-seed1").unlink()
    by_name()
    said = "Missing of 4 repeats: fold2-seed1 (lacks 1 records).\n"
    said += "Finished, but left out so that every seed has the same folds: fold1-seed1.\n"
    assert capsys.readouterr().err == said
    assert said.splitlines()[0] in (repeated.root / "tables/comparison.md").read_text()
    part = pd.read_csv(repeated.root / "tables/comparison.csv").set_index("method")
    assert part[["folds", "seeds", "subjects"]].to_numpy().tolist() == [[2, 1, 5]] * 2
    shutil.rmtree(repeated.root / "record")
    with pytest.raises(InputError, match=r"no repeat of mine is finished: fold1-seed0 lacks 5 records, .*L10_s0\.csv"):
        by_name()


def test_methods_that_lack_repeats_are_left_out_where_more_runs_can_be_compared(repeated, by_name, capsys):
    repeated.score_all()
    repeated.record("ready-made", "default", "fold2-seed0").unlink()
    by_name()
    table = pd.read_csv(repeated.root / "tables/comparison.csv").set_index("method")
    assert table[["folds", "seeds"]].to_numpy().tolist() == [[2, 1]] * 2, "both methods, with the seed that both have"
    capsys.readouterr()
    repeated.record("ready-made", "default", "fold2-seed1").unlink()
    repeated.record("ready-made", "default", "fold1-seed1").unlink()
    by_name()
    table = pd.read_csv(repeated.root / "tables/comparison.csv").set_index("method")
    assert table[["folds", "seeds"]].to_numpy().tolist() == [[2, 2]], "four runs of one method, not two of both"
    assert list(table.index) == ["guided-ddim"]
    said = "Left out, with so many of 4 repeats finished: ready-made (1).\n"
    assert capsys.readouterr().err == said
    assert said in (repeated.root / "tables/comparison.md").read_text()


def test_records_of_other_parameters_are_missing_and_named(repeated, by_name, made_with, capsys):
    repeated.score_all()
    for method, setting in (("guided-ddim", "L10_s0"), ("ready-made", "default")):
        made_with[f"fold2-seed0/{method}/{setting}"] = "of now"
    repeated.record("guided-ddim", "L20_s0", "fold2-seed0").unlink()
    by_name()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "Missing of 4 repeats: fold2-seed0 (lacks 3 records)."
    names = "fold2-seed0/guided-ddim/L10_s0.csv, fold2-seed0/ready-made/default.csv"
    assert said[1] == f"Made with other parameters: {names}."
    assert said[1] in (repeated.root / "tables/comparison.md").read_text()
    assert len(pd.read_csv(repeated.root / "tables/repeats.csv")["repeat"].unique()) == 2
    runs = ("guided-ddim/L20_s0.5", "ready-made/default")
    made_with.update({f"{repeat.name}/{run}": "of now" for repeat in repeated.repeats for run in runs})
    with pytest.raises(InputError, match=r"lacks 2 records, .*L20_s0\.5\.csv, made with other parameters: delete the"):
        by_name()


def test_a_benchmark_of_only_data_has_nothing_to_compare(repeated, by_name):
    del repeated.parameters["methods"]
    with pytest.raises(InputError, match="benchmark mine has no methods that could be compared"):
        by_name()


POOLED = ["ap", "best_dice", "ap_body"]


def test_a_run_without_counts_alone_lacks_pooled_metrics(repeated, made_with):
    repeated.score_all()
    repeated.tabulate()
    whole = pd.read_csv(repeated.root / "tables/repeats.csv")
    shutil.rmtree(repeated.scores("ready-made", "default", "fold2-seed1"))
    shutil.rmtree(repeated.scores("guided-ddim", "L10_s0", "fold1-seed0"))  # is not reported
    repeated.tabulate(reuse={"methods": repeated.parameters["methods"]})
    part = pd.read_csv(repeated.root / "tables/repeats.csv")
    lacking = part[POOLED].isna().all(axis=1)
    runs = part.loc[lacking, ["repeat", "method", "setting"]].drop_duplicates().to_numpy().tolist()
    assert runs == [["fold1-seed0", "guided-ddim", "L10_s0"], ["fold2-seed1", "ready-made", "default"]]
    pd.testing.assert_frame_equal(part[~lacking], whole[~lacking], check_exact=True)
    pd.testing.assert_frame_equal(part.drop(columns=POOLED), whole.drop(columns=POOLED), check_exact=True)
    said = "From records, which hold no counts of pixels for pixel AP, best achievable Dice (pooled), pixel AP (body): "
    assert f"{said}fold2-seed1/ready-made/default." in (repeated.root / "tables/comparison.md").read_text()


def test_where_records_are_reused_scores_of_other_parameters_are_not_looked_at(scored, made_with):
    record = scored.record("ready-made", "default")
    made_with[f"{scored.first}/ready-made/default"] = "of now"
    kept = record.read_text().replace(IDENTITY, "of now").replace('"seconds": 0.5', '"seconds": 7.5')
    record.write_text(kept)  # by an earlier run with the parameters of now
    scored.tabulate(reuse={"methods": scored.parameters["methods"]})
    table = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    assert table["seconds"].tolist() == [0.5, 7.5]
    assert record.read_text() == kept
    scored.score("ready-made", "default", output=scored.root / "again", identity="of now")
    shutil.rmtree(scored.scores("ready-made", "default"))
    (scored.root / "again").rename(scored.scores("ready-made", "default"))
    scored.tabulate(reuse={"methods": scored.parameters["methods"]})
    table = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    assert table["seconds"].tolist() == [0.5, 0.5], "scores of now are there, with their counts"
    assert table["ap"].notna().all()
    assert record.read_text() == kept
    record.write_text(kept.replace("of now", "of then"))
    shutil.rmtree(scored.scores("ready-made", "default"))
    with pytest.raises(InputError, match=r"default\.csv was made with other parameters: delete the folder"):
        scored.tabulate(reuse={"methods": scored.parameters["methods"]})


def test_lost_records_are_written_again_from_the_scores(scored):
    lost, other = scored.record("ready-made", "default"), scored.record("guided-ddim", "L20_s0")
    before = lost.read_bytes(), other.read_bytes()
    lost.unlink()
    other.write_bytes(before[1].replace(IDENTITY.encode(), b"of then"))
    scored.tabulate()
    assert (lost.read_bytes(), other.read_bytes()) == before


def test_records_alone_must_all_be_there(repeated):
    repeated.score_all()
    repeated.record("guided-ddim", "L20_s0", "fold2-seed1").unlink()
    with pytest.raises(InputError, match=r"fold2-seed1/guided-ddim/L20_s0\.csv is missing"):
        repeated.tabulate(scores=None)
    with pytest.raises(InputError, match="either --parameters or --benchmark"):
        repeated.tabulate(benchmark="mine")


def test_records_give_what_scores_give(repeated):
    repeated.score_all()
    repeated.tabulate()
    repeated.tabulate(scores=None, output=repeated.root / "again")
    for name in ("repeats", "scores", "comparison", "lesion_size", "paired", "sensitivity"):
        table, again = (pd.read_csv(repeated.root / folder / f"{name}.csv") for folder in ("tables", "again"))
        kept = [column for column in table if not column.startswith(tuple(POOLED))]
        pd.testing.assert_frame_equal(table[kept], again[kept], check_exact=True)
