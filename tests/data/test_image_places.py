"""Folders that are not what they were taken for, in and around data.folder; and the benchmark that the guide shows."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from test_images import MASKS, extract, mvtec, parameters, picture

from stages.data import images
from stages.data.split import split
from stages.data.store import open_store
from stages.errors import InputError
from stages.parameters import reading, sections

ROOT = Path(__file__).parents[2]


@pytest.fixture
def raw(tmp_path):
    return tmp_path / "raw"


def test_a_folder_in_one_of_healthy_images_is_no_class(raw):
    for number in range(2):
        picture(raw / f"train/{number}.png", number)
        for place, kind in enumerate(("Normal", "sick")):
            picture(raw / f"test/{kind}/scanner{number}/x.png", 2 + 2 * number + place)
    with pytest.raises(
        InputError, match=r"scanner0/x\.png lies in Normal, which is called healthy, and there in scanner0"
    ):
        extract(raw)
    assert extract(raw, healthy=["scanner0"]).manifest["label"].tolist() == [0, 1, 0, 1, 0, 0]


def test_classes_that_are_none_are_named(raw):
    for number in range(6):
        picture(raw / f"{'sick' if number % 2 else 'well'}/ann{number}/x.png", number)
    sentence = r"no image is healthy .*\(ann1, ann3, ann5, ann0 and 2 more\); say in data\.images\.healthy .*name a CSV"
    with pytest.raises(InputError, match=sentence):
        extract(raw)


def test_diseased_images_of_no_kind_that_is_read_are_said(raw):
    picture(raw / "normal/0.png")
    (raw / "sick").mkdir()
    (raw / "sick/0.webp").write_bytes(b"")
    with pytest.raises(InputError, match=r"no image is diseased.*; not read: 1 \.webp$"):
        extract(raw)


def test_images_in_the_wrong_folder_of_a_data_set_without_masks(raw):
    mvtec(raw / "bottle")
    (raw / "bottle/ground_truth").rename(raw / "masks")
    with pytest.raises(InputError, match=r"no image is diseased, .*set data\.folder to .*/bottle, of which .*train is"):
        images.extract(parameters(), raw / "bottle/train", raw.parent / "out")
    with pytest.raises(InputError, match=r"000\.png: nothing says whether .*set data\.folder to .*/bottle, of which"):
        images.extract(parameters(), raw / "bottle/train/good", raw.parent / "out")
    lines = images.extract(parameters(), raw / "bottle/test", raw.parent / "out")
    assert lines[-1].startswith(f"warning: no image has a split, or set data.folder to {raw}/bottle, of which")
    (raw / "masks").rename(raw / "bottle/ground_truth")
    with pytest.raises(InputError, match=r"set data\.folder to .*raw/bottle, which is a data set of its own, and name"):
        extract(raw)


def test_a_data_set_one_level_too_high_or_low_is_named(raw):
    mvtec(raw / "bottle")
    with pytest.raises(InputError, match=r"is no folder; .*raw/bottle has it: set data\.folder to that"):
        extract(raw, masks=MASKS)
    with pytest.raises(InputError, match=r"is no folder; .*raw/bottle has it: set data\.folder to that"):
        images.extract(parameters(masks=MASKS), raw / "bottle/test", raw.parent / "out")


def by_command(raw, out, changes):
    """What the rules hand to their stages of the guide's benchmark, extracted by the stage's command; its split."""
    guide = (ROOT / "docs/add-your-data-set.md").read_text()
    shown = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)[1])
    config = yaml.safe_load((ROOT / "params.yaml").read_text())
    (name,) = shown["benchmarks"]
    config["benchmarks"][name] = shown["benchmarks"][name]
    config["benchmarks"][name]["data"] |= changes
    found = reading.checked_benchmark(config, name)
    words = ["--parameters", json.dumps(sections.section(found, "extract")), "--raw", str(raw), "--output", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "stages.data.images", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "provenance.json").read_text())["parameters"] == sections.section(found, "extract")
    return open_store(out), split(sections.section(found, "split"), out)[0].split_of, done.stdout


def test_the_benchmark_of_the_guide_reads_mvtec_ad(raw):
    for first, place in enumerate(("train/good", "test/good", "test/crack")):
        for number in range(2):
            picture(raw / place / f"{number:03d}.png", 2 * first + number, side=32, colour=True)
    mask = np.zeros((32, 32), np.uint8)
    mask[8:16, 8:16] = 255
    (raw / "ground_truth/crack").mkdir(parents=True)
    for number in range(2):
        Image.fromarray(mask).save(raw / f"ground_truth/crack/{number:03d}_mask.png")
    store, split_of, said = by_command(raw, raw.parent / "out", {})
    assert said == "extracted: 6 subjects, 6 slices, 2 of them diseased\n"
    assert store.images.shape == (6, 3, 16, 16)
    assert store.manifest["lesion_pixels"].tolist() == [16, 16, 0, 0, 0, 0]
    assert {name.split("_")[0]: word for name, word in split_of.items()} == {"train": "train", "test": "test"}


def test_the_benchmark_of_the_guide_reads_medianomaly_s_lists(raw):
    for number in range(5):
        picture(raw / f"images/{number}.png", number, side=32, colour=True)
    listed = {"train": {"0": ["0.png", "1.png"]}, "test": {"0": ["2.png"], "1": ["3.png", "4.png"]}}
    (raw / "data.json").write_text(json.dumps(listed))
    store, split_of, said = by_command(raw, raw.parent / "out", {"images": {"table": "data.json"}})
    assert said == "extracted: 5 subjects, 5 slices, 2 of them diseased\n"
    assert store.masks is None
    assert store.manifest["label"].tolist() == [0, 0, 0, 1, 1]
    assert list(split_of.values()) == ["train", "train", "test", "test", "test"]
