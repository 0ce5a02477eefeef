"""Fig. 1: every image where it belongs, with and without guidance and masks, the same bytes, refusals."""

import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.image import AxesImage
from matplotlib.text import Text
from synthetic_results import assert_nothing_overlaps

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


def panels(figure) -> list[np.ndarray]:
    """The pictures, children of an Axes after its own; without the colour bar."""
    return [np.asarray(image.get_array()) for image in figure.findobj(AxesImage)]


def words(figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text) if text.get_visible())


def shows(figure, pixels) -> bool:
    return any(image.shape == pixels.shape and np.allclose(image, pixels, atol=1e-6) for image in panels(figure))


def test_every_image_is_on_the_figure(trajectory, tiny_store):
    folder = trajectory()
    found = scheme.read(folder, tiny_store.parent)
    figure = scheme.draw(found, ["t1", "flair"])
    # two rows of four levels and one small channel each, x_L, four gradients, the map
    assert len(panels(figure)) == 2 * (4 + 1) + 1 + 4 + 1
    for images in (found.encoded, found.decoded):
        assert shows(figure, images[0, 1])
        assert shows(figure, images[0, 0]), "the first channel, small"
    for gradient in found.gradient[1:]:
        assert shows(figure, gradient[1])
    difference = np.abs(found.encoded[0] - found.decoded[0]).sum(axis=0)
    assert shows(figure, difference)
    assert float(difference.max()) == pytest.approx(1.2, abs=0.01)
    low, high = np.percentile(found.encoded[1, 1], [0.5, 99.5])
    assert shows(figure, (found.encoded[1, 1] - low) / (high - low)), "noisy images fill the range of greys"
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
    assert len(panels(figure)) == 12
    assert not any(word in words(figure) for word in ("classifier", "outlined", "guided"))
    plt.close(figure)


@pytest.mark.parametrize("levels", [[0, 1], [0, 1, 2], LEVELS])
def test_texts_stay_on_the_page_and_off_one_another(trajectory, tiny_store, levels):
    figure = scheme.draw(scheme.read(trajectory(levels), tiny_store.parent), ["t1", "flair"])
    assert_nothing_overlaps(figure)
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
