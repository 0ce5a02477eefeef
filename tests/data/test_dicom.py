"""Radiographs in DICOM: grey levels as their maker meant them, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import synthetic_dicom

from stages.data.dicom import holds_dicom, read_dicom

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
    refused(write(tmp_path / "c", Rows=60000, Columns=60000), r"is too large \([0-9,]+ pixels are allowed\)")
    content = write(tmp_path / "d").read_bytes()
    (tmp_path / "d").write_bytes(content[:-9])
    refused(tmp_path / "d", "is truncated or damaged")
    for name, short in (("e", content[:200]), ("f", b"no DICOM")):
        (tmp_path / name).write_bytes(short)
        refused(tmp_path / name, "is truncated, damaged or holds no image")
    assert not holds_dicom(tmp_path / "f")
    assert not holds_dicom(tmp_path)
