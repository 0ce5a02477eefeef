"""Image files of every kind, read as numbers and scaled."""

import os

import numpy as np
import pytest
import synthetic_dicom
from PIL import Image

from stages.data.pixels import read_pixels, to_unit_range

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def dicom(path, stored, **elements):
    synthetic_dicom.write(path, stored, BitsStored=12, **elements)


def unit(path, channels=1, scale="type"):
    return to_unit_range(read_pixels(path), channels, scale)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.PNG"])
def test_eight_bits(tmp_path, name):
    Image.fromarray(GREY).save(tmp_path / name)
    np.testing.assert_array_equal(unit(tmp_path / name), GREY[None] / 255)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits(tmp_path, name):
    values = GREY.astype(np.uint16) * 250
    Image.fromarray(values).save(tmp_path / name)
    np.testing.assert_array_equal(unit(tmp_path / name), values[None] / 65535)


def test_whole_numbers_of_32_bits_have_no_black_and_white(tmp_path):
    Image.fromarray(GREY.astype(np.int32) * 5000).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="which have no black and white of their own"):
        unit(tmp_path / "a.tif")
    np.testing.assert_allclose(unit(tmp_path / "a.tif", scale="min-max")[0], GREY / 220)


def test_a_pipe_is_not_waited_for(tmp_path):
    for name in ("a.png", "a.dcm"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ValueError, match=r"^(is|cannot)"):
            read_pixels(tmp_path / name)


def test_colour_palette_and_opaque_transparency(tmp_path):
    colour = np.stack([GREY, 255 - GREY, GREY // 2], -1)
    Image.fromarray(colour).save(tmp_path / "a.png")
    Image.fromarray(colour).convert("RGBA").save(tmp_path / "b.png")
    Image.fromarray(GREY).convert("P").save(tmp_path / "c.png")
    for name in ("a.png", "b.png"):
        np.testing.assert_array_equal(unit(tmp_path / name, 3), np.moveaxis(colour, -1, 0) / 255)
    np.testing.assert_array_equal(unit(tmp_path / "c.png"), GREY[None] / 255)


def test_the_orientation_of_a_camera_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    Image.fromarray(GREY).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.png").values[0], np.rot90(GREY, -1))


def test_dicom_in_hounsfield_units(tmp_path):
    dicom(tmp_path / "a.dcm", GREY.astype(np.uint16) * 16, RescaleSlope=1, RescaleIntercept=-1024)
    pixels = read_pixels(tmp_path / "a.dcm")
    np.testing.assert_array_equal(pixels.values[0], GREY * 16.0 - 1024)
    assert pixels.ends == (-1024, 3071)
    window = to_unit_range(pixels, 1, (-1000, 1000))
    np.testing.assert_allclose(window[0], np.clip((GREY * 16.0 - 24) / 2000, 0, 1))


def test_dicom_signed_and_inverted(tmp_path):
    dicom(tmp_path / "a.dcm", GREY.astype(np.int16) - 100)
    np.testing.assert_allclose(unit(tmp_path / "a.dcm")[0], (GREY.astype(int) - 100 + 2048) / 4095)
    dicom(tmp_path / "b.dcm", GREY.astype(np.uint16) * 16, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_allclose(unit(tmp_path / "b.dcm")[0], 1 - GREY * 16.0 / 4095)


def test_arrays(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    np.save(tmp_path / "b.npy", np.stack([GREY / 255] * 5).astype(np.float32))
    np.save(tmp_path / "c.npy", np.stack([GREY.T] * 3, -1))
    np.testing.assert_array_equal(unit(tmp_path / "a.npy"), GREY[None] / 255)
    assert unit(tmp_path / "b.npy", 5).shape == (5, 3, 4)
    assert unit(tmp_path / "c.npy", 3).shape == (3, 4, 3)


def test_scales(tmp_path):
    np.save(tmp_path / "a.npy", GREY * 10.0)
    with pytest.raises(ValueError, match=r"numbers from 0 to 2200, which have no black and white.*data\.images\.scale"):
        unit(tmp_path / "a.npy")
    np.testing.assert_allclose(unit(tmp_path / "a.npy", scale="min-max")[0], GREY / 220)
    np.testing.assert_allclose(unit(tmp_path / "a.npy", scale=(100, 1100))[0], np.clip((GREY - 10.0) / 100, 0, 1))
    np.save(tmp_path / "b.npy", np.full((3, 4), 7.0))
    with pytest.raises(ValueError, match=r"is constant \(every pixel is 7\)"):
        unit(tmp_path / "b.npy", scale="min-max")


def bad(folder):
    """name -> the sentence that its file gets."""
    Image.fromarray(GREY).save(folder / "good.png")
    (folder / "short.png").write_bytes((folder / "good.png").read_bytes()[:-30])
    (folder / "text.jpg").write_text("no")
    (folder / "text.dcm").write_text("no")
    (folder / "text.npy").write_text("no")
    frames = [Image.fromarray(GREY), Image.fromarray(GREY // 2)]
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    Image.fromarray(GREY).convert("CMYK").save(folder / "ink.jpg")
    Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(GREY)]).save(folder / "glass.png")
    np.save(folder / "nan.npy", np.array([[np.nan, 1.0]]))
    np.save(folder / "words.npy", np.array([["a", "b"]]))
    np.save(folder / "deep.npy", np.zeros((2, 2, 2, 2)))
    sixteen_bits = GREY.astype(np.uint16)
    dicom(folder / "cut.dcm", sixteen_bits)
    (folder / "cut.dcm").write_bytes((folder / "cut.dcm").read_bytes()[:-10])
    dicom(folder / "film.dcm", np.tile(sixteen_bits, (2, 1)), Rows=3, NumberOfFrames=2)
    return {
        "gone.png": "is missing",
        "gone.dcm": "is missing",
        "short.png": "is truncated, damaged or no image",
        "text.jpg": "is truncated, damaged or no image",
        "text.dcm": "is truncated, damaged or holds no image",
        "text.npy": "is missing, truncated, damaged or no .npy file",
        "pages.tif": "holds several pictures, where one is expected",
        "ink.jpg": "has the mode CMYK",
        "glass.png": "is transparent in part",
        "nan.npy": "holds NaN or infinite values",
        "words.npy": "holds <U1 of shape",
        "deep.npy": "holds float64 of shape (2, 2, 2, 2)",
        "cut.dcm": "is truncated or damaged",
        "film.dcm": "holds 2 frames, where one image is expected",
    }


def test_each_bad_file_gets_its_sentence(tmp_path):
    for name, sentence in bad(tmp_path).items():
        with pytest.raises(ValueError, match=r"^(is|has|holds) ") as found:
            read_pixels(tmp_path / name)
        assert sentence in str(found.value), name
