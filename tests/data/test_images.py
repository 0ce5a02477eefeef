"""Folders of images of any layout -> a slice store."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.data import images
from stages.data.extraction import BadCaseError
from stages.data.split import split
from stages.data.store import open_store
from stages.errors import InputError


def parameters(channels=("grey",), size=4, on_bad_case="stop", **options):
    data = {"reader": "images", "channels": list(channels), "size": size, "on_bad_case": on_bad_case}
    return {"data": data | ({"images": options} if options else {})}


def picture(path, seed=0, side=8, colour=False, dtype=np.uint8):
    """An image file, and what it holds."""
    shape = (side, side, 3) if colour else (side, side)
    values = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return values


def lesion(path, side=8, rows=slice(2, 6), value=255):
    mask = np.zeros((side, side), np.uint8)
    mask[rows, 2:6] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def blocks(values, size=4):
    """The mean over the blocks of an (H, W) image."""
    side = len(values) // size
    return values.reshape(size, side, size, side).mean((1, 3))


def extract(folder, **options):
    images.extract(parameters(**options), folder, folder.parent / "out")
    return open_store(folder.parent / "out")


MASKS = {"folder": "ground_truth", "ending": "_mask"}  # of MVTec AD


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def mvtec(raw, colour=False):
    for number in range(3):
        picture(raw / f"train/good/{number:03d}.png", number, colour=colour)
        picture(raw / f"test/good/{number:03d}.png", 10 + number, colour=colour)
        for kind in ("crack", "hole"):
            picture(raw / f"test/{kind}/{number:03d}.png", 20 + number, colour=colour)
            rows = slice(2, 6) if kind == "hole" else slice(0, 2)
            lesion(raw / f"ground_truth/{kind}/{number:03d}_mask.png", rows=rows)


def test_layout_of_mvtec_ad(raw):
    mvtec(raw)
    store = extract(raw, masks=MASKS)
    manifest = store.manifest.set_index("slice_id")
    assert len(store) == 12
    assert manifest["label"].to_dict() == {name: int("good" not in name) for name in manifest.index}
    assert manifest.loc["test_hole_001", "source"] == "test/hole/001.png"
    assert manifest.loc["test_hole_001", "lesion_pixels"] == 4
    assert manifest.loc["test_crack_001", "lesion_pixels"] == 2, "not the mask of the same number in another class"
    row = manifest.index.get_loc("test_good_002")
    found = np.asarray(Image.open(raw / "test/good/002.png"))
    np.testing.assert_allclose(store.images[row, 0], blocks(found / 255), atol=1e-3)
    lists, _ = split({"seed": 0, "data": {"reader": "images", "split": "raw"}}, raw.parent / "out")
    assert {name: lists.split_of[name] for name in manifest.index} == {
        name: name.split("_")[0] for name in manifest.index
    }


def test_colour_has_three_channels(raw):
    mvtec(raw, colour=True)
    store = extract(raw, channels=("red", "green", "blue"), masks=MASKS)
    row = store.manifest["slice_id"].tolist().index("train_good_001")
    found = np.asarray(Image.open(raw / "train/good/001.png"))
    for channel in range(3):
        np.testing.assert_allclose(store.images[row, channel], blocks(found[..., channel] / 255), atol=1e-3)


def test_layout_of_medianomaly_brats(raw):
    for number in range(3):
        picture(raw / f"train/case{number}_flair_60.png", number)
        picture(raw / f"test/normal/case{5 + number}_flair_60.png", number)
        picture(raw / f"test/tumor/case{8 + number}_flair_60.png", number)
        lesion(raw / f"test/annotation/case{8 + number}_seg_60.png")
    masks = {"folder": "test/annotation", "replace": {"flair": "seg"}}
    store = extract(raw, masks=masks, subject=r"(case\d+)_")
    manifest = store.manifest.set_index("slice_id")
    assert len(store) == 9
    assert manifest["label"].sum() == 3
    assert manifest.loc["train_case1_flair_60", ["label", "subject_id"]].tolist() == [0, "case1"]
    assert manifest.loc["test_tumor_case9_flair_60", "lesion_pixels"] == 4


def test_layout_of_medianomaly_json(raw):
    names = [f"{number}.png" for number in range(6)]
    for number, name in enumerate(names):
        picture(raw / "images" / name, number)
    listed = {
        "train": {"0": names[:2], "unlabeled": {"0": names[2:3], "1": names[3:4]}},
        "test": {"0": names[4:5], "1": names[5:]},
    }
    (raw / "data.json").write_text(json.dumps(listed))
    store = extract(raw, table="data.json")
    assert store.manifest["label"].tolist() == [0, 0, 0, 1, 0, 1]
    subjects = pd.read_csv(raw.parent / "out/subjects.csv")
    assert subjects["raw_split"].tolist() == ["train"] * 4 + ["test"] * 2


def test_masks_beside_the_images_as_in_busi(raw):
    picture(raw / "normal/normal (1).png")
    picture(raw / "benign/benign (1).png")
    lesion(raw / "normal/normal (1)_mask.png", value=0)
    lesion(raw / "benign/benign (1)_mask.png")
    lesion(raw / "benign/benign (1)_mask_1.png", rows=slice(6, 8))
    store = extract(raw, masks={"ending": "_mask"})
    assert store.manifest["slice_id"].tolist() == ["benign_benign (1)", "normal_normal (1)"]
    assert store.masks[:].sum((1, 2)).tolist() == [6, 0], "of two masks, both"


def test_a_table(raw):
    for number in range(4):
        picture(raw / f"here/{number}.png", number)
    lesion(raw / "there/2.png")
    lesion(raw / "there/3.png")
    (raw / "labels.csv").write_text(
        "image,label,split,subject,mask\n"
        "here/0.png,0,train,ann,\n"
        "here/1.png,0,test,ben,\n"
        "here/2.png,1,train,ann,there/2.png\n"
        "here/3.png,pneumonia,test,eve,there/3.png\n"
    )
    store = extract(raw, table="labels.csv", masks={"folder": "there"})
    assert store.manifest["label"].tolist() == [0, 0, 1, 1]
    assert store.manifest["subject_id"].tolist() == ["ann", "ben", "ann", "eve"]
    assert store.manifest["lesion_pixels"].tolist() == [0, 0, 4, 4]
    subjects = pd.read_csv(raw.parent / "out/subjects.csv").set_index("subject_id")
    assert subjects["raw_split"].to_dict() == {"ann": "train", "ben": "test", "eve": "test"}
    assert subjects["slices"].to_dict() == {"ann": 2, "ben": 1, "eve": 1}


def test_names_of_healthy_classes(raw):
    picture(raw / "NORMAL/a.jpeg")
    picture(raw / "VIRUS/a.png")
    assert extract(raw).manifest["label"].tolist() == [0, 1]
    assert extract(raw, healthy=["virus"]).manifest["label"].tolist() == [1, 0]


def test_the_number_of_processes_does_not_matter(raw):
    mvtec(raw)
    images.extract(parameters(masks=MASKS), raw, raw.parent / "one")
    images.extract(parameters(masks=MASKS), raw, raw.parent / "two", processes=2)
    for name in ("images.npy", "masks.npy", "manifest.csv", "subjects.csv"):
        assert (raw.parent / "one" / name).read_bytes() == (raw.parent / "two" / name).read_bytes()


def damage(raw):
    (raw / "test/crack/001.png").write_bytes(b"no")


def mask_of_a_healthy_one(raw):
    (raw / "test/good/002.png").rename(raw / "test/good/900.png")
    lesion(raw / "ground_truth/good/900_mask.png")


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (damage, {}, r"crack/001\.png: is truncated, damaged or no image"),
        (lambda raw: picture(raw / "test/crack/001.png", side=3), {}, r"has 3 x 3 pixels, fewer than data.size"),
        (lambda raw: picture(raw / "test/crack/001.png", colour=True), {}, r"001\.png: is in colour, where data"),
        (lambda raw: None, {"channels": ("red", "green", "blue")}, r"has 1 channel, where data.channels names 3"),
        (lambda raw: (raw / "ground_truth/crack/002_mask.png").unlink(), {}, r"002\.png: it is diseased, but no mask"),
        (
            lambda raw: lesion(raw / "ground_truth/crack/002_mask.png", side=16),
            {},
            r"its mask 002_mask\.png has 16 x 16 pixels where its image has 8 x 8",
        ),
        (mask_of_a_healthy_one, {}, r"good/900\.png: it is healthy, but its mask 900_mask\.png holds a lesion"),
    ],
)
def test_bad_images_are_named_and_can_be_skipped(raw, change, options, sentence):
    mvtec(raw)
    change(raw)
    options = {"masks": MASKS} | options
    with pytest.raises(BadCaseError, match=sentence):
        extract(raw, **options)
    assert not (raw.parent / "out/images.npy").exists()
    if "channels" not in options:
        assert len(extract(raw, on_bad_case="skip", **options)) == 11
        assert len(pd.read_csv(raw.parent / "out/bad_cases.csv")) == 1


@pytest.mark.parametrize("name", ["test/crack/001.png", "ground_truth/crack/001_mask.png"])
def test_a_link_out_of_the_folder_is_refused(raw, name):
    mvtec(raw)
    real = raw.with_name("real")
    raw.rename(real)
    raw.symlink_to(real)  # as data/<name> often is
    (raw / name).rename(real.with_name("elsewhere.png"))
    (raw / name).symlink_to(real.with_name("elsewhere.png"))
    sentence = rf"{Path(name).name} is a link that leads out of the data set's folder"
    with pytest.raises(BadCaseError, match=sentence):
        extract(raw, masks=MASKS)
    assert len(extract(raw, on_bad_case="skip", masks=MASKS)) == 11
    (raw / name).unlink()
    (real / "kept.bin").write_bytes(real.with_name("elsewhere.png").read_bytes())
    (raw / name).symlink_to(real / "kept.bin")  # within the data set
    assert len(extract(raw, masks=MASKS)) == 12


def test_a_table_that_leads_out_of_the_folder_is_refused(raw):
    mvtec(raw)
    raw.with_name("t.csv").write_text("image,label\ntrain/good/000.png,good\n")
    (raw / "t.csv").symlink_to(raw.with_name("t.csv"))
    with pytest.raises(InputError, match=r"t\.csv \(data\.images\.table\) is a link that leads out"):
        extract(raw, table="t.csv")


def table(text):
    return lambda raw: (raw / "t.csv").write_text(text)


@pytest.mark.parametrize(
    ("change", "options", "sentence"),
    [
        (lambda raw: picture(raw / "loose.png"), {}, r"loose\.png: nothing says whether it is healthy"),
        (lambda raw: picture(raw / "test/crack/001.tif"), {}, r"would both be called test_crack_001"),
        (lambda raw: None, {"table": "labels.csv"}, r"labels\.csv \(data\.images\.table\) cannot be read"),
        (table("image\nx.png\n"), {"table": "t.csv"}, r"t\.csv lacks the column 'label'"),
        (table("image,label\n../x.png,0\n"), {"table": "t.csv"}, r"leaves the raw data folder"),
        (table("image,label\nx.png,0\ny.png,1\n"), {"table": "t.csv"}, r"x\.png: is missing"),
        (table("image,label\n,0\n"), {"table": "t.csv"}, r"'' is no name of an image file that can be used"),
        (table(f"image,label\n{'x' * 300}.png,0\n"), {"table": "t.csv"}, r"is no name of an image file"),
        (table("image,label,mask\nx.png,1,../m.png\n"), {"table": "t.csv"}, r"'\.\./m\.png' .* leaves the raw data"),
        (table("image,label,split\nx.png,1,dev\n"), {"table": "t.csv"}, r"t\.csv: 'dev' is no split"),
        (
            table("image,label\ntest/good/000.png,1.0\n"),
            {"table": "t.csv"},
            r"no image is healthy by .*\(1\); say in data",
        ),
        (lambda raw: (raw / "t.json").write_text('{"train": 3}'), {"table": "t.json"}, r"train is no list of names"),
        (lambda raw: None, {"masks": {"ending": "_m"}}, r"the folder ground_truth is called as if it held masks"),
        (lambda raw: None, {"masks": {"folder": "truth"}}, r"raw/truth \(data\.images\.masks\.folder\) is no folder"),
        (lambda raw: picture(raw / "train/crack/000.png"), {}, r"would both have the mask .*crack/000_mask\.png"),
        (lambda raw: None, {"subject": r"case(\d+)"}, r"finds no subject in test_crack_000"),
    ],
)
def test_what_stops_an_extraction(raw, change, options, sentence):
    mvtec(raw)
    change(raw)
    with pytest.raises(InputError, match=sentence):
        extract(raw, **({"masks": MASKS} | options))
    assert not (raw.parent / "out/images.npy").exists()


def test_a_folder_without_images(raw):
    raw.mkdir()
    with pytest.raises(InputError, match=r"holds no image \(\.png, "):
        extract(raw)


def test_linked_folders_are_read_inside_and_refused_outside(raw):
    mvtec(raw)
    for place in (raw / "kept", raw.with_name("elsewhere")):
        (raw / "test/crack").rename(place)
        (raw / "test/crack").symlink_to(place)
        if place.is_relative_to(raw):
            lines = images.extract(parameters(masks=MASKS), raw, raw.parent / "out")
            assert open_store(raw.parent / "out").manifest["slice_id"].str.startswith("test_crack").sum() == 3
            assert "left out: 3 files that are read by another name, as links, the first: kept/000.png" in lines
            (raw / "test/crack").unlink()
            place.rename(raw / "test/crack")
    with pytest.raises(InputError, match=r"test/crack is a link that leads out of the data set's folder"):
        extract(raw, masks=MASKS)


def test_bmp_and_gif_are_read_and_what_is_no_image_is_said(raw):
    for seed, name in enumerate(("good/a.bmp", "good/b.gif", "crack/c.BMP")):
        picture(raw / name, seed)
    (raw / "good/d.webp").write_bytes(b"")
    (raw / "good/Thumbs.db").write_bytes(b"")
    lines = images.extract(parameters(), raw, raw.parent / "out")
    assert lines[1:] == ["left out: 1 files of no kind that is read (1 .webp), the first: good/d.webp"]
    assert len(open_store(raw.parent / "out")) == 3


@pytest.mark.parametrize(
    ("image", "mask", "key"),
    [
        ("benign (1)", "benign (1)_mask", r"\{ending: _mask\}"),
        ("a", "a_GT", r"\{ending: _GT\}"),
        ("case1_flair_60", "case1_seg_60", r"\{replace: \{flair: seg\}\}"),
    ],
)
def test_masks_beside_images_are_not_taken_for_images(raw, image, mask, key):
    picture(raw / f"normal/{image}.png")
    picture(raw / f"tumour/{image}.png")
    lesion(raw / f"tumour/{mask}.png")
    with pytest.raises(InputError, match=f"is called as if it were the mask of .*set data.images.masks to {key}"):
        extract(raw)


def test_masks_of_a_table_without_the_key_are_asked_about(raw):
    picture(raw / "0.png")
    (raw / "t.csv").write_text("image,label,mask\n0.png,1,there/2.png\n")
    with pytest.raises(InputError, match=r"names masks in its column mask.*set it to \{folder: there\}"):
        extract(raw, table="t.csv")


def test_images_of_one_value_are_refused_without_a_window(raw):
    for name in ("good", "crack"):
        (raw / name).mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 7, np.uint8)).save(raw / name / "0.png")
    with pytest.raises(InputError, match="images of 8 bits hold nothing but 7: put others there"):
        extract(raw)


@pytest.mark.parametrize(("most", "window"), [(4095, r"\[0, 4095\]"), (255, r"\[0, 255\]")])
def test_few_bits_in_sixteen_are_refused_with_the_window(raw, most, window):
    for name in ("good", "crack"):
        values = np.linspace(0, most, 64).astype(np.uint16).reshape(8, 8)
        (raw / name).mkdir(parents=True)
        Image.fromarray(values).save(raw / name / "0.png")
    with pytest.raises(InputError, match=rf"of 16 bits .*almost black; set data\.images\.scale to {window}"):
        extract(raw)
    assert not (raw.parent / "out/images.npy").exists()
    assert extract(raw, scale=[0, most]).images[:].max() > 0.9
