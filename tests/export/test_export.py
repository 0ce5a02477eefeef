"""The exported files of tiny benchmarks: case folders of NIfTI volumes, a tree of radiographs, anyone's arrays."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from PIL import Image

from stages import digests, split_lists
from stages.data import brats, chexpert
from stages.data.store import open_split, open_store
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.scores import score_slices
from stages.export import export

SHAPE = (20, 18, 10)
AFFINE = nib.affines.from_matvec(nib.eulerangles.euler2mat(0.1, 0.2, 0.3) @ np.diag([-1, 1.5, 3]), [5, -6, 7])
SEQUENCES = ["t1", "flair"]
METHODS = {"guided-ddim": "L20_s5", "ready-made": "default"}
THRESHOLD = 0.25


def segmentation(subject: int) -> np.ndarray:
    mask = np.zeros(SHAPE, np.int16)
    mask[4 + subject : 9, 9:15, 3:6] = 4
    return mask


def write_volumes(tmp_path, names: list[str], tested: list[str]) -> list[str]:
    """Raw cases and their store at 24 px (no resampling); returns the command's arguments but --output."""
    raw, rng = tmp_path / "raw", np.random.default_rng(1)
    for subject, name in enumerate(names):
        (raw / name).mkdir(parents=True)
        brain = np.zeros(SHAPE, bool)
        brain[2:18, 3:17, 2:9] = True
        arrays = {key: np.where(brain, rng.integers(1, 900, SHAPE), 0).astype(np.int16) for key in SEQUENCES}
        for key, volume in {**arrays, "seg": segmentation(subject % 3)}.items():
            nib.save(nib.Nifti1Image(volume, AFFINE), raw / name / f"{name}_{key}.nii.gz")
    own = {"percentiles": [1, 99], "slices": [1, 7], "step": 1, "pad": 24}
    data = {"reader": "brats", "channels": SEQUENCES, "size": 24, "brats": own, "on_bad_case": "stop"}
    brats.extract({"data": data}, raw, tmp_path / "data")
    write_split(tmp_path, tested)
    return command_line(tmp_path, data, raw)


def write_split(tmp_path, tested: list[str]) -> None:
    """The split list: these subjects are tested, the others trained on."""
    subjects = open_store(tmp_path / "data").manifest["subject_id"].unique()
    assert set(tested) <= set(subjects)
    split_of = {subject: "test" if subject in tested else "train" for subject in subjects}
    split_lists.write(tmp_path / "split.csv", split_lists.SplitList("subject_id", split_of))


def open_test(tmp_path):
    """The test split."""
    return open_split(tmp_path / "data", tmp_path / "split.csv", "test")


@pytest.fixture
def volumes(tmp_path):
    """Six cases, of which three are tested, not the first ones."""
    names = [f"BraTS20_Training_{number:03d}" for number in range(6)]
    return write_volumes(tmp_path, names, [names[1], *names[4:]])


@pytest.fixture
def radiographs(tmp_path):
    """A tree of radiographs of 40 x 48 pixels without masks, as 16 px slices."""
    tree, rng, rows = tmp_path / "raw/CheXpert-v1.0-small", np.random.default_rng(2), []
    for patient in range(8):
        path = f"train/patient{patient:05d}/study1/view1_frontal.png"
        (tree / path).parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 255, (40, 48)).astype(np.uint8)).save(tree / path)
        labels = {"No Finding": patient % 2, "Pleural Effusion": 1 - patient % 2}
        rows.append({"Path": f"CheXpert-v1.0-small/{path}", "Frontal/Lateral": "Frontal", **labels})
    pd.DataFrame(rows).to_csv(tree / "train.csv", index=False)
    pd.DataFrame(rows[:0], columns=rows[0].keys()).to_csv(tree / "valid.csv", index=False)
    own = {"healthy": "No Finding", "diseased": "Pleural Effusion", "view": "Frontal"}
    data = {"reader": "chexpert", "channels": ["xray"], "size": 16, "chexpert": own, "on_bad_case": "stop"}
    chexpert.extract({"data": data}, tmp_path / "raw", tmp_path / "data")
    write_split(tmp_path, ["patient00003", "patient00006"])
    return command_line(tmp_path, data, tmp_path / "raw", threshold=np.nan)


def command_line(tmp_path: Path, data: dict, raw: Path, threshold: float = THRESHOLD) -> list[str]:
    """Maps (the mask plus noise, in units of their own) and comparison.csv beside the store."""
    store = open_test(tmp_path)
    masks = np.zeros((len(store), *store.images.shape[-2:])) if store.masks is None else np.asarray(store.masks)
    rng = np.random.default_rng(3)
    for unit, (method, setting) in enumerate(METHODS.items(), start=1):
        folder = tmp_path / "maps" / method / setting / "test"
        folder.mkdir(parents=True)
        np.save(folder / "maps.npy", (unit * (0.5 * masks + rng.uniform(0, 0.2, masks.shape))).astype(np.float16))
        score(tmp_path, method, setting, threshold)
    table = {"method": METHODS.keys(), "setting": METHODS.values(), "settings": METHODS.values()}
    pd.DataFrame(table).to_csv(tmp_path / "comparison.csv", index=False)
    places = {"data": tmp_path / "data", "raw": raw, "maps": tmp_path / "maps", "scores": tmp_path / "scores"}
    places |= {"split-list": tmp_path / "split.csv", "comparison": tmp_path / "comparison.csv"}
    return ["--parameters", parameters(data)] + [
        text for name, path in places.items() for text in (f"--{name}", str(path))
    ]


def parameters(data: dict, methods: Iterable[str] = METHODS) -> str:
    figures = {"method": "guided-ddim"}
    repeats = {"folds": 2, "seeds": [5]}
    content = {"seed": 0, "repeats": repeats, "data": data, "methods": dict.fromkeys(methods), "figures": figures}
    content |= {"detection": {"difference": "plain"}}
    return json.dumps(content)


def score(tmp_path: Path, method: str, setting: str, threshold: float = THRESHOLD) -> None:
    """Slice scores beside the maps, with a threshold of the test's own."""
    store = open_test(tmp_path)
    maps = np.load(tmp_path / "maps" / method / setting / "test/maps.npy")
    slices = score_slices(maps, store.masks, store.manifest, 20, "maps.npy").assign(average_otsu=threshold)
    records.write_csv(tmp_path / "scores" / method / setting / "test.csv", slices)


def run(arguments: list[str], output: Path) -> dict:
    export.main(export.arguments().parse_args([*arguments, "--output", str(output)]))
    return json.loads((output / "export.json").read_text())


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_volumes(tmp_path, volumes):
    said = run(volumes, tmp_path / "export")
    store = open_test(tmp_path)
    subjects = store.manifest["subject_id"].unique().tolist()
    assert said["format"] == "nifti"
    assert list(said["volumes"]) == subjects  # the case folders bear their names
    assert [item["subject"] for item in said["volumes"].values()] == subjects
    assert said["repeat"] == "fold1-seed5"
    assert len(subjects) == 3
    for method, setting in METHODS.items():
        maps = np.load(tmp_path / "maps" / method / setting / "test/maps.npy")
        for subject in subjects:
            rows = store.manifest[store.manifest["subject_id"] == subject]
            raw = nib.load(tmp_path / "raw" / said["volumes"][subject]["volume"])
            found = nib.load(tmp_path / "export" / method / f"{subject}_map.nii.gz")
            assert found.shape == raw.shape
            np.testing.assert_array_equal(found.affine, raw.affine)
            assert found.get_data_dtype() == np.float32
            expected = np.zeros(SHAPE)  # 24 px: two columns of padding before X = 20, three rows before Y = 18
            for row, z in rows["position"].items():
                expected[:, :, z] = maps[row, 3:21, 2:22].T
            np.testing.assert_array_equal(found.get_fdata(), expected)
            assert said["volumes"][subject]["slices"] == rows["position"].tolist() == [2, 3, 4, 5, 6, 7]
            end = said["methods"][method]["scale_end"]
            assert found.header["cal_max"] == pytest.approx(end)
            diseased = maps[store.manifest["label"] == 1]  # no reconstructions: each method has a scale of its own
            assert end == pytest.approx(np.percentile(diseased.astype(float), 99.5))
    # The first method's map is above its threshold where, and only where, the raw segmentation has a label.
    for subject in subjects:
        labels = nib.load(tmp_path / "export/guided-ddim" / f"{subject}_segmentation.nii.gz")
        truth = nib.load(tmp_path / "raw" / subject / f"{subject}_seg.nii.gz")
        assert labels.get_data_dtype() == np.uint8
        np.testing.assert_array_equal(np.asarray(labels.dataobj), np.asarray(truth.dataobj) > 0)
        np.testing.assert_array_equal(labels.affine, truth.affine)
    assert said["methods"]["guided-ddim"]["threshold"] == THRESHOLD
    text = (tmp_path / "export/README.txt").read_text()
    assert "L20_s5" in text
    assert "0.25" in text
    assert "Of fold 1, seed 5: the first of 2 repeats." in text.replace("\n", " ")


@pytest.mark.parametrize(("difference", "scaled"), [("plain", ""), ("min-max", ", both scaled to [0, 1]")])
def test_it_says_what_maps_of_one_unit_are(tmp_path, radiographs, difference, scaled):
    radiographs[1] = radiographs[1].replace('"plain"', f'"{difference}"')
    run(radiographs, tmp_path / "export")
    text = " ".join((tmp_path / "export/README.txt").read_text().split())
    assert f"summed absolute difference of input and reconstruction{scaled} have one unit" in text


def test_time_points_of_a_patient_are_volumes_of_their_own(tmp_path):
    names = ["BraTS-GLI-00007-000", "BraTS-GLI-00007-001", "BraTS-GLI-00008-000", "BraTS-GLI-00009-000"]
    said = run(write_volumes(tmp_path, names, ["BraTS-GLI-00007", "BraTS-GLI-00009"]), tmp_path / "export")
    tested = [names[0], names[1], names[3]]
    assert {item["file"]: item["subject"] for item in said["volumes"].values()} == {
        name: name.rsplit("-", 1)[0] for name in tested
    }
    store, maps = open_test(tmp_path), np.load(tmp_path / "maps/guided-ddim/L20_s5/test/maps.npy")
    for name in tested:
        rows = store.manifest[store.manifest["source"] == name]
        found = nib.load(tmp_path / "export/guided-ddim" / f"{name}_map.nii.gz").get_fdata()
        assert len(rows) == 6
        for row, z in rows["position"].items():
            np.testing.assert_array_equal(found[:, :, z], maps[row, 3:21, 2:22].T)
    assert len(list((tmp_path / "export/guided-ddim").iterdir())) == 2 * len(tested)


def test_maps_of_one_unit_have_one_scale(tmp_path, volumes):
    """Maps that are the summed difference of input and reconstruction; the third is in a unit of its own."""
    images = np.asarray(open_test(tmp_path).images, float)
    for strength, (method, setting) in enumerate(METHODS.items(), start=1):
        reconstruction = np.clip(images - 0.1 * strength, 0, 1)
        folder = tmp_path / "maps" / method / setting / "test"
        np.save(folder / "images.npy", reconstruction.astype(np.float16))
        np.save(folder / "maps.npy", np.abs(images - reconstruction).sum(axis=1).astype(np.float16))
    other = tmp_path / "maps/other/default/test"
    other.mkdir(parents=True)
    np.save(other / "maps.npy", np.full(images[:, 0].shape, 7, np.float16))
    for method, setting in {**METHODS, "other": "default"}.items():
        score(tmp_path, method, setting)
    with (tmp_path / "comparison.csv").open("a") as file:
        file.write("other,default\n")
    data = json.loads(volumes[1])["data"]
    volumes[1] = parameters(data, [*METHODS, "other"])
    ends = {name: item["scale_end"] for name, item in run(volumes, tmp_path / "export")["methods"].items()}
    assert (
        ends["guided-ddim"] == ends["ready-made"] == pytest.approx(0.3, abs=2e-3)
    )  # median of two channels' .1 and .2
    assert ends["other"] == 7


def test_same_bytes_twice(tmp_path, volumes):
    for name in ("one", "two"):
        run(volumes, tmp_path / name)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(contents(tmp_path / "one")) == 2 * 3 * 2 + 2


def test_slices_without_a_map_are_0(tmp_path, volumes):
    """As someone else's method leaves them, which lists in slices.csv what it has mapped."""
    store, folder = open_test(tmp_path), tmp_path / "maps/ready-made/default/test"
    maps, rows = np.load(folder / "maps.npy"), np.arange(1, len(open_test(tmp_path)), 2)
    np.save(folder / "maps.npy", maps[rows])
    store.manifest["slice_id"].iloc[rows].to_csv(folder / "slices.csv", index=False)
    said = run(volumes, tmp_path / "export")
    assert said["methods"]["ready-made"]["largest"] == maps[rows].max()
    for name, item in said["volumes"].items():
        found = nib.load(tmp_path / "export/ready-made" / f"{name}_map.nii.gz").get_fdata()
        labels = np.asarray(nib.load(tmp_path / "export/ready-made" / f"{name}_segmentation.nii.gz").dataobj)
        here = store.manifest[store.manifest["source"] == item["volume"].rsplit("/", 1)[0]]
        assert len(here) == 6
        for row, z in here["position"].items():
            expected = maps[row, 3:21, 2:22].T if row in rows else np.zeros(SHAPE[:2])
            np.testing.assert_array_equal(found[:, :, z], expected)
            np.testing.assert_array_equal(labels[:, :, z], expected > THRESHOLD)


def test_radiographs(tmp_path, radiographs):
    said = run(radiographs, tmp_path / "export")
    store = open_test(tmp_path)
    maps = np.load(tmp_path / "maps/ready-made/default/test/maps.npy").astype(float)
    end, largest = (said["methods"]["ready-made"][key] for key in ("scale_end", "largest"))
    assert largest == maps.max() > end
    assert said["format"] == "png"
    assert said["methods"]["ready-made"]["threshold"] is None  # no masks, no threshold, no segmentation
    assert not list((tmp_path / "export").rglob("*_segmentation.png"))
    assert len(said["slices"]) == 2
    for row, (slice_id, item) in enumerate(said["slices"].items()):
        assert slice_id == store.manifest["slice_id"][row]
        stem = tmp_path / "export/ready-made" / item["file"]
        values = np.asarray(Image.open(f"{stem}_values.png"))
        assert values.dtype == np.uint16
        assert values.shape == (40, 48) == (item["rows"], item["columns"])
        # 48 columns are three to a slice's pixel, 40 rows two and a half: those at whole pixels are the map's.
        np.testing.assert_allclose(values[::5, ::3] * largest / 65535, maps[row][::2], atol=0.51 * largest / 65535)
        colours = np.asarray(Image.open(f"{stem}_map.png"))
        assert colours.shape == (40, 48, 3)
        share = np.minimum(maps[row][::2] / end, 1)
        expected = colormaps["inferno"](np.round(255 * share).astype(int), bytes=True)[..., :3]
        np.testing.assert_array_equal(colours[::5, ::3], expected)


def test_someone_elses_slices_are_images(tmp_path, volumes):
    """A reader whose recipe is not known and whose source is no volume: PNG in the slice's own pixels, no failure."""
    path = tmp_path / "data/manifest.csv"
    manifest = pd.read_csv(path, dtype=str, keep_default_na=False)
    tested = manifest["slice_id"].isin(open_test(tmp_path).manifest["slice_id"])
    manifest.loc[np.flatnonzero(tested)[:3], "slice_id"] = ["a/b: \u00e9", "A/B: \u00e9", "../.."]  # no file's name
    manifest.assign(source="subject.npz", affine="[]").to_csv(path, index=False)
    digests.write(path.parent)
    names = manifest.loc[tested, "slice_id"].tolist()
    for method, setting in METHODS.items():
        score(tmp_path, method, setting)
    volumes[1] = parameters({"reader": "arrays", "channels": SEQUENCES, "size": 24, "arrays": {"gain": 1.0}})
    said = run(volumes, tmp_path / "export")
    assert said["format"] == "png"
    files = [item["file"] for item in said["slices"].values()]
    assert files[:3] == ["a_b____0000", "A_B____0001", "_.."]
    assert list(said["slices"]) == names
    labels = np.asarray(Image.open(tmp_path / "export/guided-ddim" / f"{files[1]}_segmentation.png"))
    np.testing.assert_array_equal(labels, 255 * open_test(tmp_path).masks[1])
    assert len(list((tmp_path / "export/guided-ddim").iterdir())) == 3 * len(names)
    assert not list(tmp_path.glob("*.png"))


def test_someone_elses_volumes_are_volumes(tmp_path, volumes):
    own = {"pad": 24}
    volumes[1] = parameters({"reader": "mine", "channels": SEQUENCES, "size": 24, "mine": own})
    said = run(volumes, tmp_path / "export")
    assert said["format"] == "nifti"
    subject = next(iter(said["volumes"]))
    labels = nib.load(tmp_path / "export/guided-ddim" / f"{subject}_segmentation.nii.gz")
    truth = nib.load(tmp_path / "raw" / subject / f"{subject}_seg.nii.gz")
    np.testing.assert_array_equal(np.asarray(labels.dataobj), np.asarray(truth.dataobj) > 0)


def test_bad_inputs(tmp_path, volumes):
    output = tmp_path / "export"
    maps = tmp_path / "maps/guided-ddim/L20_s5/test/maps.npy"
    good = np.load(maps)
    np.save(maps, good[1:])
    with pytest.raises(InputError, match=r"maps\.npy has shape"):
        run(volumes, output)
    np.save(maps, good)
    comparison = (tmp_path / "comparison.csv").read_text()
    (tmp_path / "comparison.csv").write_text(comparison.splitlines()[0] + "\n")
    with pytest.raises(InputError, match="does not list method 'guided-ddim'"):
        run(volumes, output)
    (tmp_path / "comparison.csv").write_text(comparison)
    subject = open_test(tmp_path).manifest["subject_id"].iloc[-1]
    raw = tmp_path / "raw" / subject / f"{subject}_t1.nii.gz"
    raw.write_bytes(gzip.compress(b"no volume"))
    with pytest.raises(InputError, match=rf"{subject}_t1\.nii\.gz: the file is truncated"):
        run(volumes, output)
    assert not (output / "export.json").exists()
    assert not list(output.rglob("*.partial"))


def test_missing_radiograph(tmp_path, radiographs):
    source = open_test(tmp_path).manifest["source"].iloc[0]
    (tmp_path / "raw/CheXpert-v1.0-small" / source).unlink()
    with pytest.raises(InputError, match=r"view1_frontal\.png is missing, .* put it back"):
        run(radiographs, tmp_path / "export")
