"""Score the anomaly maps of one method and setting of one repeat: a CSV a split, a row a slice; pixel counts; a record.

Dice at the slice's own Otsu threshold, at the split's average one and at a quantile of the body's pixels in healthy
validation maps (stages.evaluation.metrics.healthy_threshold), AUROC over all pixels and over those of the body, lesions
found at one false finding a slice (stages.evaluation.findings), the mean and the maximum of the map, which should be
near zero on healthy slices, and what an image cost. <split>_pixels.npz counts lesion and other pixels by the map's
value, for what is pooled over slices (stages.evaluation.pooled). The record holds all splits in one CSV, and
identity.txt says, last of all, which parameters made all this (stages.evaluation.records). Where the data set has no
masks, no slice is scored: Dice, AUROC, lesions and the average threshold stay empty and no pixels are counted. Where
healthy slices have no map (stages.detection.selected), their numbers stay empty, what is found at one false finding a
slice too, and no pixels are counted. Maps are read one slice at a time: the split's thresholds are known only after the
first pass.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, provenance
from stages.data.rows import Held, Rows, held
from stages.data.store import DISEASED, HEALTHY, open_split
from stages.errors import InputError
from stages.evaluation import findings, metrics, pooled, records
from stages.evaluation.maps import open_maps


def score_slices(
    maps: np.ndarray | Held,
    masks: np.ndarray | Rows | None,
    manifest: pd.DataFrame,
    lesion_pixels_at_256: float,
    source: str,
    bodies: np.ndarray | None = None,
    healthy_quantile: float = float("nan"),
    cost: records.Cost = records.UNMEASURED,
) -> pd.DataFrame:
    """Score every slice of a split.

    Args:
        maps: (N, H, W) floating point, rows in the manifest's order, healthy ones not all there; memory-mapped arrays
            are read slice by slice.
        masks: (N, H, W), not zero where there is a lesion; None where the data set has none.
        manifest: N rows with slice_id, subject_id, position, source, label, lesion_pixels: a store's, or some of its
            rows.
        lesion_pixels_at_256: slices with at most so many lesion pixels, scaled with the area, are not scored.
        source: the file that the maps come from, for messages.
        bodies: (N, H, W) from `metrics.bodies`; without them auroc_body and body_share are nan, and nothing else
            changes.
        healthy_quantile: the threshold from healthy validation maps; without it its Dice is nan.
        cost: of an image.

    Returns:
        N rows with `records.COLUMNS`; Dice and AUROC are nan on healthy slices, and on all without masks; without a map
        nearly all is nan, and where one is missing, what takes all slices too. The position is nan where a slice's
        source holds no other position, so that it is no part of a volume.

    Raises:
        InputError: a map holds nan or inf, or that of a diseased slice is missing.
    """
    label, lesion_pixels = manifest["label"].to_numpy(), manifest["lesion_pixels"].to_numpy()
    slice_ids = manifest["slice_id"].tolist()
    scored = metrics.is_scored(label, lesion_pixels, lesion_pixels_at_256, maps.shape[-1]) & (masks is not None)
    result = {column: np.full(len(manifest), np.nan) for column in records.NUMBERS}
    found, rows = {}, held(maps)
    if (without := np.setdiff1d(np.flatnonzero(label == DISEASED), rows)).size:
        raise InputError(f"{source} has no map of {slice_ids[without[0]]!r}, though diseased: give it one")
    if bodies is not None:
        result["body_share"][:] = bodies.mean(axis=(1, 2))

    for n in command.progress("score", len(rows), unit="slice", over=rows):
        anomaly_map = _finite(maps[n], slice_ids[n], source)
        result["otsu"][n] = metrics.otsu(anomaly_map)
        result["mean_map"][n], result["max_map"][n] = anomaly_map.mean(), anomaly_map.max()
        if masks is None:
            continue
        mask = np.asarray(masks[n]) != 0
        found[n] = findings.find(anomaly_map, result["otsu"][n], mask)
        if label[n] == 1:
            result["dice_own_otsu"][n] = metrics.dice(anomaly_map > result["otsu"][n], mask)
            result["auroc"][n] = metrics.auroc(anomaly_map, mask)
            if np.isfinite(healthy_quantile):
                result["dice_healthy_quantile"][n] = metrics.dice(anomaly_map > healthy_quantile, mask)
            if bodies is not None:
                result["auroc_body"][n] = metrics.auroc(anomaly_map[bodies[n]], mask[bodies[n]])

    average = metrics.average_otsu(result["otsu"], scored)
    if masks is not None and np.isfinite(average):
        for n in rows:
            prediction, mask = np.asarray(maps[n], np.float64) > average, np.asarray(masks[n]) != 0
            result["predicted_pixels"][n] = np.count_nonzero(prediction)
            result["true_positives"][n] = np.count_nonzero(prediction & mask)
            if label[n] == 1:
                result["dice_average_otsu"][n] = metrics.dice(prediction, mask)
    whole = len(found) == len(manifest)
    one_finding = findings.one_finding(list(found.values()), result["otsu"].min()) if whole else np.nan
    for n, ones in found.items():
        result["lesions"][n] = ones.lesions
        if whole:
            result["lesions_found"][n], result["false_findings"][n] = ones.count(one_finding)
    positions = manifest.groupby("source")["position"].transform("nunique")
    result["position"] = manifest["position"].where(positions > 1).to_numpy(np.float64)

    of_manifest = manifest[["slice_id", "subject_id", "label", "lesion_pixels"]].reset_index(drop=True)
    of_split = {"average_otsu": average, "healthy_quantile": healthy_quantile, "one_finding": one_finding}
    frame = pd.DataFrame(result).assign(**of_manifest, **of_split, volume=manifest["source"].to_numpy())
    frame = frame.assign(scored=scored.astype(int), seconds=cost.seconds, memory_mb=cost.memory_mb)
    return frame[records.COLUMNS]


def _finite(anomaly_map: np.ndarray, slice_id: str, source: str) -> np.ndarray:
    anomaly_map = np.asarray(anomaly_map, np.float64)
    if not np.isfinite(anomaly_map).all():
        raise InputError(f"{source} holds nan or inf at slice {slice_id!r}: delete it and run the detection again")
    return anomaly_map


def healthy_threshold(folder: Path, data: Path, split_list: Path, quantile: float) -> float:
    """`metrics.healthy_threshold` of one setting's validation maps; nan where healthy ones are missing.

    Raises:
        InputError: they are not sound.
    """
    store, path = open_split(data, split_list, "validation"), folder / "validation"
    maps, healthy = open_maps(path, store), np.flatnonzero(store.manifest["label"] == HEALTHY)
    if np.setdiff1d(healthy, held(maps)).size:
        return float("nan")
    for n in healthy:
        _finite(maps[n], store.manifest["slice_id"].iloc[n], str(path / "maps.npy"))
    return metrics.healthy_threshold(maps, metrics.bodies(store.images), store.manifest["label"], quantile)


def arguments() -> argparse.ArgumentParser:
    parser = command.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the slice store")
    parser.add_argument("--split-list", type=Path, required=True, help="CSV that says which subject is in which split")
    parser.add_argument(
        "--maps",
        type=Path,
        required=True,
        help="folder of one setting: <split>/maps.npy, slices.csv where it has not all slices, cost.json if measured",
    )
    parser.add_argument("--splits", nargs="+", required=True, help="splits to score; validation gives a threshold")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder of <split>.csv, <split>_pixels.npz and identity.txt"
    )
    parser.add_argument("--record", type=Path, required=True, help="CSV of all splits' slice scores, for git")
    parser.add_argument("--identity", required=True, metavar="HEX", help="hash of the parameters that made the maps")
    return parser


def main(options: argparse.Namespace) -> None:
    """Score every split; nothing is written unless all of them are sound."""
    evaluation, threshold = options.parameters["evaluation"], float("nan")
    where = options.data, options.split_list
    if "validation" in options.splits:
        threshold = healthy_threshold(options.maps, *where, evaluation["healthy_quantile"])
    cost = records.read_cost(options.maps / "cost.json")
    frames, counts = {}, {}
    for split in options.splits:
        store, path = open_split(*where, split), options.maps / split
        maps, bodies = open_maps(path, store), metrics.bodies(store.images)
        pixels, source = evaluation["lesion_pixels_at_256"], str(path / "maps.npy")
        frames[split] = score_slices(maps, store.masks, store.manifest, pixels, source, bodies, threshold, cost)
        if store.masks is not None and isinstance(maps, np.ndarray):
            counts[split] = pooled.count_pixels(maps, store.masks, bodies, store.manifest["subject_id"])
    for split, frame in frames.items():
        counted = options.output / pooled.file_name(split)
        if split in counts:
            pooled.write(counted, counts[split])
        else:
            counted.unlink(missing_ok=True)  # of the same data with masks, or with all maps
        records.write_csv(options.output / f"{split}.csv", frame)
    records.write_record(options.record, records.Record(options.identity, frames))
    records.write_identity(options.output, options.identity)
    provenance.note(options.output)


if __name__ == "__main__":
    command.run(main, arguments())
