import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from stages.evaluation import across_repeats, bootstrap, comparison_tables, pooled, records, summary
from stages.evaluation.across_repeats import Run
from stages.evaluation.choice import Choice
from stages.repeats import Repeat

FOLDS, SEEDS, SUBJECTS, SLICES, SIZE = 2, 3, 4, 5, 6


def runs(seed=0, folds=FOLDS, seeds=SEEDS):
    """Every fold has four subjects of its own; a second fold's maps are in a unit of their own."""
    rng, found = np.random.default_rng(seed), {}
    for fold in range(1, folds + 1):
        names = np.repeat([f"f{fold}s{n}" for n in range(SUBJECTS)], SLICES)
        label = (rng.random(len(names)) < 0.6).astype(int)
        masks = (rng.random((len(names), SIZE, SIZE)) < 0.3) & (label == 1)[:, None, None]
        for training in range(seeds):
            maps = ((rng.uniform(size=masks.shape) + 0.4 * masks) * 10**fold).astype(np.float16)
            frame = pd.DataFrame(dict.fromkeys(records.COLUMNS, np.nan), index=range(len(names)))
            frame = frame.assign(slice_id=[str(n) for n in range(len(names))], subject_id=names, volume=names)
            frame = frame.assign(label=label, scored=label, position=range(len(names)), mean_map=maps.mean((1, 2)))
            frame = frame.assign(lesion_pixels=masks.sum((1, 2)), lesions=label, lesions_found=label // 2)
            frame = frame.assign(predicted_pixels=rng.integers(9, 15, len(names)), max_map=maps.max((1, 2)))
            frame["true_positives"] = np.minimum(frame["predicted_pixels"], frame["lesion_pixels"]) // 2
            dice = rng.uniform(size=(3, len(names)))
            frame["dice_average_otsu"], frame["dice_own_otsu"], frame["auroc"] = np.where(label, dice, np.nan)
            counts = pooled.count_pixels(maps, masks, np.ones(masks.shape, bool), names)
            found[Repeat(fold, training)] = Run(frame.astype({"max_map": float}), lambda counts=counts: counts)
    return found


def plain(found, draw, times):
    """Every tested metric of one resample, slice by slice and pixel by pixel: subjects by name, seeds by number."""
    result = []
    for training in [n for n, count in enumerate(times) for _ in range(count)]:
        together, image, ap = [], [], []
        for fold in range(1, FOLDS + 1):
            frame, counts = found[Repeat(fold, training)].slices, found[Repeat(fold, training)].pixels()
            rows = [np.flatnonzero(frame["subject_id"] == name) for name in draw if name.startswith(f"f{fold}")]
            if not rows:
                continue
            drawn = frame.iloc[np.concatenate(rows)]
            together.append(drawn)
            if drawn["label"].nunique() == 2:
                image.append(roc_auc_score(drawn["label"], drawn["mean_map"]))
            lesion, value = [], []
            for name in draw:
                own = counts.subjects[counts.subject] == name
                for kind in (0, 1):
                    pixels = (counts.other, counts.lesion)[kind][own]
                    value.append(np.repeat(counts.value[own].astype(float), pixels))
                    lesion.append(np.full(pixels.sum(), kind))
            if np.concatenate(lesion).any():
                ap.append(average_precision_score(np.concatenate(lesion), np.concatenate(value)))
        result.append([pd.concat(together)["dice_average_otsu"].mean(), np.mean(image), np.mean(ap)])
    return np.mean(result, axis=0)


def test_intervals_draw_subjects_and_seeds_as_the_plain_loop_does():
    found, count = runs(), 60
    described = across_repeats.describe(found, count, seed=4)
    names = np.unique([name for run in found.values() for name in run.slices["subject_id"]])
    draws = bootstrap.resample_subjects(len(names), count, seed=4)
    times = bootstrap.resample_seeds(SEEDS, count, seed=4)
    expected = np.array([plain(found, np.repeat(names, draw), many) for draw, many in zip(draws, times, strict=True)])
    whole = plain(found, names, [1] * SEEDS)
    for column, metric in enumerate(("dice_average_otsu", "image_auroc", "ap")):
        assert described[metric] == pytest.approx(whole[column])
        low, high = np.quantile(expected[:, column], [0.025, 0.975])
        assert (described[f"{metric}_low"], described[f"{metric}_high"]) == pytest.approx((low, high)), metric
        alone = [plain(found, names, np.eye(SEEDS, dtype=int)[n])[column] for n in range(SEEDS)]
        assert described[f"{metric}_seed_sd"] == pytest.approx(np.std(alone, ddof=1))
    assert [described[name] for name in ("subjects", "folds", "seeds", "slices")] == [8, 2, 3, 40]


def test_the_summary_over_repeats_is_what_the_comparison_describes():
    found = runs()
    by_repeat = {repeat: summary.summarise(run.slices, run.pixels()) for repeat, run in found.items()}
    together, described = across_repeats.summarise(found, by_repeat), across_repeats.describe(found, 5, seed=0)
    assert {name: described[name] for name in together} == pytest.approx(together, nan_ok=True)
    assert together["image_auroc"] == pytest.approx(np.mean([one["image_auroc"] for one in by_repeat.values()]))


def test_folds_without_a_value_are_named():
    found = runs()
    for seed in range(SEEDS):  # the second fold has no healthy slice
        run = found[Repeat(2, seed)]
        found[Repeat(2, seed)] = Run(run.slices[run.slices["label"] == 1].reset_index(drop=True))
    own = {"method": "mine", "setting": "x", "split": "test"}
    table = pd.DataFrame(
        own | {"fold": repeat.fold, "seed": repeat.seed} | summary.summarise(run.slices, run.pixels())
        for repeat, run in found.items()
    )
    assert across_repeats.folds_left_out(table) == {metric: [2] for metric in across_repeats.WITHIN_FOLD}
    assert across_repeats.folds_left_out(table[table["fold"] == 2]) == {}, "nor where no fold has one"
    choices = {"mine": Choice({1: "x", 2: "x"}, "params.yaml")}
    (note,) = comparison_tables.without_folds(table, choices)
    assert note.startswith("Folds of mine without a value, which the mean over folds leaves out: image AUROC: fold 2; ")
    assert comparison_tables.without_folds(table[table["fold"] == 1], choices) == []


def test_one_fold_and_one_seed_are_the_plain_summary():
    found = runs(folds=1, seeds=1)
    (repeat,), (run,) = found.keys(), found.values()
    plain_summary = summary.summarise(run.slices, run.pixels())
    together = across_repeats.summarise(found, {repeat: plain_summary})
    np.testing.assert_equal(together, plain_summary)
    described = across_repeats.describe(found, 5, seed=0)
    expected = pytest.approx(plain_summary, rel=1e-12, nan_ok=True)
    assert {name: described[name] for name in plain_summary} == expected
    assert np.isnan(described["auroc_seed_sd"])


def test_a_wider_unit_in_one_fold_does_not_mix_the_ranks():
    found = runs(seeds=1)
    described = across_repeats.describe(found, 5, seed=0)
    frames = [run.slices for run in found.values()]
    mixed = pd.concat(frames)
    assert described["image_auroc"] != pytest.approx(roc_auc_score(mixed["label"], mixed["mean_map"]), abs=0.01)


def test_more_seeds_that_agree_change_no_estimate_and_seeds_that_differ_widen_the_interval():
    one = runs(folds=1, seeds=1)[Repeat(1, 0)]
    alike = {Repeat(1, seed): one for seed in range(3)}
    alone, same = (across_repeats.describe(some, 200, seed=0) for some in ({Repeat(1, 0): one}, alike))
    for end in ("", "_low", "_high"):
        assert same[f"auroc{end}"] == pytest.approx(alone[f"auroc{end}"])
    assert same["auroc_seed_sd"] == pytest.approx(0, abs=1e-12)
    shifted = {
        Repeat(1, seed): Run(one.slices.assign(auroc=one.slices["auroc"] + shift))
        for seed, shift in enumerate((-0.5, 0, 0.5))
    }
    wide = across_repeats.describe(shifted, 200, seed=0)
    assert wide["auroc"] == pytest.approx(alone["auroc"])
    assert wide["auroc_high"] - wide["auroc_low"] > 1.5 * (alone["auroc_high"] - alone["auroc_low"])


def test_a_volume_scored_in_two_folds_is_two_volumes():
    one = runs(folds=1, seeds=1)[Repeat(1, 0)]
    (frame,) = across_repeats.pooled_over_folds({Repeat(1, 0): one, Repeat(2, 0): one})
    assert frame["volume"].nunique() == 2 * SUBJECTS
    expected = summary.summarise(one.slices)["dice_3d"]
    assert across_repeats.estimates(frame, "dice_3d", np.ones((1, SUBJECTS), int)) == pytest.approx(expected)
