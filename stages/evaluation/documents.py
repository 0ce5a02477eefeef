"""The comparison on one page, as Markdown and as LaTeX: headline, the field's metrics, lesion sizes, paired tests."""

import numpy as np
import pandas as pd

from stages.evaluation import bootstrap, lesion_size, paired, typeset
from stages.evaluation.summary import FIELD_TITLES, TITLES

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
    titles, columns = {}, {}
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


def pair_rows(pairs: pd.DataFrame) -> list[list[str]]:
    """The best method of each metric against each other one, as printed."""
    rows = []
    for row in paired.best_against_others(pairs).to_dict("records"):
        difference = f"{row['difference']:+.3f}" if np.isfinite(row["difference"]) else "-"
        if np.isfinite([row["low"], row["high"]]).all():
            difference += f" [{row['low']:+.3f}, {row['high']:+.3f}]"
        probabilities = probability(row["p"]), probability(row["p_holm"])
        rows.append([TITLES[row["metric"]], row["method"], row["other"], difference, *probabilities])
    return rows


def probability(p: float) -> str:
    """A p-value as printed: three decimals, or `-` where there is none."""
    if not np.isfinite(p):
        return "-"
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


SIZE_NOTE = (
    "The scored slices in groups of about equal number by lesion pixels, the same for every method; Dice at the "
    "average Otsu threshold of all."
)
_PAIR_HEADS = ["metric", "best", "other", "difference", "p", "p (Holm)"]


def markdown(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame) -> str:
    """comparison.md: what has no value (without masks, or with one method) is left out with its heading."""
    blocks = [typeset.markdown(comparison)]
    names = ["method", "setting"]
    if typeset.shown(comparison, FIELD_TITLES):
        table = typeset.markdown_table(comparison, FIELD_TITLES, names)
        blocks.append("\n".join(["## Beyond the paper", "", *table, "", *field_notes(comparison)]) + "\n")
    if len(sizes):
        table = typeset.markdown_table(*by_size(sizes), names)
        blocks.append("\n".join(["## By lesion size", "", *table, "", SIZE_NOTE]) + "\n")
    if len(rows := pair_rows(pairs)):
        table = ["| " + " | ".join(cells) + " |" for cells in (_PAIR_HEADS, ["---"] * 3 + ["---:"] * 3, *rows)]
        blocks.append(
            "\n".join(["## The best method against each other one", "", *table, "", *pair_notes(pairs)]) + "\n"
        )
    return "\n".join(blocks)


def latex(comparison: pd.DataFrame, sizes: pd.DataFrame, pairs: pd.DataFrame) -> str:
    r"""comparison.tex: the same as `tabular`s below each other, each with its notes as comments; needs booktabs."""
    blocks = [typeset.latex(comparison)]
    if typeset.shown(comparison, FIELD_TITLES):
        blocks.append(
            _latex_block("Beyond the paper", field_notes(comparison), typeset.latex_table(comparison, FIELD_TITLES))
        )
    if len(sizes):
        blocks.append(_latex_block("By lesion size", [SIZE_NOTE], typeset.latex_table(*by_size(sizes))))
    if len(rows := pair_rows(pairs)):
        lines = [r"\begin{tabular}{lllccc}", r"\toprule"]
        lines.append(" & ".join(head if head.startswith("p") else head.capitalize() for head in _PAIR_HEADS) + r" \\")
        lines.append(r"\midrule")
        # Numbers as mathematics, so that their signs are minus signs.
        for row in rows:
            numbers = [cell if cell == "-" else f"${cell}$" for cell in row[3:]]
            lines.append(" & ".join([*(typeset.escape(cell) for cell in row[:3]), *numbers]) + r" \\")
        lines += [r"\bottomrule", r"\end{tabular}"]
        blocks.append(_latex_block("The best method against each other one", pair_notes(pairs), lines))
    return "\n".join(blocks)


def _latex_block(title: str, notes: list[str], lines: list[str]) -> str:
    comments = [f"% {note}" for note in notes]
    return "\n".join([r"\par\bigskip", rf"\textbf{{{title}}}\par\smallskip", *comments, *lines]) + "\n"
