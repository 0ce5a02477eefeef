"""Extraction of NIH ChestX-ray14, as released, into a slice store."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from synthetic_brats import contents
from synthetic_chexpert import image_of, naive_slice
from synthetic_nih import as_colour, name_of, write_release

from stages.data import chexpert, nih
from stages.data.split import split
from stages.data.store import open_store
from stages.errors import InputError

REAL = Path(__file__).parents[2] / "../shared/data/nih-chestxray14/CheXpert-v1.0-small"


@pytest.fixture
def parameters():
    own = {"healthy": "No Finding", "diseased": "Effusion"}
    return {"data": {"reader": "nih", "channels": ["xray"], "size": 15, "on_bad_case": "stop", "nih": own}}


@pytest.mark.parametrize(
    ("table", "folders"),
    [("Data_Entry_2017.csv", 2), ("Data_Entry_2017_v2020.csv", 1), ("sample_labels.csv", 1)],
)
def test_extraction(tmp_path, parameters, table, folders):
    raw = tmp_path / "raw"
    write_release(raw, table, folders)
    lines = nih.extract(parameters, raw, tmp_path / "out")
    assert lines == [
        "extracted: 5 subjects, 6 slices, 3 of them diseased",
        "left out: 1 rows that are both healthy and diseased",
    ]
    store = open_store(tmp_path / "out")
    assert store.masks is None
    expected = [(1, 0, 0), (1, 1, 1), (2, 0, 1), (3, 0, 0), (4, 0, 1), (5, 0, 0)]
    for image, row, (patient, follow_up, label) in zip(
        store.images, store.manifest.to_dict("records"), expected, strict=True
    ):
        area = naive_slice(image_of(patient, follow_up), 15)
        np.testing.assert_allclose(image[0], (area - area.min()) / np.ptp(area), rtol=0, atol=3e-4)
        assert row["slice_id"] == name_of(patient, follow_up).removesuffix(".png")
        assert (row["subject_id"], row["position"], row["label"]) == (f"{patient:08d}", follow_up, label)
        assert (raw / row["source"]).is_file()
    table = pd.read_csv(tmp_path / "out/subjects.csv", dtype=str).set_index("subject_id")
    assert table["raw_split"].to_dict() == {f"{n:08d}": "test" if n in (4, 5) else "train" for n in (1, 2, 3, 4, 5)}
    found, _ = split({"seed": 0, "data": {"reader": "nih", "split": "raw"}}, tmp_path / "out")
    assert found.split_of["00000004"] == "test"


def test_images_that_are_rgba_or_smaller_jpeg_copies_are_read(tmp_path, parameters):
    raw = tmp_path / "raw"
    write_release(raw, folders=1)
    nih.extract(parameters, raw, tmp_path / "a")
    image = raw / "images" / name_of(2, 0)
    as_colour(image_of(2, 0)).save(image)
    nih.extract(parameters, raw, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    Image.fromarray(image_of(2, 0)).save(image.with_suffix(".jpg"), quality=100)
    image.unlink()
    nih.extract(parameters, raw, tmp_path / "c")
    np.testing.assert_allclose(open_store(tmp_path / "c").images, open_store(tmp_path / "a").images, atol=0.02)


def test_bad_input_gets_its_sentence(tmp_path, parameters):
    raw = tmp_path / "raw"
    table = raw / "Data_Entry_2017.csv"

    def refused(match):
        with pytest.raises(InputError, match=match) as caught:
            nih.extract(parameters, raw, tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert not contents(tmp_path / "out")

    refused(r"raw holds no Data_Entry_2017\*\.csv; put there NIH ChestX-ray14: ")
    write_release(raw)
    text = table.read_text()
    for old, new, match in (
        ("Finding Labels", "Labels", "lacks the column 'Finding Labels'"),
        (",1,50,F", ",one,50,F", r"Data_Entry_2017\.csv: row 2 \(00000001_000\.png\): the patient 'one' is no number"),
        ("00000002_000.png", "../00000002_000.png", r"row 4 \(\.\./00000002_000\.png\): that is no name of an image"),
        ("00000002_000.png", "00000009_000.png", r"row 4 \(00000009_000\.png\): the image is missing"),
        ("00000002_000.png", "00000001_000.png", "row 2 .*: the same view is there more than once"),
    ):
        table.write_text(text.replace(old, new, 1))
        refused(match)
    table.write_text(text)
    parameters["data"]["nih"]["diseased"] = "Pleural Effusion"
    refused("no image is labelled 'Pleural Effusion'; change data.nih.diseased to one of Cardiomegaly, Effusion, Infil")
    parameters["data"]["nih"]["diseased"] = "Effusion"
    shutil.copy(raw / "images_001/images" / name_of(2, 0), raw / "images_002/images")
    refused(r"row 4 .*: the image is there more than once \(.*images_001.* and .*images_002")
    (raw / "images_002/images" / name_of(2, 0)).unlink()
    (raw / "test_list.txt").write_text(name_of(1, 0))
    refused(r"test_list\.txt: 00000001_000\.png is in both lists")
    (raw / "test_list.txt").unlink()
    shutil.copy(table, raw / "Data_Entry_2017_v2020.csv")
    refused(r"Data_Entry_2017\.csv and .*v2020\.csv both list images; leave the one that is to count in ")
    (raw / "Data_Entry_2017_v2020.csv").unlink()
    for folder in ("images_001", "images_002"):
        shutil.rmtree(raw / folder)
    refused(r"holds none of the images that Data_Entry_2017\.csv lists: unpack images_\*\.tar\.gz there")


def test_links_inside_are_read_and_a_level_too_low_is_named(tmp_path, parameters):
    raw = tmp_path / "raw"
    write_release(raw)
    image = raw / "images_001/images" / name_of(1, 0)
    (raw / ".kept").mkdir()
    image.rename(raw / ".kept/x.png")
    image.symlink_to(raw / ".kept/x.png")
    assert nih.extract(parameters, raw, tmp_path / "out")[0].startswith("extracted: 5 subjects, 6 slices")
    for folder in (raw / "images_001", tmp_path):
        place = folder if folder != tmp_path else tmp_path / "a"
        if folder == tmp_path:
            (tmp_path / "a/b").mkdir(parents=True)
            raw.rename(tmp_path / "a/b/raw")
        with pytest.raises(InputError, match=r"raw has it: set data\.folder to that"):
            nih.extract(parameters, place, tmp_path / "out")


def test_an_archive_that_is_not_there_can_be_left_out(tmp_path, parameters):
    write_release(tmp_path / "raw")
    shutil.rmtree(tmp_path / "raw/images_002")
    parameters["data"]["on_bad_case"] = "skip"
    lines = nih.extract(parameters, tmp_path / "raw", tmp_path / "out")
    assert lines[1] == "bad cases: 3, listed in bad_cases.csv"
    assert len(open_store(tmp_path / "out")) == 3


@pytest.mark.skipif(not REAL.exists(), reason="the NIH radiographs are not beside the repo")
def test_real_radiographs_are_read_as_from_chexperts_layout(tmp_path, parameters):
    """The sample lies in CheXpert's layout; put back into NIH's, the other reader makes the same slices of it."""
    raw, rows, lists = tmp_path / "raw", [], {"train": [], "valid": []}
    (raw / "images").mkdir(parents=True)
    for kind, names in lists.items():
        for line in pd.read_csv(REAL / f"{kind}.csv").to_dict("records"):
            path = Path(*Path(line["Path"]).parts[1:])
            patient, study = path.parts[1].removeprefix("patient"), path.parts[2].removeprefix("study")
            name = f"{int(patient):08d}_{int(study):03d}.png"
            labels = [new for old, new in (("No Finding",) * 2, ("Pleural Effusion", "Effusion")) if line[old] == 1]
            rows.append({"Image Index": name, "Finding Labels": "|".join(labels), "Patient ID": int(patient)})
            shutil.copy(REAL / path, (raw / "images" / name).with_suffix(".jpg"))
            names.append(name)
    pd.DataFrame(rows).to_csv(raw / "Data_Entry_2017.csv", index=False)
    for file, kind in (("train_val_list.txt", "train"), ("test_list.txt", "valid")):
        (raw / file).write_text("\n".join(lists[kind]))
    parameters["data"]["size"] = 64
    nih.extract(parameters, raw, tmp_path / "nih")
    own = {"healthy": "No Finding", "diseased": "Pleural Effusion", "view": "Frontal"}
    data = parameters["data"] | {"reader": "chexpert", "chexpert": own}
    chexpert.extract({"data": data}, REAL.parent, tmp_path / "chexpert")
    ours, theirs = open_store(tmp_path / "nih"), open_store(tmp_path / "chexpert")
    assert len(ours) == 211
    numbers = theirs.manifest["slice_id"].str.extract(r"patient(\d+)_study(\d+)_view1").astype(int)
    same = numbers.sort_values([0, 1]).index  # study10 stands before study2 there
    np.testing.assert_array_equal(ours.images, np.asarray(theirs.images)[same])
    assert ours.manifest["label"].tolist() == theirs.manifest["label"][same].tolist()
    tables = [pd.read_csv(tmp_path / name / "subjects.csv") for name in ("nih", "chexpert")]
    assert tables[0].iloc[:, 1:].equals(tables[1].iloc[:, 1:])
