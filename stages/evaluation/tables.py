"""Gather the scores of every method, setting and split; compare the methods at the setting that is reported.

Writes scores.csv (a row a method, setting and split), comparison.csv, .md and .tex (a row a method: test split, with
95 % intervals from a bootstrap over subjects) and metrics.json for `dvc metrics`. What is read is listed from the grid:
files left by settings that are no longer in it are not looked at. A data set without masks has no Dice and no AUROC
over pixels: those columns are empty, a setting is chosen by the image-level AUROC, and the tables say so.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command
from stages.data.store import SliceStore, open_store
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.choice import choose_setting
from stages.evaluation.summary import METRICS, intervals, summarise
from stages.evaluation.typeset import latex, markdown
from stages.methods import setting_name, settings


def compare(methods: dict, scores: pd.DataFrame, chosen_slices, resamples: int, seed: int) -> pd.DataFrame:
    """One row a method: its reported setting on the test split.

    Args:
        methods: name -> grid and setting, as in params.yaml.
        scores: the table of all settings and splits.
        chosen_slices: function of (method, setting) to the slice scores of the test split.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.
    """
    rows = []
    for method, parameters in methods.items():
        setting, chosen_on = choose_setting(method, parameters, scores)
        slices = chosen_slices(method, setting)
        summary, ends = summarise(slices), intervals(slices, resamples, seed)
        row = {"method": method, "setting": setting, "chosen_on": chosen_on}
        for metric in METRICS:
            row[metric] = summary[metric]
            row |= {f"{metric}_{end}": ends[f"{metric}_{end}"] for end in ("low", "high")}
        row["subjects"] = ends["subjects"]
        rows.append(row | {name: summary[name] for name in ("slices", "diseased", "scored", "average_otsu")})
    return pd.DataFrame(rows)


def flat_metrics(comparison: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Method -> metric -> value, six decimals, for `dvc metrics`; a metric that no slice counts for is left out."""
    return {
        row["method"]: {metric: round(row[metric], 6) for metric in METRICS if np.isfinite(row[metric])}
        for row in comparison.to_dict("records")
    }


def read_scores(folder: Path, methods: dict, stores: dict[str, SliceStore]) -> pd.DataFrame:
    """The table of all methods, settings and splits, from the slice scores that the grids name.

    Args:
        folder: of the scores: <method>/<setting>/<split>.csv.
        methods: name -> grid, as in params.yaml.
        stores: split -> its slices.

    Raises:
        InputError: a file is missing or damaged, scores other slices than the split has, no slice is scored though
            there are masks, or a key of a grid is named like a column of the table.
    """
    keys = list(dict.fromkeys(key for method in methods.values() for setting in settings(method) for key in setting))
    slice_ids = {split: store.manifest["slice_id"].tolist() for split, store in stores.items()}
    runs = [(method, setting, split) for method in methods for setting in settings(methods[method]) for split in stores]
    rows = []
    for method, setting, split in runs:
        name = setting_name(setting)
        path = folder / method / name / f"{split}.csv"
        slices = records.read_slice_scores(path)
        if slices["slice_id"].tolist() != slice_ids[split]:
            raise InputError(f"{path} scores other slices than the {split} split holds: delete it and score again")
        if stores[split].masks is not None and not slices["scored"].any():
            raise InputError(
                f"no slice of the {split} split is scored: none has a lesion above evaluation.lesion_pixels_at_256 "
                "(scaled to data.size), so give it more subjects or lower that number"
            )
        own = {"method": method, "setting": name, "split": split}
        summary = summarise(slices)
        for key in setting:
            if key in own | summary:
                raise InputError(
                    f"methods.{method}.grid has a key {key!r}, which is a column of scores.csv: name it otherwise"
                )
        values = {key: setting.get(key, np.nan) for key in keys}
        rows.append({"method": method, "setting": name, **values, "split": split, **summary})
    return pd.DataFrame(rows)


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="folder of <method>/<setting>/<split>.csv")
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice stores, one a split")
    parser.add_argument("--splits", nargs="+", required=True, help="splits to tabulate, `test` among them")
    parser.add_argument("--output", type=Path, required=True, help="folder of the tables")
    parser.add_argument("--metrics", type=Path, required=True, help="file for `dvc metrics`")
    return parser


def main(options: argparse.Namespace) -> None:
    """Read, compare, write."""
    methods, evaluation = options.parameters["methods"], options.parameters["evaluation"]
    if "test" not in options.splits:
        raise InputError("--splits must name `test`: methods are compared on it")
    scores = read_scores(options.scores, methods, {split: open_store(options.data / split) for split in options.splits})
    comparison = compare(
        methods,
        scores,
        lambda method, setting: records.read_slice_scores(options.scores / method / setting / "test.csv"),
        evaluation["bootstrap"],
        options.parameters["seed"],
    )
    records.write_csv(options.output / "scores.csv", scores)
    records.write_csv(options.output / "comparison.csv", comparison)
    records.write_text(options.output / "comparison.md", markdown(comparison))
    records.write_text(options.output / "comparison.tex", latex(comparison))
    records.write_text(options.metrics, json.dumps(flat_metrics(comparison), indent=2) + "\n")


if __name__ == "__main__":
    command.run(main, arguments())
