"""Decode noisy images under guidance towards the healthy class and take the difference as anomaly map.

Wolleb et al. 2022, Algorithm 1 and Eq. 8, at one noise level L and one gradient scale s. Writes for each split
OUTPUT/<split>/maps.npy, (N, H, W) float16, and OUTPUT/<split>/images.npy, the reconstructions (N, C, H, W) float16,
rows in the order of the split's manifest. A killed job goes on from its last batch.
"""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch

from stages import command, imports
from stages.data.store import content_hash, open_array, open_store
from stages.detection.ddim import CLASSES, Ddim
from stages.detection.resumable import ResumableArrays
from stages.diffusion.ddim import anomaly_map
from stages.errors import InputError
from stages.training.device import leased, only_one


def arguments() -> ArgumentParser:
    """The stage's command line."""
    parser = command.parser(__doc__)
    parser.add_argument("--decode-class", choices=CLASSES, required=True, help="the class that the network is told")
    parser.add_argument("--level", type=int, required=True, help="noise level L")
    parser.add_argument("--scale", type=float, required=True, help="gradient scale s")
    parser.add_argument("--data", type=Path, required=True, help="folder with a slice store for each split")
    parser.add_argument("--splits", nargs="+", required=True, help="the splits to decode")
    parser.add_argument("--latents", type=Path, required=True, help="folder of the noisy images")
    parser.add_argument("--ddpm", type=Path, required=True, help="checkpoint of the diffusion model")
    parser.add_argument("--classifier", type=Path, help="checkpoint of the classifier; needed where s > 0")
    parser.add_argument("--output", type=Path, required=True, help="folder for maps and reconstructions")
    parser.add_argument("--state", type=Path, required=True, help="folder for what a killed job resumes from")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads (default: all)")
    return parser


def main(options: Namespace) -> None:
    """Decode every split of `options.splits`."""
    if options.scale != 0 and options.classifier is None:
        raise InputError("--classifier is missing: a gradient scale above 0 needs the classifier's checkpoint")
    detection = options.parameters["detection"]
    with only_one(options.state), leased(options.threads, detection["precision"]) as fabric:
        method = Ddim(options.parameters, fabric, options.ddpm, options.classifier if options.scale else None)
        finished = []
        for split in options.splits:
            store = open_store(options.data / split)
            n, channels, height, width = store.images.shape
            latents_path = options.latents / split / f"L{options.level}.npy"
            latents = open_array(latents_path, store.images.shape, np.float32)
            arrays = ResumableArrays(
                options.state / split,
                {"maps": ((n, height, width), np.float16), "images": ((n, channels, height, width), np.float16)},
                method.identity
                | {"code_sha256": imports.fingerprint("stages.detection.decode")}
                | {"class": options.decode_class, "L": options.level, "s": options.scale}
                | {"data_sha256": content_hash(store.folder), "latents": latents_path.stat().st_mtime_ns},
            )
            with command.progress(f"decode {split}", n, arrays.done, "slice") as bar:
                while arrays.done < n:
                    rows = slice(arrays.done, arrays.done + detection["batch"])
                    images = method.decode(latents[rows], options.decode_class, options.level, options.scale)
                    original = torch.from_numpy(store.images[rows].astype(np.float64)).to(images)
                    maps = anomaly_map(original, images)
                    if not (maps < np.finfo(np.float16).max).all():
                        raise InputError(
                            f"the reconstructions at L = {options.level}, s = {options.scale:g} are not finite: remove "
                            "this s from the method's grid in params.yaml, or train the networks longer"
                        )
                    arrays.write(maps=_float16(maps), images=_float16(images))
                    bar.update(arrays.done - bar.n)
            finished.append((arrays, options.output / split))
        for arrays, output in finished:  # at the end: Snakemake deletes the output of a job that fails
            arrays.finish(output)


def _float16(tensor: torch.Tensor) -> np.ndarray:
    return tensor.to(torch.float16).cpu().numpy()


if __name__ == "__main__":
    command.run(main, arguments())
