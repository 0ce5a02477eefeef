"""Anomaly maps as files for other programs: NIfTI in each volume's own space, or PNG where there is no volume.

For every method that comparison.csv lists, at the setting that it reports, and every slice of the test split that has
a map (there all have one, but for maps of someone else):

  <method>/<case>_map.nii.gz              the maps in the voxels of the raw volume: its shape, qform, sform and units
  <method>/<case>_segmentation.nii.gz     1 where the map is above the method's average Otsu threshold

(a subject with two time points has two cases);

or, for radiographs and other data without volumes, in the raw image's pixels (the slice's, where it is not known):

  <method>/<slice>_map.png                in colours, from 0 to the end of the method's scale
  <method>/<slice>_values.png             16 bits of grey: the map's value is grey * largest / 65535
  <method>/<slice>_segmentation.png       255 where the map is above the threshold

and README.txt, and export.json (settings, thresholds, scales, slices). Maps of one unit have one scale. Slices that
were not processed are 0. There is no segmentation where the data set has no masks, since its threshold is taken on the
scored slices. A raw file must still be the one that was extracted. Of a benchmark with several repeats (folds, seeds),
the first is written.
"""

import argparse
import json
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, provenance, repeats
from stages.data.chexpert import RAW_DATA
from stages.data.chexpert_table import find_tree
from stages.data.rows import Held, held
from stages.data.store import SliceStore
from stages.evaluation import records
from stages.export import native_space
from stages.export.files import case_names, file_names, write_map_png, write_png
from stages.figures import results
from stages.figures.results import DECIDING, SPLIT, Method, Scale

VOLUMES, IMAGES = "nifti", "png"


@dataclass(frozen=True)
class Exported:
    """A method at its reported setting.

    Attributes:
        name: in params.yaml.
        setting: name of the reported setting.
        maps: (N, H, W), memory-mapped, finite, those that there are.
        threshold: average Otsu threshold of the test split; nan where there are no masks.
        end: upper end of the scale on which its maps are shown.
        largest: value of its maps, at least; above 0.
    """

    name: str
    setting: str
    maps: np.ndarray | Held
    threshold: float
    end: float
    largest: float

    def slices(self, rows: np.ndarray) -> np.ndarray:
        """The maps of some rows, float32; 0 where there is none."""
        result = np.zeros((len(rows), *self.maps.shape[1:]), np.float32)
        there = np.isin(rows, held(self.maps))
        result[there] = self.maps[rows[there]]
        return result

    def segmentation(self, slices: np.ndarray) -> np.ndarray | None:
        """1 where maps are above the threshold, uint8; None without a threshold."""
        return (slices.astype(np.float64) > self.threshold).astype(np.uint8) if np.isfinite(self.threshold) else None


def exported(methods: list[Method], scale: Scale) -> list[Exported]:
    """What is written of each method.

    Args:
        methods: at their reported settings.
        scale: the one that the figures have.
    """
    found = []
    for method in methods:
        threshold, end = method.slices["average_otsu"].iloc[0], scale.end(method.name)
        largest = float(np.float32(max(method.maps[row].max() for row in held(method.maps))))
        found.append(Exported(method.name, method.setting, method.maps, threshold, end, largest if largest > 0 else 1))
    return found


def volume_rows(store: SliceStore) -> dict[str, np.ndarray]:
    """Each volume's rows of the store, by the manifest's `source` and in its order."""
    sources = store.manifest["source"]
    return {source: np.flatnonzero(sources == source) for source in sources.unique()}


def other_grids(store: SliceStore, raw: Path, data: dict) -> dict[str, native_space.VolumeGrid] | None:
    """The grids of all volumes of someone else's reader, or None where any has none: then there are only images."""
    grids = {}
    for source, rows in volume_rows(store).items():
        grid = native_space.other_grid(raw, store.manifest.iloc[rows], store.images[rows], data)
        if grid is None:
            return None
        grids[source] = grid
    return grids


def export_volumes(
    store: SliceStore, methods: list[Exported], raw: Path, data: dict, output: Path, grids: dict | None = None
) -> dict:
    """Write NIfTI files; returns what export.json says of each volume.

    Args:
        store: of the test split.
        methods: what to export.
        raw: folder of the raw data set.
        data: the section of params.yaml.
        output: folder to write to.
        grids: of the volumes, where they are known; else those of BraTS' reader.
    """
    volumes = volume_rows(store)
    said = {}
    for (source, rows), name in zip(
        command.progress("Exporting", len(volumes), unit="volume", over=volumes.items()),
        file_names(case_names(list(volumes))),
        strict=True,
    ):
        manifest = store.manifest.iloc[rows]
        grid = grids[source] if grids else native_space.brats_grid(raw, manifest, store.images[rows], data)
        for method in methods:
            title = f"{method.name} {method.setting}"
            slices = method.slices(rows)
            path, what = output / method.name / f"{name}_map.nii.gz", f"anomaly map, {title}"
            native_space.write_nifti(path, grid.volume(slices), grid, method.end, what)
            labels = method.segmentation(slices)
            if labels is not None:
                path, what = output / method.name / f"{name}_segmentation.nii.gz", f"segmentation, {title}"
                native_space.write_nifti(path, grid.volume(labels), grid, 1, what, label=True)
        said[source] = {
            "file": name,
            "subject": manifest["subject_id"].iloc[0],
            "volume": grid.path.relative_to(raw).as_posix(),
            "slices": sorted(manifest["position"].tolist()),
        }
    return said


def export_images(store: SliceStore, methods: list[Exported], raw: Path, data: dict, output: Path) -> dict:
    """Write PNG files; returns what export.json says of each slice. Arguments as `export_volumes`."""
    names = file_names(store.manifest["slice_id"].tolist())
    folder = sources_folder(raw, data["reader"])
    said = {}
    for row in command.progress("Exporting", len(store), unit="slice", over=range(len(store))):
        values = store.manifest.iloc[row]
        height, width = store.images.shape[-2:]
        shape = (height, width)
        if folder is not None:
            shape = native_space.radiograph_shape(folder / values["source"], store.images[row, 0])
        for method in methods:
            if row not in held(method.maps):
                continue
            pixels = method.slices(np.array([row]))[0]
            stem = output / method.name / names[row]
            write_map_png(stem, native_space.to_radiograph(pixels, shape), method.end, method.largest)
            labels = method.segmentation(pixels)
            if labels is not None:
                write_png(stem, "segmentation", 255 * native_space.to_radiograph(labels, shape))
        item = {"file": names[row], "volume": values["source"], "rows": shape[0], "columns": shape[1]}
        said[values["slice_id"]] = item
    return said


def sources_folder(raw: Path, reader: str) -> Path | None:
    """What the sources of radiographs lie below; None where the reader's images have other recipes."""
    if reader == "chexpert":
        return find_tree(raw, RAW_DATA).folder
    return raw if reader == "nih" else None


def description(kind: str, repeat: str, methods: list[Exported], items: dict) -> dict:
    """What export.json holds: `format`, the repeat, the methods (numbers that are not there are null), the slices."""
    return {
        "format": kind,
        "split": SPLIT,
        "repeat": repeat,
        "methods": {
            method.name: {
                "setting": method.setting,
                "scale_end": method.end,
                "largest": method.largest,
                "threshold": method.threshold if np.isfinite(method.threshold) else None,
            }
            for method in methods
        },
        "volumes" if kind == VOLUMES else "slices": items,
    }


def readme(kind: str, repeat: str, methods: list[Exported], unit: str) -> str:
    """README.txt: what the files are, how to open them, and a line a method."""
    table = pd.DataFrame(
        {
            "method": [method.name for method in methods],
            "setting": [method.setting for method in methods],
            "end of scale": [f"{method.end:.6g}" for method in methods],
            "largest": [f"{method.largest:.6g}" for method in methods],
            "threshold": [f"{method.threshold:.6g}" if np.isfinite(method.threshold) else "-" for method in methods],
        }
    )
    paragraphs = [textwrap.fill(text, 100) for text in _texts(kind, repeat, unit)]
    return "\n\n".join([*paragraphs, table.to_string(index=False)]) + "\n"


def _texts(kind: str, repeat: str, unit: str) -> list[str]:
    """The paragraphs of README.txt."""
    files = {
        VOLUMES: "<method>/<case>_map.nii.gz is the anomaly map in the voxels of the case's raw volume (shape, "
        "qform, sform and units are its own): open the raw volume in a viewer (ITK-SNAP, 3D Slicer, FSLeyes, MRIcroGL) "
        "and add the map as an overlay. Slices that were not processed are 0; export.json lists those that were, and "
        "says whose case it is. A pixel of a map that was computed at a lower resolution has its value in every voxel "
        "that it covers.",
        IMAGES: "<method>/<slice>_map.png is the anomaly map in colours, from 0 (black) to the end of its method's "
        "scale (bright); <slice>_values.png has its values in 16 bits of grey: value = grey * largest / 65535 (below "
        "0: 0). Radiographs are in the pixels of the raw image, so that the map can be laid over it; other "
        "slices are in their own.",
    }
    return [
        "Anomaly maps of the test split, each method at the setting that comparison.csv reports."
        + (f" Of {repeat}." if repeat else ""),
        files[kind],
        "<...>_segmentation is 1 (PNG: 255) where the map is above the method's average Otsu threshold over the scored "
        "test slices, the one of the headline Dice. It is there only where the data set has masks.",
        "Larger values are more anomalous. The scale with which a map is shown is that of the figures: it ends at the "
        f"99.5th percentile of the method's maps of up to {DECIDING} diseased test slices. Methods whose maps are the "
        f"{unit} have one unit and so one scale, which ends at the median of theirs. For research, not for diagnosis.",
    ]


def arguments() -> argparse.ArgumentParser:
    parser = results.parser(__doc__, output="folder of the exported files")
    parser.add_argument("--raw", type=Path, required=True, help="folder of the raw data set")
    return parser


def main(options: argparse.Namespace) -> None:
    """Find out whether the slices form volumes, and write the files; export.json comes last."""
    parameters, data = options.parameters, options.parameters["data"]
    store = results.open_split(options.data, options.split_list, data["channels"])
    opened = results.open_reported(options.comparison, parameters["methods"], options.maps, options.scores, store)
    scale = results.common_scale(opened, store, parameters)
    methods = exported(opened, scale)
    kind, grids = (VOLUMES if data["reader"] == "brats" else IMAGES), None
    if data["reader"] not in ("brats", "chexpert", "nih"):
        grids = other_grids(store, options.raw, data)
        kind = VOLUMES if grids else IMAGES
    if kind == VOLUMES:
        items = export_volumes(store, methods, options.raw, data, options.output, grids)
    else:
        items = export_images(store, methods, options.raw, data, options.output)
    repeat = results.repeat_shown(parameters)
    records.write_text(options.output / "README.txt", readme(kind, repeat, methods, scale.unit))
    said = description(kind, repeats.first(parameters).name, methods, items)
    records.write_text(options.output / "export.json", json.dumps(said, indent=2, allow_nan=False) + "\n")
    provenance.note(options.output)
    what = "volumes as NIfTI" if kind == VOLUMES else "slices as PNG"
    print(f"{len(items)} {what}, of each method: {', '.join(method.name for method in methods)}")


if __name__ == "__main__":
    command.run(main, arguments())
