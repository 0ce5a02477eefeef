"""Fig. 1: every image where it belongs, with and without guidance and masks, the same bytes, refusals."""

import json
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.image import AxesImage
from matplotlib.text import Text
from synthetic_results import assert_nothing_overlaps

from stages import digests
from stages.detection.difference import DIFFERENCES, anomaly_map
from stages.errors import InputError
from stages.figures import scheme

LEVELS = [0, 5, 10, 15, 20]


@pytest.fixture
def trajectory(tmp_path, tiny_slices):
    """Writes a trajectory of the tiny store's case07 and returns its folder."""

    def write(levels=LEVELS, s=5):
        folder, rng = tmp_path / "trajectory", np.random.default_rng(0)
        folder.mkdir(exist_ok=True)
        arrays = rng.normal(0.5, 1, (3, len(levels), 2, 16, 16)).astype(np.float32)
        arrays[:2, 0] = tiny_slices.images[7]
        arrays[1, 0, :, 4:9, 5:10] = 0.3  # the square is gone
        for name, array in zip(
            ("encoded", "decoded", "gradient") if s else ("encoded", "decoded"), arrays, strict=False
        ):
            np.save(folder / f"{name}.npy", array)
        note = {"slice_id": "case07_z000", "split": "train", "levels": levels, "setting": {"L": levels[-1], "s": s}}
        (folder / "trajectory.json").write_text(json.dumps(note | {"solver": "heun"}))
        digests.write(folder)
        return folder

    return write


@pytest.fixture
def drawn(tmp_path, tiny_store, tiny_split_list):
    """Runs the stage and returns the bytes of its three files."""

    def run(folder):
        text = json.dumps({"data": {"channels": ["t1", "flair"]}, "detection": {"difference": "plain"}})
        line = ["--parameters", text, "--data", str(tiny_store), "--split-list", str(tiny_split_list)]
        line += ["--trajectory", str(folder)]
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


def test_every_image_is_on_the_figure(trajectory, tiny_store, tiny_split_list):
    folder = trajectory()
    found = scheme.read(folder, tiny_store, tiny_split_list, "plain")
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


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_the_map_is_the_one_that_is_scored_and_the_formula_says_how(
    monkeypatch, trajectory, tiny_slices, tiny_store, tiny_split_list, difference
):
    down, across = window = slice(2, 14), slice(1, 13)
    monkeypatch.setattr(scheme.panels, "crop", lambda images: window)
    folder = trajectory()
    decoded = np.load(folder / "decoded.npy")
    decoded[0] = 3 * decoded[0] - 1
    decoded[0, :, 0, 0] = -4  # the least value lies where the figure cuts
    np.save(folder / "decoded.npy", decoded)
    digests.write(folder)
    ends = [torch.tensor(np.asarray(images)) for images in (tiny_slices.images[7:8], decoded[:1])]
    (scored,) = anomaly_map(*ends, difference).numpy()
    found = scheme.read(folder, tiny_store, tiny_split_list, difference)
    np.testing.assert_allclose(found.map, scored[down, across], atol=1e-6)
    figure = scheme.draw(found, ["t1", "flair"])
    assert shows(figure, scored[down, across])
    assert ("scaled to [0, 1]" in words(figure)) == (difference == "min-max")
    assert (r"\sum_c |x - x_0|" in words(figure)) == (difference == "plain")
    plt.close(figure)


def test_without_guidance_and_masks_nothing_is_said_of_them(tmp_path, trajectory, tiny_store, tiny_split_list):
    shutil.copytree(tiny_store, tmp_path / "bare")
    (tmp_path / "bare/masks.npy").unlink()
    digests.write(tmp_path / "bare")
    found = scheme.read(trajectory(s=0), tmp_path / "bare", tiny_split_list, "plain")
    assert found.gradient is None
    assert found.mask is None
    figure = scheme.draw(found, ["t1", "flair"])
    assert len(panels(figure)) == 12
    assert not any(word in words(figure) for word in ("classifier", "outlined", "guided"))
    plt.close(figure)


@pytest.mark.parametrize("difference", DIFFERENCES)
@pytest.mark.parametrize("levels", [[0, 1], [0, 1, 2], LEVELS])
def test_texts_stay_on_the_page_and_off_one_another(trajectory, tiny_store, tiny_split_list, levels, difference):
    figure = scheme.draw(scheme.read(trajectory(levels), tiny_store, tiny_split_list, difference), ["t1", "flair"])
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
        (note.replace("case07", "case77"), r"is about slice 'case77_z000', which .*split\.csv has not in train"),
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
