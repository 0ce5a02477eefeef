"""What a method is: slices in, anomaly maps and reconstructions out. And the stage that runs one over a data set.

To add a method, write `stages/detection/<name>.py` with two literals, which the workflow reads without importing the
module: `NETWORKS`, the names of the checkpoints that it needs, each made by `stages/training/<network>.py`, and `GRID`,
the keys of a setting, each with the words that it takes, none for numbers. Then a `Detector`, and at the end
`run(<the class>)` where the module is the program. docs/add-your-method.md shows one.
"""

import argparse
import inspect
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from stages import command, digests, methods, provenance
from stages.at_work import only_one
from stages.data.store import SliceStore, open_split, open_written
from stages.detection import job, shards, trained
from stages.detection.cost import Cost
from stages.detection.difference import anomaly_map
from stages.detection.job import Computing
from stages.detection.resumable import ResumableArrays
from stages.detection.selected import Selection, select
from stages.detection.shards import WHOLE, Part
from stages.device import Processor, leased
from stages.errors import InputError
from stages.methods import Setting
from stages.networks.build import Network
from stages.writing import replacing


@dataclass(frozen=True)
class Batch:
    """Slices that a detector sees at once; what it makes of one must not depend on the others.

    Attributes:
        images: (N, C, H, W) float32 in [0, 1], on the detector's device.
        slice_ids: (N), the manifest's.
        latents: x_L (N, C, H, W) float32 for methods whose options name an `encode_class`, otherwise None.
    """

    images: Tensor
    slice_ids: list[str]
    latents: Tensor | None = None


@dataclass(frozen=True)
class Detection:
    """What a detector makes of a batch.

    Attributes:
        maps: (N, H, W), at least 0 where nothing is wrong and higher where something is.
        images: the reconstructions (N, C, H, W) in the images' range [0, 1], not clipped; None where there are none.
    """

    maps: Tensor
    images: Tensor | None = None


class Detector(ABC):
    """A method with its networks loaded, at one setting.

    Args:
        parameters: the job's part of params.yaml: seed, data, detection, the sections of its networks (and what the
            networks' SECTIONS and the module's PARAMETERS name), the method's `options`, and `setting`, out of its
            grid.
        processor: device and precision.
        checkpoints: network -> path.
    """

    reconstructs = True
    """Whether `Detection.images` is there."""

    def __init__(self, parameters: dict[str, Any], processor: Processor, checkpoints: dict[str, Path]):
        self.parameters = parameters
        self.options: Mapping[str, Any] = parameters["options"]
        self.setting = Setting(parameters["setting"])
        self.processor = processor
        self.checkpoints = checkpoints
        self.weights: dict[str, str] = {}
        self.prepare()

    def prepare(self) -> None:
        """Load what `detect` needs, once."""
        return

    @abstractmethod
    def detect(self, batch: Batch) -> Detection:
        """Anomaly maps of a batch; called without gradients, which a method switches on where it takes some."""

    def compare(self, images: Tensor, reconstruction: Tensor) -> Detection:
        """The reconstruction and its map by Eq. 8; a caller has `detection.difference` in its module's PARAMETERS."""
        difference, some = self.parameters["detection"]["difference"], self.compared
        return Detection(anomaly_map(images[:, some], reconstruction[:, some], difference), reconstruction)

    @property
    def compared(self) -> list[int]:
        """The channels that a map is made of: those of the option `channels`, without it all, as in the paper."""
        known = self.parameters["data"]["channels"]
        return [known.index(name) for name in self.options.get("channels", known)]

    def needs(self, name: str) -> bool:
        """Whether the setting needs a network: what the module's literals say, and nothing else."""
        return name in methods.networks({"detector": _name(type(self))}, self.setting)

    def load(self, name: str, kind: type[Network]) -> Network:
        """The network `name`, of class `kind` and made as its section in params.yaml says, with trained weights."""
        path, device = self._checkpoint(name), self.processor.device
        network, self.weights[name] = trained.network(kind, name, self.parameters, path, device)
        return network

    def load_fitted(self, name: str) -> dict[str, Tensor]:
        """The arrays that `fit` of stages/training/<name>.py has made, by its names for them, on the device."""
        path, device = self._checkpoint(name), self.processor.device
        arrays, self.weights[name] = trained.fitted(name, self.parameters, path, device)
        return arrays

    def _checkpoint(self, name: str) -> Path:
        if name not in self.checkpoints:
            raise InputError(f"--networks names no {name}: this method and setting need its checkpoint")
        return self.checkpoints[name]


def run(detector: type[Detector]) -> None:
    """The program of a method's module; `detect` says what it does."""
    command.run(lambda options: detect(detector, options), arguments(detector))


def arguments(detector: type[Detector]) -> argparse.ArgumentParser:
    description = sys.modules[detector.__module__].__doc__ or ""
    parser = job.arguments_of_splits(description, "folder for <split>/maps.npy and images.npy, and cost.json")
    parser.add_argument(
        "--networks",
        nargs="*",
        default=[],
        type=job.named_file,
        metavar="NAME=FILE",
        help="checkpoints of the networks",
    )
    parser.add_argument("--latents", type=Path, help="folder of noisy images, for methods that decode them")
    return parser


def detect(detector: type[Detector], options: argparse.Namespace) -> None:
    """Write maps.npy (n, H, W) float16 and images.npy (k, C, H, W) float16 of every split, in the manifest's order.

    They hold the slices that `selected.select` names: `slices.csv` lists those with a map where not all slices of the
    split have one, `images.csv` those whose reconstruction is kept where not all that have a map keep it. Beside the
    splits, cost.json says what an image took, its encoding included. A killed job goes on from its last batch.

    Raises:
        InputError: an input is missing or damaged, or a map is not finite.
    """
    computing = Computing.of(options.parameters)
    stores = {split: open_split(options.data, options.split_list, split) for split in options.splits}
    kept = {split: select(store.manifest, split, options.parameters["kept"]) for split, store in stores.items()}
    parts = options.shard.rows({split: len(selection.maps) for split, selection in kept.items()}, computing.batch)
    if not any(parts.values()):
        shards.write(options.output, parts)
        return
    with only_one(options.state), leased(options.threads, computing.precision) as processor:
        method = detector(options.parameters, processor, dict(options.networks))
        identity = job.identity(options.parameters, f"stages.detection.{_name(detector)}", method.weights)
        encoding = Cost.of_encoding(options.latents, method.setting["L"]) if options.latents is not None else None
        finished = []
        for split, store in stores.items():
            rows = _Rows.of(kept[split], parts[split])
            arrays = _detect_split(method, store, rows, options, split, computing.batch, identity)
            finished.append((arrays, rows, store, options.output / split))
        cost = Cost.of([arrays for arrays, *_ in finished], processor.device)
        (cost.after(encoding) if encoding else cost).write(options.output)
        if options.shard != WHOLE:
            shards.write(options.output, parts)
        for arrays, rows, store, output in finished:  # at the end: Snakemake deletes the output of a job that fails
            _list_slices(output, rows, store, kept[output.name], method.reconstructs)
            arrays.finish(output)
        digests.write(options.output)
        provenance.note(options.output, devices=[cost.device])


@dataclass(frozen=True)
class _Rows:
    """What a job makes of a split.

    Attributes:
        part: of all rows with a map.
        maps: (n,) the part's rows of the split.
        images: (n,) booleans, which of them keep their reconstruction.
    """

    part: Part
    maps: np.ndarray
    images: np.ndarray

    @classmethod
    def of(cls, kept: Selection, part: Part) -> Self:
        maps = kept.maps[part.start : part.stop]
        return cls(part, maps, np.isin(maps, kept.images))


def _detect_split(
    method: Detector,
    store: SliceStore,
    rows: _Rows,
    options: argparse.Namespace,
    split: str,
    size: int,
    identity: dict[str, Any],
) -> ResumableArrays:
    """Maps and reconstructions of some rows of one split, `size` slices at a time."""
    # What goes in: the slices, and for some methods what they are decoded from.
    _, channels, height, width = store.images.shape
    latents, identity = None, identity | {"data_sha256": store.content_hash(), "rows": rows.part.bounds}
    if options.latents is not None:
        name = f"{split}/L{method.setting['L']}.npy"
        latents = open_written(options.latents, name, store.images.shape, np.float32)
        identity["latents"] = digests.read(options.latents)[name]
    # What comes out.
    results: dict[str, tuple[tuple[int, ...], type]] = {"maps": ((len(rows.maps), height, width), np.float16)}
    if method.reconstructs:
        results["images"] = ((int(rows.images.sum()), channels, height, width), np.float16)
    arrays = ResumableArrays(options.state / split, results, identity)

    def detected(piece: range) -> dict[str, np.ndarray]:
        batch = _batch(store, latents, rows.maps[piece.start : piece.stop], method.processor.device)
        with torch.no_grad(), method.processor.autocast():
            found = method.detect(batch)
        return {name: checked(found, name, (len(piece), *shape[1:]), method) for name, (shape, _) in results.items()}

    pieces = job.Pieces(size)
    with command.progress(f"detect {split}", len(rows.maps), arrays.done, "slice") as bar:
        for among in arrays.missing(size):
            made = pieces.joined(range(among.start, among.stop), detected)
            if "images" in made:
                made["images"] = made["images"][rows.images[among]]
            arrays.write(**made)
            bar.update(among.stop - among.start)
    return arrays


def _list_slices(output: Path, rows: _Rows, store: SliceStore, kept: Selection, reconstructs: bool) -> None:
    """The lists beside the arrays, each only where some slices are left out of the split, or of the maps."""
    for name, listed, needed in (
        ("slices.csv", rows.maps, len(kept.maps) < len(store)),
        ("images.csv", rows.maps[rows.images], reconstructs and len(kept.images) < len(kept.maps)),
    ):
        if needed:
            with replacing(output / name) as partial:
                store.manifest["slice_id"].iloc[listed].to_csv(partial, index=False)
        else:  # of an earlier job
            (output / name).unlink(missing_ok=True)


def _batch(store: SliceStore, latents: np.ndarray | None, rows: np.ndarray, device: torch.device) -> Batch:
    images = torch.from_numpy(store.images[rows].astype(np.float32)).to(device)
    x_level = None if latents is None else torch.from_numpy(latents[rows]).to(device)
    return Batch(images, store.manifest["slice_id"].iloc[rows].tolist(), x_level)


def checked(found: Detection, key: str, shape: tuple[int, ...], method: Detector) -> np.ndarray:
    """`maps` or `images` of a batch as float16, refused where they are not what a store can hold."""
    at = ", ".join(f"{key} = {value}" for key, value in method.setting.items())
    tensor, name = getattr(found, key), f"{type(method).__name__}{' at ' if at else ''}{at}"
    if tensor is None or tensor.shape != shape:
        shown = "nothing" if tensor is None else f"shape {tuple(tensor.shape)}"
        without = ", or say reconstructs = False in its class where it has maps alone" if key == "images" else ""
        raise InputError(
            f"{name} gave {shown} as {key} of a batch where shape {shape} is expected: correct its detect(){without}"
        )
    if not (tensor.abs() < np.finfo(np.float16).max).all():
        raise InputError(
            f"{name} gave {key} that are not finite: remove this setting from the method's grid in params.yaml, or "
            "train the networks longer"
        )
    return tensor.to(torch.float16).cpu().numpy()


def _name(detector: type[Detector]) -> str:
    """The module of stages/detection that holds a detector, by its file: where it is the program, it has no name."""
    return Path(inspect.getfile(detector)).stem
