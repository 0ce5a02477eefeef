"""A benchmark of two methods on a few tiny slices, of one or more repeats, as the rules before evaluation write it."""

import argparse
import json

import numpy as np
import pandas as pd
from synthetic_results import IDENTITY

from stages import digests
from stages.data.store import StoreWriter, open_split
from stages.evaluation import comparison_tables, scores
from stages.methods import settings
from stages.repeats import repeats

SIZE = 32
PARAMETERS = {
    "seed": 3,
    "repeats": {"folds": 1, "seeds": [0]},
    "evaluation": {"lesion_pixels_at_256": 20, "bootstrap": 200, "size_groups": 3, "healthy_quantile": 0.98},
    "methods": {
        "guided-ddim": {"grid": [{"L": [10, 20], "s": [0, 0.5]}], "setting": "validation"},
        "ready-made": {"grid": [{}], "setting": {}},
    },
    "trained_on": {"guided-ddim": "labels", "ready-made": "unknown"},
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
    first = "fold1-seed0"

    def __init__(self, root, folds=1, seeds=(0,)):
        self.root, self.parameters = root, json.loads(json.dumps(PARAMETERS))
        self.parameters["repeats"] = {"folds": folds, "seeds": list(seeds)}
        tests = [["007", "NA", "T3"], ["T4", "T5"]][:folds]
        subjects = ["V1", "V2", *(subject for fold in tests for subject in fold)]
        write_store(root / "data", subjects, seed=1)
        (root / "split").mkdir()
        for number, test in enumerate(tests, start=1):
            split = dict.fromkeys(subjects, "unused") | dict.fromkeys(test, "test")
            split |= {"V1": "validation", "V2": "validation"}
            rows = "".join(f"{subject},{name}\n" for subject, name in split.items())
            (root / f"split/fold{number}.csv").write_text(f"subject_id,split\n{rows}")
        for repeat in self.repeats:
            for split in self.splits:
                masks = np.asarray(self.store(split, repeat.fold).masks)
                for method, values in self.parameters["methods"].items():
                    for number, setting in enumerate(settings(values)):
                        # On validation the third setting is best, on test the second one; in fold 2 the second on both.
                        validation = [[0, 0.5, 1, 0.2], [0, 1, 0.5, 0.2]][repeat.fold - 1]
                        quality = {"validation": validation, "test": [0, 3, 1, 0.2]}[split][number]
                        folder = root / "maps" / repeat.name / method / setting.name
                        seed = number + 10 * repeat.seed + 100 * (repeat.fold - 1)
                        write_maps(folder / split / "maps.npy", masks, quality, seed)
                        cost = {"seconds": 0.5 + repeat.seed, "memory_mb": 800, "device": "cpu"}
                        (folder / "cost.json").write_text(json.dumps(cost))

    @property
    def repeats(self):
        return repeats(self.parameters)

    def store(self, split="test", fold=1):
        return open_split(self.root / "data", self.root / f"split/fold{fold}.csv", split)

    def maps(self, method, setting, split="test", repeat=first):
        return np.load(self.maps_file(method, setting, split, repeat))

    def maps_file(self, method, setting, split="test", repeat=first):
        return self.root / "maps" / repeat / method / setting / split / "maps.npy"

    def scores(self, method, setting, repeat=first):
        """The folder of the slice scores."""
        return self.root / "scores" / repeat / method / setting

    def record(self, method, setting, repeat=first):
        return self.root / "record" / repeat / method / f"{setting}.csv"

    def remove_masks(self):
        """Make it a data set without masks, whose manifest counts no lesion pixels; maps and labels stay."""
        folder = self.root / "data"
        (folder / "masks.npy").unlink()
        manifest = pd.read_csv(folder / "manifest.csv", dtype=str, keep_default_na=False)
        manifest.assign(lesion_pixels=0).to_csv(folder / "manifest.csv", index=False)
        digests.write(folder)

    def score(self, method, setting, repeat=first, output=None, identity=IDENTITY):
        """Run the rule `scores` of one setting."""
        fold = repeat.split("-")[0]
        scores.main(
            argparse.Namespace(
                parameters=self.parameters,
                data=self.root / "data",
                split_list=self.root / f"split/{fold}.csv",
                maps=self.root / "maps" / repeat / method / setting,
                splits=self.splits,
                output=output or self.scores(method, setting, repeat),
                record=(output / "record.csv") if output else self.record(method, setting, repeat),
                identity=identity,
            )
        )

    def score_all(self):
        """Run the rule `scores` on the whole grid of every repeat."""
        for repeat in self.repeats:
            for method, values in self.parameters["methods"].items():
                for setting in settings(values):
                    self.score(method, setting.name, repeat.name)

    def tabulate(self, output=None, **options):
        """Run the rule `comparison_tables`."""
        given = {
            "parameters": self.parameters,
            "benchmark": None,
            "record": self.root / "record",
            "scores": self.root / "scores",
            "reuse": None,
            "output": output or self.root / "tables",
            "metrics": (output or self.root) / "metrics",
        }
        comparison_tables.main(argparse.Namespace(**given | options))
