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
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from stages import command, methods
from stages.data.store import SliceStore, open_array, open_split
from stages.detection import job, trained
from stages.detection.cost import Cost
from stages.detection.difference import anomaly_map
from stages.detection.job import Computing
from stages.detection.resumable import ResumableArrays
from stages.device import leased, only_one
from stages.errors import InputError
from stages.methods import Setting
from stages.networks.build import Network


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
        fabric: device and precision.
        checkpoints: network -> path.
    """

    reconstructs = True
    """Whether `Detection.images` is there."""

    def __init__(self, parameters: dict[str, Any], fabric: Fabric, checkpoints: dict[str, Path]):
        self.parameters = parameters
        self.options: Mapping[str, Any] = parameters["options"]
        self.setting = Setting(parameters["setting"])
        self.fabric = fabric
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
        difference = self.parameters["detection"]["difference"]
        return Detection(anomaly_map(images, reconstruction, difference), reconstruction)

    def needs(self, name: str) -> bool:
        """Whether the setting needs a network: what the module's literals say, and nothing else."""
        return name in methods.networks({"detector": _name(type(self))}, self.setting)

    def load(self, name: str, kind: type[Network]) -> Network:
        """The network `name`, of class `kind` and made as its section in params.yaml says, with trained weights."""
        if name not in self.checkpoints:
            raise InputError(f"--networks names no {name}: this method and setting need its checkpoint")
        path, device = self.checkpoints[name], self.fabric.device
        network, self.weights[name] = trained.network(kind, name, self.parameters, path, device)
        return network


def run(detector: type[Detector]) -> None:
    """The program of a method's module; `detect` says what it does."""
    command.run(lambda options: detect(detector, options), arguments(detector))


def arguments(detector: type[Detector]) -> argparse.ArgumentParser:
    description = sys.modules[detector.__module__].__doc__ or ""
    parser = job.arguments(description, "folder for <split>/maps.npy and images.npy, and cost.json")
    parser.add_argument("--splits", nargs="+", required=True, help="the splits to go through")
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
    """Write maps.npy (N, H, W) float16 and images.npy (N, C, H, W) float16 of every split, in the manifest's order.

    Beside the splits, cost.json says what an image took, its encoding included. A killed job goes on from its last
    batch.

    Raises:
        InputError: an input is missing or damaged, or a map is not finite.
    """
    computing = Computing.of(options.parameters)
    with only_one(options.state), leased(options.threads, computing.precision) as fabric:
        method = detector(options.parameters, fabric, dict(options.networks))
        identity = job.identity(options.parameters, f"stages.detection.{_name(detector)}", method.weights)
        encoding = Cost.of_encoding(options.latents, method.setting["L"]) if options.latents is not None else None
        finished = [
            (_detect_split(method, split, options, computing.batch, identity), options.output / split)
            for split in options.splits
        ]
        cost = Cost.of([arrays for arrays, _ in finished], fabric.device)
        (cost.after(encoding) if encoding else cost).write(options.output)
        for arrays, output in finished:  # at the end: Snakemake deletes the output of a job that fails
            arrays.finish(output)


def _detect_split(
    method: Detector, split: str, options: argparse.Namespace, size: int, identity: dict[str, Any]
) -> ResumableArrays:
    """Maps and reconstructions of one split, `size` slices at a time."""
    # What goes in: the slices, and for some methods what they are decoded from.
    store = open_split(options.data, options.split_list, split)
    n, channels, height, width = store.images.shape
    latents, identity = None, identity | {"data_sha256": store.content_hash()}
    if options.latents is not None:
        path = options.latents / split / f"L{method.setting['L']}.npy"
        latents = open_array(path, store.images.shape, np.float32)
        identity["latents"] = path.stat().st_mtime_ns
    # What comes out.
    results: dict[str, tuple[tuple[int, ...], type]] = {"maps": ((n, height, width), np.float16)}
    if method.reconstructs:
        results["images"] = ((n, channels, height, width), np.float16)
    arrays = ResumableArrays(options.state / split, results, identity)
    with command.progress(f"detect {split}", n, arrays.done, "slice") as bar:
        for rows in arrays.missing(size):
            batch = _batch(store, latents, rows, method.fabric.device)
            with torch.no_grad(), method.fabric.autocast():
                found = method.detect(batch)
            count = len(batch.images)
            arrays.write(
                **{name: _checked(found, name, (count, *shape[1:]), method) for name, (shape, _) in results.items()}
            )
            bar.update(count)
    return arrays


def _batch(store: SliceStore, latents: np.ndarray | None, rows: slice, device: torch.device) -> Batch:
    images = torch.from_numpy(store.images[rows].astype(np.float32)).to(device)
    x_level = None if latents is None else torch.from_numpy(np.array(latents[rows])).to(device)
    return Batch(images, store.manifest["slice_id"].tolist()[rows], x_level)


def _checked(found: Detection, key: str, shape: tuple[int, ...], method: Detector) -> np.ndarray:
    """`maps` or `images` of a batch as float16, refused where they are not what a store can hold."""
    at = ", ".join(f"{key} = {value}" for key, value in method.setting.items())
    tensor, name = getattr(found, key), f"{type(method).__name__}{' at ' if at else ''}{at}"
    if tensor is None or tensor.shape != shape:
        shown = "nothing" if tensor is None else f"shape {tuple(tensor.shape)}"
        raise InputError(
            f"{name} gave {shown} as {key} of a batch where shape {shape} is expected: correct its detect()"
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
