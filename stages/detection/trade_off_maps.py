"""What fewer network evaluations cost: the proposed method by several solvers and strides, on a few slices.

Each run encodes the slices with one solver at one stride and decodes them with the same, at the gradient scale s and at
s = 0, where the reconstruction should be the image. Half of the slices are diseased, at even quantiles of the lesion's
area (of the manifest's order where there are no masks), half healthy, at even quantiles of the manifest's order.

Writes into the folder --output, a row being a solver, a stride, and s or 0:

- maps.npy: (K, n, H, W) float16, the anomaly maps of K rows and n slices;
- runs.csv: K rows: solver, stride, s, denoiser_evaluations and classifier_evaluations (per image, encoding and
  decoding, counted at the networks as they run), seconds (per image);
- slices.csv: the n rows of the split's manifest.

A killed job goes on from its last run.
"""

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from stages import command, imports
from stages.data.store import DISEASED, HEALTHY, content_hash, open_store, replacing
from stages.detection import sampling
from stages.detection.detector import anomaly_map
from stages.detection.diffusion_model import DiffusionModel
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.resumable import ResumableArrays
from stages.device import leased, only_one
from stages.diffusion.guidance import gradient
from stages.diffusion.noise_schedule import timestep
from stages.errors import InputError
from stages.parameters.inert import without_inert

COSTS = ["denoiser_evaluations", "classifier_evaluations", "seconds"]


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


def run(
    model: DiffusionModel, meter: Meter, images: Tensor, slice_ids: list[str], parameters: dict, scales: list[float]
) -> dict[str, np.ndarray]:
    """Maps and costs of one solver and stride, those of `model`.

    Args:
        model: the networks.
        meter: counts their evaluations.
        images: (n, C, H, W) float32 in [0, 1], on the model's device.
        slice_ids: n names.
        parameters: the stage's; `setting.L`, `options` and `detection.batch` are used.
        scales: the values of s to decode at.

    Returns:
        maps (len(scales), n, H, W) float16 and costs (len(scales), 3), as `COSTS` names them.

    Raises:
        InputError: a map is not finite.
    """
    level, options, size = parameters["setting"]["L"], parameters["options"], parameters["detection"]["batch"]
    batches = [slice(start, start + size) for start in range(0, len(images), size)]
    epsilon = model.epsilon(options["decode_class"])

    def encode() -> Tensor:
        found = [model.encode(images[b], slice_ids[b], options["encode_class"], [level])[level] for b in batches]
        return torch.cat(found).float()

    def decode(scale: float) -> Tensor:
        return torch.cat([model.decode(epsilon, latents[b], level, scale) for b in batches])

    latents, encoding = meter.measure(encode)
    maps, costs = [], []
    for scale in scales:
        reconstructions, decoding = meter.measure(lambda scale=scale: decode(scale))
        found = anomaly_map(images, reconstructions)
        if not (found < np.finfo(np.float16).max).all():
            solver, stride = (parameters["detection"][key] for key in ("solver", "stride"))
            raise InputError(
                f"{solver} at stride {stride}, L = {level} and s = {scale:g} gave maps that are not finite: remove "
                "this stride from trade_off.solvers in params.yaml, or choose a smaller trade_off.setting.s"
            )
        maps.append(found.to(torch.float16).cpu().numpy())
        costs.append(encoding + decoding)
    return {"maps": np.stack(maps), "costs": np.stack(costs)}


def arguments() -> ArgumentParser:
    """The stage's command line."""
    return sampling.arguments(__doc__, "folder for maps.npy, runs.csv and slices.csv")


def main(options: Namespace) -> None:
    """Go through every solver and stride."""
    setting, trade_off = options.parameters["setting"], options.parameters["trade_off"]
    scales = list(dict.fromkeys([setting["s"], 0]))
    runs = [
        options.parameters | {"detection": options.parameters["detection"] | {"solver": solver, "stride": stride}}
        for solver, strides in trade_off["solvers"].items()
        for stride in strides
    ]
    store, count = open_store(options.data / options.split), trade_off["slices"]
    rows = sorted(
        sampling.choose_slices(store, DISEASED, count // 2) + sampling.choose_slices(store, HEALTHY, count - count // 2)
    )
    manifest = store.manifest.iloc[rows]
    with only_one(options.state), leased(options.threads, options.parameters["detection"]["precision"]) as fabric:
        method = GuidedDdim(runs[0], fabric, dict(options.networks))
        networks = method.model.denoiser, method.model.classifier
        meter = Meter(*networks)
        shapes = {
            "maps": ((len(runs) * len(scales), len(rows), *store.images.shape[-2:]), np.float16),
            "costs": ((len(runs) * len(scales), len(COSTS)), np.float64),
        }
        identity = {
            "parameters": without_inert(options.parameters),
            "weights": method.weights,
            "code_sha256": imports.fingerprint("stages.detection.trade_off_maps"),
            "data_sha256": content_hash(store.folder),
        }
        arrays = ResumableArrays(options.state, shapes, identity)
        images = torch.from_numpy(store.images[rows].astype(np.float32)).to(fabric.device)
        done = arrays.done // len(scales)
        with (
            command.progress("trade-off", len(runs), done, "run") as bar,
            torch.no_grad(),
            fabric.autocast(),
        ):
            if done < len(runs):
                _warm_up(method.model, images[: options.parameters["detection"]["batch"]], setting["s"])
            for parameters in runs[done:]:
                model = DiffusionModel(parameters, fabric.device, *networks)
                arrays.write(**run(model, meter, images, manifest["slice_id"].tolist(), parameters, scales))
                bar.update()
        _write(arrays, runs, scales, manifest, options.output)


def _warm_up(model: DiffusionModel, images: Tensor, scale: float) -> None:
    """Run the networks once, so that what libraries set up at the first call is in no run's seconds."""
    t = timestep(1, len(images), model.device)
    model.epsilon("healthy")(images, t)
    if scale != 0:
        gradient(model.log_probability(), images, t)


def _write(
    arrays: ResumableArrays, runs: list[dict], scales: list[float], manifest: pd.DataFrame, output: Path
) -> None:
    names = [(one["detection"]["solver"], one["detection"]["stride"], scale) for one in runs for scale in scales]
    arrays.finish(output)
    costs = pd.DataFrame(np.load(output / "costs.npy"), columns=COSTS)
    table = pd.concat([pd.DataFrame(names, columns=["solver", "stride", "s"]), costs], axis=1)
    for name, frame in {"runs": table, "slices": manifest}.items():
        with replacing(output / f"{name}.csv") as partial:
            frame.to_csv(partial, index=False, float_format="%.8g", lineterminator="\n")
    (output / "costs.npy").unlink()


if __name__ == "__main__":
    command.run(main, arguments())
