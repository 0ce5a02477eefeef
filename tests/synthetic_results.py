"""What the rules before the figures write, from two methods on the fixtures' split, and how figures are judged."""

import argparse
from itertools import combinations

import numpy as np

from stages.data.store import open_store
from stages.evaluation import records
from stages.evaluation.scores import score_slices
from stages.figures import examples, style
from stages.figures import results as reading

SIZE = 32
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


def write_method(results, name, setting, maps, images=None):
    """A method's files at one setting: its maps, its reconstructions where it has any, its slice scores."""
    folder = results / "maps" / name / setting / "test"
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "maps.npy", np.asarray(maps, np.float16))
    if images is not None:
        np.save(folder / "images.npy", np.asarray(images, np.float16))
    store = open_store(results / "data/test")
    slices = score_slices(np.load(folder / "maps.npy"), store.masks, store.manifest, 20, name)
    records.write_csv(results / "scores" / name / setting / "test.csv", slices)


def write_all(results):
    """Diffusion heals lesions in part, the more the higher s and L; a ready-made map has a unit of its own."""
    store, rng = open_store(results / "data/test"), np.random.default_rng(1)
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
        maps=folder / "maps",
        scores=folder / "scores",
        comparison=folder / "comparison.csv",
        output=folder / output,
        figure=figure,
    )


WHOLE = (slice(None), slice(None))


def content(folder, rows, channels=("t1", "flair"), kind="diseased", scale=None):
    store = open_store(folder / "data/test")
    settings = reading.reported(folder / "comparison.csv", list(METHODS))
    methods = [reading.open_method(*item, folder / "maps", folder / "scores", store) for item in settings.items()]
    return examples.Content(
        store, methods, list(channels), scale or reading.Scale(0.6, {"ready-made": 90.0}), rows, WHOLE, kind
    )


def assert_nothing_overlaps(figure):
    """No text is cut off by the paper's edge, none lies on another one, and none is too small to read."""
    figure.canvas.draw()
    found = [text for text in figure.axes[0].texts if text.get_text().strip()]
    boxes = [text.get_window_extent() for text in found]
    for text, box in zip(found, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        assert inside, f"{text.get_text()!r} is cut off"
        assert text.get_fontsize() >= style.SMALLEST
    for (one, box), (other, second) in combinations(zip(found, boxes, strict=True), 2):
        apart = box.x1 <= second.x0 or second.x1 <= box.x0 or box.y1 <= second.y0 or second.y1 <= box.y0
        assert apart, f"{one.get_text()!r} lies on {other.get_text()!r}"
