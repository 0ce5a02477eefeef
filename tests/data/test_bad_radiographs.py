"""Every bad input of the CheXpert extraction: one sentence under `stop`, one row of the report under `skip`."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_brats import contents
from synthetic_chexpert import SHAPE, TREE, image_of, path_of, row, write_image, write_tables, write_tree
from test_chexpert import parameters  # noqa: F401  (a fixture)

from stages.data import chexpert
from stages.data.radiographs import read_grey, resample
from stages.data.store import open_store
from stages.errors import InputError

BAD = path_of(2, 1)
"""The row that is damaged: row 4 of train.csv."""


def image(change):
    def damage(raw, rows):
        change(raw / BAD)

    return damage


def pixels(values, **options):
    def change(path):
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, **{"format": "PNG", **options})
        path.write_bytes(buffer.getvalue())

    return image(change)


def cell(**values):
    def damage(raw, rows):
        next(one for one in rows if one["Path"] == BAD).update(
            {{"path": "Path", "healthy": "No Finding"}[k]: v for k, v in values.items()}
        )

    return damage


def again(raw, rows):
    rows.append(dict(next(one for one in rows if one["Path"] == BAD)))


def jpeg_cut(path):
    buffer = io.BytesIO()
    Image.fromarray(image_of(2, 1)).save(buffer, format="JPEG")
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])


COLOUR = np.zeros((*SHAPE, 3), np.uint8)
COLOUR[5:, :, 0] = 90
DAMAGE = {
    "missing": (image(lambda p: p.unlink()), "the image is missing"),
    "empty": (image(lambda p: p.write_bytes(b"")), "the image is truncated, damaged or no image"),
    "html": (image(lambda p: p.write_bytes(b"<html>quota</html>")), "the image is truncated, damaged or no image"),
    "truncated": (image(lambda p: p.write_bytes(p.read_bytes()[:-300])), "truncated"),
    "truncated JPEG": (image(jpeg_cut), "truncated"),
    "constant": (pixels(np.full(SHAPE, 7, np.uint8)), r"the image is constant \(every pixel is 7\)"),
    "colour": (pixels(COLOUR), "the image is in colour"),
    "transparency": (pixels(np.dstack([COLOUR, COLOUR[..., :1]])), "the image is transparent in part"),
    "small": (pixels(image_of(2, 1)[:14]), r"has 48 x 14 pixels, fewer than data\.size \(15\)"),
    "leaves by dots": (cell(path=f"{TREE}/../../secret/study1/view1_frontal.png"), "leaves the data set's folder"),
    "absolute": (cell(path="/etc/patient00002/study1/view1_frontal.png"), "leaves the data set's folder"),
    "backslashes": (cell(path="..\\..\\patient00002\\study1\\view1.png"), "leaves the data set's folder"),
    "too short": (cell(path=f"{TREE}/view1_frontal.png"), "does not end in <patient>/<study>/<image>"),
    "blank path": (cell(path=""), "does not end in <patient>/<study>/<image>"),
    "no number": (cell(healthy="yes"), r"a label is none of 1, 0, -1 and blank \('No Finding': 'yes'"),
    "other number": (cell(healthy="2"), "a label is none of 1, 0, -1 and blank"),
    "twice": (again, "the same view is there more than once"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_bad_rows_stop_or_are_skipped(tmp_path, parameters, kind):  # noqa: F811
    raw, out = tmp_path / "raw", tmp_path / "out"
    rows = write_tree(raw)
    damage, reason = DAMAGE[kind]
    damage(raw, rows)
    write_tables(raw, rows)
    with pytest.raises(InputError, match=reason) as caught:
        chexpert.extract(parameters, raw, out)
    assert str(caught.value).startswith(f"{raw}/{TREE}/train.csv: row ")
    assert "\n" not in str(caught.value)
    assert not contents(out)
    parameters["data"]["on_bad_case"] = "skip"
    lines = chexpert.extract(parameters, raw, out)
    table = pd.read_csv(out / "bad_cases.csv")
    copies = 2 if kind == "twice" else 1
    assert table["file"].tolist() == [f"{TREE}/train.csv"] * copies
    assert table["reason"].str.startswith("row 4 (").iloc[0]
    assert table["reason"].str.contains(reason).all()
    assert lines[1] == f"bad cases: {copies}, listed in bad_cases.csv"
    assert len(open_store(out)) == 18


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "its mask view1_frontal_mask.png is missing"),
        (lambda path: Image.new("L", (5, 5)).save(path), "its mask .* has 5 x 5 pixels where its image has 48 x 40"),
        (lambda path: path.write_bytes(b"x"), "its mask view1_frontal_mask.png is truncated"),
        (lambda path: Image.fromarray(image_of(2, 1)).save(path), "its mask .* holds more than two values"),
        (lambda path: Image.new("1", SHAPE[::-1], 1).save(path), "the row is healthy, but its mask .* holds a lesion"),
    ],
)
def test_bad_masks(tmp_path, parameters, damage, reason):  # noqa: F811
    write_tree(tmp_path / "raw", masks=True)
    damage(tmp_path / "raw" / BAD.replace(".png", "_mask.png"))
    parameters["data"]["chexpert"]["masks"] = "_mask.png"
    with pytest.raises(InputError, match=reason):
        chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert not contents(tmp_path / "out")


def test_missing_and_unreadable_tables(tmp_path, parameters):  # noqa: F811
    raw = tmp_path / "raw"

    def refused(match):
        with pytest.raises(InputError, match=match) as caught:
            chexpert.extract(parameters, raw, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()

    refused("raw cannot be read .*put there the tree CheXpert-v1.0-small")
    raw.mkdir()
    refused("raw holds no train.csv; put there the tree")
    write_tree(raw)
    table = raw / TREE / "train.csv"
    good = table.read_text()
    for text, match in (
        ("", "not a readable CSV"),
        (good.replace("Pleural Effusion", "Effusion"), "lacks the column 'Pleural Effusion'"),
        (good + "a,b,c,d,e,f,g,h\n", "not a readable CSV"),
        (good.replace("Frontal,", "AP,"), None),
    ):
        table.write_text(text)
        if match:
            refused(match)
    parameters["data"]["chexpert"]["view"] = "Oblique"
    refused("no row has 'Oblique' in the column 'Frontal/Lateral', which holds 'AP', 'Frontal'")
    (raw / TREE / "valid.csv").unlink()
    refused("valid.csv is missing; put it back")
    write_tree(raw / "copy")
    (raw / "copy" / TREE).rename(raw / "other")
    refused("holds more than one tree")


def test_grey_images_of_every_kind_are_read_alike(tmp_path):
    grey = image_of(1, 1)
    colour = np.repeat(grey[..., None], 3, axis=2)
    write_image(tmp_path, "8.png", grey)
    write_image(tmp_path, "16.png", grey.astype(np.uint16) * 257)
    write_image(tmp_path, "rgb.png", colour)
    write_image(tmp_path, "rgb.jpg", colour)
    np.testing.assert_array_equal(read_grey(tmp_path / "8.png"), grey)
    np.testing.assert_array_equal(read_grey(tmp_path / "16.png"), grey.astype(float) * 257)
    np.testing.assert_array_equal(read_grey(tmp_path / "rgb.png"), grey)
    assert np.abs(read_grey(tmp_path / "rgb.jpg") - grey).mean() < 10


def test_resampling_by_area_keeps_the_mean_and_whole_blocks():
    generator = np.random.default_rng(0)
    image = generator.integers(0, 255, (37, 52)).astype(float)
    assert resample(image, 9).mean() == pytest.approx(image.mean(), rel=1e-12)
    np.testing.assert_allclose(resample(image[:36], 4), image[:36].reshape(4, 9, 4, 13).mean(axis=(1, 3)), rtol=1e-12)
    np.testing.assert_array_equal(resample(image[:37, :37], 37), image[:37, :37])


def test_blank_lines_and_unused_rows_do_no_harm(tmp_path, parameters):  # noqa: F811
    rows = write_tree(tmp_path / "raw")
    rows.append(row("../../nowhere", "", "-1.0"))  # uncertain: whatever else is wrong with it, it is not used
    write_tables(tmp_path / "raw", rows)
    table = tmp_path / "raw" / TREE / "train.csv"
    table.write_text(table.read_text() + "\n")
    lines = chexpert.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert not any("bad" in line for line in lines)
