"""What the rules before the figures write, as fixtures: a test split of three subjects with maps, reconstructions and
scores of two methods; and how figures are judged.

Laid out as results/<benchmark> of one repeat: data/ (one store), split/fold1.csv, maps/<REPEAT>, scores/<REPEAT>,
comparison.csv.
"""

import argparse
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close
from matplotlib.text import Text

from stages import digests
from stages.data.store import StoreWriter, open_split
from stages.evaluation import records
from stages.evaluation.scores import score_slices
from stages.figures import examples, style
from stages.figures import results as reading

IDENTITY = "0123abcd"
"""What records say of the parameters that made them."""

SIZE = 32
REPEAT = "fold1-seed0"
SETTINGS = {"guided-ddim": "L20_s5", "ready-made": "default"}
METHODS = {
    "guided-ddim": {"grid": [{"L": [10, 20], "s": [5, 0]}], "setting": {"L": 20, "s": 5}},
    "ready-made": {"grid": [{}], "setting": {}},
}


PARAMETERS = {
    "seed": 0,
    "data": {"size": SIZE, "channels": ["t1", "flair"]},
    "methods": METHODS,
    "figures": {"method": "guided-ddim", "diseased_slices": 2, "healthy_slices": 1, "supplement_slices": 4},
}


def written(comparison):
    """A comparison as its file has it: what the folds chose in words."""
    return comparison.assign(settings=comparison["settings"].map(", ".join))


def open_test(results):
    """The test slices of a folder of results."""
    return open_split(results / "data", results / "split/fold1.csv", "test")


def write_method(results, name, setting, maps, images=None):
    """A method's files at one setting: its maps, its reconstructions where it has any, its slice scores."""
    folder = results / "maps" / REPEAT / name / setting / "test"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "maps.npy", np.asarray(maps, np.float16))
    if images is not None:
        np.save(folder / "images.npy", np.asarray(images, np.float16))
    store = open_test(results)
    slices = score_slices(np.load(folder / "maps.npy"), store.masks, store.manifest, 20, name)
    slices = slices.assign(seconds=0.5, memory_mb=800)
    records.write_csv(results / "scores" / REPEAT / name / setting / "test.csv", slices)


def write_all(results):
    """Diffusion heals lesions in part, the more the higher s and L; a ready-made map has a unit of its own."""
    store, rng = open_test(results), np.random.default_rng(1)
    inputs = np.asarray(store.images, np.float64)
    lesion = np.zeros_like(inputs) if store.masks is None else np.asarray(store.masks, np.float64)[:, None]
    for level in (10, 20):
        for scale in (0, 5):
            healed = 1 - lesion * (0.3 + 0.02 * level * (scale + 1) / 6)
            images = (inputs * healed + (inputs > 0) * rng.uniform(0, 0.1, inputs.shape)).astype(np.float16)
            maps = np.abs(inputs - images).sum(axis=1)
            write_method(results, "guided-ddim", f"L{level}_s{scale}", maps, images)
    write_method(results, "ready-made", "default", 100 * lesion[:, 0] + rng.uniform(0, 20, maps.shape))


def stage_options(folder, figure, output="figures", **parameters):
    """The arguments of a stage that draws single slices; sections of the parameters are replaced by name."""
    return argparse.Namespace(
        parameters=PARAMETERS | parameters,
        data=folder / "data",
        split_list=folder / "split/fold1.csv",
        maps=folder / "maps" / REPEAT,
        scores=folder / "scores" / REPEAT,
        comparison=folder / "comparison.csv",
        output=folder / output,
        figure=figure,
    )


WHOLE = (slice(None), slice(None))


def content(folder, rows, channels=("t1", "flair"), kind="diseased", scale=None):
    store = open_test(folder)
    folders = folder / "maps" / REPEAT, folder / "scores" / REPEAT
    methods = reading.open_reported(folder / "comparison.csv", list(METHODS), *folders, store)
    titles, scale = ["L = 20, s = 5", ""], scale or reading.Scale(0.6, {"ready-made": 90.0})
    return examples.Content(store, methods, titles, list(channels), scale, rows, WHOLE, kind)


def assert_nothing_overlaps(figure):
    """No text is cut off by the paper's edge, none lies on another one, and none is too small to read."""
    figure.canvas.draw()
    found = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    boxes = [text.get_window_extent() for text in found]
    for text, box in zip(found, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{text.get_text()!r} is cut off"
        assert text.get_fontsize() >= style.SMALLEST
    for (one, box), (other, second) in combinations(zip(found, boxes, strict=True), 2):
        apart = box.x1 <= second.x0 or second.x1 <= box.x0 or box.y1 <= second.y0 or second.y1 <= box.y0
        assert apart, f"{one.get_text()!r} lies on {other.get_text()!r}"


@pytest.fixture
def drawn(monkeypatch):
    """The figures that the stage would save, by name."""
    figures = {}
    monkeypatch.setattr(style, "save", lambda figure, folder, name: figures.update({name: figure}))
    yield figures
    close("all")


@pytest.fixture
def results(tmp_path):
    """Folder with data, split, maps, scores and comparison.csv; nine slices a subject, of which five are diseased."""
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "data", channels=2, size=SIZE) as writer:
        for subject in ("A", "B", "C"):
            for z in range(9):
                image, mask = np.zeros((2, SIZE, SIZE)), np.zeros((SIZE, SIZE), np.uint8)
                image[:, 8:28, 6:24] = rng.uniform(0.2, 1, (2, 20, 18))
                mask[12 : 12 + max(0, z - 3), 10:14] = 1
                row = {"slice_id": f"{subject}_z{z:03d}", "subject_id": subject, "position": z, "source": subject}
                row |= {"label": int(mask.any()), "lesion_pixels": int(mask.sum()), "affine": "[]"}
                writer.append(image[None], mask[None], [row])
    (tmp_path / "split").mkdir()
    (tmp_path / "split/fold1.csv").write_text("subject_id,split\nA,test\nB,test\nC,test\n")
    write_all(tmp_path)
    reported = {"method": SETTINGS.keys(), "setting": SETTINGS.values(), "settings": SETTINGS.values()}
    pd.DataFrame(reported).to_csv(tmp_path / "comparison.csv", index=False)
    return tmp_path


@pytest.fixture
def unmasked(results):
    """The same without masks: no masks.npy, no lesion pixels, nothing scored, one position for all."""
    (results / "data/masks.npy").unlink()
    path = results / "data/manifest.csv"
    manifest = pd.read_csv(path, dtype=str, keep_default_na=False)
    manifest.assign(lesion_pixels=0, position=0).to_csv(path, index=False)
    digests.write(results / "data")
    write_all(results)
    return results


@pytest.fixture
def one_channel(results):
    """The same with the first channel alone, as of radiographs."""
    images = np.load(results / "data/images.npy")
    np.save(results / "data/images.npy", images[:, :1])
    digests.write(results / "data")
    for path in (results / "maps").glob("*/*/*/test/images.npy"):
        np.save(path, np.load(path)[:, :1])
    write_all(results)
    return results
