"""One slice on its way to noise and back: the real images of Fig. 1.

The diseased slice of median lesion area (the middle one of the manifest's order where there are no masks) is encoded to
noise level L and decoded under guidance of scale s, and the images at up to five levels, evenly spaced from 0 to L, are
kept. Writes into the folder --output, K being these levels, in the range of images [0, 1] but not clipped to it:

- encoded.npy: (K, C, H, W) float32, x_k on the way up; at level 0 the slice itself;
- decoded.npy: (K, C, H, W) float32, x_k on the way down; at level 0 the reconstruction;
- gradient.npy: (K, C, H, W) float32, the gradient of log C(h | x_k) at the decoded images, which moves them; not at
  s = 0, where there is none;
- trajectory.json: slice_id, split, levels (K), setting, solver.
"""

import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from stages import command, digests, provenance
from stages.at_work import only_one
from stages.data.store import DISEASED, create_array, open_split
from stages.detection import sampling
from stages.detection.diffusion_model import DiffusionModel
from stages.detection.guided_ddim import GuidedDdim
from stages.detection.job import Computing, Pieces
from stages.detection.sampling import RoundTrip
from stages.device import describe, leased
from stages.diffusion.ddim import ladder
from stages.diffusion.guidance import gradient
from stages.diffusion.noise_schedule import timestep
from stages.errors import InputError
from stages.writing import replacing

SHOWN = 5


def shown_levels(passed: Iterable[int], count: int = SHOWN) -> list[int]:
    """Up to `count` of the levels that a sampler passes, ascending: those nearest to even steps from end to end.

    >>> shown_levels([0, 1, 2, 4, 5, 10, 15, 20, 25, 30], count=4)
    [0, 10, 20, 30]
    """
    passed = sorted(passed)
    wanted = np.linspace(passed[0], passed[-1], count)
    return sorted({min(passed, key=lambda level: abs(level - aim)) for aim in wanted})


def follow(
    model: DiffusionModel, images: Tensor, slice_id: str, trip: RoundTrip
) -> tuple[list[int], dict[str, np.ndarray]]:
    """The levels shown, and the arrays that the stage writes, of one slice (1, C, H, W) in [0, 1]."""
    if model.sampler.released:  # it skips a level on either side
        levels = shown_levels([0, *range(2, trip.level - 1), trip.level])
    else:
        levels = shown_levels(ladder(trip.level, model.sampler.stride))
    up = model.encode(images, [slice_id], trip.encode_class, levels[1:]) | {0: model.to_range(images)}
    down = {trip.level: up[trip.level]}
    epsilon = model.epsilon(trip.decode_class)
    for k, x in model.decode_path(epsilon, up[trip.level].float(), trip.level, trip.scale):
        if k in levels:
            down[k] = x
    arrays = {
        name: torch.cat([model.from_range(path[k]) for k in levels])
        for name, path in (("encoded", up), ("decoded", down))
    }
    if (guide := model.log_probability()) is not None:
        found = [gradient(guide, down[k].float(), timestep(k, 1, model.device)) for k in levels]
        arrays["gradient"] = torch.cat(found)
    return levels, {name: array.float().cpu().numpy() for name, array in arrays.items()}


def arguments() -> ArgumentParser:
    return sampling.arguments(__doc__, "folder for the arrays and trajectory.json")


def main(options: Namespace) -> None:
    """Choose the slice, follow it, write what it went through."""
    parameters, trip = options.parameters, RoundTrip.of(options.parameters)
    store = open_split(options.data, options.split_list, options.split)
    (row,) = sampling.choose_slices(store, DISEASED, 1)
    slice_id = store.manifest["slice_id"].iloc[row]
    with only_one(options.state), leased(options.threads, Computing.of(parameters).precision) as processor:
        model = GuidedDdim(parameters, processor, dict(options.networks)).model
        images = torch.from_numpy(store.images[row : row + 1].astype(np.float32)).to(processor.device)
        with torch.no_grad(), processor.autocast():
            ((levels, arrays),) = Pieces(1).of(range(1), lambda _: follow(model, images, slice_id, trip))
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise InputError(
            f"slice {slice_id} at L = {trip.level}, s = {trip.scale:g} gave images that are not finite: choose "
            "a smaller figures.scheme.s in params.yaml, or train the networks longer"
        )
    for name, array in arrays.items():
        with create_array(options.output / f"{name}.npy", array.shape, array.dtype) as file:
            file[:] = array
    digests.write(options.output)
    note = {"slice_id": slice_id, "split": options.split, "levels": levels}
    note |= {"setting": parameters["setting"], "solver": model.sampler.solver}
    with replacing(options.output / "trajectory.json") as partial:
        partial.write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")
    provenance.note(options.output, devices=[describe(processor.device)])


if __name__ == "__main__":
    command.run(main, arguments())
