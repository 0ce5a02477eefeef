"""A small benchmark for the explorer's tests: test split, maps, scores and tables as the rules before write them."""

import argparse

import numpy as np
import pandas as pd

from stages.data.store import StoreWriter, open_split
from stages.evaluation import records, scores
from stages.evaluation.summary import FIELD_MEANS, MEANS, USE_MEANS, values
from stages.methods import settings
from stages.pages import explorer

SIZE = 16
HOSTILE = '<img src=x onerror="alert(1)">', "</script><script>alert(1)</script>"
"""Names of slices that would run as code where they were taken for markup."""
REPEAT = "fold1-seed0"
PARAMETERS = {
    "seed": 0,
    "repeats": {"folds": 1, "seeds": [0]},
    "data": {"size": SIZE, "channels": ["t1", "flair"]},
    "evaluation": {"lesion_pixels_at_256": 20, "healthy_quantile": 0.98},
    "methods": {
        "guided-ddim": {"grid": [{"L": [250, 500], "s": [0, 20, 80]}, {"L": [125], "s": [20]}]},
        "intensity": {"grid": [{"view": ["plain", "inverted"]}]},
        "ready-made": {"grid": [{}]},
    },
    "figures": {"method": "guided-ddim", "explorer_slices": 6, "explorer_volumes": 0, "explorer_megabytes": 30},
}
REPORTED = {"guided-ddim": "L500_s20", "intensity": "view-plain", "ready-made": "default"}


def write_store(root, masks, channels):
    """Three subjects of six slices, the last three of each with a lesion; two slices have names of `HOSTILE`.

    A fourth one, which comes first in the store, is not in the test split.
    """
    rng = np.random.default_rng(0)
    names = iter(HOSTILE)
    with StoreWriter(root / "data", channels=channels, size=SIZE, masks=masks) as writer:
        for subject in ("0", "A", "B", "C"):
            for z in range(6):
                image, mask = np.zeros((channels, SIZE, SIZE)), np.zeros((SIZE, SIZE), np.uint8)
                image[:, 2:14, 3:13] = rng.uniform(0.2, 1, (channels, 12, 10))
                mask[4 : 4 + max(0, z - 1), 5:9] = z > 2
                row = {"slice_id": f"{subject}_z{z:03d}", "subject_id": subject, "position": z, "source": subject}
                if subject == "A" and z in (2, 4):  # both are shown
                    row["slice_id"] = next(names)
                row |= {"label": int(mask.any()), "lesion_pixels": int(masks and mask.sum()), "affine": "[]"}
                writer.append(image[None], mask[None] if masks else None, [row])
    (root / "split").mkdir()
    (root / "split/fold1.csv").write_text("subject_id,split\n0,train\nA,test\nB,test\nC,test\n")


def write_maps(folder, images, number):
    """Maps of every setting, better or worse; of `guided-ddim` with reconstructions, of `ready-made` in float32."""
    lesion = np.zeros((SIZE, SIZE))
    lesion[4:8, 5:9] = 1
    for method, values_of in PARAMETERS["methods"].items():
        for setting in settings(values_of):
            rng, number = np.random.default_rng(number), number + 1
            maps = rng.uniform(0, 0.4, (len(images), SIZE, SIZE)) + 0.1 * number * lesion
            target = folder / method / setting.name / "test"
            target.mkdir(parents=True)
            np.save(target / "maps.npy", maps.astype(np.float32 if method == "ready-made" else np.float16))
            if method == "guided-ddim":
                noise = rng.normal(0, 0.2, images.shape)
                np.save(target / "images.npy", (images + noise).astype(np.float16))


class ExplorerBenchmark:
    """The folders of results/<benchmark>, and the stage run on them in this process."""

    def __init__(self, root, masks=True, channels=("t1", "flair")):
        self.root, self.output = root, root / "explorer.html"
        of_data = PARAMETERS["data"] | {"channels": list(channels)}
        self.parameters = PARAMETERS | {"figures": dict(PARAMETERS["figures"]), "data": of_data}
        write_store(root, masks, len(channels))
        write_maps(root / "maps" / REPEAT, np.asarray(self.store().images), number=1)
        self.score()

    def store(self):
        """The test split."""
        return open_split(self.root / "data", self.root / "split/fold1.csv", "test")

    def score(self):
        """Score all maps and write both tables."""
        rows = []
        for method, values_of in PARAMETERS["methods"].items():
            for name in [one.name for one in settings(values_of)]:
                scores.main(
                    argparse.Namespace(
                        parameters=self.parameters,
                        data=self.root / "data",
                        split_list=self.root / "split/fold1.csv",
                        maps=self.root / "maps" / REPEAT / method / name,
                        splits=["test"],
                        output=self.root / "scores" / REPEAT / method / name,
                        record=self.root / "record" / REPEAT / method / f"{name}.csv",
                        identity="0" * 64,
                    )
                )
                slices = self.slices(method, name)
                means = {metric: pd.Series(values(slices, metric)).mean() for metric in MEANS | FIELD_MEANS | USE_MEANS}
                rows.append({"method": method, "setting": name, "split": "test", **means})
        records.write_csv(self.root / "tables/scores.csv", pd.DataFrame(rows))
        comparison = pd.DataFrame(
            {"method": REPORTED.keys(), "setting": REPORTED.values(), "settings": REPORTED.values()}
        )
        records.write_csv(self.root / "tables/comparison.csv", comparison)

    def slices(self, method, setting):
        """The slice scores of a setting."""
        return records.read_slice_scores(self.root / "scores" / REPEAT / method / setting / "test.csv")

    def maps(self, method, setting):
        """(N, H, W) of a setting."""
        return np.load(self.root / "maps" / REPEAT / method / setting / "test/maps.npy")

    def images(self, method, setting):
        """Its reconstructions (N, C, H, W)."""
        return np.load(self.root / "maps" / REPEAT / method / setting / "test/images.npy")

    def build(self):
        """Run the stage; the page's text."""
        explorer.main(
            argparse.Namespace(
                parameters=self.parameters,
                benchmark="tiny & <small>",
                data=self.root / "data",
                split_list=self.root / "split/fold1.csv",
                maps=self.root / "maps" / REPEAT,
                scores=self.root / "scores" / REPEAT,
                table=self.root / "tables/scores.csv",
                comparison=self.root / "tables/comparison.csv",
                output=self.output,
            )
        )
        return self.output.read_text(encoding="utf-8")
