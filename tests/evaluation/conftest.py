"""A benchmark of two methods on a few tiny slices, written as the rules before evaluation write it."""

import argparse
import json

import numpy as np
import pandas as pd
import pytest

from stages.data.store import StoreWriter
from stages.evaluation import comparison_tables, scores
from stages.methods import settings

SIZE = 32
PARAMETERS = {
    "seed": 3,
    "evaluation": {"lesion_pixels_at_256": 20, "bootstrap": 200, "size_groups": 3},
    "methods": {
        "guided-ddim": {"grid": [{"L": [10, 20], "s": [0, 0.5]}], "setting": "validation"},
        "ready-made": {"grid": [{}], "setting": {}},
    },
}


def write_store(folder, subjects, slices=6, seed=0):
    """`slices` slices a subject: the first third healthy, the others with a growing square lesion."""
    rng = np.random.default_rng(seed)
    with StoreWriter(folder, channels=1, size=SIZE) as writer:
        for subject in subjects:
            for z in range(slices):
                mask = np.zeros((SIZE, SIZE), np.uint8)
                side = max(0, z - slices // 3 + 1)
                mask[8 : 8 + side, 10 : 10 + side] = 1
                row = {
                    "slice_id": f"{subject}_z{z:03d}",
                    "subject_id": subject,
                    "position": z,
                    "label": int(mask.any()),
                    "lesion_pixels": int(mask.sum()),
                    "source": subject,
                    "affine": "[]",
                }
                writer.append(rng.uniform(0, 1, (1, 1, SIZE, SIZE)), mask[None], [row])


def write_maps(path, masks, quality, seed):
    """Noise in [0, 1) plus `quality` on the lesion."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).uniform(0, 1, masks.shape)
    np.save(path, (noise + quality * masks).astype(np.float16))


class Benchmark:
    """Folders as in results/<benchmark>, and the stages run on them in this process."""

    splits = ("validation", "test")

    def __init__(self, root):
        self.root, self.parameters = root, json.loads(json.dumps(PARAMETERS))
        write_store(root / "data/validation", ["V1", "V2"], seed=1)
        write_store(root / "data/test", ["007", "NA", "T3"], seed=2)
        for split in self.splits:
            masks = np.load(root / "data" / split / "masks.npy")
            for method, values in self.parameters["methods"].items():
                for number, setting in enumerate(settings(values)):
                    # On validation the third setting is best, on test the second one.
                    quality = {"validation": [0, 0.5, 1, 0.2], "test": [0, 3, 1, 0.2]}[split][number]
                    path = root / "maps" / method / setting.name / split / "maps.npy"
                    write_maps(path, masks, quality, seed=number)

    def remove_masks(self):
        """Make it a data set without masks, whose manifests count no lesion pixels; maps and labels stay."""
        for split in self.splits:
            folder = self.root / "data" / split
            (folder / "masks.npy").unlink()
            manifest = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
            manifest.assign(lesion_pixels=0).to_csv(folder / "manifest.csv", index=False)

    def score(self, method, setting, output=None):
        """Run the rule `scores` of one setting."""
        scores.main(
            argparse.Namespace(
                parameters=self.parameters,
                data=self.root / "data",
                maps=self.root / "maps" / method / setting,
                splits=self.splits,
                output=output or self.root / "scores" / method / setting,
            )
        )

    def score_all(self):
        """Run the rule `scores` on the whole grid."""
        for method, values in self.parameters["methods"].items():
            for setting in settings(values):
                self.score(method, setting.name)

    def tabulate(self, output=None):
        """Run the rule `comparison_tables`."""
        comparison_tables.main(
            argparse.Namespace(
                parameters=self.parameters,
                scores=self.root / "scores",
                data=self.root / "data",
                splits=self.splits,
                output=output or self.root / "tables",
                metrics=(output or self.root) / "metrics.json",
            )
        )


@pytest.fixture
def benchmark(tmp_path):
    return Benchmark(tmp_path)


@pytest.fixture
def unmasked(tmp_path):
    result = Benchmark(tmp_path / "unmasked")
    result.remove_masks()
    return result
