"""Gather the scores of every method, setting and split; compare the methods at the setting that is reported.

Writes scores.csv (a row a method, setting and split), comparison.csv and comparison.md (a row a method: test split,
with 95 % intervals from a bootstrap over subjects) and metrics.json for `dvc metrics`. What is read is listed from the
grid: files left by settings that are no longer in it are not looked at.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command
from stages.data.store import open_store
from stages.errors import InputError
from stages.evaluation import bootstrap, records
from stages.evaluation.choice import choose_setting
from stages.parameters import setting_name, settings

# Each metric is the mean of a column of the slice scores over some of the slices.
METRICS = {
    "dice_average_otsu": ("dice_average_otsu", "scored"),
    "dice_own_otsu": ("dice_own_otsu", "scored"),
    "auroc": ("auroc", "scored"),
    "dice_average_otsu_all": ("dice_average_otsu", "diseased"),
    "dice_own_otsu_all": ("dice_own_otsu", "diseased"),
    "auroc_all": ("auroc", "diseased"),
    "healthy_mean_map": ("mean_map", "healthy"),
}
TITLES = {
    "dice_average_otsu": "Dice (average Otsu)",
    "dice_own_otsu": "Dice (own Otsu)",
    "auroc": "AUROC",
    "healthy_mean_map": "healthy mean map",
}


def values(slices: pd.DataFrame, metric: str) -> np.ndarray:
    """What a metric averages: (N,), one a slice, nan where the slice is not among those that count."""
    column, population = METRICS[metric]
    chosen = {"scored": slices["scored"] == 1, "diseased": slices["label"] == 1, "healthy": slices["label"] == 0}
    return slices[column].where(chosen[population]).to_numpy(np.float64)


def summarise(slices: pd.DataFrame) -> dict[str, float]:
    """The metrics of one method, setting and split, and over how many slices; nan where no slice counts."""
    result = {"slices": len(slices), "scored": int(slices["scored"].sum())}
    for metric in METRICS:
        counted = values(slices, metric)
        counted = counted[np.isfinite(counted)]
        result[metric] = float(counted.mean()) if counted.size else float("nan")
    return result | {"average_otsu": float(slices["average_otsu"].iloc[0])}


def intervals(slices: pd.DataFrame, resamples: int, seed: int) -> dict[str, float]:
    """95 % bootstrap interval over subjects of each metric, as <metric>_low and <metric>_high.

    The average Otsu threshold stays that of the whole split: an interval is about these maps at this threshold. The
    same subjects are drawn for every metric and, on the same slices, for every method.
    """
    names, subjects = np.unique(slices["subject_id"].to_numpy(str), return_inverse=True)
    draws = bootstrap.resample_subjects(len(names), resamples, seed)
    result = {"subjects": len(names)}
    for metric in METRICS:
        result[f"{metric}_low"], result[f"{metric}_high"] = bootstrap.interval(values(slices, metric), subjects, draws)
    return result


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
        counts = {"subjects": ends["subjects"], "slices": summary["slices"], "scored": summary["scored"]}
        rows.append(row | counts | {"average_otsu": summary["average_otsu"]})
    return pd.DataFrame(rows)


def markdown(comparison: pd.DataFrame) -> str:
    """The comparison as a Markdown table for people: `mean [low, high]`, rounded to three decimals."""
    header = ["method", "setting", "chosen on", *TITLES.values()]
    lines = ["| " + " | ".join(header) + " |", "| " + " | ".join(["---"] * 3 + ["---:"] * len(TITLES)) + " |"]
    for row in comparison.to_dict("records"):
        cells = [row["method"], row["setting"], row["chosen_on"]]
        for metric in TITLES:
            numbers = [row[metric], row[f"{metric}_low"], row[f"{metric}_high"]]
            cells.append("{:.3f} [{:.3f}, {:.3f}]".format(*numbers) if np.isfinite(numbers).all() else "-")
        lines.append("| " + " | ".join(cells) + " |")
    first = comparison.iloc[0]
    lines += [
        "",
        f"Test split: {first['subjects']} subjects, {first['slices']} slices, {first['scored']} of them scored "
        "(diseased, above the smallest lesion area). Mean [95 % interval, bootstrap over subjects]. Dice and AUROC: "
        "over scored slices; mean map: over healthy slices.",
    ]
    return "\n".join(lines) + "\n"


def flat_metrics(comparison: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Method -> metric -> value, six decimals, for `dvc metrics`; a metric that no slice counts for is left out."""
    return {
        row["method"]: {metric: round(row[metric], 6) for metric in METRICS if np.isfinite(row[metric])}
        for row in comparison.to_dict("records")
    }


def read_scores(folder: Path, methods: dict, splits: list[str], slice_ids: dict[str, list[str]]) -> pd.DataFrame:
    """The table of all methods, settings and splits, from the slice scores that the grids name.

    Args:
        folder: of the scores: <method>/<setting>/<split>.csv.
        methods: name -> grid, as in params.yaml.
        splits: which to read.
        slice_ids: the slices of each split, in order.

    Raises:
        InputError: a file is missing or damaged, scores other slices than the split has, or no slice is scored.
    """
    keys = list(dict.fromkeys(key for method in methods.values() for setting in settings(method) for key in setting))
    runs = [(method, setting, split) for method in methods for setting in settings(methods[method]) for split in splits]
    rows = []
    for method, setting, split in runs:
        name = setting_name(setting)
        path = folder / method / name / f"{split}.csv"
        slices = records.read_slice_scores(path)
        if slices["slice_id"].tolist() != slice_ids[split]:
            raise InputError(f"{path} scores other slices than the {split} split holds: delete it and score again")
        if not slices["scored"].any():
            raise InputError(
                f"no slice of the {split} split is scored: none has a lesion above evaluation.lesion_pixels_at_256 "
                "(scaled to data.size), so give it more subjects or lower that number"
            )
        values_of_keys = {key: setting.get(key, np.nan) for key in keys}
        rows.append({"method": method, "setting": name, **values_of_keys, "split": split, **summarise(slices)})
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
    slice_ids = {split: open_store(options.data / split).manifest["slice_id"].tolist() for split in options.splits}
    scores = read_scores(options.scores, methods, options.splits, slice_ids)
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
    records.write_text(options.metrics, json.dumps(flat_metrics(comparison), indent=2) + "\n")


if __name__ == "__main__":
    command.run(main, arguments())
