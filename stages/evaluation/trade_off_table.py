"""What fewer network evaluations cost, in scores: one CSV, a row a solver, stride and gradient scale.

Scores the maps of `stages.detection.trade_off_maps` as all others are. Columns: solver, stride, s;
denoiser_evaluations, classifier_evaluations, and evaluations, their sum (per image, encoding and decoding); seconds
(per image, on the machine that ran it); dice_average_otsu, auroc, image_auroc; reconstruction_error, which the maps'
stage has measured at s = 0 alone: elsewhere it would count what guidance changed on purpose.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, digests, provenance
from stages.data.store import SliceStore, open_split, open_written
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.maps import read_slices
from stages.evaluation.scores import score_slices
from stages.evaluation.summary import summarise

RUN = ["solver", "stride", "s"]
ERROR = "reconstruction_error"
MEASURED = ["denoiser_evaluations", "classifier_evaluations", "seconds", ERROR]
SCORES = ["dice_average_otsu", "auroc", "image_auroc"]
COLUMNS = [*RUN, *MEASURED[:2], "evaluations", "seconds", *SCORES, ERROR]


def score_runs(
    maps: np.ndarray, runs: pd.DataFrame, store: SliceStore, rows: list[int], lesion_pixels_at_256: float, source: str
) -> pd.DataFrame:
    """What the maps of every run score, beside what was measured of it.

    Args:
        maps: (K, n, H, W).
        runs: K rows with `RUN` and `MEASURED`.
        store: the split that the slices are from.
        rows: their n rows in it.
        lesion_pixels_at_256: as in `score_slices`.
        source: the file that the maps come from, for messages.

    Returns:
        K rows with `COLUMNS`; nan where a score is not defined.
    """
    manifest = store.manifest.iloc[rows].reset_index(drop=True)
    masks = None if store.masks is None else np.asarray(store.masks[rows])
    found = []
    for run_maps in maps:
        scores = score_slices(run_maps, masks, manifest, lesion_pixels_at_256, source)
        if masks is not None and not scores["scored"].any():
            raise InputError(
                "no slice of the trade-off is scored: none has a lesion above evaluation.lesion_pixels_at_256 (scaled "
                "to data.size); raise trade_off.slices or lower that number"
            )
        metrics = summarise(scores)
        found.append({name: metrics[name] for name in SCORES})
    evaluations = runs["denoiser_evaluations"] + runs["classifier_evaluations"]
    return runs.assign(evaluations=evaluations, **pd.DataFrame(found, index=runs.index))[COLUMNS]


def read_runs(path: Path) -> pd.DataFrame:
    """The rows of runs.csv, `RUN` and `MEASURED`; InputError where the file cannot be read."""
    return records.read_csv(path, RUN[:1], RUN[1:] + MEASURED)[RUN + MEASURED]


def arguments() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice store")
    parser.add_argument("--split-list", type=Path, required=True, help="CSV that says which subject is in which split")
    parser.add_argument("--split", required=True, help="the split that the slices are from")
    parser.add_argument("--trade-off", type=Path, required=True, help="folder that trade_off_maps wrote")
    parser.add_argument("--output", type=Path, required=True, help="the CSV file")
    return parser


def main(options: argparse.Namespace) -> None:
    """Score all runs on the slices that they have in common, and write the table."""
    store = open_split(options.data, options.split_list, options.split)
    path = options.trade_off / "maps.npy"
    for name in ("slices.csv", "runs.csv"):
        digests.check(options.trade_off, name)
    rows = read_slices(options.trade_off / "slices.csv", store, "run the rule trade_off_maps again")
    runs = read_runs(options.trade_off / "runs.csv")
    maps = open_written(options.trade_off, path.name, (len(runs), len(rows), *store.images.shape[-2:]), np.float16)
    lesion_pixels_at_256 = options.parameters["evaluation"]["lesion_pixels_at_256"]
    records.write_csv(options.output, score_runs(maps, runs, store, rows, lesion_pixels_at_256, str(path)))
    provenance.note(options.output)


if __name__ == "__main__":
    command.run(main, arguments())
