"""The comparison as a document, Markdown or LaTeX.

Headline with its settings chosen by image labels; what masks would have chosen; a threshold without masks, lesions
found, false alarms and the price; the field's metrics; lesion sizes; paired tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.evaluation import bootstrap, lesion_size, paired, typeset
from stages.evaluation.choice import BY_LABELS, FIXED
from stages.evaluation.summary import FIELD_TITLES, NEEDS_MASKS, TITLES, USE_TITLES
from stages.methods import TRAINED_ON

_NOTES = {
    "ap": "Pixel AP: average precision over all pixels of all test slices (of a fold), healthy ones included, in one "
    "ranking; exact for float16 maps.",
    "best_dice": "Best achievable Dice: over the same pixels, at the one threshold that suits the masks best; it sees "
    "them, so it is no result, but an upper bound for thresholds on that pool of pixels; Dice over scored slices, or "
    "by subject, can lie above it.",
    "dice_3d": "3-D Dice: over all extracted slices of a volume together, healthy ones included, at the average Otsu "
    "threshold; mean over a subject's volumes, then over the subjects with a lesion. What lies outside the extracted "
    "slices does not count.",
    "image_auroc_max": "Image AUROC (maximum): diseased against healthy slices by the maximum of the map; 0.5 where "
    "every map has the same maximum, as of images scaled to [0, 1].",
}

_USE_NOTES = {
    "dice_healthy_quantile": "Dice (healthy quantile): at a quantile of the body's pixels in healthy validation slices "
    "(evaluation.healthy_quantile), which labels alone give; over the scored slices.",
    "lesion_rate": "Lesions found: share of all lesions (8-connected regions of the masks, of whatever size) that hold "
    "the highest pixel of a finding (8-connected, above the slice's own Otsu threshold), at the score above which "
    "false findings average one a slice of the test split.",
    "healthy_marked": "Healthy slices marked: share of the healthy test slices with a pixel above the average Otsu "
    "threshold, the one of the first Dice, which is a mean over scored slices and does not see them.",
    "seconds": "Seconds: of detection, an image, detection.batch images at a time, on the machine that ran it.",
    "memory_mb": "Memory: peak memory (MB) of the process, or of the card where it ran on one, with detection.batch "
    "images at a time.",
}

SIZE_NOTE = (
    "The scored slices in groups of about equal number by lesion pixels, the same for every method; Dice at the "
    "average Otsu threshold of all."
)

TRAINED_NOTES = {
    TRAINED_ON["healthy"]: "Trained on healthy images: no diseased one was seen, which is another task than the "
    "paper's, whose methods learn from image labels.",
    TRAINED_ON["masks"]: "Trained on masks: an upper bound, which sees in training what the others are to find; no "
    "competitor, so never bold.",
    TRAINED_ON["unknown"]: "Not said: maps of someone else, whose entry in params.yaml has no trained_on.",
}

MASKS_NOTE = (
    "By masks: the setting with the highest Dice (average Otsu) on the masks of the validation subjects, which say "
    "more than the image labels that methods are trained on; gap: its Dice on the test split minus that of the choice "
    "by labels."
)


@dataclass(frozen=True)
class Part:
    """A table of the document, what stands above it (nothing above the headline), and the sentences below it."""

    heading: str
    table: typeset.Table
    notes: list[str]


def parts(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame, missing: Sequence[str]) -> list[Part]:
    """The document; what has no value (without masks, or with one method) is left out with its heading.

    Args:
        comparison, sizes, pairs: comparison.csv, lesion_size.csv and paired.csv as tables.
        missing: sentences about repeats that the tables lack.
    """
    said = {BY_LABELS: "validation labels"}  # the sentences below say it in full
    comparison = comparison.assign(setting=comparison["settings"], chosen_on=comparison["chosen_on"].replace(said))
    headline = typeset.metric_table(comparison, TITLES, ["method", "trained_on", "setting", "chosen_on"])
    found = [Part("", headline, [*missing, *headline_notes(comparison)])]
    comparison, sizes, pairs = (marked(table, comparison) for table in (comparison, sizes, pairs))
    bounds = comparison.loc[comparison["trained_on"] == TRAINED_ON["masks"], "method"].tolist()
    if (chosen := comparison["setting_by_masks"] != "").any():
        table = masks_table(comparison[chosen].reset_index(drop=True))
        found.append(Part("Chosen by labels, and by masks", table, [MASKS_NOTE]))
    if shown := typeset.shown(comparison, USE_TITLES):
        table = typeset.metric_table(comparison, USE_TITLES)
        notes = [sentence for metric, sentence in _USE_NOTES.items() if metric in shown]
        found.append(Part("A threshold without masks, lesions found, and the price", table, notes))
    if typeset.shown(comparison, FIELD_TITLES):
        table = typeset.metric_table(comparison, FIELD_TITLES)
        found.append(Part("Beyond the paper", table, field_notes(comparison)))
    if len(sizes):
        found.append(Part("By lesion size", typeset.metric_table(*by_size(sizes)), [SIZE_NOTE]))
    if len(best := paired.best_against_others(pairs, bounds)):
        found.append(Part("The best method against each other one", pair_table(best), pair_notes(pairs)))
    return found


def marked(table: pd.DataFrame, comparison: pd.DataFrame) -> pd.DataFrame:
    """A table whose methods bear in brackets what trained them, where it is healthy images or masks."""
    words = dict(zip(comparison["method"], comparison["trained_on"], strict=True))
    others = (TRAINED_ON["healthy"], TRAINED_ON["masks"])
    said = {name: f"{name} ({word})" for name, word in words.items() if word in others}
    names = [name for name in ("method", "other") if name in table]
    return table.assign(trained_on=table["method"].map(words), **{name: table[name].replace(said) for name in names})


def markdown(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame, missing: Sequence[str] = ()) -> str:
    """comparison.md."""
    blocks = []
    for part in parts(comparison, sizes, pairs, missing):
        heading = [f"## {part.heading}", ""] if part.heading else []
        blocks.append("\n".join([*heading, part.table.markdown(), "", *part.notes]) + "\n")
    return "\n".join(blocks)


def latex(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame, missing: Sequence[str] = ()) -> str:
    r"""comparison.tex: the same as LaTeX tables below each other, each with its notes as comments."""
    blocks = [r"% Needs \usepackage{booktabs}; wider than a column of text: \input it in landscape." + "\n"]
    for part in parts(comparison, sizes, pairs, missing):
        heading = [r"\par\bigskip", rf"\textbf{{{part.heading}}}\par\nopagebreak\smallskip"] if part.heading else []
        blocks.append("\n".join([*heading, *(f"% {note}" for note in part.notes), part.table.latex()]))
    return "\n".join(blocks)


def headline_notes(comparison: pd.DataFrame) -> list[str]:
    """What the numbers are, sentence by sentence: what they are taken over, and what is not there and why."""
    first, metrics = comparison.iloc[0], typeset.shown(comparison)
    sentences = [
        f"Test split: {first['subjects']} subjects, {first['slices']} slices, {first['diseased']} of them diseased.",
        *repeat_notes(first["folds"], first["seeds"]),
    ]
    if first["subjects"] < bootstrap.FEW:
        sentences.append(
            "Of so few subjects such an interval is too narrow: on normal data it covers the truth in 75 % of cases "
            "with 3, in 84 % with 5."
        )
    if (comparison["chosen_on"] != FIXED).any():
        sentences.append(
            "Settings chosen on validation subjects saw their image labels and no mask: of those within one standard "
            "error of the highest image AUROC, the lowest ratio of healthy to diseased mean map; in each fold, mean "
            "over seeds."
        )
    sentences += [note for word, note in TRAINED_NOTES.items() if (comparison["trained_on"] == word).any()]
    if any(metric in metrics for metric in NEEDS_MASKS):
        sentences += [
            f"Dice and AUROC: over the {first['scored']} scored slices (diseased, above the smallest lesion area).",
            "Average Otsu: no mask enters the threshold, but masks choose the test slices that it is averaged over; "
            "a slice's own Otsu threshold sees none.",
        ]
    else:
        sentences.append("The data set has no masks of its lesions, so there are neither Dice nor AUROC over pixels.")
    return [
        *sentences,
        "Image AUROC: diseased against healthy slices by the mean of the map.",
        "Healthy mean map: in the unit of each method's own map, so only the ratio to diseased slices compares methods "
        "(lower is better).",
    ]


def repeat_notes(folds: int, seeds: int) -> list[str]:
    """What the intervals are over, and what so few seeds can say."""
    sentences = ["Mean [95 % interval, bootstrap over subjects]."]
    if seeds > 1:
        sentences = ["Mean ± standard deviation over seeds [95 % interval, bootstrap over subjects and seeds]."]
    if folds > 1:
        sentences.append(
            f"Test subjects of {folds} folds together, each scored by networks that had not seen it; image AUROC, "
            "ratio of mean maps, pixel AP and best achievable Dice within each fold, then averaged, as maps of "
            "different networks have no common unit."
        )
    if seeds == 1:
        sentences.append("One seed: what another training would have given is in no interval and was not tested.")
    else:
        sentences.append(f"Mean over {seeds} seeds, each with networks of its own.")
    if seeds == 2:
        sentences.append("Two seeds hardly tell their spread.")
    return sentences


def masks_table(comparison: pd.DataFrame) -> typeset.Table:
    """What the masks of validation subjects would have chosen, beside the choice by labels: rows with such a choice."""
    names = comparison[["method", "settings", "setting_by_masks"]].set_axis(["method", "by labels", "by masks"], axis=1)
    columns = {
        "Dice by labels": comparison["dice_average_otsu"],
        "Dice by masks": comparison["dice_average_otsu_by_masks"],
        "AUROC by labels": comparison["auroc"],
        "AUROC by masks": comparison["auroc_by_masks"],
    }
    values = pd.DataFrame(columns).map("{:.3f}".format).assign(gap=comparison["gap"].map("{:+.3f}".format))
    return typeset.Table(names, values, values.map(lambda _: ""), bold=values.map(lambda _: False))


def field_notes(comparison: pd.DataFrame) -> list[str]:
    """What the field's metrics are, as far as they are shown."""
    metrics = typeset.shown(comparison, FIELD_TITLES)
    sentences = [sentence for metric, sentence in _NOTES.items() if metric in metrics]
    share = comparison["body_share"].iloc[0]
    if "auroc_body" in metrics and np.isfinite(share):
        says = "so the empty background, which lifts an AUROC over all pixels, does not count"
        if share > 0.95:
            says = "nearly the whole image, so the restriction changes little"
        sentences.append(
            "(body): within the pixels where any channel is above 0, holes filled; here "
            f"{100 * share:.0f} % of a slice, {says}. AUROC per slice, averaged over the scored ones."
        )
    return sentences


def by_size(sizes: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """lesion_size.csv turned: a row a method, a column a metric and group; and the columns' titles."""
    titles: dict[str, str] = {}
    columns: dict[str, pd.Series] = {}
    for metric in lesion_size.METRICS:
        for number, group in sizes.groupby("group"):
            first, name = group.iloc[0], f"{metric}_{number}"
            short = TITLES[metric].split(" (")[0]
            counts = f"{first['slices']} slices, {first['subjects']} subjects"
            titles[name] = f"{short}, {first['from_pixels']} to {first['to_pixels']} px ({counts})"
            by_method = group.set_index("method")
            columns |= {f"{name}{end}": by_method[f"{metric}{end}"] for end in ("", "_low", "_high")}
    table = sizes.drop_duplicates("method").set_index("method")[["setting", "trained_on"]].assign(**columns)
    return table.reset_index(), titles


def pair_table(best: pd.DataFrame) -> typeset.Table:
    """The table of the best method of each metric against each other one.

    Args:
        best: rows of `paired.best_against_others`.
    """
    names = best[["metric", "method", "other"]].replace({"metric": TITLES}).rename(columns={"method": "best"})
    signed, known = best[["difference", "low", "high"]].map("{:+.3f}".format), best[["low", "high"]].notna().all(axis=1)
    probabilities = {"p": best["p"].map(probability), "p (Holm)": best["p_holm"].map(probability)}
    values = pd.DataFrame({"difference": signed["difference"].where(best["difference"].notna()), **probabilities})
    intervals = values.map(lambda _: "")
    intervals["difference"] = ("[" + signed["low"] + ", " + signed["high"] + "]").where(known, "")
    return typeset.Table(names, values, intervals, bold=values.map(lambda _: False))


def probability(p: float) -> str | None:
    """A p-value as printed, three decimals; None where there is none.

    >>> probability(0.0312), probability(0.0004)
    ('0.031', '< 0.001')
    """
    if not np.isfinite(p):
        return None
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def pair_notes(pairs: pd.DataFrame) -> list[str]:
    """What the differences and p-values are, and what so few subjects can show at all."""
    said = (
        "Best minus other, on the same slices; 95 % interval of the difference, same subjects and seeds drawn for both."
    )
    return [said, *test_notes(pairs, "pairs of methods of a metric (paired.csv)")]


def test_notes(rows: pd.DataFrame, adjusted_over: str) -> list[str]:
    """What p-values are, and what so few subjects and seeds can show at all.

    Args:
        rows: of stages.evaluation.paired, all that Holm's adjustment was over.
        adjusted_over: what these are, after their number.
    """
    if not rows["p"].notna().any():
        return ["There is no p: all slices are of one class."]
    firsts, count = rows.groupby("metric", sort=False).first(), rows.groupby("metric").size().max()
    possible = "; ".join(
        f"{TITLES[metric]} {first['subjects']} subjects, at least {first['smallest_p']:.3g}"
        for metric, first in firsts.iterrows()
        if np.isfinite(first["smallest_p"])
    )
    sentences = [
        "p: two-sided permutation test that exchanges the methods subject by subject; how many subjects, and the "
        f"smallest p that they can give: {possible}. p (Holm): adjusted over the {count} {adjusted_over}."
    ]
    seeds = int(firsts["seeds"].max())
    if seeds == 1:
        sentences.append("One seed, so p is over subjects alone.")
    else:
        sentences.append(
            f"p is the larger of that one, of the means over seeds, and of a t-test over the {seeds} seeds: the order "
            "has to hold for other subjects and for other seeds."
        )
    if seeds == 2:
        sentences.append("A t-test over two seeds can hardly reject: it takes a difference of 12.7 standard errors.")
    if firsts["subjects"].min() < bootstrap.FEW:
        sentences.append("Of so few subjects the intervals are too narrow: where they and p disagree, go by p.")
    hopeless = [TITLES[metric] for metric, first in firsts.iterrows() if count * first["smallest_p"] > 0.05]
    if hopeless:
        sentences.append(
            f"With so few subjects no adjusted p of {' or '.join(hopeless)} can be below 0.05, however clear the "
            "difference."
        )
    return sentences
