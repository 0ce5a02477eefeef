"""Single images through the command: the maps are the pipeline's, and what is no such image is said in a sentence."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import synthetic_brats
import synthetic_chexpert
import synthetic_decathlon
import torch
from PIL import Image
from translate_project import CASES, parameters_of

from stages import checkpoint, methods, split_lists
from stages.costs.evaluations import detector_class
from stages.data import brats, chexpert, images
from stages.data.store import open_store
from stages.detection import detector, latents
from stages.errors import InputError
from stages.evaluation import records
from stages.export import model, translate
from stages.export.files import GREY_LEVELS
from stages.networks.unet import UNet
from stages.parameters.sections import identity, section
from stages.repeats import first

SLICES = [3, 4, 5, 6, 7]
SETTINGS = {
    "brain": ("guided-ddim", "L20_s5"),
    "chest": ("guided-ddpm", "L20_s2"),
    "photos": ("guided-ddim", "L20_s5"),
}


def pipeline(project: Path, tmp_path: Path, benchmark: str, raw: Path) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """The manifest and the arrays of the method in SETTINGS, as the rules make them of a raw folder."""
    parameters, (name, setting) = parameters_of(project, benchmark), SETTINGS[benchmark]
    reader = {"brain": brats, "chest": chexpert, "photos": images}[benchmark]
    reader.extract({"data": parameters["data"]}, raw, tmp_path / "data")
    manifest = open_store(tmp_path / "data").manifest
    split = split_lists.SplitList("subject_id", dict.fromkeys(manifest["subject_id"].unique(), "test"))
    split_lists.write(tmp_path / "split.csv", split)
    method, checkpoints = parameters["methods"][name], project / "results" / benchmark / "checkpoints/fold1-seed0"
    line = ["--data", tmp_path / "data", "--split-list", tmp_path / "split.csv", "--splits", "test", "--threads", "1"]
    line += ["--state", tmp_path / "state", "--output"]
    networks = ["--networks", *(f"{one}={checkpoints / one}.safetensors" for one in ("denoiser", "classifier"))]
    if encode_class := methods.encoding(method):
        text = json.dumps(section(parameters, "latents", encode_class))
        own = ["--encode-class", encode_class, "--denoiser", checkpoints / "denoiser.safetensors"]
        command = ["--parameters", text, *line, tmp_path / "latents", *own]
        latents.main(latents.arguments().parse_args(list(map(str, command))))
        networks += ["--latents", tmp_path / "latents"]
    values = section(parameters, "detect", name, methods.setting(method, setting))
    values["kept"] = {"healthy": True, "reconstructions": None}
    kind = detector_class(method)
    command = ["--parameters", json.dumps(values), *line, tmp_path / "maps", *networks]
    detector.detect(kind, detector.arguments(kind).parse_args(list(map(str, command))))
    return manifest, {path.stem: np.load(path) for path in (tmp_path / "maps" / "test").glob("*.npy")}


# --- the maps --------------------------------------------------------------------------------------------------------


def test_a_cases_files_hold_the_pipelines_maps_in_its_own_voxels(project, run, tmp_path):
    manifest, arrays = pipeline(project, tmp_path, "brain", project / "raw")
    said, errors = run("brain", project / "raw" / CASES[1], "--png")
    rows = np.flatnonzero(manifest["source"] == CASES[1])
    positions = manifest["position"].iloc[rows].to_numpy()
    assert positions.tolist() == [4, 6]  # every second slice, of which 2 shows no brain
    assert said["images"][CASES[1]]["slices"] == SLICES
    assert (said["method"], said["setting"]) == ("guided-ddim", {"L": 20, "s": 5})
    raw = nib.load(project / "raw" / CASES[1] / f"{CASES[1]}_t1.nii.gz")
    expected = {"map": arrays["maps"]}
    expected |= {f"reconstruction_{one}": arrays["images"][:, i] for i, one in enumerate(synthetic_brats.SEQUENCES)}
    for what, slices in expected.items():
        found = nib.load(tmp_path / "out" / f"{CASES[1]}_{what}.nii.gz")
        assert found.shape == raw.shape
        np.testing.assert_array_equal(found.affine, raw.affine)
        volume = found.get_fdata()
        assert not volume[:, :, [0, 1, 2, 8, 9]].any()
        for row, position in zip(rows, positions, strict=True):
            inside = slices[row].repeat(2, 0).repeat(2, 1)[6:26, 4:28].T.astype(np.float64)
            np.testing.assert_allclose(volume[:, :, position], inside, rtol=2e-3, atol=1e-5)
            assert inside.max() > 0.1
    assert Image.open(tmp_path / "out" / f"{CASES[1]}_picture.png").size[0] > 1000
    assert "\r" not in errors  # no progress bar where there is no terminal


def test_a_radiographs_files_hold_the_pipelines_map_in_its_own_pixels(project, run, tmp_path):
    manifest, arrays = pipeline(project, tmp_path, "chest", project / "raw")
    path = project / "raw" / synthetic_chexpert.path_of(4, 2)
    said, _ = run("chest", path, "--L", 20, "--s", 2)
    (name,) = said["images"]
    assert name == "patient00004_study2_view1"  # the noise that it is given depends on it
    (row,) = np.flatnonzero(manifest["slice_id"] == name)
    grey = np.asarray(Image.open(tmp_path / "out" / f"{name}_values.png"), np.float64)
    values = grey * said["images"][name]["largest"] / GREY_LEVELS
    assert values.shape == synthetic_chexpert.SHAPE
    lines = ((np.arange(40) + 0.5) * 16 / 40).astype(int)
    own = arrays["maps"][row][lines][:, np.arange(48) // 3]
    np.testing.assert_allclose(values, own, rtol=2e-3, atol=2e-3)
    healthy = np.asarray(Image.open(tmp_path / "out" / f"{name}_reconstruction.png"))
    own = arrays["images"][row, 0][lines][:, np.arange(48) // 3]
    assert np.abs(healthy - 255 * np.clip(own.astype(np.float64), 0, 1)).max() <= 1.5


def test_an_images_files_hold_the_pipelines_map_in_its_own_pixels_and_colours(project, run, tmp_path):
    manifest, arrays = pipeline(project, tmp_path, "photos", project / "photos")
    said, errors = run("photos", project / "photos/broken/000.png", "--png")
    (name,) = said["images"]
    assert name == "broken_000"
    (row,) = np.flatnonzero(manifest["slice_id"] == name)
    values = np.asarray(Image.open(tmp_path / "out" / f"{name}_values.png"), np.float64)
    lines = ((np.arange(40) + 0.5) * 16 / 40).astype(int)
    own = arrays["maps"][row][lines][:, np.arange(48) // 3]
    np.testing.assert_allclose(values * said["images"][name]["largest"] / GREY_LEVELS, own, rtol=2e-3, atol=2e-3)
    healthy = np.asarray(Image.open(tmp_path / "out" / f"{name}_reconstruction.png"))
    own = np.moveaxis(arrays["images"][row], 0, -1)[lines][:, np.arange(48) // 3]
    assert healthy.shape == (40, 48, 3)
    assert np.abs(healthy - 255 * np.clip(own.astype(np.float64), 0, 1)).max() <= 1.5
    assert (tmp_path / "out" / f"{name}_picture.png").is_file()
    assert "000.png: the denoiser leaves up to" in errors  # its weights are random


@pytest.mark.parametrize("name", [synthetic_decathlon.CASES[0], synthetic_decathlon.TEST])
def test_a_file_with_all_sequences_is_a_case(project, monkeypatch, tmp_path, name):
    monkeypatch.chdir(project)
    task = synthetic_decathlon.write_task(tmp_path)
    (file,) = task.glob(f"images*/{name}.nii.gz")
    synthetic_brats.write_case(tmp_path, name)
    (tmp_path / name / f"{name}_seg.nii.gz").unlink()
    ours, theirs = translate.translate([file, tmp_path / name], "brain", slices=[4], threads=1)
    assert ours.input.slice_ids == [f"{name}_z004"]
    np.testing.assert_array_equal(ours.maps, theirs.maps)
    np.testing.assert_array_equal(ours.in_own_space(ours.maps), theirs.in_own_space(theirs.maps))


def test_a_small_card_translates_slice_by_slice(project, monkeypatch):
    monkeypatch.chdir(project)
    case = [project / "raw" / CASES[0]]
    [whole] = translate.translate(case, "brain", threads=1)
    original, sizes = UNet.forward, []

    def small_card(self, x, t, y):
        sizes.append(len(x))
        if len(x) > 1 and t[0] > 5:
            raise torch.OutOfMemoryError
        return original(self, x, t, y)

    monkeypatch.setattr(UNet, "forward", small_card)
    [parts] = translate.translate(case, "brain", threads=1)
    assert (max(sizes), sizes[-1]) == (3, 1)
    np.testing.assert_allclose(parts.maps.astype(float), whole.maps.astype(float), rtol=2e-3, atol=1e-3)


def test_from_python(project, monkeypatch):
    monkeypatch.chdir(project)
    [image] = translate.translate([project / "raw" / CASES[0]], "brain", slices=[5, 4], threads=1)
    assert (image.name, image.maps.shape, image.maps.dtype) == (CASES[0], (2, 16, 16), np.float16)
    assert image.input.slice_ids == [f"{CASES[0]}_z004", f"{CASES[0]}_z005"]
    assert image.in_own_space(image.maps).shape == synthetic_brats.SHAPE
    np.testing.assert_allclose(
        image.maps, np.abs(image.input.images.astype(float) - image.reconstructions).sum(1), rtol=1e-2, atol=2e-2
    )


def test_each_checkpoint_is_read_once(project, monkeypatch):
    monkeypatch.chdir(project)
    load, read = checkpoint.load, []
    monkeypatch.setattr(checkpoint, "load", lambda path: read.append(path.stem) or load(path))
    list(translate.translate([project / "raw" / CASES[0]], "brain", slices=[4], threads=1))
    assert sorted(read) == ["classifier", "denoiser"]


def test_progress_counts_every_pass_of_a_network(project, monkeypatch):
    monkeypatch.chdir(project)
    bars = []

    class Bar:
        def __init__(self, label, total, unit):
            self.total, self.n = total, 0
            bars.append(self)

        def update(self, count):
            self.n += count
            return True  # as tqdm does where it draws on a terminal

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(model.command, "progress", Bar)
    for name in ("guided-ddim", "classifier-free"):
        setting = {"L": 10, "s": 5} if name == "guided-ddim" else {"L": 10, "w": 2}
        list(translate.translate([project / "raw" / CASES[0]], "brain", [4, 5], 1, method=name, setting=setting))
    # Five steps up (1, 2, 4, 5, 10) and down; down with a classifier beside the denoiser, or with two classes at once.
    # And before either, one of the denoiser, which shows whether it knows the image.
    assert [(bar.n, bar.total) for bar in bars] == [(2 * (1 + 5 + 5 + 5), 32), (2 * (1 + 5 + 5 * 2), 32)]


def test_an_image_unlike_the_benchmarks_own_is_said(project, run):
    parameters = parameters_of(project, "brain")
    name = identity(parameters, first(parameters), "guided-ddim", {"L": 20, "s": 5})
    rows = pd.DataFrame([dict.fromkeys(records.COLUMNS, 0) | {"mean_map": 1e-2}])
    record = project / "results/brain/record/fold1-seed0/guided-ddim/L20_s5.csv"
    records.write_record(record, records.Record(name, {"test": rows}))
    try:
        said, errors = run("brain", project / "raw" / CASES[0], "--slices", 4, 6)
    finally:
        record.unlink()
    by_record, by_denoiser = said["images"][CASES[0]]["doubts"]
    assert "of 2 of 2 slices is on average more than twice the largest of the benchmark's own (0.01)" in by_record
    assert "of a weak noise in 2 of 2 slices, where 40% is the most in images that it knows" in by_denoiser
    assert errors == f"warning: {by_record}\nwarning: {by_denoiser}\n"
    maps = np.array([[[1.0]], [[2.5]]], np.float16)
    assert [model.unlike(maps, largest) for largest in (0.4, 1, 2)] == [2, 1, 0]


# --- what is written -------------------------------------------------------------------------------------------------


def test_of_several_the_bad_one_is_named_and_the_others_are_translated(project, run, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"^1 of 3 images left out: .*bad\.png is truncated, damaged or no image"):
        run("photos", project / "photos/good/000.png", bad, project / "photos/good/001.png", "--method", "intensity")
    said = json.loads((tmp_path / "out/translate.json").read_text())
    assert list(said["images"]) == ["good_000", "good_001"]
    assert len(said["left_out"]) == 1
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"translate.json"} | {f"good_00{n}_{what}.png" for n in (0, 1) for what in ("map", "values")}
    with pytest.raises(InputError, match=r"^\S+gone\.png is not there"):  # before the first is translated
        run("photos", project / "photos/broken/000.png", tmp_path / "gone.png", "--method", "intensity")
    with pytest.raises(InputError, match=r"^\S+bad\.png is truncated"):
        run("photos", bad, "--method", "intensity")
    assert {path.name for path in (tmp_path / "out").iterdir()} == written


def test_what_cannot_be_done_is_said_before_the_first_image(project, run, tmp_path):
    case = project / "raw" / CASES[0]
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(InputError, match=rf"^{tmp_path}/file is no folder that can be written to: name another"):
            run("brain", case, "--output", tmp_path / place)
    for threads in (0, -1):
        with pytest.raises(InputError, match=f"^{threads} threads compute nothing"):
            run("brain", case, "--threads", threads)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_killed_run_leaves_whole_files_and_no_summary(project, run, tmp_path, monkeypatch):
    case = project / "raw" / CASES[0]
    run("brain", case, "--method", "intensity", "--slices", 4)
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert whole.keys() == {f"{CASES[0]}_map.nii.gz", "translate.json"}

    def killed(_, path):
        path.write_bytes(b"half")
        raise SystemExit(143)

    monkeypatch.setattr(nib, "save", killed)
    with pytest.raises(SystemExit):
        run("brain", case, "--method", "intensity", "--slices", 5)
    left = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert left == {name: content for name, content in whole.items() if name != "translate.json"}
