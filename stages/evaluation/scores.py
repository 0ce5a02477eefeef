"""Score the anomaly maps of one method and setting: one CSV a split, one row a slice, and one .npz of pixel counts.

Dice at the slice's own Otsu threshold and at the split's average one, AUROC over all pixels and over those of the body,
and the mean and the maximum of the map, which should be near zero on healthy slices. <split>_pixels.npz counts lesion
and other pixels by the map's value, for what is pooled over slices (stages.evaluation.pooled). Where the data set has
no masks, no slice is scored: Dice, AUROC and the average threshold stay empty and no pixels are counted; the mean and
the maximum of the map and the slice's own threshold remain. Maps are read one slice at a time: the average threshold
is known only after the first pass.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command
from stages.data.store import SliceStore, open_array, open_store
from stages.errors import InputError
from stages.evaluation import bootstrap, metrics, pooled, records


def score_slices(
    maps: np.ndarray,
    masks: np.ndarray | None,
    manifest: pd.DataFrame,
    lesion_pixels_at_256: float,
    source: str,
    bodies: np.ndarray | None = None,
) -> pd.DataFrame:
    """Score every slice of a split.

    Args:
        maps: (N, H, W) floating point, rows in the manifest's order; memory-mapped arrays are read slice by slice.
        masks: (N, H, W), not zero where there is a lesion; None where the data set has none.
        manifest: N rows with slice_id, subject_id, position, source, label, lesion_pixels: a store's, or some of its
            rows.
        lesion_pixels_at_256: slices with at most so many lesion pixels, scaled with the area, are not scored.
        source: the file that the maps come from, for messages.
        bodies: (N, H, W) from `metrics.bodies`; without them auroc_body and body_share are nan, and nothing else
            changes.

    Returns:
        N rows with `records.COLUMNS`; Dice and AUROC are nan on healthy slices, and on all without masks. The position
        is nan where a slice's source holds no other position, so that it is no part of a volume.

    Raises:
        InputError: a map holds nan or inf.
    """
    label, lesion_pixels = manifest["label"].to_numpy(), manifest["lesion_pixels"].to_numpy()
    slice_ids = manifest["slice_id"].tolist()
    scored = metrics.is_scored(label, lesion_pixels, lesion_pixels_at_256, maps.shape[-1]) & (masks is not None)
    result = {
        column: np.full(len(manifest), np.nan)
        for column in ("otsu", "dice_own_otsu", "auroc", "auroc_body", "mean_map", "max_map", "body_share")
    }

    for n in command.progress("score", len(manifest), unit="slice", over=range(len(manifest))):
        anomaly_map = _finite(maps[n], slice_ids[n], source)
        result["otsu"][n] = metrics.otsu(anomaly_map)
        result["mean_map"][n], result["max_map"][n] = anomaly_map.mean(), anomaly_map.max()
        if bodies is not None:
            result["body_share"][n] = bodies[n].mean()
        if masks is not None and label[n] == 1:
            mask = np.asarray(masks[n]) != 0
            result["dice_own_otsu"][n] = metrics.dice(anomaly_map > result["otsu"][n], mask)
            result["auroc"][n] = metrics.auroc(anomaly_map, mask)
            if bodies is not None:
                result["auroc_body"][n] = metrics.auroc(anomaly_map[bodies[n]], mask[bodies[n]])

    average = metrics.average_otsu(result["otsu"], scored)
    result["true_positives"], result["predicted_pixels"] = np.full((2, len(manifest)), np.nan)
    if masks is not None and np.isfinite(average):
        for n in range(len(manifest)):
            prediction = np.asarray(maps[n], np.float64) > average
            result["predicted_pixels"][n] = np.count_nonzero(prediction)
            result["true_positives"][n] = np.count_nonzero(prediction & (np.asarray(masks[n]) != 0))
    dice = bootstrap.divide(2 * result["true_positives"], result["predicted_pixels"] + lesion_pixels)
    result["dice_average_otsu"] = np.where(label == 1, dice, np.nan)
    positions = manifest.groupby("source")["position"].transform("nunique")
    result["position"] = manifest["position"].where(positions > 1).to_numpy(np.float64)

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
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice stores, one a split")
    parser.add_argument("--maps", type=Path, required=True, help="folder of one setting: <split>/maps.npy")
    parser.add_argument("--splits", nargs="+", required=True, help="splits to score")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of the scores: <split>.csv, <split>_pixels.npz"
    )
    return parser


def main(options: argparse.Namespace) -> None:
    """Score every split; nothing is written unless all of them are sound."""
    lesion_pixels_at_256 = options.parameters["evaluation"]["lesion_pixels_at_256"]
    frames, counts = {}, {}
    for split in options.splits:
        store = open_store(options.data / split)
        path = options.maps / split / "maps.npy"
        maps, bodies = open_maps(path, store), metrics.bodies(store.images)
        frames[split] = score_slices(maps, store.masks, store.manifest, lesion_pixels_at_256, str(path), bodies)
        if store.masks is not None:
            counts[split] = pooled.count_pixels(maps, store.masks, bodies, store.manifest["subject_id"])
    for split, frame in frames.items():
        pixels = options.output / pooled.file_name(split)
        if split in counts:
            pooled.write(pixels, counts[split])
        else:
            pixels.unlink(missing_ok=True)  # of the same data with masks
        records.write_csv(options.output / f"{split}.csv", frame)


if __name__ == "__main__":
    command.run(main, arguments())
