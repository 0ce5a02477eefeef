import argparse
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.pyplot import close

from stages.errors import InputError
from stages.evaluation.lesion_size import COLUMNS, METRICS, by_lesion_size
from stages.figures import lesion_size, style

METHODS = ["guided-ddim", "vae", "a-method-of-a-rather-long-name", "intensity"]


def table(methods=METHODS, slices=30):
    """As the tables write it, from slice scores of five subjects."""
    rng = np.random.default_rng(0)
    frames = {}
    for name in methods:
        slice_scores = {
            "subject_id": np.repeat(list("ABCDE"), slices // 5),
            "lesion_pixels": np.arange(slices) * 7 % 101 + 1,
            "scored": 1,
            "dice_average_otsu": rng.uniform(0.2, 0.9, slices),
            "auroc": rng.uniform(0.6, 1, slices),
        }
        frames[name] = [pd.DataFrame(slice_scores)]  # of one seed
    return by_lesion_size(frames, dict.fromkeys(methods, "default"), 3, 50, 0)


def test_each_method_is_a_line_over_the_groups_with_its_intervals():
    frame = table()
    figure = lesion_size.draw(METHODS, frame)
    colours = style.method_colours(METHODS)
    for axes, metric in zip(figure.axes, METRICS, strict=True):
        for index, name in enumerate(METHODS):
            rows = frame[frame["method"] == name]
            line, *bars = axes.get_lines()[4 * index : 4 * index + 4]  # and the interval of each of three groups
            assert line.get_ydata().tolist() == rows[metric].tolist()
            assert line.get_color() == colours[name]
            ends = rows[[f"{metric}_low", f"{metric}_high"]].to_numpy()
            assert [bar.get_ydata().tolist() for bar in bars] == ends.tolist()
            assert [round(x) for x in line.get_xdata()] == [0, 1, 2], "closer to its own group than to the next"
        looks = {(line.get_marker(), str(line.get_linestyle())) for line in axes.get_lines()[::4]}
        assert len(looks) == len(METHODS), "told apart without colour"
    first = frame.iloc[0]
    labels = [text.get_text() for text in figure.axes[0].get_xticklabels()]
    counts = f"{first['slices']} slices\n{first['subjects']} subjects"
    assert labels[0] == f"{first['from_pixels']} to {first['to_pixels']}\npixels\n{counts}"
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes)), "groups do not touch"
    names = [text.get_text().replace("\n", "") for text in figure.legends[0].get_texts()]
    assert names == METHODS
    assert figure.legends[0].get_window_extent().x1 <= figure.bbox.x1
    assert figure.get_supxlabel() == "lesion area; mean and 95 % interval (bootstrap over subjects)"
    close(figure)


def test_the_note_says_that_seeds_were_drawn_again_where_there_are_several():
    figure = lesion_size.draw(METHODS, table().assign(seeds=3))
    assert figure.get_supxlabel().endswith("(bootstrap over subjects and seeds)")
    close(figure)


def test_one_method_and_one_size_make_a_figure():
    frame = table(METHODS[:1]).iloc[:1].assign(from_pixels=9, to_pixels=9)
    figure = lesion_size.draw(METHODS[:1], frame)
    assert [text.get_text()[:8] for text in figure.axes[0].get_xticklabels()] == ["9\npixels"]
    close(figure)


def options(folder, methods=METHODS, output="one"):
    return argparse.Namespace(
        parameters={"methods": dict.fromkeys(methods)}, table=folder / "lesion_size.csv", output=folder / output
    )


def test_files_are_written_the_same_twice(tmp_path):
    table().to_csv(tmp_path / "lesion_size.csv", index=False)
    for output in ("one", "two"):
        lesion_size.main(options(tmp_path, output=output))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == ["lesion-size.pdf", "lesion-size.png", "lesion-size.svg"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_without_masks_the_figure_says_why_it_is_empty(tmp_path):
    pd.DataFrame(columns=COLUMNS).to_csv(tmp_path / "lesion_size.csv", index=False)
    lesion_size.main(options(tmp_path))
    assert "No slice is scored" in (tmp_path / "one/lesion-size.svg").read_text()


def test_what_is_wrong_with_the_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lesion_size\.csv is missing"):
        lesion_size.main(options(tmp_path))
    table().drop(columns="subjects").to_csv(tmp_path / "lesion_size.csv", index=False)
    with pytest.raises(InputError, match=r"lesion_size\.csv lacks the column 'subjects'"):
        lesion_size.main(options(tmp_path))
    assert not (tmp_path / "one").exists()
