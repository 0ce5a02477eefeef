"""The chest phantom: layout, determinism, and radiographs that look like radiographs."""

import argparse
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_brats import contents

from stages.data import chexpert
from stages.data.store import open_store
from stages.errors import InputError
from stages.phantoms import chest, chest_anatomy
from stages.phantoms.chest import COLUMNS, LABEL, TREE, Phantom, generate, image_path, make_radiograph
from stages.phantoms.chest_anatomy import project
from stages.phantoms.chest_shape import LEFT, RIGHT, Chest, Effusion
from stages.phantoms.shared import has_lesion, section

SECTION = {"anatomy": "chest", "patients": 11, "size": 48, "effusion_fraction": 0.5}
SECTION |= {"variation": 1.0, "exposure": 1.0, "noise": 0.01}
SMALL = section(argparse.Namespace(parameters={"phantom": SECTION}), Phantom)
PLAIN = Phantom(patients=1, size=64, effusion_fraction=0.0, variation=0.0, exposure=0.0, noise=0.0)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom") / "chest"
    generate(0, SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def radiographs():
    phantom = replace(SMALL, size=64)
    return [make_radiograph(0, index, phantom) for index in range(24)]


def test_layout_is_that_of_chexpert(written):
    assert {path.name for path in written.iterdir()} == {TREE, LABEL}
    tables = {name: pd.read_csv(written / TREE / f"{name}.csv") for name in ("train", "valid")}
    assert [len(table) for table in tables.values()] == [10, 1]
    rows = pd.concat(tables.values())
    assert tuple(rows.columns) == COLUMNS
    assert sorted(rows["Path"]) == sorted(image_path(index) for index in range(11))
    assert image_path(9) == f"{TREE}/valid/patient00010/study1/view1_frontal.jpg"
    assert (rows["Frontal/Lateral"] == "Frontal").all()
    for row in rows.to_dict("records"):
        index = int(row["Path"].split("/")[2].removeprefix("patient")) - 1
        diseased = has_lesion(0, index, 0.5)
        assert (row["Pleural Effusion"] == 1, row["No Finding"] == 1) == (diseased, not diseased)
        path = written / row["Path"]
        with Image.open(path) as image, Image.open(path.with_name("view1_frontal_mask.png")) as mask:
            assert (image.format, image.mode, image.size) == ("JPEG", "L", (48, 48))
            assert (mask.format, mask.mode, mask.size) == ("PNG", "L", (48, 48))
            assert set(np.unique(mask)) == ({0, 255} if diseased else {0})


def test_same_seed_same_bytes_whatever_the_number_of_patients_and_processes(written, tmp_path):
    generate(0, replace(SMALL, patients=12), tmp_path / "more", processes=2)
    images = [path for path in contents(written) if path.suffix in (".jpg", ".png")]
    more = contents(tmp_path / "more")
    assert {path: more[path] for path in images} == {path: contents(written)[path] for path in images}
    assert len([path for path in more if path.suffix == ".jpg"]) == 12
    generate(0, SMALL, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(written)


def test_other_seed_and_other_patient_differ():
    image = make_radiograph(0, 0, SMALL).image
    assert (make_radiograph(1, 0, SMALL).image != image).any()
    assert (make_radiograph(0, 1, SMALL).image != image).any()


def test_the_reader_reads_it_with_its_masks(written, tmp_path):
    columns = {"healthy": "No Finding", "diseased": "Pleural Effusion", "view": "Frontal", "masks": "_mask.png"}
    data = {"reader": "chexpert", "channels": ["xray"], "size": 24, "on_bad_case": "stop", "chexpert": columns}
    chexpert.extract({"data": data}, written, tmp_path / "out")
    manifest = open_store(tmp_path / "out").manifest
    assert manifest["label"].sum() == sum(has_lesion(0, index, 0.5) for index in range(11))
    np.testing.assert_array_equal(manifest["lesion_pixels"] > 0, manifest["label"] == 1)


def test_an_earlier_phantom_is_replaced_and_nothing_left_beside_it(written, tmp_path):
    folder = tmp_path / "chest"
    generate(0, replace(SMALL, patients=2), folder)
    (folder / ".snakemake_timestamp").touch()
    generate(0, replace(SMALL, patients=1), folder)
    assert len(list(folder.rglob("*.jpg"))) == 1
    assert list(tmp_path.iterdir()) == [folder]


def test_the_real_data_set_is_left_alone(tmp_path):
    (tmp_path / "chexpert" / TREE).mkdir(parents=True)
    (tmp_path / "chexpert" / TREE / "train.csv").write_text("Path\n")
    with pytest.raises(InputError, match="something else than a phantom"):
        generate(0, SMALL, tmp_path / "chexpert")
    with pytest.raises(InputError, match="something else than a phantom"):
        generate(0, SMALL, tmp_path / "chexpert" / TREE)
    assert (tmp_path / "chexpert" / TREE / "train.csv").exists()


def test_nothing_is_left_when_an_image_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(chest, "make_radiograph", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate(0, SMALL, tmp_path / "chest")
    assert not list(tmp_path.iterdir())


def test_anatomy_has_its_brightness_in_its_place():
    image = make_radiograph(0, 0, PLAIN).image.astype(float)
    right, left = image[24:36, 14:22].mean(), image[20:28, 44:50].mean()
    spine, abdomen, heart = image[30:50, 31:33].mean(), image[58:, 16:26].mean(), image[40:46, 36:40].mean()
    assert max(right, left) + 40 < min(spine, abdomen, heart)
    assert image[:6, :6].mean() < 30  # air beside the neck
    # The right half of the diaphragm stands higher, and the heart lies to the left: right in the image.
    edge = [int(np.argmax(np.diff(image[30:, column]))) for column in (20, 50)]
    assert edge[0] < edge[1]
    assert image[38:46, 34:42].mean() > image[38:46, 22:30].mean() + 15


def test_healthy_and_diseased_differ_in_the_fluid_alone(radiographs):
    for index, radiograph in enumerate(radiographs):
        assert radiograph.mask.any() == has_lesion(0, index, 0.5)
    phantom = replace(SMALL, size=64, effusion_fraction=1.0, exposure=0.0, noise=0.0)
    for index in range(4):
        healthy = make_radiograph(0, index, replace(phantom, effusion_fraction=0.0)).image.astype(float)
        made = make_radiograph(0, index, phantom)
        change = made.image - healthy
        assert change[made.mask].mean() > 20
        assert abs(change[~made.mask]).mean() < 12


def test_fluid_climbs_the_wall_and_hides_the_costophrenic_angle():
    chest = Chest.draw(np.random.default_rng(0), 0.0)
    for side in (RIGHT, LEFT):
        rays = project(chest, {side: Effusion(0.2, 0.42, 28)}, 256, np.random.default_rng(0), 0.0)
        mask = rays.fluid > 0.2 * np.maximum(rays.cavity, 1)
        inside = np.flatnonzero(mask.any(axis=0))
        assert (inside >= 128).all() if side == LEFT else (inside < 128).all()
        top = mask.argmax(axis=0)[inside]
        lateral, middle = (top[-6:], top[len(top) // 2]) if side == LEFT else (top[:6], top[len(top) // 2])
        assert lateral.min() < middle - 8  # rows count downwards
        healthy = project(chest, {}, 256, np.random.default_rng(0), 0.0)
        np.testing.assert_allclose(rays.lung + rays.fluid, healthy.lung, atol=1e-2)
        np.testing.assert_allclose(rays.soft - rays.fluid, healthy.soft, atol=0.2)
        assert not healthy.fluid.any()
        assert rays.lung[mask.argmax(axis=0)[inside] + 25, inside].mean() < 0.3 * healthy.lung.max()


def test_free_length_is_what_sampling_finds():
    generator = np.random.default_rng(0)
    intervals = [tuple(np.sort(generator.uniform(-50, 50, (2, 40)), axis=0)) for _ in range(4)]
    z = np.linspace(-50, 50, 20001)[:, None]
    inside = [(z >= low) & (z <= high) for low, high in intervals]
    expected = (inside[0] & ~inside[1] & ~inside[2] & ~inside[3]).mean(axis=0) * 100
    np.testing.assert_allclose(chest_anatomy._free(*intervals), expected, atol=0.05)


def test_effusions_come_in_every_size(radiographs):
    shares = sorted(radiograph.mask.mean() for radiograph in radiographs if radiograph.mask.any())
    assert shares[0] < 0.03
    assert shares[-1] > 0.08


def test_brightness_alone_neither_solves_it_nor_is_useless(radiographs):
    scores = []
    for radiograph in radiographs:
        if (count := radiograph.mask.sum()) > 5:
            ranks = radiograph.image.ravel().argsort(kind="stable").argsort()
            inside = ranks[radiograph.mask.ravel()].sum() - count * (count - 1) / 2
            scores.append(inside / (count * (radiograph.mask.size - count)))
    assert 0.65 < np.mean(scores) < 0.92


def test_command_line(written, tmp_path):
    command = [
        sys.executable,
        "-m",
        "stages.phantoms.chest",
        "--parameters",
        json.dumps({"seed": 0, "phantom": SECTION}),
    ]
    subprocess.run([*command, "--output", tmp_path / "chest", "--processes", "2"], check=True)
    assert contents(tmp_path / "chest") == contents(written)
    (tmp_path / "chest" / "notes.txt").touch()
    done = subprocess.run([*command, "--output", tmp_path / "chest"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {tmp_path / 'chest'}: holds something else than a phantom")
    assert len(done.stderr.splitlines()) == 1
