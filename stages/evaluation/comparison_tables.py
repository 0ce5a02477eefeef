"""Gather the scores of every method, setting and split; compare the methods at the setting that is reported.

Writes scores.csv (a row a method, setting and split), comparison.csv (a row a method: test split, with 95 % intervals
from a bootstrap over subjects), lesion_size.csv (a row a method and group of lesion sizes), paired.csv (a row a metric
and pair of methods), comparison.md and .tex (these three as a document), sensitivity.csv and .md (Dice and AUROC over s
and L), and metrics.json for `dvc metrics`. What is read is listed from the grid: files left by settings that are no
longer in it are not looked at. A data set without masks has no Dice and no AUROC over pixels: those columns are empty,
a setting is chosen by the image-level AUROC, and the tables say so.
"""

import argparse
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command
from stages.data.store import SliceStore, open_store
from stages.errors import InputError
from stages.evaluation import documents, paired, pooled, records, sensitivity
from stages.evaluation.choice import choose_setting
from stages.evaluation.lesion_size import by_lesion_size
from stages.evaluation.summary import EVERY_METRIC, intervals, summarise
from stages.methods import settings

Scored = tuple[pd.DataFrame, pooled.PixelCounts | None]
"""The slice scores of a split and the counts of its pixels, None where the data set has no masks."""


def compare(
    methods: dict, scores: pd.DataFrame, chosen: Callable[[str, str], Scored], resamples: int, seed: int
) -> pd.DataFrame:
    """One row a method: its reported setting on the test split.

    Args:
        methods: name -> grid and setting, as in params.yaml.
        scores: the table of all settings and splits.
        chosen: function of a method and the name of its setting to what it scored on the test split.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.
    """
    rows = []
    for method, parameters in methods.items():
        setting, chosen_on = choose_setting(method, parameters, scores)
        slices, pixels = chosen(method, setting)
        summary, ends = summarise(slices, pixels), intervals(slices, resamples, seed, pixels)
        row = {"method": method, "setting": setting, "chosen_on": chosen_on}
        for metric in EVERY_METRIC:
            row[metric] = summary[metric]
            row |= {f"{metric}_{end}": ends[f"{metric}_{end}"] for end in ("low", "high")}
        row["subjects"] = ends["subjects"]
        counts = ("slices", "diseased", "scored", "average_otsu", "body_share")
        rows.append(row | {name: summary[name] for name in counts})
    return pd.DataFrame(rows)


def flat_metrics(comparison: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Method -> metric -> value, six decimals, for `dvc metrics`; a metric that no slice counts for is left out."""
    return {
        row["method"]: {metric: round(row[metric], 6) for metric in EVERY_METRIC if np.isfinite(row[metric])}
        for row in comparison.to_dict("records")
    }


def read_scores(folder: Path, methods: dict, stores: dict[str, SliceStore]) -> pd.DataFrame:
    """The table of all methods, settings and splits, from the slice scores that the grids name.

    Args:
        folder: of the scores: <method>/<setting>/<split>.csv.
        methods: name -> grid, as in params.yaml.
        stores: split -> its slices.

    Raises:
        InputError: a file is missing or damaged, no slice is scored though there are masks, or a key of a grid is
            named like a column of the table.
    """
    runs = [(method, setting, split) for method in methods for setting in settings(methods[method]) for split in stores]
    keys = list(dict.fromkeys(key for _, setting, _ in runs for key in setting))
    rows = []
    for method, setting, split in runs:
        slices, pixels = read_scored(folder / method / setting.name, split, stores[split])
        if pixels is not None and not slices["scored"].any():
            raise InputError(
                f"no slice of the {split} split is scored: none has a lesion above evaluation.lesion_pixels_at_256 "
                "(scaled to data.size), so give it more subjects or lower that number"
            )
        own, summary = {"method": method, "setting": setting.name}, summarise(slices, pixels)
        for key in setting:
            if key in own | summary or key == "split":
                raise InputError(
                    f"methods.{method}.grid has a key {key!r}, which is a column of scores.csv: name it otherwise"
                )
        rows.append(own | {key: setting.get(key, np.nan) for key in keys} | {"split": split} | summary)
    return pd.DataFrame(rows)


def read_scored(folder: Path, split: str, store: SliceStore) -> Scored:
    """What one method and setting scored on a split; InputError where a file is missing, damaged or of other slices."""
    slices = records.read_scores_of(folder / f"{split}.csv", store)
    return slices, None if store.masks is None else pooled.read(folder / pooled.file_name(split))


def arguments() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="folder of <method>/<setting>/<split>.csv")
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice stores, one a split")
    parser.add_argument("--splits", nargs="+", required=True, help="splits to tabulate, `test` among them")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--metrics", type=Path, required=True, help="file for `dvc metrics`")
    return parser


def main(options: argparse.Namespace) -> None:
    """Write the tables of every setting's scores and of the comparison at the reported ones."""
    methods, evaluation = options.parameters["methods"], options.parameters["evaluation"]
    if "test" not in options.splits:
        raise InputError("--splits must name `test`: methods are compared on it")
    stores = {split: open_store(options.data / split) for split in options.splits}
    scores = read_scores(options.scores, methods, stores)

    @cache
    def chosen(method: str, setting: str) -> Scored:
        return read_scored(options.scores / method / setting, "test", stores["test"])

    resampling = evaluation["bootstrap"], options.parameters["seed"]
    comparison = compare(methods, scores, chosen, *resampling)
    reported = dict(zip(comparison["method"], comparison["setting"], strict=True))
    slices = {name: chosen(name, setting)[0] for name, setting in reported.items()}
    sizes = by_lesion_size(slices, reported, evaluation["size_groups"], *resampling)
    pairs = paired.compare_pairs(slices, *resampling)
    grid = sensitivity.over_grid(methods, scores, reported)
    tables = {"scores": scores, "comparison": comparison, "lesion_size": sizes, "paired": pairs, "sensitivity": grid}
    for name, table in tables.items():
        records.write_csv(options.output / f"{name}.csv", table)
    records.write_text(options.output / "comparison.md", documents.markdown(comparison, sizes, pairs))
    records.write_text(options.output / "comparison.tex", documents.latex(comparison, sizes, pairs))
    records.write_text(options.output / "sensitivity.md", sensitivity.markdown(methods, grid))
    records.write_text(options.metrics, json.dumps(flat_metrics(comparison), indent=2) + "\n")


if __name__ == "__main__":
    command.run(main, arguments())
