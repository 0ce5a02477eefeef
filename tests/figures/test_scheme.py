"""Fig. 1: every image where it belongs, with and without guidance and masks, the same bytes, refusals."""

import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest

from stages.data.store import open_store
from stages.errors import InputError
from stages.figures import scheme

LEVELS = [0, 5, 10, 15, 20]


@pytest.fixture
def trajectory(tmp_path, tiny_store):
    """Writes a trajectory of the tiny store's case07 and returns its folder."""

    def write(levels=LEVELS, s=5):
        folder, rng = tmp_path / "trajectory", np.random.default_rng(0)
        folder.mkdir(exist_ok=True)
        arrays = rng.normal(0.5, 1, (3, len(levels), 2, 16, 16)).astype(np.float32)
        arrays[:2, 0] = open_store(tiny_store).images[7]
        arrays[1, 0, :, 4:9, 5:10] = 0.3  # the square is gone
        for name, array in zip(
            ("encoded", "decoded", "gradient") if s else ("encoded", "decoded"), arrays, strict=False
        ):
            np.save(folder / f"{name}.npy", array)
        note = {"slice_id": "case07_z000", "split": "train", "levels": levels, "setting": {"L": levels[-1], "s": s}}
        (folder / "trajectory.json").write_text(json.dumps(note | {"solver": "heun"}))
        return folder

    return write


@pytest.fixture
def drawn(tmp_path, tiny_store):
    """Runs the stage and returns the bytes of its three files."""

    def run(folder, data=tiny_store.parent):
        text = json.dumps({"data": {"channels": ["t1", "flair"]}})
        line = ["--parameters", text, "--data", str(data), "--trajectory", str(folder)]
        scheme.main(scheme.arguments().parse_args([*line, "--output", str(tmp_path / "out")]))
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    return run


def words(figure) -> str:
    return "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_every_image_is_on_the_figure(trajectory, tiny_store):
    folder = trajectory()
    found = scheme.read(folder, tiny_store.parent)
    figure = scheme.draw(found, ["t1", "flair"])
    shown = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    # two rows of four levels and one small channel each, x_L, four gradients, the map
    assert len(shown) == 2 * (4 + 1) + 1 + 4 + 1
    np.testing.assert_allclose(shown[0], found.encoded[0, 1])
    np.testing.assert_allclose(shown[4], found.encoded[0, 0])
    difference = np.abs(found.encoded[0] - found.decoded[0]).sum(axis=0)
    np.testing.assert_allclose(shown[-1], difference, atol=1e-6)
    assert float(difference.max()) == pytest.approx(1.2, abs=0.01)
    low, high = np.percentile(shown[1], [0.5, 99.5])  # noisy images fill the range of greys
    assert (low, high) == (pytest.approx(0, abs=1e-3), pytest.approx(1, abs=1e-3))
    text = words(figure)
    assert all(f"$x_{{{level}}}$" in text for level in (0, 5, 10, 15))
    assert "reversed Heun" in text
    assert "$s = 5$" in text
    assert "outlined" in text
    plt.close(figure)


def test_without_guidance_and_masks_nothing_is_said_of_them(tmp_path, trajectory, tiny_store):
    shutil.copytree(tiny_store, tmp_path / "bare/train")
    (tmp_path / "bare/train/masks.npy").unlink()
    found = scheme.read(trajectory(s=0), tmp_path / "bare")
    assert found.gradient is None
    assert found.mask is None
    figure = scheme.draw(found, ["t1", "flair"])
    assert len(figure.axes[0].images) == 12
    assert not any(word in words(figure) for word in ("classifier", "outlined", "guided"))
    plt.close(figure)


@pytest.mark.parametrize("levels", [[0, 1], [0, 1, 2], LEVELS])
def test_texts_stay_on_the_page_and_off_one_another(trajectory, tiny_store, levels):
    figure = scheme.draw(scheme.read(trajectory(levels), tiny_store.parent), ["t1", "flair"])
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for n, box in enumerate(boxes):
        assert box.count_overlaps(boxes[:n]) == 0, figure.axes[0].texts[n].get_text()
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.y1 <= figure.bbox.y1
        assert box.x1 <= figure.bbox.x1, figure.axes[0].texts[n].get_text()
    plt.close(figure)


def test_the_same_bytes_every_time(trajectory, drawn):
    folder = trajectory()
    first = drawn(folder)
    assert sorted(first) == [f"figure-1-scheme.{kind}" for kind in ("pdf", "png", "svg")]
    assert drawn(folder) == first


def test_bad_input_is_refused(tmp_path, trajectory, drawn):
    folder = trajectory()
    note = (folder / "trajectory.json").read_text()
    for text, match in (
        (note[:-5], r"trajectory\.json is damaged"),
        (note.replace("levels", "lavels"), r"trajectory\.json is damaged .*levels"),
        (note.replace("case07", "case77"), "is about slice 'case77_z000', which"),
        (note.replace("[0, 5, ", "[0, "), r"encoded\.npy has shape \(5, 2, 16, 16\)"),
    ):
        (folder / "trajectory.json").write_text(text)
        with pytest.raises(InputError, match=match):
            drawn(folder)
    (folder / "trajectory.json").write_text(note)
    (folder / "gradient.npy").unlink()
    with pytest.raises(InputError, match=r"gradient\.npy is missing"):
        drawn(folder)
    (folder / "trajectory.json").unlink()
    with pytest.raises(InputError, match=r"trajectory\.json is missing: run the rule trajectory"):
        drawn(folder)
    assert not (tmp_path / "out").exists()
