"""A tiny slice store, its split list, and the parameters of a tiny training run."""

import numpy as np
import pytest
import torch
from torch._dynamo.backends.registry import lookup_backend

from stages import split_lists
from stages.data.store import StoreWriter, open_split
from stages.networks import compiled
from stages.split_lists import SplitList


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory):
    """Fourteen 16 x 16 slices of two channels, a bright square in every second; twelve to train, then two to test.

    Beside it lies its split list, split.csv.
    """
    folder = tmp_path_factory.mktemp("store") / "data"
    rng = np.random.default_rng(0)
    with StoreWriter(folder, channels=2, size=16) as writer:
        for i in range(14):
            image, mask = rng.uniform(0.2, 0.4, (2, 16, 16)), np.zeros((16, 16))
            if i % 2:
                mask[4:9, 5:10] = 1
                image[:, mask == 1] = 0.9
            row = {
                "slice_id": f"case{i:02d}_z000",
                "subject_id": f"case{i:02d}",
                "position": 0,
                "label": i % 2,
                "lesion_pixels": int(mask.sum()),
                "source": "x",
                "affine": "[]",
            }
            writer.append(image[None], mask[None], [row])
    splits = {f"case{i:02d}": "train" if i < 12 else "test" for i in range(14)}
    split_lists.write(folder.with_name("split.csv"), SplitList("subject_id", splits))
    return folder


@pytest.fixture
def tiny_split_list(tiny_store):
    """The split list of the tiny store."""
    return tiny_store.with_name("split.csv")


@pytest.fixture
def tiny_slices(tiny_store, tiny_split_list):
    """The twelve slices to train."""
    return open_split(tiny_store, tiny_split_list, "train")


@pytest.fixture
def tiny_parameters():
    """What rule train hands to the denoiser's and the classifier's stages, at the smallest size."""
    training = {
        "iterations": 12,
        "batch": 4,
        "accumulate": 2,
        "gpus": 1,
        "learning_rate": 1e-3,
        "betas": [0.9, 0.999],
        "warmup": 2,
        "schedule": "cosine",
        "weight_decay": 0.01,
        "ema": 0.9,
        "max_level": 20,
        "mirror": True,
        "jitter": 0.1,
        "precision": "32-true",
        "log_every": 5,
        "sheet_every": 6,
        "save_minutes": 0,
    }
    network = {"channels": 8, "multipliers": [1, 2], "residual_blocks": 1, "attention": [8], "groups": 4}
    return {
        "seed": 3,
        "compile": "never",
        "data": {"size": 16, "channels": ["t1", "flair"]},
        "intensity": [-1, 1],
        "noise_schedule": {"timesteps": 40, "beta": [1e-4, 0.02]},
        "denoiser": {"network": network | {"heads": 1}, "training": training | {"label_dropout": 0.2}},
        "classifier": {"network": network | {"head_channels": 8}, "training": training},
    }


@pytest.fixture
def traced(monkeypatch):
    """Kernels are those of PyTorch itself, which take no minutes; returns a list with an entry for each graph made."""
    made = []

    def backend(graph, given):
        made.append(graph)
        return lookup_backend("aot_eager")(graph, given)

    monkeypatch.setattr(compiled, "BACKEND", backend)
    compiled.can_compile.cache_clear()
    assert compiled.can_compile("cpu")
    made.clear()
    yield made
    torch.compiler.reset()
    compiled.can_compile.cache_clear()
