import json
import re
import shutil
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from dvc.compare import show_metrics
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from stages.errors import InputError
from stages.evaluation import records, summary
from stages.evaluation.choice import best_by_labels

FILES = [f"{name}.csv" for name in ("repeats", "scores", "comparison", "lesion_size", "paired", "sensitivity")]
FILES += ["comparison.md", "comparison.tex", "sensitivity.md"]


def test_the_tables_hold_the_grid_and_nothing_else(scored):
    scored.record("guided-ddim", "L10_s99").write_text("of a grid value that was removed\n")
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
    slices = records.read_slice_scores(scored.scores("guided-ddim", "L20_s0") / "test.csv")
    row = frame[(frame["setting"] == "L20_s0") & (frame["split"] == "test")].iloc[0]
    assert row["auroc"] == pytest.approx(slices.loc[slices["scored"] == 1, "auroc"].mean(), rel=1e-6)
    assert row["average_otsu"] == pytest.approx(slices.loc[slices["scored"] == 1, "otsu"].mean(), rel=1e-6)
    assert row["scored"] == (slices["lesion_pixels"] > 1).sum()
    by_repeat = pd.read_csv(scored.root / "tables/repeats.csv")
    assert by_repeat[["repeat", "fold", "seed"]].drop_duplicates().to_numpy().tolist() == [["fold1-seed0", 1, 0]]
    shared = [column for column in frame if column in by_repeat]
    pd.testing.assert_frame_equal(by_repeat[shared], frame[shared])
    assert [column for column in frame if column not in by_repeat] == ["L", "s"]


def test_the_comparison_is_on_test_at_the_setting_that_labels_of_validation_choose(scored):
    scored.tabulate()
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    frame = pd.read_csv(scored.root / "tables/scores.csv").set_index(["method", "setting", "split"])
    of = {split: frame.loc["guided-ddim"].xs(split, level="split") for split in scored.splits}
    assert of["validation"]["dice_average_otsu"].idxmax() == "L20_s0"
    chosen = best_by_labels("guided-ddim", of["validation"])
    assert chosen != best_by_labels("guided-ddim", of["test"]), "the case that the test is about"
    row = comparison.loc["guided-ddim"]
    assert row[["setting", "settings", "chosen_on"]].tolist() == [chosen, chosen, "image labels of validation subjects"]
    assert row["setting_by_masks"] == "L20_s0"
    by_masks = frame.loc[("guided-ddim", "L20_s0", "test")]
    assert row["dice_average_otsu_by_masks"] == pytest.approx(by_masks["dice_average_otsu"])
    assert row["auroc_by_masks"] == pytest.approx(by_masks["auroc"])
    assert row["gap"] == pytest.approx(by_masks["dice_average_otsu"] - row["dice_average_otsu"], abs=1e-7)
    fixed = ["setting_by_masks", "dice_average_otsu_by_masks", "auroc_by_masks", "gap"]
    assert comparison.loc["ready-made", fixed].isna().all()
    assert comparison.loc["ready-made", ["setting", "chosen_on"]].tolist() == ["default", "params.yaml"]
    for metric in summary.EVERY_METRIC:
        assert row[metric] == pytest.approx(frame.at[("guided-ddim", chosen, "test"), metric])
        assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]
    assert row[["subjects", "slices", "diseased", "scored"]].tolist() == [3, 18, 12, 9]
    assert row[["folds", "seeds"]].tolist() == [1, 1]
    assert comparison["trained_on"].to_dict() == {"guided-ddim": "image labels", "ready-made": "not said"}
    assert comparison[[f"{metric}_seed_sd" for metric in summary.EVERY_METRIC]].isna().all(axis=None)
    slices = records.read_slice_scores(scored.scores("guided-ddim", chosen) / "test.csv")
    assert row["image_auroc"] == pytest.approx(roc_auc_score(slices["label"], slices["mean_map"]), abs=1e-7)
    metrics = json.loads((scored.root / "metrics/guided-ddim.json").read_text())
    assert metrics["auroc"] == pytest.approx(row["auroc"], abs=1e-6)
    assert list(metrics) == list(summary.FOR_DVC)
    text = re.sub(" +", " ", (scored.root / "tables/comparison.md").read_text())
    numbers = "{:.3f} [{:.3f}, {:.3f}]".format(*row[["auroc", "auroc_low", "auroc_high"]])
    assert f"| guided-ddim | image labels | {chosen} | validation labels | " in text
    assert numbers.replace(" ", "** ", 1) in text, "the better of two methods is bold"


def test_tabulating_twice_gives_the_same_bytes(scored):
    scored.tabulate()
    (scored.root / "again/metrics").mkdir(parents=True)
    (scored.root / "again/metrics/removed.json").touch()  # of a method that was there once
    scored.tabulate(output=scored.root / "again")
    assert sorted(path.name for path in (scored.root / "tables").iterdir()) == sorted(FILES)
    for name in FILES:
        assert (scored.root / "tables" / name).read_bytes() == (scored.root / "again" / name).read_bytes()
    names = sorted(path.name for path in (scored.root / "metrics").iterdir())
    assert names == sorted(path.name for path in (scored.root / "again/metrics").iterdir())
    assert names == ["guided-ddim.json", "ready-made.json"]
    for name in names:
        assert (scored.root / "metrics" / name).read_bytes() == (scored.root / "again/metrics" / name).read_bytes()


def test_dvc_shows_a_method_in_a_line_of_a_terminal(capsys):
    values = {"data": dict.fromkeys(summary.FOR_DVC, 0.123456)}
    shown = {"workspace": {"data": {"results/phantom-brain/metrics/guided-ddim-none.json": values}}}
    show_metrics(shown, precision=5, round_digits=True)
    _, line = capsys.readouterr().out.splitlines()
    assert line.split()[1:] == ["0.12346"] * len(summary.FOR_DVC)
    assert len(line.rstrip()) <= 120


def test_a_split_without_scored_slices_is_named(benchmark):
    benchmark.parameters["evaluation"]["lesion_pixels_at_256"] = 10**6
    benchmark.score_all()
    with pytest.raises(InputError, match="no slice of the test split is scored in "):
        benchmark.tabulate()
    assert not (benchmark.root / "tables").exists()


def damage(column, value):
    def change(path):
        lines = path.read_text().splitlines(keepends=True)
        head = "".join(line for line in lines if line.startswith("#"))
        frame = pd.read_csv(StringIO("".join(lines).removeprefix(head)), dtype=str, keep_default_na=False)
        frame.loc[frame.index[-1], column] = value
        path.write_text(head + frame.to_csv(index=False))

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_text(path.read_text()[:-20]), "is truncated"),
        (lambda path: path.write_text("".join(path.read_text().splitlines(True)[:-1])), "other slices"),
        (lambda path: path.write_text(""), "does not begin with '# identity:'"),
        (lambda path: path.write_text("# identity: 0\n"), "cannot be read as CSV"),
        (lambda path: path.write_text("# identity: 0\nsplit,slice_id\n"), "lacks the column"),
        (
            lambda path: path.write_text(path.read_text().replace("\ntest,", "\nvalidation,")),
            "no slice of the test split",
        ),
        (lambda path: path.write_text(path.read_text().replace("\nvalidation,", "\ntest,")), "other slices"),
        (damage("slice_id", "another"), r"other slices.* than .*L10_s0\.csv"),
        (damage("lesion_pixels", "1"), r"by other masks, than .*L10_s0\.csv"),
        (damage("split", "tests"), "has a split 'tests', but only validation and test are scored"),
        (
            lambda path: path.write_text(path.read_text().replace('"seconds"', '"minutes"')),
            "does not say average_otsu,",
        ),
        (
            lambda path: path.write_text(path.read_text().replace("# test: {", "# test: [")),
            "does not say average_otsu,",
        ),
        (damage("auroc", "good"), "no number in column 'auroc'"),
        (damage("label", ""), "has an empty label"),
    ],
)
def test_damaged_records_are_refused_with_their_file(scored, change, complaint):
    change(scored.record("guided-ddim", "L20_s0"))
    with pytest.raises(InputError, match=rf"L20_s0\.csv.*({complaint})|({complaint}).*L20_s0\.csv") as refused:
        scored.tabulate(scores=None)
    helps = r"delete the folder \S+/scores/fold1-seed0/guided-ddim/L20_s0 and this record, whichever is there, and run"
    assert re.search(helps, str(refused.value))
    assert not (scored.root / "tables").exists()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda path: path.unlink(), "no slice of the test split"),
        (lambda path: path.write_text(path.read_text()[:-20]), "is truncated"),
        (lambda path: path.write_text("".join(path.read_text().splitlines(True)[:-1])), "other slices"),
        (damage("auroc", "good"), "no number in column 'auroc'"),
        (damage("label", ""), "has an empty label"),
    ],
)
def test_damaged_scores_are_refused_with_their_folder(scored, change, complaint):
    change(scored.scores("guided-ddim", "L20_s0") / "test.csv")
    with pytest.raises(InputError, match=complaint) as refused:
        scored.tabulate()
    assert re.search(r"delete the folder \S+/scores/fold1-seed0/guided-ddim/L20_s0 and run", str(refused.value))
    assert not (scored.root / "tables").exists()


def test_what_is_pooled_is_scikit_learns_on_all_pixels(scored):
    scored.tabulate()
    frame = pd.read_csv(scored.root / "tables/scores.csv").set_index(["method", "setting", "split"])
    for setting, split in (("L20_s0", "test"), ("L10_s0.5", "validation")):
        maps = scored.maps("guided-ddim", setting, split).astype(float)
        masks = np.asarray(scored.store(split).masks)
        row = frame.loc[("guided-ddim", setting, split)]
        assert row["ap"] == pytest.approx(average_precision_score(masks.ravel(), maps.ravel()), abs=1e-7)
        precision, recall, _ = precision_recall_curve(masks.ravel(), maps.ravel())
        assert row["best_dice"] == pytest.approx((2 * precision * recall / (precision + recall)).max(), abs=1e-7)
        assert row["best_dice"] >= row["dice_3d"], "no other threshold exceeds the bound"
        assert row["ap_body"] == pytest.approx(row["ap"], abs=0.01), "noise images are body nearly everywhere"
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    reported = comparison.at["guided-ddim", "setting"]
    assert comparison.at["guided-ddim", "ap"] == frame.at[("guided-ddim", reported, "test"), "ap"]
    text = (scored.root / "tables/comparison.md").read_text()
    for heading in ("## Beyond the paper", "## By lesion size", "## The best method against each other one"):
        assert heading in text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda path: path.unlink(), "is missing: delete the folder"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "cannot be read as counts of pixels"),
        (lambda path: path.write_bytes(b"no counts"), "cannot be read as counts of pixels"),
        (lambda path: np.savez(path, subjects=["a"]), "cannot be read as counts of pixels"),
    ],
)
def test_damaged_counts_are_refused_with_their_file(scored, change, complaint):
    change(scored.scores("guided-ddim", "L20_s0") / "test_pixels.npz")
    with pytest.raises(InputError, match=rf"L20_s0/test_pixels\.npz .*{complaint}"):
        scored.tabulate()
    assert not (scored.root / "tables").exists()


def test_words_have_a_column_of_the_table(scored):
    scored.parameters["methods"] = {
        "guided-ddim": {"grid": [{"L": [10], "s": [0.5]}], "setting": {"L": 10, "s": 0.5}},
        "intensity": {"grid": [{"view": ["plain", "equalised"]}], "setting": "validation"},
    }
    scored.parameters["trained_on"] = {"guided-ddim": "labels", "intensity": "nothing"}
    for setting, of in (("view-plain", "L10_s0"), ("view-equalised", "L20_s0")):
        shutil.copytree(scored.scores("guided-ddim", of), scored.scores("intensity", setting))
        target = scored.record("intensity", setting)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(scored.record("guided-ddim", of).read_bytes())
    scored.tabulate()
    frame = pd.read_csv(scored.root / "tables/scores.csv", dtype=str, keep_default_na=False)
    assert frame[["setting", "L", "s", "view"]].to_numpy().tolist()[::2] == [
        ["L10_s0.5", "10", "0.5", ""],
        ["view-plain", "", "", "plain"],
        ["view-equalised", "", "", "equalised"],
    ]
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").set_index("method")
    on_validation = frame[(frame["method"] == "intensity") & (frame["split"] == "validation")].set_index("setting")
    assert comparison.at["intensity", "setting"] == on_validation["image_auroc"].astype(float).idxmax()


def test_a_key_named_like_a_column_is_refused(scored):
    scored.parameters["methods"] = {"mine": {"grid": [{"split": [1]}], "setting": {"split": 1}}}
    scored.scores("guided-ddim", "L10_s0").parent.rename(scored.scores("mine", "x").parent)
    scored.scores("mine", "L10_s0").rename(scored.scores("mine", "split1"))
    scored.record("guided-ddim", "x").parent.rename(scored.record("mine", "x").parent)
    scored.record("mine", "L10_s0").rename(scored.record("mine", "split1"))
    with pytest.raises(InputError, match=r"methods\.mine\.grid has a key 'split'"):
        scored.tabulate()


def test_without_masks_the_image_level_chooses_and_the_tables_say_what_is_not_there(unmasked):
    unmasked.score_all()
    unmasked.tabulate()
    frame = pd.read_csv(unmasked.root / "tables/scores.csv").set_index(["method", "setting", "split"])
    assert frame[["dice_average_otsu", "auroc", "auroc_all", "average_otsu"]].isna().all(axis=None)
    on_validation = frame.loc["guided-ddim"].xs("validation", level="split")
    chosen = best_by_labels("guided-ddim", on_validation)
    for setting, value in on_validation["image_auroc"].items():
        slices = records.read_slice_scores(unmasked.scores("guided-ddim", setting) / "validation.csv")
        assert value == pytest.approx(roc_auc_score(slices["label"], slices["mean_map"]), abs=1e-7)
    comparison = pd.read_csv(unmasked.root / "tables/comparison.csv").set_index("method")
    row = comparison.loc["guided-ddim"]
    assert row[["setting", "chosen_on"]].tolist() == [chosen, "image labels of validation subjects"]
    assert comparison["setting_by_masks"].isna().all()
    assert row["image_auroc_low"] <= row["image_auroc"] <= row["image_auroc_high"]
    text = re.sub(" +", " ", (unmasked.root / "tables/comparison.md").read_text())
    assert text.splitlines()[0] == (
        "| method | trained on | setting | chosen on | image AUROC | healthy mean map | mean map, healthy / diseased |"
    )
    assert "no masks of its lesions, so there are neither Dice nor AUROC over pixels" in text
    assert "Dice (" not in (unmasked.root / "tables/comparison.tex").read_text()
    metrics = json.loads((unmasked.root / "metrics/guided-ddim.json").read_text())
    assert set(metrics) == {"image_auroc"}
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


def test_every_method_is_compared_on_the_same_slices_and_resamples(scored):
    scored.parameters["methods"]["twin"] = {"grid": [{}], "setting": {}}
    scored.parameters["trained_on"] = scored.parameters["trained_on"] | {"twin": "unknown"}
    shutil.copytree(scored.record("ready-made", "x").parent, scored.record("twin", "x").parent)
    scored.tabulate(scores=None)
    comparison = pd.read_csv(scored.root / "tables/comparison.csv").drop(columns="method").dropna(axis="columns")
    one, other = comparison.iloc[1:].to_dict("records")
    assert one == other
    assert one["image_auroc_low"] < one["image_auroc_high"]


def test_repeats_are_pooled_over_folds_and_averaged_over_seeds(repeated):
    repeated.score_all()
    repeated.tabulate()
    tables = {name: pd.read_csv(repeated.root / f"tables/{name}.csv") for name in ("repeats", "scores", "comparison")}
    by_repeat = tables["repeats"].set_index(["method", "setting", "split", "repeat"])
    assert by_repeat.index.get_level_values("repeat").unique().tolist() == [one.name for one in repeated.repeats]
    on_validation = by_repeat.loc["guided-ddim"].xs("validation", level="split")
    chosen = {}
    for fold, rows in on_validation.groupby("fold"):
        means = rows.groupby("setting")[["image_auroc", "mean_map_ratio", "dice_average_otsu"]].mean()
        by_labels = means.sort_values(["image_auroc", "mean_map_ratio"], ascending=[False, True]).index[0]
        chosen[fold] = {"image_auroc": by_labels, "dice_average_otsu": means["dice_average_otsu"].idxmax()}
    row = tables["comparison"].set_index("method").loc["guided-ddim"]
    assert row["setting"] == chosen[1]["image_auroc"]
    assert chosen[1]["dice_average_otsu"] != chosen[2]["dice_average_otsu"], "the case that the test is about"
    assert row["setting_by_masks"] == "L20_s0 (1 fold), L10_s0.5 (1 fold)"
    assert row[["subjects", "folds", "seeds", "slices", "diseased"]].tolist() == [5, 2, 2, 30, 20]

    def of(metric, by):
        """By seed: the mean over the scored slices of both folds, or of the folds' image AUROCs."""
        found = []
        for seed in (0, 1):
            repeats = [f"fold{fold}-seed{seed}" for fold in (1, 2)]
            frames = [
                records.read_slice_scores(repeated.scores("guided-ddim", chosen[fold][by], repeat) / "test.csv")
                for fold, repeat in zip((1, 2), repeats, strict=True)
            ]
            if metric == "image_auroc":
                found.append(np.mean([roc_auc_score(one["label"], one["mean_map"]) for one in frames]))
            else:
                together = pd.concat(frames)
                found.append(together.loc[together["scored"] == 1, metric].mean())
        return np.array(found)

    for metric in ("dice_average_otsu", "auroc", "image_auroc"):
        expected = of(metric, "image_auroc")
        assert row[metric] == pytest.approx(expected.mean(), rel=1e-6)
        assert row[f"{metric}_seed_sd"] == pytest.approx(expected.std(ddof=1), rel=1e-4)
        assert row[f"{metric}_low"] <= row[metric] <= row[f"{metric}_high"]
    by_masks = of("dice_average_otsu", "dice_average_otsu").mean()
    assert row["dice_average_otsu_by_masks"] == pytest.approx(by_masks, rel=1e-6)
    assert row["gap"] == pytest.approx(by_masks - row["dice_average_otsu"], abs=1e-6)
    assert row["seconds"] == pytest.approx(1)
    test = by_repeat.sort_index().loc[("ready-made", "default", "test")]
    pooled = tables["scores"].set_index(["method", "setting", "split"]).loc[("ready-made", "default", "test")]
    for metric in ("ap", "best_dice", "mean_map_ratio", "image_auroc_max"):
        assert pooled[metric] == pytest.approx(test[metric].mean()), "within each fold"
    pairs = pd.read_csv(repeated.root / "tables/paired.csv")
    assert (pairs["seeds"] == 2).all()
    assert (pairs["p"] == pairs[["p_subjects", "p_seeds"]].max(axis=1)).all()
    text = (repeated.root / "tables/comparison.md").read_text()
    assert "Mean ± standard deviation over seeds [95 % interval, bootstrap over subjects and seeds]" in text
    assert "A t-test over two seeds can hardly reject" in text
