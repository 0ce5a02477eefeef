"""Masks of images as people have them: what is read, and what is refused in which words."""

import numpy as np
import pytest
from PIL import Image
from test_images import MASKS, extract, lesion, mvtec, parameters, picture

from stages.data import images
from stages.data.extraction import BadCaseError
from stages.errors import InputError


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def test_masks_that_are_all_black(raw):
    mvtec(raw)
    for path in (raw / "ground_truth").rglob("*.png"):
        lesion(path, value=0)
    with pytest.raises(InputError, match=r"masks of all 6 diseased images hold no lesion, .*crack/000\.png"):
        extract(raw, masks=MASKS)


def test_a_single_diseased_image_whose_mask_is_empty(raw):
    picture(raw / "good/0.png", 0)
    picture(raw / "bad/1.png", 1)
    lesion(raw / "masks/1.png", value=0)
    with pytest.raises(InputError, match=r"the mask of the diseased image holds no lesion, .*\(bad/1\.png\): check"):
        extract(raw, masks={"folder": "masks"})
    picture(raw / "bad/2.png", 2)
    lesion(raw / "masks/2.png")
    lines = images.extract(parameters(masks={"folder": "masks"}), raw, raw.parent / "out")
    found = "without a lesion: the masks of 1 of 2 diseased images, once resampled to data.size, the first: bad/1.png"
    assert lines[1:] == [found]


def disc(side=64, smooth=2.0):
    """A white disc on black, its edge as wide as painting programs and resizing make it."""
    rows, columns = np.mgrid[:side, :side] - side / 2
    return (255 * np.clip((side / 4 - np.hypot(rows, columns)) / smooth + 0.5, 0, 1)).astype(np.uint8)


HARD = np.where(disc() > 127, 255, 0).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "mask", "sentence"),
    [
        ("1.png", HARD, None),
        ("1.png", np.stack([HARD, 0 * HARD, 0 * HARD], 2), None),  # red
        ("1.png", np.where(HARD, np.arange(64, dtype=np.uint8)[:, None], 0), None),  # many labels
        ("1.npy", np.where(HARD, np.arange(64.0)[:, None], 0), None),
        ("1.png", HARD[:32, :32], "its mask 1.png has 32 x 32 pixels where its image has 64 x 64"),
        (
            "1.png",
            disc(),
            r"its mask 1\.png holds \d\d values from \d+ to 255, as smoothed edges .*: save it with 0 and",
        ),
        ("1.png", np.stack([disc()] * 3, 2), r"holds \d\d values from \d+ to 255"),
        (
            "1.npy",
            disc() / 255,
            r"its mask 1\.npy holds \d\d values from 0\.\d+ to 1, as smoothed edges or probabilities",
        ),
        ("1.jpg", disc(), r"its mask 1\.jpg is a JPEG with more than two values"),
        ("1.png", np.dstack([HARD] * 3 + [HARD // 2 + 100]), r"its mask 1\.png is transparent in part"),
    ],
)
def test_masks_as_programs_write_them(raw, name, mask, sentence):
    picture(raw / "good/0.png", side=64)
    picture(raw / "bad/1.png", side=64)
    (raw / "masks").mkdir()
    if name.endswith(".npy"):
        np.save(raw / "masks" / name, mask)
    else:
        Image.fromarray(mask).save(raw / "masks" / name)
    if sentence is None:
        found = extract(raw, size=64, masks={"folder": "masks"}).masks[0]
        assert found.sum() == np.count_nonzero(mask if mask.ndim == 2 else mask[..., 0])
    else:
        with pytest.raises(BadCaseError, match=sentence):
            extract(raw, size=64, masks={"folder": "masks"})


def test_a_mask_beside_a_photograph_on_its_side(raw):
    picture(raw / "good/0.png", side=64)
    (raw / "bad").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # hold it turned by a quarter
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64), np.uint8)).save(raw / "bad/1.jpg", exif=exif)
    (raw / "masks").mkdir()
    Image.fromarray(np.full((48, 64), 255, np.uint8)).save(raw / "masks/1.png")
    with pytest.raises(BadCaseError, match=r"64 x 48 pixels where its image has 48 x 64, which may be turned .*EXIF"):
        extract(raw, masks={"folder": "masks"})
