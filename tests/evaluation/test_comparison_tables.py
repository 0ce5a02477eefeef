import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from stages.errors import InputError
from stages.evaluation import comparison_tables, records, summary

FILES = [f"{name}.csv" for name in ("scores", "comparison", "lesion_size", "paired", "sensitivity")]
FILES += ["comparison.md", "comparison.tex", "sensitivity.md"]


@pytest.fixture
def scored(benchmark):
    benchmark.score_all()
    return benchmark


def test_the_tables_hold_the_grid_and_nothing_else(scored):
    leftover = scored.root / "scores/guided-ddim/L10_s99"
    leftover.mkdir()
    (leftover / "test.csv").write_text("of a grid value that was removed\n")
    scored.tabulate()
    frame = pd.read_csv(scored.root / "tables/scores.csv")
    assert list(zip(frame["method"], frame["setting"], frame["split"], strict=True)) == [
        *[
            ("guided-ddim", f"L{level}_s{s}", split)
            for level in (10, 20)
            for s in ("0", "0.5")
            for split in scored.splits
        ],
        *[("ready-made", "default", split) for split in scored.splits],
    ]
    assert frame.loc[2, ["L", "s"]].tolist() == [10, 0.5]
    assert frame.loc[8, ["L", "s"]].isna().all()
    slices = records.read_slice_scores(scored.root / "scores/guided-ddim/L20_s0/test.csv")
    row = frame[(frame["setting"] == "L20_s0") & (frame["split"] == "test")].iloc[0]
    assert row["auroc"] == pytest.approx(slices.loc[slices["scored"] == 1, "auroc"].mean(), rel=1e-6)
    assert row["average_otsu"] == pytest.approx(slices.loc[slices["scored"] == 1, "otsu"].mean(), rel=1e-6)
    assert row["scored"] == (slices["lesion_pixels"] > 1).sum()


def test_the_comparison_is_on_test_at_the_setting_of_validation(scored):
    scored.tabulate()
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    frame = pd.read_csv(scored.root / "tables/scores.csv").set_index(["method", "setting", "split"])
    best = {
        split: frame.loc["guided-ddim"].xs(split, level="split")["dice_average_otsu"].idxmax()
        for split in scored.splits
    }
    assert best == {"validation": "L20_s0", "test": "L10_s0.5"}, "the case that the test is about"
    row = comparison.loc["guided-ddim"]
    assert row[["setting", "chosen_on"]].tolist() == ["L20_s0", "validation (Dice)"]
    assert comparison.loc["ready-made", ["setting", "chosen_on"]].tolist() == ["default", "params.yaml"]
    for metric in summary.EVERY_METRIC:
        assert row[metric] == pytest.approx(frame.at[("guided-ddim", "L20_s0", "test"), metric])
        assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]
    assert row[["subjects", "slices", "diseased", "scored"]].tolist() == [3, 18, 12, 9]
    slices = records.read_slice_scores(scored.root / "scores/guided-ddim/L20_s0/test.csv")
    assert row["image_auroc"] == pytest.approx(roc_auc_score(slices["label"], slices["mean_map"]), abs=1e-7)
    metrics = json.loads((scored.root / "metrics.json").read_text())
    assert metrics["guided-ddim"]["auroc"] == pytest.approx(row["auroc"], abs=1e-6)
    assert list(metrics) == ["guided-ddim", "ready-made"]
    text = re.sub(" +", " ", (scored.root / "tables/comparison.md").read_text())
    numbers = "{:.3f} [{:.3f}, {:.3f}]".format(*row[["auroc", "auroc_low", "auroc_high"]])
    assert "| guided-ddim | L20_s0 | validation (Dice) | " in text
    assert numbers.replace(" ", "** ", 1) in text, "the better of two methods is bold"


def test_tabulating_twice_gives_the_same_bytes(scored):
    scored.tabulate()
    scored.tabulate(output=scored.root / "again")
    assert sorted(path.name for path in (scored.root / "tables").iterdir()) == sorted(FILES)
    for name in FILES:
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
        (lambda path: path.write_text(path.read_text()[:-20]), "is truncated"),
        (lambda path: path.write_text("".join(path.read_text().splitlines(True)[:-1])), "other slices"),
        (lambda path: path.write_text(""), "cannot be read as CSV"),
        (lambda path: path.write_text("slice_id,label\n"), "lacks the column"),
        (damage("slice_id", "another"), "other slices than .*data/test"),
        (damage("auroc", "good"), "no number in column 'auroc'"),
    ],
)
def test_damaged_scores_are_refused_with_their_file(scored, change, complaint):
    change(scored.root / "scores/guided-ddim/L20_s0/test.csv")
    with pytest.raises(InputError, match=rf"L20_s0/test\.csv .*({complaint})"):
        scored.tabulate()


def test_what_is_pooled_is_scikit_learns_on_all_pixels(scored):
    scored.tabulate()
    frame = pd.read_csv(scored.root / "tables/scores.csv").set_index(["method", "setting", "split"])
    for setting, split in (("L20_s0", "test"), ("L10_s0.5", "validation")):
        maps = np.load(scored.root / "maps/guided-ddim" / setting / split / "maps.npy").astype(float)
        masks = np.load(scored.root / "data" / split / "masks.npy")
        row = frame.loc[("guided-ddim", setting, split)]
        assert row["ap"] == pytest.approx(average_precision_score(masks.ravel(), maps.ravel()), abs=1e-7)
        precision, recall, _ = precision_recall_curve(masks.ravel(), maps.ravel())
        assert row["best_dice"] == pytest.approx((2 * precision * recall / (precision + recall)).max(), abs=1e-7)
        assert row["best_dice"] >= row["dice_3d"], "no other threshold exceeds the bound"
        assert row["ap_body"] == pytest.approx(row["ap"], abs=0.01), "noise images are body nearly everywhere"
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    assert comparison.at["guided-ddim", "ap"] == frame.at[("guided-ddim", "L20_s0", "test"), "ap"]
    text = (scored.root / "tables/comparison.md").read_text()
    for heading in ("## Beyond the paper", "## By lesion size", "## The best method against each other one"):
        assert heading in text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda path: path.unlink(), "is missing: score again"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "cannot be read as counts of pixels"),
        (lambda path: path.write_bytes(b"no counts"), "cannot be read as counts of pixels"),
        (lambda path: np.savez(path, subjects=["a"]), "cannot be read as counts of pixels"),
    ],
)
def test_damaged_counts_are_refused_with_their_file(scored, change, complaint):
    change(scored.root / "scores/guided-ddim/L20_s0/test_pixels.npz")
    with pytest.raises(InputError, match=rf"L20_s0/test_pixels\.npz .*{complaint}"):
        scored.tabulate()
    assert not (scored.root / "tables").exists()


def test_words_have_a_column_of_the_table(scored):
    scored.parameters["methods"] = {
        "guided-ddim": {"grid": [{"L": [10], "s": [0.5]}], "setting": {"L": 10, "s": 0.5}},
        "intensity": {"grid": [{"view": ["plain", "equalised"]}], "setting": "validation"},
    }
    source = scored.root / "scores/guided-ddim"
    for setting, of in (("view-plain", "L10_s0"), ("view-equalised", "L20_s0")):
        target = scored.root / "scores/intensity" / setting
        target.mkdir(parents=True)
        for split in scored.splits:
            for name in (f"{split}.csv", f"{split}_pixels.npz"):
                (target / name).write_bytes((source / of / name).read_bytes())
    scored.tabulate()
    frame = pd.read_csv(scored.root / "tables/scores.csv", dtype=str, keep_default_na=False)
    assert frame[["setting", "L", "s", "view"]].to_numpy().tolist()[::2] == [
        ["L10_s0.5", "10", "0.5", ""],
        ["view-plain", "", "", "plain"],
        ["view-equalised", "", "", "equalised"],
    ]
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    assert comparison.at["intensity", "setting"] == "view-equalised"


def test_a_key_named_like_a_column_is_refused(scored):
    scored.parameters["methods"] = {"mine": {"grid": [{"split": [1]}], "setting": {"split": 1}}}
    (scored.root / "scores/guided-ddim/L10_s0").rename(scored.root / "scores/guided-ddim/split1")
    (scored.root / "scores/guided-ddim").rename(scored.root / "scores/mine")
    with pytest.raises(InputError, match=r"methods\.mine\.grid has a key 'split'"):
        scored.tabulate()


def test_without_masks_the_image_level_chooses_and_the_tables_say_what_is_not_there(unmasked):
    unmasked.score_all()
    unmasked.tabulate()
    frame = pd.read_csv(unmasked.root / "tables/scores.csv").set_index(["method", "setting", "split"])
    assert frame[["dice_average_otsu", "auroc", "auroc_all", "average_otsu"]].isna().all(axis=None)
    on_validation = frame.loc["guided-ddim"].xs("validation", level="split")["image_auroc"]
    for setting, value in on_validation.items():
        slices = records.read_slice_scores(unmasked.root / "scores/guided-ddim" / setting / "validation.csv")
        assert value == pytest.approx(roc_auc_score(slices["label"], slices["mean_map"]), abs=1e-7)
    comparison = pd.read_csv(unmasked.root / "tables/comparison.csv").set_index("method")
    row = comparison.loc["guided-ddim"]
    assert row[["setting", "chosen_on"]].tolist() == [on_validation.idxmax(), "validation (image AUROC)"]
    assert row["image_auroc_low"] <= row["image_auroc"] <= row["image_auroc_high"]
    text = re.sub(" +", " ", (unmasked.root / "tables/comparison.md").read_text())
    assert text.splitlines()[0] == (
        "| method | setting | chosen on | image AUROC | healthy mean map | mean map, healthy / diseased |"
    )
    assert "no masks of its lesions, so there are neither Dice nor AUROC over pixels" in text
    assert "Dice (" not in (unmasked.root / "tables/comparison.tex").read_text()
    metrics = json.loads((unmasked.root / "metrics.json").read_text())
    image_level = {"image_auroc", "healthy_mean_map", "diseased_mean_map", "mean_map_ratio", "image_auroc_max"}
    assert set(metrics["guided-ddim"]) == image_level
    assert comparison[["ap", "best_dice", "dice_3d", "auroc_body", "ap_body"]].isna().all(axis=None)
    assert len(pd.read_csv(unmasked.root / "tables/lesion_size.csv")) == 0
    pairs = pd.read_csv(unmasked.root / "tables/paired.csv")
    assert pairs[["metric", "method", "other"]].to_numpy().tolist() == [["image_auroc", "guided-ddim", "ready-made"]]
    expected = row["image_auroc"] - comparison.at["ready-made", "image_auroc"]
    assert pairs.at[0, "difference"] == pytest.approx(expected, abs=1e-7)
    assert pairs["p"].between(0, 1).all()
    assert re.search(r"image AUROC \d subjects, at least", text)
    assert "| image AUROC | L = 10 | L = 20 |" in re.sub(
        " +", " ", (unmasked.root / "tables/sensitivity.md").read_text()
    )


def test_every_method_is_compared_on_the_same_slices_and_resamples():
    rng = np.random.default_rng(0)
    methods = {"one": {"grid": [{}], "setting": {}}, "other": {"grid": [{}], "setting": {}}}
    frame = pd.DataFrame({"slice_id": [str(n) for n in range(40)], "subject_id": np.repeat(list("abcd"), 10)})
    frame = frame.assign(label=[0, 1] * 20, lesion_pixels=50, otsu=0.1, average_otsu=0.1, scored=[0, 1] * 20)
    frame = frame.assign(dice_average_otsu=0.5, dice_own_otsu=0.5, auroc=0.5, mean_map=rng.uniform(size=40))
    frame = frame.assign(
        auroc_body=0.5, max_map=1.0, body_share=0.3, position=np.nan, true_positives=10, predicted_pixels=20
    )
    scores = pd.DataFrame({"method": list(methods), "setting": "default", "split": "test"})
    comparison = comparison_tables.compare(methods, scores, lambda *_: (frame, None), 50, 0)
    one, other = comparison.drop(columns="method").dropna(axis="columns").to_dict("records")
    assert one == other
    assert one["image_auroc_low"] < one["image_auroc_high"]
