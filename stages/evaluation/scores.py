"""Score the anomaly maps of one method and setting: one CSV a split, one row a slice.

Dice at the slice's own Otsu threshold and at the split's average one, AUROC over all pixels, and the mean of the map,
which should be near zero on healthy slices. Where the data set has no masks, no slice is scored: Dice, AUROC and the
average threshold stay empty; the mean of the map and the slice's own threshold remain. Maps are read one slice at a
time, twice: the average threshold is known only after the first pass.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command
from stages.data.store import SliceStore, open_array, open_store
from stages.errors import InputError
from stages.evaluation import metrics, records


def score_slices(
    maps: np.ndarray, masks: np.ndarray | None, manifest: pd.DataFrame, lesion_pixels_at_256: float, source: str
) -> pd.DataFrame:
    """Score every slice of a split.

    Args:
        maps: (N, H, W) floating point, rows in the manifest's order; memory-mapped arrays are read slice by slice.
        masks: (N, H, W), not zero where there is a lesion; None where the data set has none.
        manifest: N rows with slice_id, subject_id, label, lesion_pixels.
        lesion_pixels_at_256: slices with at most so many lesion pixels, scaled with the area, are not scored.
        source: the file that the maps come from, for messages.

    Returns:
        N rows with `records.COLUMNS`; Dice and AUROC are nan on healthy slices, and on all without masks.

    Raises:
        InputError: a map holds nan or inf, or the masks are not those that the manifest counts.
    """
    label, lesion_pixels = manifest["label"].to_numpy(), manifest["lesion_pixels"].to_numpy()
    slice_ids = manifest["slice_id"].tolist()
    scored = metrics.is_scored(label, lesion_pixels, lesion_pixels_at_256, maps.shape[-1]) & (masks is not None)
    result = {
        column: np.full(len(manifest), np.nan)
        for column in ("otsu", "dice_average_otsu", "dice_own_otsu", "auroc", "mean_map")
    }

    for n in command.progress("score", len(manifest), unit="slice", over=range(len(manifest))):
        anomaly_map = _finite(maps[n], slice_ids[n], source)
        result["otsu"][n] = metrics.otsu(anomaly_map)
        result["mean_map"][n] = anomaly_map.mean()
        if masks is None:
            continue
        mask = np.asarray(masks[n]) != 0
        if np.count_nonzero(mask) != lesion_pixels[n]:
            raise InputError(
                f"the mask of slice {slice_ids[n]!r} has {np.count_nonzero(mask)} lesion pixels where its manifest "
                f"counts {lesion_pixels[n]}: extract the data again"
            )
        if label[n] == 1:
            result["dice_own_otsu"][n] = metrics.dice(anomaly_map > result["otsu"][n], mask)
            result["auroc"][n] = metrics.auroc(anomaly_map, mask)

    average = metrics.average_otsu(result["otsu"], scored)
    if np.isfinite(average):
        for n in np.flatnonzero(label == 1):
            anomaly_map = np.asarray(maps[n], np.float64)
            result["dice_average_otsu"][n] = metrics.dice(anomaly_map > average, np.asarray(masks[n]) != 0)

    frame = manifest[["slice_id", "subject_id", "label", "lesion_pixels"]].reset_index(drop=True)
    frame = frame.assign(**result, average_otsu=average, scored=scored.astype(int))
    return frame[records.COLUMNS]


def open_maps(path: Path, store: SliceStore) -> np.ndarray:
    """The maps (N, H, W) of a store's slices, memory-mapped; InputError names the file where it is not that."""
    maps = open_array(path, shape=(len(store), *store.images.shape[-2:]))
    if not np.issubdtype(maps.dtype, np.floating):
        raise InputError(f"{path} holds {maps.dtype} values: write them as float16")
    return maps


def _finite(anomaly_map: np.ndarray, slice_id: str, source: str) -> np.ndarray:
    anomaly_map = np.asarray(anomaly_map, np.float64)
    if not np.isfinite(anomaly_map).all():
        raise InputError(f"{source} holds nan or inf at slice {slice_id!r}: delete it and run the detection again")
    return anomaly_map


def arguments() -> argparse.ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice stores, one a split")
    parser.add_argument("--maps", type=Path, required=True, help="folder of one setting: <split>/maps.npy")
    parser.add_argument("--splits", nargs="+", required=True, help="splits to score")
    parser.add_argument("--output", type=Path, required=True, help="folder of the scores: <split>.csv")
    return parser


def main(options: argparse.Namespace) -> None:
    """Score every split; nothing is written unless all of them are sound."""
    size = options.parameters["data"]["size"]
    lesion_pixels_at_256 = options.parameters["evaluation"]["lesion_pixels_at_256"]
    frames = {}
    for split in options.splits:
        store = open_store(options.data / split)
        if store.images.shape[-1] != size:
            raise InputError(
                f"{store.folder} holds slices of {store.images.shape[-1]} pixels where data.size says {size}: "
                "extract the data again"
            )
        path = options.maps / split / "maps.npy"
        frames[split] = score_slices(
            open_maps(path, store), store.masks, store.manifest, lesion_pixels_at_256, str(path)
        )
    for split, frame in frames.items():
        records.write_csv(options.output / f"{split}.csv", frame)


if __name__ == "__main__":
    command.run(main, arguments())
