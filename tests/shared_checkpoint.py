"""Results of smoke with one checkpoint, as `make share` takes them."""

from pathlib import Path

import numpy as np

from stages import checkpoint, split_lists
from stages.data.store import StoreWriter, open_split
from stages.networks import build
from stages.networks.vae import Vae
from stages.parameters import reading, sections
from stages.repeats import Repeat
from stages.split_lists import SplitList
from stages.training.section import Training

VALUES = reading.load(Path(__file__).parents[1] / "params.yaml")
SMOKE = reading.benchmark(VALUES, "smoke")
VAE = "checkpoints/fold1-seed0/vae.safetensors"
MADE = "checkpoints/fold1-seed0/vae.provenance.json"
METRICS = "training/fold1-seed0/vae/metrics.csv"


def write_results(here: Path) -> None:
    """Store, split list and the checkpoint of smoke's VAE with its metrics."""
    with StoreWriter(here / "data", channels=4, size=16) as writer:
        for name in ("a", "b"):
            row = {"slice_id": name, "subject_id": name, "position": 0, "label": 0, "lesion_pixels": 0}
            row |= {"source": "", "affine": ""}
            writer.append(np.full((1, 4, 16, 16), 0.5), np.zeros((1, 16, 16)), [row])
    split_lists.write(here / "split/fold1.csv", SplitList("subject_id", {"a": "train", "b": "test"}))
    write_vae(here)
    (here / METRICS).parent.mkdir(parents=True)
    (here / METRICS).write_text("step,loss,learning_rate\n8,0.25,0.001\n")


def write_vae(here: Path) -> None:
    """The checkpoint as training leaves it, but for its weights, which are those of the start."""
    store = open_split(here / "data", here / "split/fold1.csv", "train")
    parameters = sections.section(SMOKE, "train", "vae", repeat=Repeat(1, 0))
    training = Training.of(parameters, "vae")
    header = {
        "stage": "train_vae",
        "repeat": "fold1-seed0",
        "step": training.steps(len(training.rows(store.manifest["label"].to_numpy()))),
        "parameters": parameters,
        "data_sha256": store.content_hash(),
    }
    raw = build.network(Vae, "vae", SMOKE).state_dict()
    checkpoint.save(here / VAE, raw | {f"ema.{name}": tensor.clone() for name, tensor in raw.items()}, header)
