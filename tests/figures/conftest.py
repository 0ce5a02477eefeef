"""A test split of three subjects with maps and reconstructions of two methods, as the rules before write them."""

import numpy as np
import pandas as pd
import pytest

from stages.data.store import StoreWriter

SIZE = 32
SETTINGS = {"diffusion": "L20_s5", "ready-made": "default"}


@pytest.fixture
def results(tmp_path):
    """Folder with data/test, maps/<method>/<setting>/test and comparison.csv; nine slices a subject."""
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "data/test", channels=2, size=SIZE) as writer:
        for subject in ("A", "B", "C"):
            for z in range(9):
                image, mask = np.zeros((2, SIZE, SIZE)), np.zeros((SIZE, SIZE), np.uint8)
                image[:, 8:28, 6:24] = rng.uniform(0.2, 1, (2, 20, 18))
                mask[12 : 12 + max(0, z - 3), 10:14] = 1
                row = {"slice_id": f"{subject}_z{z:03d}", "subject_id": subject, "position": z, "source": subject}
                row |= {"label": int(mask.any()), "lesion_pixels": int(mask.sum()), "affine": "[]"}
                writer.append(image[None], mask[None], [row])
    masks = np.load(tmp_path / "data/test/masks.npy")
    for method, setting in SETTINGS.items():
        folder = tmp_path / "maps" / method / setting / "test"
        folder.mkdir(parents=True)
        np.save(folder / "maps.npy", (0.5 * masks + rng.uniform(0, 0.1, masks.shape)).astype(np.float16))
    images = np.load(tmp_path / "data/test/images.npy")
    np.save(tmp_path / "maps/diffusion/L20_s5/test/images.npy", images)  # the other method wrote none
    comparison = {"method": SETTINGS.keys(), "setting": SETTINGS.values(), "average_otsu": 0.3}
    pd.DataFrame(comparison).to_csv(tmp_path / "comparison.csv", index=False)
    return tmp_path


@pytest.fixture
def unmasked(results):
    """The same without masks: no masks.npy, no lesion pixels, no thresholds, one position for all."""
    (results / "data/test/masks.npy").unlink()
    for path, change in (
        (results / "data/test/manifest.csv", {"lesion_pixels": 0, "position": 0}),
        (results / "comparison.csv", {"average_otsu": ""}),
    ):
        pd.read_csv(path, dtype=str, keep_default_na=False).assign(**change).to_csv(path, index=False)
    return results
