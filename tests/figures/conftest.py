"""A test split of three subjects with maps, reconstructions and scores of two methods, as the rules before write it."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close
from synthetic_results import SETTINGS, SIZE, write_all

from stages.data.store import StoreWriter
from stages.figures import style


@pytest.fixture
def drawn(monkeypatch):
    """The figures that the stage would save, by name."""
    figures = {}
    monkeypatch.setattr(style, "save", lambda figure, folder, name: figures.update({name: figure}))
    yield figures
    close("all")


@pytest.fixture
def results(tmp_path):
    """Folder with data/test, maps, scores and comparison.csv; nine slices a subject, of which five are diseased."""
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
    write_all(tmp_path)
    pd.DataFrame({"method": SETTINGS.keys(), "setting": SETTINGS.values()}).to_csv(
        tmp_path / "comparison.csv", index=False
    )
    return tmp_path


@pytest.fixture
def unmasked(results):
    """The same without masks: no masks.npy, no lesion pixels, nothing scored, one position for all."""
    (results / "data/test/masks.npy").unlink()
    path = results / "data/test/manifest.csv"
    manifest = pd.read_csv(path, dtype=str, keep_default_na=False)
    manifest.assign(lesion_pixels=0, position=0).to_csv(path, index=False)
    write_all(results)
    return results


@pytest.fixture
def one_channel(results):
    """The same with the first channel alone, as of radiographs."""
    images = np.load(results / "data/test/images.npy")
    np.save(results / "data/test/images.npy", images[:, :1])
    for path in (results / "maps").glob("*/*/test/images.npy"):
        np.save(path, np.load(path)[:, :1])
    write_all(results)
    return results
