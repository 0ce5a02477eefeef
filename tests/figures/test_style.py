import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from PIL import Image

from stages import provenance
from stages.figures import style


@pytest.mark.parametrize("text", ["fixed-point-gan", "L = 500, s = 20", "jjj", "MW"])
def test_the_width_of_a_text_is_that_on_paper(text):
    style.use()
    figure = plt.figure(figsize=(4, 1))
    drawn = figure.text(0, 0, text, fontsize=7)
    figure.canvas.draw()
    # A pixel (0.01 inches) of hinting and rounding.
    assert style.text_width(text) == pytest.approx(drawn.get_window_extent().width / figure.dpi, abs=0.05)
    assert style.text_width(text, 14) == pytest.approx(2 * style.text_width(text))
    assert style.text_width(" ") == 0
    plt.close(figure)


def test_lines_are_no_wider_than_they_may_be_and_break_at_hyphens():
    assert style.wrapped("fixed-point-gan", 9) == ["fixed-point-gan"]
    assert style.wrapped("fixed-point-gan", 0.7) == ["fixed-point-", "gan"]
    assert style.wrapped("a word and another", 0.5) == ["a word", "and", "another"]
    assert style.wrapped("", 1) == []
    for text in ("averylongwordwithoutanyhyphen", "patient_of_a_name-and-more", "x" * 50):
        lines = style.wrapped(text, 0.4)
        assert "".join(lines) == text
        assert all(style.text_width(line) <= 0.4 for line in lines)


def test_no_part_of_a_name_is_a_formula():
    name = r"$\frac$ of $(id)"
    (line,) = style.wrapped(name, 9)
    assert style.text_width(name) > style.text_width("frac of (id)")
    figure = plt.figure()
    text = figure.text(0, 0, line)
    figure.draw_without_rendering()  # where matplotlib would refuse the formula
    assert text._preprocess_math(line) == (name, False)
    plt.close(figure)


def test_tints_go_from_light_to_dark_and_stay_legible_on_white():
    for colour in style.COLOURS[:6]:
        grey = [np.dot(tint, [0.299, 0.587, 0.114]) for tint in style.tints(colour, 4)]
        assert (np.diff(grey) < -0.05).all()
        assert grey[0] < 0.9
        assert all(0 <= part <= 1 for tint in style.tints(colour, 4) for part in tint)
    assert style.tints("#0072B2", 1) == [pytest.approx(to_rgb("#0072B2"))]


def test_lines_and_markers_differ():
    assert len(set(map(str, style.LINES))) == len(style.LINES) >= 6
    assert len(set(style.MARKERS)) == len(style.COLOURS) == 10


def test_ten_methods_have_ten_colours_by_their_place():
    colours = style.method_colours(f"m{n}" for n in range(10))
    assert len(set(colours.values())) == 10
    assert style.method_colours(["m0", "m1"]) == {"m0": colours["m0"], "m1": colours["m1"]}


def test_a_figure_of_a_job_says_in_each_file_what_made_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = argparse.Namespace(parameters={"seed": 5}, output=tmp_path)
    for folder in ("one", "again"):
        with provenance.job("stages.figures.sweep", options):
            style.save(style.sentence("text"), Path(folder), "figure")
    found = provenance.of(Path("one/figure.svg"))
    assert found.outputs == [f"one/figure.{kind}" for kind in style.FORMATS]
    said = json.loads(Image.open("one/figure.png").info["Description"])
    assert said == json.loads(json.dumps(found.without_times()))
    assert (said["stage"], said["seed"]) == ("stages.figures.sweep", 5)
    assert said["code"]["sha256"] in Path("one/figure.svg").read_text()
    for kind in style.FORMATS:
        assert Path(f"one/figure.{kind}").read_bytes() == Path(f"again/figure.{kind}").read_bytes()
