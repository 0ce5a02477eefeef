import json

import pandas as pd
import pytest

from stages.errors import InputError
from stages.evaluation import records, tables


@pytest.fixture
def scored(benchmark):
    benchmark.score_all()
    return benchmark


def slice_scores(**columns):
    base = {
        "slice_id": ["a", "b", "c", "d"],
        "subject_id": ["s1", "s1", "s2", "s2"],
        "label": [0, 1, 1, 1],
        "lesion_pixels": [0, 1, 50, 60],
        "otsu": [0.1, 0.2, 0.3, 0.5],
        "average_otsu": [0.4] * 4,
        "dice_average_otsu": [None, 0.0, 0.6, 0.8],
        "dice_own_otsu": [None, 0.1, 0.5, 0.6],
        "auroc": [None, 0.5, 0.9, 1.0],
        "mean_map": [0.01, 9, 9, 9],
        "scored": [0, 0, 1, 1],
    }
    return pd.DataFrame(base | columns).astype(
        {name: float for name in ("dice_average_otsu", "dice_own_otsu", "auroc")}
    )


def test_each_metric_averages_over_its_own_slices():
    summary = tables.summarise(slice_scores())
    assert summary == pytest.approx(
        {
            "slices": 4,
            "scored": 2,
            "dice_average_otsu": 0.7,
            "dice_own_otsu": 0.55,
            "auroc": 0.95,
            "dice_average_otsu_all": 1.4 / 3,
            "dice_own_otsu_all": 0.4,
            "auroc_all": 0.8,
            "healthy_mean_map": 0.01,
            "average_otsu": 0.4,
        }
    )


def test_one_subject_has_intervals_without_width():
    frame = slice_scores(subject_id=["s1"] * 4)
    ends, summary = tables.intervals(frame, 50, seed=0), tables.summarise(frame)
    assert ends["subjects"] == 1
    for metric in tables.METRICS:
        assert ends[f"{metric}_low"] == pytest.approx(summary[metric])
        assert ends[f"{metric}_high"] == pytest.approx(summary[metric])


def test_the_tables_hold_the_grid_and_nothing_else(scored):
    leftover = scored.root / "scores/diffusion/L10_s99"
    leftover.mkdir()
    (leftover / "test.csv").write_text("of a grid value that was removed\n")
    scored.tabulate()
    frame = pd.read_csv(scored.root / "tables/scores.csv")
    assert list(zip(frame["method"], frame["setting"], frame["split"], strict=True)) == [
        *[
            ("diffusion", f"L{level}_s{s}", split)
            for level in (10, 20)
            for s in ("0", "0.5")
            for split in scored.splits
        ],
        *[("ready-made", "default", split) for split in scored.splits],
    ]
    assert frame.loc[2, ["L", "s"]].tolist() == [10, 0.5]
    assert frame.loc[8, ["L", "s"]].isna().all()
    slices = records.read_slice_scores(scored.root / "scores/diffusion/L20_s0/test.csv")
    row = frame[(frame["setting"] == "L20_s0") & (frame["split"] == "test")].iloc[0]
    assert row["auroc"] == pytest.approx(slices.loc[slices["scored"] == 1, "auroc"].mean(), rel=1e-6)
    assert row["average_otsu"] == pytest.approx(slices.loc[slices["scored"] == 1, "otsu"].mean(), rel=1e-6)
    assert row["scored"] == (slices["lesion_pixels"] > 1).sum()


def test_the_comparison_is_on_test_at_the_setting_of_validation(scored):
    scored.tabulate()
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    frame = pd.read_csv(scored.root / "tables/scores.csv").set_index(["method", "setting", "split"])
    best = {
        split: frame.loc["diffusion"].xs(split, level="split")["dice_average_otsu"].idxmax() for split in scored.splits
    }
    assert best == {"validation": "L20_s0", "test": "L10_s0.5"}, "the case that the test is about"
    row = comparison.loc["diffusion"]
    assert row[["setting", "chosen_on"]].tolist() == ["L20_s0", "validation"]
    assert comparison.loc["ready-made", ["setting", "chosen_on"]].tolist() == ["default", "params.yaml"]
    for metric in tables.METRICS:
        assert row[metric] == pytest.approx(frame.at[("diffusion", "L20_s0", "test"), metric])
        assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]
    assert row[["subjects", "slices", "scored"]].tolist() == [3, 18, 9]
    metrics = json.loads((scored.root / "metrics.json").read_text())
    assert metrics["diffusion"]["auroc"] == pytest.approx(row["auroc"], abs=1e-6)
    assert list(metrics) == ["diffusion", "ready-made"]
    text = (scored.root / "tables/comparison.md").read_text()
    numbers = "{:.3f} [{:.3f}, {:.3f}]".format(*row[["auroc", "auroc_low", "auroc_high"]])
    assert "| diffusion | L20_s0 | validation | " in text
    assert numbers in text


def test_tabulating_twice_gives_the_same_bytes(scored):
    scored.tabulate()
    scored.tabulate(output=scored.root / "again")
    for name in ("scores.csv", "comparison.csv", "comparison.md"):
        assert (scored.root / "tables" / name).read_bytes() == (scored.root / "again" / name).read_bytes()
    assert (scored.root / "metrics.json").read_bytes() == (scored.root / "again/metrics.json").read_bytes()


def test_a_split_without_scored_slices_is_named(benchmark):
    benchmark.parameters["evaluation"]["lesion_pixels_at_256"] = 10**6
    benchmark.score_all()
    with pytest.raises(InputError, match="no slice of the validation split is scored"):
        benchmark.tabulate()
    assert not (benchmark.root / "tables").exists()


def damage(column, value):
    def change(path):
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        frame.loc[5, column] = value
        frame.to_csv(path, index=False)

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:400]), "other slices|no number|empty"),
        (lambda path: path.write_text(""), "cannot be read as CSV"),
        (lambda path: path.write_text("slice_id,label\n"), "lacks the column"),
        (damage("slice_id", "another"), "other slices than the test split"),
        (damage("slice_id", "007_z000"), "twice"),
        (damage("auroc", "good"), "no number in column 'auroc'"),
        (damage("dice_own_otsu", ""), "empty or infinite values in column 'dice_own_otsu'"),
        (damage("otsu", "inf"), "empty or infinite values in column 'otsu'"),
        (damage("scored", "2"), "other values than 0 and 1 in column 'scored'"),
        (damage("average_otsu", "0.123"), "more than one average Otsu threshold"),
    ],
)
def test_damaged_scores_are_refused_with_their_file(scored, change, complaint):
    change(scored.root / "scores/diffusion/L20_s0/test.csv")
    with pytest.raises(InputError, match=rf"L20_s0/test\.csv .*({complaint})"):
        scored.tabulate()


def test_a_metric_without_slices_is_a_dash_and_no_metric():
    frame = slice_scores(label=[1, 1, 1, 1], dice_average_otsu=[0.1] * 4, dice_own_otsu=[0.1] * 4, auroc=[0.5] * 4)
    scores = pd.DataFrame([{"method": "m", "setting": "default", "split": "test"}])
    comparison = tables.compare({"m": {"grid": [{}], "setting": {}}}, scores, lambda *_: frame, 20, 0)
    assert tables.markdown(comparison).splitlines()[2].endswith("| - |")
    assert "healthy_mean_map" not in tables.flat_metrics(comparison)["m"]
