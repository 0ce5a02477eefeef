"""Encode slices to noise, the latents, by reversed DDIM (Wolleb et al. 2022, Eq. 6), once for a whole grid of L.

Writes for each split and each L of `levels` the noisy images x_L: OUTPUT/<split>/L<L>.npy, (N, C, H, W) float32, rows
in the order of the split's manifest, and OUTPUT/cost.json, what encoding an image to the largest L took (`level`). A
killed job goes on from its last batch.
"""

from argparse import ArgumentParser, Namespace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from stages import command, digests, provenance
from stages.at_work import only_one
from stages.data.store import SliceStore, open_split
from stages.detection import job, shards, trained
from stages.detection.cost import Cost
from stages.detection.diffusion_model import CLASSES, DiffusionModel, Sampler
from stages.detection.job import Computing, Pieces
from stages.detection.resumable import ResumableArrays
from stages.detection.shards import WHOLE
from stages.device import Processor, leased
from stages.networks.unet import UNet

PARAMETERS = ("detection.convention", "detection.stride", "detection.solver")
"""The keys of params.yaml that it uses, as a detector's; the workflow reads this without importing the module."""


def arguments() -> ArgumentParser:
    parser = job.arguments_of_splits(__doc__, "folder for the noisy images")
    parser.add_argument("--encode-class", choices=CLASSES, required=True, help="the class that the network is told")
    parser.add_argument("--denoiser", type=Path, required=True, help="checkpoint of the denoiser")
    return parser


def main(options: Namespace) -> None:
    """Encode every split of `options.splits` to every L of the parameter `levels`."""
    parameters, levels = options.parameters, options.parameters["levels"]
    computing = Computing.of(parameters)
    stores = {split: open_split(options.data, options.split_list, split) for split in options.splits}
    parts = options.shard.rows({split: len(store) for split, store in stores.items()}, computing.batch)
    if not any(parts.values()):
        shards.write(options.output, parts)
        return
    with only_one(options.state), leased(options.threads, computing.precision) as processor:
        denoiser, weights = trained.network(UNet, "denoiser", parameters, options.denoiser, processor.device)
        model = DiffusionModel(Sampler.of(parameters), processor.device, denoiser)
        identity = job.identity(parameters, "stages.detection.latents", weights) | {"class": options.encode_class}
        finished, pieces = [], Pieces(computing.batch)
        for split, store in stores.items():
            part = parts[split]
            arrays = ResumableArrays(
                options.state / split,
                {f"L{level}": ((len(part), *store.images.shape[1:]), np.float32) for level in levels},
                identity | {"data_sha256": store.content_hash(), "rows": part.bounds},
            )
            encode = partial(_encode, model, store, processor, options.encode_class, levels)
            with command.progress(f"encode {split}", len(part), arrays.done, "slice") as bar:
                for batch in arrays.missing(computing.batch):
                    rows = part.within(batch)
                    arrays.write(**pieces.joined(range(rows.start, rows.stop), encode))
                    bar.update(rows.stop - rows.start)
            finished.append((arrays, options.output / split))
        cost = Cost.of([arrays for arrays, _ in finished], processor.device)
        cost.write(options.output, level=max(levels))
        if options.shard != WHOLE:
            shards.write(options.output, parts)
        for arrays, output in finished:  # at the end: Snakemake deletes the output of a job that fails
            arrays.finish(output)
        digests.write(options.output)
        provenance.note(options.output, devices=[cost.device])


def _encode(
    model: DiffusionModel, store: SliceStore, processor: Processor, encode_class: str, levels: list[int], rows: range
) -> dict[str, np.ndarray]:
    """x_L of some rows, (n, C, H, W) float32 under L<L>."""
    images = torch.from_numpy(store.images[rows.start : rows.stop].astype(np.float32)).to(processor.device)
    slice_ids = store.manifest["slice_id"].iloc[rows].tolist()
    with torch.no_grad(), processor.autocast():
        encoded = model.encode(images, slice_ids, encode_class, levels)
    return {f"L{level}": x.float().cpu().numpy() for level, x in encoded.items()}


if __name__ == "__main__":
    command.run(main, arguments())
