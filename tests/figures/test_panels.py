import dataclasses

import numpy as np
import pytest
from matplotlib.pyplot import close
from synthetic_results import content

from stages.data.rows import Held
from stages.detection.difference import anomaly_map
from stages.errors import InputError
from stages.figures import panels
from stages.figures import results as reading


def test_methods_of_one_unit_share_a_scale_that_no_single_one_decides(results):
    shown = content(results, [7])
    diffusion, ready_made = shown.methods
    rows = [6, 7, 8]
    end = np.percentile(np.asarray(diffusion.maps[rows], np.float64), 99.5)
    inputs = np.asarray(shown.store.images, np.float64)
    wrong = dataclasses.replace(
        diffusion, name="wrong", images=np.full_like(inputs, 30), maps=np.abs(inputs - 30).sum(axis=1)
    )
    dark = dataclasses.replace(diffusion, name="dark", images=inputs * 0.99, maps=(inputs * 0.01).sum(axis=1))
    scale = reading.colour_scale([diffusion, wrong, dark, ready_made], shown.store, rows, "plain")
    assert scale.common == pytest.approx(end), "the median of the three"
    own = np.percentile(np.asarray(ready_made.maps[rows], np.float64), 99.5)
    assert scale.own == {"ready-made": pytest.approx(own)}
    assert scale.end("wrong") == scale.end("dark") == scale.common
    assert scale.end("ready-made") == scale.own["ready-made"]
    black = dataclasses.replace(ready_made, maps=np.zeros_like(inputs[:, 0]))
    assert reading.colour_scale([black], shown.store, rows, "plain") == reading.Scale(None, {"ready-made": 1.0})


def test_a_method_that_shares_no_slice_with_the_others_is_named(results):
    shown = content(results, [7])
    diffusion, ready_made = shown.methods
    count, part = len(shown.store), lambda array, rows: Held(array[rows], np.array(rows), len(shown.store))
    own = dataclasses.replace(diffusion, images=part(diffusion.images, [4, 7]))
    assert reading.kept([own, ready_made]).tolist() == [4, 7]
    foreign = dataclasses.replace(ready_made, images=part(diffusion.images, [0, count - 1]))
    with pytest.raises(InputError, match=r"ready-made/default/test/images\.csv lists no slice that every"):
        reading.common_scale([own, foreign], shown.store, {"seed": 0, "detection": {"difference": "plain"}})


def test_a_map_that_is_no_difference_has_a_unit_of_its_own(results):
    """As of a VAE whose options.score is `gradient`: there are reconstructions, but the map is something else."""
    shown = content(results, [7])
    diffusion, rows = shown.methods[0], [6, 7, 8]
    assert reading.is_summed_difference(diffusion, shown.store, rows, "plain")
    noisy = dataclasses.replace(diffusion, maps=diffusion.maps + np.float16(0.01))
    assert reading.is_summed_difference(noisy, shown.store, rows, "plain"), "the released code's noise is allowed for"
    for maps in (diffusion.maps * 3, np.asarray(diffusion.maps) ** 2, np.zeros_like(diffusion.maps)):
        other = dataclasses.replace(diffusion, maps=maps)
        assert not reading.is_summed_difference(other, shown.store, rows, "plain")
        assert reading.colour_scale([other], shown.store, rows, "plain").common is None
    assert not reading.is_summed_difference(shown.methods[1], shown.store, rows, "plain")


def test_methods_of_scaled_images_share_a_scale(results):
    """As of the authors' chest radiographs: by the plain difference, none of their maps would be recognised."""
    shown = content(results, [7])
    inputs, rows = np.asarray(shown.store.images, np.float32), [6, 7, 8]
    darker, brighter = (
        dataclasses.replace(
            shown.methods[0], name=name, images=images, maps=anomaly_map(inputs, images, "min-max").astype(np.float16)
        )
        for name, images in (("darker", 0.5 * inputs**2), ("brighter", 2 * inputs**1.5 + 0.5))
    )
    scale = reading.colour_scale([darker, brighter, shown.methods[1]], shown.store, rows, "min-max")
    ends = [np.percentile(method.maps[rows].astype(float), 99.5) for method in (darker, brighter)]
    assert scale.common == pytest.approx(np.mean(ends))
    assert list(scale.own) == ["ready-made"]
    assert "both scaled to [0, 1]" in scale.unit
    plain = reading.colour_scale([darker, brighter], shown.store, rows, "plain")
    assert list(plain.own) == ["darker", "brighter"]
    assert "scaled" not in plain.unit
    assert not reading.is_summed_difference(shown.methods[0], shown.store, rows, "min-max"), "made of plain images"


def test_the_window_holds_all_that_is_not_black_and_is_square():
    images = np.zeros((2, 1, 32, 32))
    images[0, 0, 10:14, 5:15] = images[1, 0, 12:20, 8:12] = 1
    rows, columns = panels.crop(images)
    assert rows.stop - rows.start == columns.stop - columns.start == 12
    assert (rows.start, columns.start) == (9, 4)
    assert panels.crop(np.ones((1, 1, 8, 8))) == (slice(0, 8), slice(0, 8))
    assert panels.crop(np.zeros((1, 1, 8, 8))) == (slice(0, 8), slice(0, 8))
    images[0, 0, 0, 0] = 1  # at the edge: the window stays inside
    rows, columns = panels.crop(images)
    assert (rows.start, columns.start) == (0, 0)


def test_a_pixel_lies_where_its_outline_is():
    figure, mask = panels.figure(3, 2), np.zeros((10, 10))
    mask[2:4, 6:9] = 1
    grid = panels.Grid(figure.subplots(), ["one", "two"], ["a", "b", "c"])
    grid.picture(1, 2, mask)
    grid.outline(1, 2, mask)
    side = 1 - panels.GAP
    assert grid.axes.images[0].get_extent() == pytest.approx([2, 2 + side, 1 + side, 1])
    (path,) = grid.axes.collections[0].get_paths()
    # Half way between the centres of the pixels in and outside the mask.
    expected = [2 + 0.6 * side, 1 + 0.2 * side, 2 + 0.9 * side, 1 + 0.4 * side]
    assert path.get_extents().extents == pytest.approx(expected)
    figure.draw_without_rendering()
    corners = grid.axes.transData.transform([(0, 0), (1, 0), (1, 1)])
    across, down = np.diff(corners, axis=0)
    assert across[0] == pytest.approx(-down[1]), "square panels, y down"
    close(figure)
