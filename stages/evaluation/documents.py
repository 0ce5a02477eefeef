"""The comparison as a document, Markdown or LaTeX: headline, the field's metrics, lesion sizes, paired tests."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.evaluation import bootstrap, lesion_size, paired, typeset
from stages.evaluation.summary import FIELD_TITLES, NEEDS_MASKS, TITLES

_NOTES = {
    "ap": "Pixel AP: average precision over all pixels of all test slices, healthy ones included, in one ranking; "
    "exact for float16 maps.",
    "best_dice": "Best achievable Dice: over the same pixels, at the one threshold that suits the masks best; it sees "
    "them, so it is no result, but an upper bound for thresholds on that pool of pixels; Dice over scored slices, or "
    "by subject, can lie above it.",
    "dice_3d": "3-D Dice: over all extracted slices of a subject together, healthy ones included, at the average Otsu "
    "threshold; mean over the subjects with a lesion. What lies outside the extracted slices does not count.",
    "image_auroc_max": "Image AUROC (maximum): diseased against healthy slices by the maximum of the map; 0.5 where "
    "every map has the same maximum, as of images scaled to [0, 1].",
}


SIZE_NOTE = (
    "The scored slices in groups of about equal number by lesion pixels, the same for every method; Dice at the "
    "average Otsu threshold of all."
)


@dataclass(frozen=True)
class Part:
    """A table of the document, what stands above it (nothing above the headline), and the sentences below it."""

    heading: str
    table: typeset.Table
    notes: list[str]


def parts(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame) -> list[Part]:
    """The document; what has no value (without masks, or with one method) is left out with its heading.

    Args:
        comparison, sizes, pairs: comparison.csv, lesion_size.csv and paired.csv as tables.
    """
    headline = typeset.metric_table(comparison, TITLES, ["method", "setting", "chosen_on"])
    found = [Part("", headline, headline_notes(comparison))]
    if typeset.shown(comparison, FIELD_TITLES):
        table = typeset.metric_table(comparison, FIELD_TITLES)
        found.append(Part("Beyond the paper", table, field_notes(comparison)))
    if len(sizes):
        found.append(Part("By lesion size", typeset.metric_table(*by_size(sizes)), [SIZE_NOTE]))
    if len(best := paired.best_against_others(pairs)):
        found.append(Part("The best method against each other one", pair_table(best), pair_notes(pairs)))
    return found


def markdown(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """comparison.md."""
    blocks = []
    for part in parts(comparison, sizes, pairs):
        heading = [f"## {part.heading}", ""] if part.heading else []
        blocks.append("\n".join([*heading, part.table.markdown(), "", *part.notes]) + "\n")
    return "\n".join(blocks)


def latex(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame) -> str:
    r"""comparison.tex: the same as `tabular`s below each other, each with its notes as comments."""
    blocks = [r"% Needs \usepackage{booktabs}; wider than a column of text: \input it in landscape." + "\n"]
    for part in parts(comparison, sizes, pairs):
        heading = [r"\par\bigskip", rf"\textbf{{{part.heading}}}\par\nopagebreak\smallskip"] if part.heading else []
        blocks.append("\n".join([*heading, *(f"% {note}" for note in part.notes), part.table.latex()]))
    return "\n".join(blocks)


def headline_notes(comparison: pd.DataFrame) -> list[str]:
    """What the numbers are, sentence by sentence: what they are taken over, and what is not there and why."""
    first, metrics = comparison.iloc[0], typeset.shown(comparison)
    sentences = [
        f"Test split: {first['subjects']} subjects, {first['slices']} slices, {first['diseased']} of them diseased.",
        "Mean [95 % interval, bootstrap over subjects].",
    ]
    if first["subjects"] < bootstrap.FEW:
        sentences.append(
            "Of so few subjects such an interval is too narrow: on normal data it covers the truth in 75 % of cases "
            "with 3, in 84 % with 5."
        )
    if any(metric in metrics for metric in NEEDS_MASKS):
        sentences.append(
            f"Dice and AUROC: over the {first['scored']} scored slices (diseased, above the smallest lesion area)."
        )
    else:
        sentences.append("The data set has no masks of its lesions, so there are neither Dice nor AUROC over pixels.")
    return [
        *sentences,
        "Image AUROC: diseased against healthy slices by the mean of the map.",
        "Healthy mean map: in the unit of each method's own map, so only the ratio to diseased slices compares methods "
        "(lower is better).",
    ]


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
    table = sizes.drop_duplicates("method").set_index("method")[["setting"]].assign(**columns)
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
    sentences = ["Best minus other, on the same slices; 95 % interval of the difference, same subjects drawn for both."]
    if not pairs["p"].notna().any():
        return [*sentences, "There is no p: all slices are of one class."]
    firsts, count = pairs.groupby("metric", sort=False).first(), pairs.groupby("metric").size().max()
    possible = "; ".join(
        f"{TITLES[metric]} {first['subjects']} subjects, at least {first['smallest_p']:.3g}"
        for metric, first in firsts.iterrows()
        if np.isfinite(first["smallest_p"])
    )
    sentences.append(
        "p: two-sided permutation test that exchanges the methods subject by subject; how many subjects, and the "
        f"smallest p that they can give: {possible}. p (Holm): adjusted over the {count} pairs of methods of a metric "
        "(paired.csv)."
    )
    if firsts["subjects"].min() < bootstrap.FEW:
        sentences.append("Of so few subjects the intervals are too narrow: where they and p disagree, go by p.")
    hopeless = [TITLES[metric] for metric, first in firsts.iterrows() if count * first["smallest_p"] > 0.05]
    if hopeless:
        sentences.append(
            f"With so few subjects no adjusted p of {' or '.join(hopeless)} can be below 0.05, however clear the "
            "difference."
        )
    return sentences
