"""Radiographs in DICOM: grey levels as their maker meant them, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import synthetic_dicom
from pydicom import dcmread
from pydicom.dataset import Dataset

from stages.data.dicom import holds_dicom, read_dicom, read_rescaled

PIXELS = np.arange(12, dtype=np.uint16).reshape(3, 4) * 100


def write(path: Path, pixels: np.ndarray = PIXELS, **elements: object) -> Path:
    return synthetic_dicom.write(path, pixels, **elements)


def test_grey_levels_are_rescaled_windowed_and_dark_where_little_came_through(tmp_path):
    plain = write(tmp_path / "a.dcm")
    assert holds_dicom(plain)
    np.testing.assert_array_equal(read_dicom(plain), PIXELS)
    rescaled = write(tmp_path / "b", RescaleSlope=2, RescaleIntercept=-100)  # whatever its name
    np.testing.assert_array_equal(read_dicom(rescaled), 2.0 * PIXELS - 100)
    windowed = read_dicom(write(tmp_path / "c.dcm", WindowCenter=500, WindowWidth=400))
    assert windowed[0, :4].tolist() == [0, 0, 0, 0]  # below 300
    assert windowed[1, 3:].tolist() == windowed[2, 3:].tolist() == [65535]
    assert 0 < windowed[1, 0] < windowed[1, 1] < windowed[1, 2] <= 65535
    np.testing.assert_array_equal(
        read_dicom(write(tmp_path / "d.dcm", PhotometricInterpretation="MONOCHROME1")), 1100.0 - PIXELS
    )


def test_what_is_refused(tmp_path):
    def refused(path: Path, sentence: str) -> None:
        with pytest.raises(ValueError, match=f"^{sentence}$"):
            read_dicom(path)

    colour = np.zeros((3, 4, 3), np.uint8)
    refused(write(tmp_path / "a", colour, PhotometricInterpretation="RGB"), r"is in colour \(RGB\), where a grey .*")
    refused(write(tmp_path / "b", np.tile(PIXELS, (2, 1)), Rows=3, NumberOfFrames=2), "holds 2 frames, where one .*")
    refused(
        write(tmp_path / "g", WindowCenter=500, WindowWidth=0),
        r"has a window that cannot be applied \(.*Window Width.*\): correct it, or take it out",
    )
    refused(
        write(tmp_path / "c", Rows=60000, Columns=60000), r"is too large \([0-9,]+ pixels are allowed\): resample it"
    )
    content = write(tmp_path / "d").read_bytes()
    (tmp_path / "d").write_bytes(content[:-9])
    refused(tmp_path / "d", "is truncated or damaged: get it again")
    for name, short in (("e", content[:200]), ("f", b"no DICOM")):
        (tmp_path / name).write_bytes(short)
        refused(tmp_path / name, "is truncated, damaged or holds no image: get it again")
    assert not holds_dicom(tmp_path / "f")
    assert not holds_dicom(tmp_path)


def palette(path: Path, *curves: np.ndarray) -> Path:
    """Indices 0 to 11, and the curve of each colour as 16 entries of 16 bits."""
    elements: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, curve in zip(("Red", "Green", "Blue"), curves, strict=True):
        elements[f"{colour}PaletteColorLookupTableDescriptor"] = [16, 0, 16]
        elements[f"{colour}PaletteColorLookupTableData"] = curve.astype(np.uint16).tobytes()
    return write(path, (PIXELS // 100).astype(np.uint8), **elements)


def test_a_palette_gives_its_colours(tmp_path):
    red, green, blue = (np.arange(16) * step for step in (4000, 2000, 1000))
    values, ends = read_rescaled(palette(tmp_path / "a", red, green, blue))
    assert (values.shape, ends) == ((3, 4, 3), (0, 65535))
    assert values[1, 2].tolist() == [24000, 12000, 6000], "index 6"
    with pytest.raises(ValueError, match=r"is in colour \(PALETTE COLOR\)"):
        read_dicom(tmp_path / "a")


def test_a_modality_table_has_its_own_ends(tmp_path):
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [12, 0, 16], "US"
    table.LUTData = (np.arange(12)[::-1] * 5000).astype(np.uint16).tobytes()
    values, ends = read_rescaled(write(tmp_path / "a", PIXELS // 100, ModalityLUTSequence=[table]))
    assert ends == (0, 65535)
    np.testing.assert_array_equal(values, 55000 - PIXELS * 50.0)


def test_padding_is_as_dark_as_the_darkest_pixel(tmp_path):
    pixels = PIXELS.astype(np.int16) - 2000
    signed = write(tmp_path / "a", pixels, PixelPaddingValue=-2000)
    assert read_rescaled(signed)[0][0].tolist() == [-1900, -1900, -1800, -1700]
    assert read_dicom(signed)[0].tolist() == [-1900, -1900, -1800, -1700]
    inverted = write(
        tmp_path / "b",
        pixels,
        PixelPaddingValue=-2000,
        PixelPaddingRangeLimit=-1900,
        PhotometricInterpretation="MONOCHROME1",
    )
    values, (low, high) = read_rescaled(inverted)
    assert (low, high) == (-32768, 32767)
    assert values[0].tolist() == [low + high + 900, low + high + 900, low + high + 1800, low + high + 1700]
    assert values.min() == low + high + 900


def test_numbers_with_a_fraction_have_no_ends_and_a_slope_of_0_makes_nothing(tmp_path):
    file = dcmread(write(tmp_path / "a"))
    del file.PixelData, file.BitsStored, file.HighBit, file.PixelRepresentation
    file.BitsAllocated, file.FloatPixelData = 32, (PIXELS / 1100).astype(np.float32).tobytes()
    file.save_as(tmp_path / "a")
    values, ends = read_rescaled(tmp_path / "a")
    assert ends is None
    np.testing.assert_array_equal(values, (PIXELS / 1100).astype(np.float32))
    with pytest.raises(ValueError, match=r"^has a rescale slope of 0"):
        read_rescaled(write(tmp_path / "b", RescaleSlope=0, RescaleIntercept=7))
