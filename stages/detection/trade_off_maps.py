"""What fewer network evaluations cost: the proposed method by several solvers and strides, on a few slices.

Each run encodes the slices with one solver at one stride and decodes them with the same, at the gradient scale s and at
s = 0, where the reconstruction should be the image. Half of the slices are diseased, at even quantiles of the lesion's
area (of the manifest's order where there are no masks), half healthy, at even quantiles of the manifest's order.

Writes into the folder --output, a row being a solver, a stride, and s or 0:

- maps.npy: (K, n, H, W) float16, the anomaly maps of K rows and n slices;
- runs.csv: K rows: solver, stride, s, denoiser_evaluations and classifier_evaluations (per image, encoding and
  decoding, counted at the networks as they run), seconds (per image), reconstruction_error (at s = 0: the mean over
  pixels and channels of the healthy slices of |x - x_0|, in units of intensity, of which images span [0, 1]);
- slices.csv: the n rows of the split's manifest.

A killed job goes on from its last run.
"""

import time
from argparse import ArgumentParser, Namespace
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from stages import command, digests, provenance
from stages.at_work import only_one
from stages.data.store import DISEASED, HEALTHY, SliceStore, open_array, open_split
from stages.detection import job, sampling
from stages.detection.difference import anomaly_map
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.job import Computing, Pieces
from stages.detection.resumable import ResumableArrays
from stages.detection.sampling import RoundTrip
from stages.device import describe, leased
from stages.diffusion.guidance import gradient
from stages.diffusion.noise_schedule import timestep
from stages.errors import InputError
from stages.writing import replacing

COSTS = ["denoiser_evaluations", "classifier_evaluations", "seconds", "reconstruction_error"]


class Meter:
    """Measures what work on images costs: how many the networks are run on, and the time.

    Args:
        networks: whose evaluations are counted, at each call and image by image; None stays at 0.
    """

    def __init__(self, *networks: nn.Module | None):
        self._evaluations = np.zeros(len(networks))
        for place, network in enumerate(networks):
            if network is not None:
                network.register_forward_hook(self._counter(place))

    def _counter(self, place: int) -> Callable[[nn.Module, tuple, Tensor], None]:
        def count(_: nn.Module, arguments: tuple, __: Tensor) -> None:
            self._evaluations[place] += len(arguments[0])

        return count

    def measure(self, work: Callable[[], Tensor]) -> tuple[Tensor, np.ndarray]:
        """What `work` returns, (N, ...), and its cost an image: evaluations of each network, then seconds."""
        self._evaluations[:] = 0
        start = _now()
        result = work()
        return result, np.array([*self._evaluations, _now() - start]) / len(result)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # the card computes on after the call has returned
    return time.perf_counter()


@dataclass(frozen=True)
class Work:
    """What every run does, whatever its solver and stride.

    Attributes:
        images: (n, C, H, W) float32 in [0, 1], on the model's device.
        slice_ids: n names.
        healthy: (n,) booleans, on the model's device.
        trip: the noise level and the classes of its way to noise and back.
        scales: the values of s at which it comes back, in place of the trip's.
        pieces: how many of them go through the networks at a time.
        difference: how a map compares image and reconstruction, a name of DIFFERENCES.
    """

    images: Tensor
    slice_ids: list[str]
    healthy: Tensor
    trip: RoundTrip
    scales: list[float]
    pieces: Pieces
    difference: str

    def measured(self, meter: Meter, made: Callable[[slice], Tensor]) -> tuple[Tensor, np.ndarray]:
        """What `made` makes of the rows of all images, (n, ...), and its cost an image, without pieces that failed."""

        def piece(rows: range) -> tuple[Tensor, np.ndarray]:
            return meter.measure(lambda: made(slice(rows.start, rows.stop)))

        found = list(self.pieces.of(range(len(self.images)), piece))
        costs = np.average([cost for _, cost in found], axis=0, weights=[len(result) for result, _ in found])
        return torch.cat([result for result, _ in found]), costs


def run(model: DiffusionModel, meter: Meter, work: Work) -> dict[str, np.ndarray]:
    """Maps and costs of one solver and stride, those of `model`; `meter` counts at its networks.

    Returns:
        maps (len(scales), n, H, W) float16 and costs (len(scales), 4), as `COSTS` names them.

    Raises:
        InputError: a map is not finite.
    """
    images, trip = work.images, work.trip
    epsilon, levels = model.epsilon(trip.decode_class), model.start_levels(trip.level)

    def encode(rows: slice) -> Tensor:  # (n, levels, C, H, W) float64, of which O-BELM's inversion needs every digit
        passed = model.encode(images[rows], work.slice_ids[rows], trip.encode_class, levels)
        return torch.stack([passed[k] for k in levels], dim=1)

    def decode(latents: Tensor, scale: float, rows: slice) -> Tensor:
        x, *below = latents[rows].unbind(dim=1)
        return model.decode(epsilon, x, trip.level, scale, *below)

    latents, encoding = work.measured(meter, encode)
    maps, costs = [], []
    for scale in work.scales:
        reconstructions, decoding = work.measured(meter, partial(decode, latents, scale))
        found = anomaly_map(images, reconstructions, work.difference)
        maps.append(_checked(found, model.sampler, trip.level, scale))
        error = _error(images[work.healthy], reconstructions[work.healthy]) if scale == 0 else np.nan
        costs.append(np.array([*(encoding + decoding), error]))
    return {"maps": np.stack(maps), "costs": np.stack(costs)}


def _error(x: Tensor, reconstruction: Tensor) -> float:
    """The mean |x - x_0| as it is, whatever a map compares: `detection.difference` may scale both images first."""
    return float((x.double() - reconstruction.double()).abs().mean())


def _checked(maps: Tensor, sampler: Sampler, level: int, scale: float) -> np.ndarray:
    """Maps as float16, refused where they are not finite."""
    if not (maps < np.finfo(np.float16).max).all():
        raise InputError(
            f"{sampler.solver} at stride {sampler.stride}, L = {level} and s = {scale:g} gave maps that are not "
            "finite: remove this stride from trade_off.solvers in params.yaml, or choose a smaller trade_off.setting.s"
        )
    return maps.to(torch.float16).cpu().numpy()


def arguments() -> ArgumentParser:
    return sampling.arguments(__doc__, "folder for maps.npy, runs.csv and slices.csv")


def main(options: Namespace) -> None:
    """Measure every solver at every stride, each with guidance and without."""
    parameters, trade_off = options.parameters, options.parameters["trade_off"]
    computing, trip = Computing.of(parameters), RoundTrip.of(parameters)
    scales = list(dict.fromkeys([trip.scale, 0]))
    runs = [(solver, stride) for solver, strides in trade_off["solvers"].items() for stride in strides]
    store = open_split(options.data, options.split_list, options.split)
    chosen = _choose(store, trade_off["slices"])
    manifest = store.manifest.iloc[chosen]
    with only_one(options.state), leased(options.threads, computing.precision) as processor:
        method = GuidedDdim(_sampled_by(parameters, *runs[0]), processor, dict(options.networks))
        images = torch.from_numpy(store.images[chosen].astype(np.float32)).to(processor.device)
        difference = parameters["detection"]["difference"]
        healthy = torch.tensor((manifest["label"] == HEALTHY).to_numpy(), device=processor.device)
        pieces = Pieces(computing.batch)
        work = Work(images, manifest["slice_id"].tolist(), healthy, trip, scales, pieces, difference)
        count, (height, width) = len(runs) * len(scales), images.shape[-2:]
        arrays = ResumableArrays(
            options.state,
            {
                "maps": ((count, len(images), height, width), np.float16),
                "costs": ((count, len(COSTS)), np.float64),
            },
            job.identity(parameters, "stages.detection.trade_off_maps", method.weights)
            | {"data_sha256": store.content_hash()},
        )
        with torch.no_grad(), processor.autocast():
            _measure(method.model, work, runs, arrays)
        _write(arrays, runs, scales, manifest, options.output)
        provenance.note(options.output, devices=[describe(processor.device)])


def _choose(store: SliceStore, count: int) -> list[int]:
    """The rows of `count` slices, ascending, half of them diseased; one more is healthy where that is odd."""
    diseased = sampling.choose_slices(store, DISEASED, count // 2)
    return sorted(diseased + sampling.choose_slices(store, HEALTHY, count - count // 2))


def _sampled_by(parameters: dict[str, Any], solver: str, stride: int) -> dict[str, Any]:
    """The job's parameters with a solver and a stride, which the detector that loads the networks asks for."""
    return parameters | {"detection": parameters["detection"] | {"solver": solver, "stride": stride}}


def _measure(model: DiffusionModel, work: Work, runs: list[tuple[str, int]], arrays: ResumableArrays) -> None:
    """Add what each run gives, a solver and stride in place of the model's, that is not in `arrays` yet."""
    meter, size = Meter(model.denoiser, model.classifier), len(work.scales)
    with command.progress("trade-off", len(runs), arrays.done // size, "run") as bar:
        if arrays.done < arrays.rows:
            every = range(len(work.images))
            deque(work.pieces.of(every, lambda rows: _warm_up(model, work.images[rows.start : rows.stop])), maxlen=0)
        for rows in arrays.missing(size):
            solver, stride = runs[rows.start // size]
            sampler = replace(model.sampler, solver=solver, stride=stride)
            arrays.write(**run(DiffusionModel(sampler, model.device, model.denoiser, model.classifier), meter, work))
            bar.update()


def _warm_up(model: DiffusionModel, images: Tensor) -> None:
    """Run the networks once, so that what is set up at the first call of a size is in no run's seconds."""
    t = timestep(1, len(images), model.device)
    model.epsilon("healthy")(images, t)
    if (guide := model.log_probability()) is not None:
        gradient(guide, images, t)


def _write(
    arrays: ResumableArrays, runs: list[tuple[str, int]], scales: list[float], manifest: pd.DataFrame, output: Path
) -> None:
    """Move maps.npy to its place; the costs become a table, with the names of their rows."""
    names = [(solver, stride, scale) for solver, stride in runs for scale in scales]
    arrays.finish(output)
    costs = pd.DataFrame(open_array(output / "costs.npy"), columns=COSTS)
    table = pd.concat([pd.DataFrame(names, columns=["solver", "stride", "s"]), costs], axis=1)
    for name, frame in {"runs": table, "slices": manifest}.items():
        with replacing(output / f"{name}.csv") as partial_file:
            frame.to_csv(partial_file, index=False, float_format="%.8g", lineterminator="\n")
    (output / "costs.npy").unlink()
    digests.write(output)


if __name__ == "__main__":
    command.run(main, arguments())
