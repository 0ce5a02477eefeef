"""One image in, its anomaly map out: a patient's case folder, a radiograph or an image, translated by trained networks.

  python -m stages.export.translate --benchmark phantom-brain data/phantom-brain/Phantom_001 --png

takes, of a benchmark whose reader is `brats`, case folders (<case>/<case>_t1.nii.gz, ... for every channel; no mask is
needed), folders of them, or one file of a case, which stands for all of it; of one whose reader is `chexpert`, `nih` or
`images`, image files (JPEG, PNG, TIFF, DICOM; `images`: .npy, too) or folders of them. They are read as the benchmark
reads its own, by the networks of its first repeat and at the setting that it reports (tables/comparison.csv, else
params.yaml), so that a slice's map is the benchmark's own. Neither its raw data nor its slice store is needed. Written,
in the input's own voxels or pixels:

  <case>_map.nii.gz                        the anomaly map; slices that were not translated are 0
  <case>_reconstruction_<channel>.nii.gz   the healthy image, [0, 1] as the networks see the input
  <image>_map.png, <image>_values.png      the map in colours, and in 16 bits of grey (grey * largest / 65535)
  <image>_reconstruction.png               the healthy image, 8 bits, grey or in colour; of other channels, each its own
  <case or image>_picture.png              with --png: input, reconstruction and map side by side; and beside it
  <case or image>_picture.provenance.json  what made the picture
  translate.json                           method, setting, checkpoints, scales, slices

All that is named is looked for before the first image is read. One of several that cannot be read is named and left
out, the others are translated, and the exit status is 1. Each file is written whole or not at all; translate.json comes
last, so that where it is, the run came to its end. What does not look like the data of the benchmark is said on the
error stream. For research, not for diagnosis. In Python:

  from stages.export.translate import translate
  for image in translate(["data/phantom-brain/Phantom_001"], "phantom-brain"):
      print(image.name, image.maps.shape, image.in_own_space(image.maps).shape)
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stages import command
from stages.channels import views
from stages.detection.job import Computing
from stages.device import leased
from stages.errors import InputError
from stages.evaluation import records
from stages.export import familiarity, inputs, model, native_space
from stages.export.files import write_map_png, write_png
from stages.export.inputs import Input
from stages.export.model import Choice, Plan, Translated, Translator
from stages.export.native_space import VolumeGrid
from stages.parameters import reading

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURED = 5
"""Slices of a volume in a picture, evenly spaced."""
PIXELS_OF_THREAD = 64 * 64
"""Pixels of a batch for each CPU thread. With fewer, threads wait for one another for longer than they compute."""


@dataclass(frozen=True)
class Translation:
    """An image and what a method made of it.

    Attributes:
        plan: the method, its setting, and whose networks.
        input: its slices, (n, C, H, W) in [0, 1], and where they come from; n = 1 for a radiograph.
        maps: (n, H, W) float16, larger where more anomalous.
        reconstructions: (n, C, H, W) float16, about in [0, 1]; None for a method that reconstructs nothing.
        doubts: sentences on why it may not be what the networks were trained on.
    """

    plan: Plan
    input: Input
    maps: np.ndarray
    reconstructions: np.ndarray | None
    doubts: list[str]

    @property
    def name(self) -> str:
        """Of the case or image."""
        return self.input.name

    @property
    def title(self) -> str:
        """Method and setting."""
        return " ".join(part for part in (self.plan.method, self.plan.setting.title) if part)

    @property
    def channels(self) -> list[str]:
        """Names of the C channels."""
        return self.plan.parameters["data"]["channels"]

    @property
    def end(self) -> float:
        """The upper end of the scale on which the maps are shown: their 99.5th percentile; 1 where they are black."""
        end = float(np.percentile(self.maps.astype(np.float64), 99.5))
        return end if end > 0 else 1.0

    def _repr_png_(self) -> bytes:
        """Its picture, which a notebook shows."""
        from matplotlib import pyplot

        buffer, drawn = BytesIO(), picture(self)
        drawn.savefig(buffer, format="png", bbox_inches="tight")
        pyplot.close(drawn)
        return buffer.getvalue()

    def in_own_space(self, slices: np.ndarray) -> np.ndarray:
        """Slices (n, H, W), such as `maps`, as float32 in the input's voxels (X, Y, Z), or in its pixels."""
        grid, values = self.input.grid, slices.astype(np.float32)
        return grid.volume(values) if isinstance(grid, VolumeGrid) else grid.image(values[0])


def translate(
    paths: Sequence[str | Path],
    benchmark: str,
    slices: Sequence[int] | None = None,
    threads: int | None = None,
    **choice: Any,
) -> Iterator[Translation]:
    """Translate images one after the other.

    Args:
        paths: case folders or image files, as above.
        benchmark: whose networks translate.
        slices: axial slices of a volume; None: all that the benchmark's range holds.
        threads: of the CPU, at most; None: all.
        choice: method, setting, repeat, checkpoints, ..., as `Choice` has them.

    Raises:
        InputError: something that is asked for is not there, or an image cannot be read.
    """
    return _translated(model.plan(Choice(benchmark, **choice)), paths, slices, threads, _refuse)


def _refuse(error: InputError) -> None:
    raise error


def _translated(
    plan: Plan,
    paths: Sequence[str | Path],
    slices: Sequence[int] | None,
    threads: int | None,
    bad: Callable[[InputError], None],
) -> Iterator[Translation]:
    """Translate what can be read; `bad` is told what cannot."""
    if threads is not None and threads < 1:
        raise InputError(f"{threads} threads compute nothing: ask for one or more, or leave it to the machine")
    data = plan.parameters["data"]
    reader = inputs.reader(data)
    items = reader.find([Path(path) for path in paths], data)
    most, computing = threads or os.cpu_count() or 1, Computing.of(plan.parameters)
    with leased(most, computing.precision) as processor:
        translator = Translator(plan, processor)
        for number, (name, item) in enumerate(items.items(), 1):
            try:
                image = reader.read(name, item, data, slices)
            except InputError as error:
                bad(error)
                continue
            torch.set_num_threads(min(most, useful_threads(image.images[: computing.batch])))
            label = f"translate {name}" + (f" ({number} of {len(items)})" if len(items) > 1 else "")
            made = translator.translate(image.images, image.slice_ids, label)
            yield Translation(plan, image, made.maps, made.images, [*image.doubts, *_doubts(plan, image, made)])


def useful_threads(images: np.ndarray) -> int:
    """How many threads a batch (n, C, H, W) keeps at work.

    >>> useful_threads(np.zeros((1, 4, 64, 64))), useful_threads(np.zeros((1, 4, 256, 256)))
    (1, 16)
    """
    return max(1, images[:, 0].size // PIXELS_OF_THREAD)


def _doubts(plan: Plan, image: Input, made: Translated) -> list[str]:
    path, n, doubts = image.grid.path, len(made.maps), []
    if plan.largest_mean is not None and (count := model.unlike(made.maps, plan.largest_mean)):
        doubts.append(
            f"{path}: the map of {count} of {n} slices is on average more than twice the largest of the benchmark's "
            f"own ({plan.largest_mean:.3g}): the networks do not know such images"
        )
    if made.noise_left is not None and (count := int((made.noise_left > familiarity.LEFT).sum())):
        doubts.append(
            f"{path}: the denoiser leaves up to {made.noise_left.max():.0%} of a weak noise in {count} of {n} slices, "
            f"where {familiarity.LEFT:.0%} is the most in images that it knows: it was trained on others, or too little"
        )
    return doubts


# --- files -----------------------------------------------------------------------------------------------------------


def write(translation: Translation, output: Path, png: bool) -> dict:
    """Write an image's files; returns what translate.json says of it."""
    name, grid, end = translation.name, translation.input.grid, translation.end
    channels, title = translation.channels, translation.title
    largest = float(translation.maps.max()) or 1.0
    stem = output / name
    healthy = [] if translation.reconstructions is None else list(np.moveaxis(translation.reconstructions, 1, 0))
    said: dict[str, Any] = {"image": str(grid.path), "end": end, "largest": largest, "doubts": translation.doubts}
    if isinstance(grid, VolumeGrid):
        volume = translation.in_own_space(translation.maps)
        native_space.write_nifti(output / f"{name}_map.nii.gz", volume, grid, end, f"anomaly map, {title}")
        for channel, slices in zip(channels, healthy, strict=False):
            volume = translation.in_own_space(slices)
            path, what = output / f"{name}_reconstruction_{channel}.nii.gz", f"{channel} as healthy, {title}"
            native_space.write_nifti(path, volume, grid, 1, what)
        said["slices"] = grid.positions.tolist()
    else:
        write_map_png(stem, translation.in_own_space(translation.maps), end, largest)
        shown = views(channels)
        for view in shown if healthy else ():
            own = [translation.in_own_space(healthy[channel]) for channel in view.channels]
            pixels = np.round(255 * np.clip(own[0] if len(own) == 1 else np.stack(own, axis=-1), 0, 1))
            kind = "reconstruction" if len(shown) == 1 else f"reconstruction_{view.name}"
            write_png(stem, kind, pixels.astype(np.uint8))
    if png:
        from stages.figures import style  # here, as in `picture`: a second of imports that maps do not need

        style.save(picture(translation), output, f"{name}_picture", ["png"])
    return said


def picture(translation: Translation) -> "Figure":
    """A row a slice (`PICTURED` of a volume): its channels, their reconstructions, its map."""
    from stages.figures import panels, style

    rows = np.unique(np.linspace(0, len(translation.maps) - 1, PICTURED).round().astype(int))
    images, healthy = translation.input.images, translation.reconstructions
    shown = views(translation.channels)
    names = [style.channel_title(view.name) for view in shown]
    columns = [*names, *(f"{name}, healthy" for name in (names if healthy is not None else ())), "anomaly map"]
    whole = panels.figure(0.6 + len(columns), 1.2 + len(rows))
    axes = whole.subplots()
    slices = [style.literal(translation.input.slice_ids[row].rsplit("_", 1)[-1]) for row in rows]
    grid = panels.Grid(axes, slices, columns)
    for line, row in enumerate(rows):
        pictures = [panels.of_view(one[row], view) for one in (images, healthy) if one is not None for view in shown]
        for column, pixels in enumerate(pictures):
            grid.picture(line, column, pixels)
        grid.map(line, len(columns) - 1, translation.maps[row], translation.end)
    panels.bar(axes, translation.end, ["anomaly map"], shrink=0.4, aspect=30)
    whole.suptitle(f"{style.literal(translation.name)}: {translation.title}")
    return whole


# --- the program -----------------------------------------------------------------------------------------------------


def arguments() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m stages.export.translate", description=__doc__, formatter_class=formatter
    )
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="case folder, image file, or folder of them"
    )
    parser.add_argument("--benchmark", required=True, metavar="NAME", help="whose networks translate")
    parser.add_argument("--output", type=Path, default=Path("translated"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--png", action="store_true", help="write a picture as well")
    parser.add_argument("--slices", type=int, nargs="+", metavar="Z", help="axial slices of volumes (default: all)")
    parser.add_argument("--method", metavar="NAME", help="default: that of the benchmark's figures")
    parser.add_argument("--L", type=int, help="noise level (default: the reported one)")
    parser.add_argument("--s", type=float, help="gradient scale of the classifier (default: the reported one)")
    parser.add_argument(
        "--w", type=float, help="guidance weight of classifier-free guidance (default: the reported one)"
    )
    parser.add_argument("--repeat", metavar="NAME", help="whose networks, such as fold1-seed0 (default: the first)")
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="folder of <network>.safetensors instead")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), metavar="FILE", help="default: %(default)s")
    parser.add_argument("--threads", type=int, help="CPU threads, at most (default: all)")
    return parser


def main(options: argparse.Namespace) -> None:
    """Translate image by image; translate.json comes last."""
    _refuse_unwritable(options.output)
    plan = model.plan(
        Choice(
            options.benchmark,
            options.method,
            {key: value for key in model.NAMED if (value := getattr(options, key)) is not None},
            options.repeat,
            options.checkpoints,
            options.results,
            options.params,
        )
    )
    said: dict[str, dict] = {}
    bad: list[InputError] = []
    summary = options.output / "translate.json"
    for translation in _translated(plan, options.images, options.slices, options.threads, bad.append):
        summary.unlink(missing_ok=True)  # of a run before, whose files are about to be replaced
        said[translation.name] = write(translation, options.output, options.png)
        for doubt in translation.doubts:
            print(f"warning: {doubt}", file=sys.stderr, flush=True)
    left_out = f"{len(bad)} of {len(said) + len(bad)} images left out: {'; '.join(dict.fromkeys(map(str, bad)))}"
    if bad and not said:
        raise bad[0] if len(bad) == 1 else InputError(left_out)
    about = {
        "benchmark": options.benchmark,
        "repeat": plan.repeat.name,
        "method": plan.method,
        "setting": dict(plan.setting),
        "checkpoints": {name: str(path) for name, path in plan.checkpoints.items()},
        "images": said,
        "left_out": list(map(str, bad)),
    }
    records.write_text(summary, json.dumps(about, indent=2, allow_nan=False) + "\n")
    title = plan.setting.title or "its one setting"
    print(f"{len(said)} translated by {plan.method} at {title}: {options.output}", flush=True)
    if bad:
        raise InputError(left_out)


def _refuse_unwritable(output: Path) -> None:
    """Before the first image is translated, which may take minutes; nothing is made yet."""
    there = next(path for path in (output, *output.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{there} is no folder that can be written to: name another one by --output")


if __name__ == "__main__":
    command.run(main, arguments())
