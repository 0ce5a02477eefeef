"""One real case in the layouts in which people have BraTS: the stage's command makes the same store of each."""

import gzip
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from synthetic_brats import BIDS, LAYOUTS, SINCE_2023
from synthetic_decathlon import KEYS, ORDER, TASK

from stages import digests
from stages.data import brats
from stages.data.store import open_store
from stages.parameters import reading
from stages.parameters.sections import section

ROOT = Path(__file__).parents[2]
REAL = ROOT / "../shared/data/brats2018/Brats18_CBICA_APZ_1"


def source(key: str) -> Path:
    return REAL / f"{REAL.name}_{key}.nii.gz"


def by_pattern(raw: Path, pattern: str, case: str) -> None:
    for key, new in SINCE_2023.items():
        names = {"case": case, "key": key, "new": new, "bids": BIDS[key], "of": "final" if key == "seg" else "brain"}
        path = raw / pattern.format(**names)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".gz":
            shutil.copy(source(key), path)
        else:
            path.write_bytes(gzip.decompress(source(key).read_bytes()))


def decathlon(raw: Path) -> None:
    """All sequences in one file, and the enhancing tumour as label 3."""
    images = [nib.load(source(KEYS[name])) for name in ORDER.values()]
    mask = nib.load(source("seg"))
    labels = np.asarray(mask.dataobj)
    four = np.stack([np.asarray(image.dataobj, np.float32) for image in images], axis=-1)
    for folder, voxels, like in (
        ("imagesTr", four, images[0]),
        ("labelsTr", np.where(labels == 4, 3, labels).astype(np.uint8), mask),
    ):
        (raw / TASK / folder).mkdir(parents=True)
        nib.save(nib.Nifti1Image(voxels, like.affine), raw / TASK / folder / "BRATS_001.nii.gz")
    (raw / TASK / "dataset.json").write_text(json.dumps({"modality": ORDER}))


@pytest.mark.skipif(not REAL.exists(), reason="no real case is beside the repository")
def test_a_real_case_is_the_same_whatever_its_layout(tmp_path):
    benchmark = reading.benchmark(reading.load(ROOT / "params.yaml", "brats2018-cv"), "brats2018-cv")
    made = {}
    for layout, case in {
        "2017 to 2021": "BraTS20_Training_001",
        "2021, a folder for each sequence": "BraTS2021_00000",
        "2023 and later": "BraTS-GLI-00000-000",
        "BIDS": "sub-01_ses-1",
        "Decathlon": "BRATS_001",
    }.items():
        raw, out = tmp_path / layout / "raw", tmp_path / layout / "out"
        if layout == "Decathlon":
            decathlon(raw)
        else:
            by_pattern(raw, LAYOUTS.get(layout, "sub-01/ses-1/anat/{case}_{bids}.nii.gz"), case)
        line = ["--parameters", json.dumps(section(benchmark, "extract")), "--raw", raw, "--output", out]
        brats.main(brats.arguments().parse_args(list(map(str, line))))
        shutil.rmtree(raw)
        hashes, manifest = digests.read(out), open_store(out).manifest
        assert manifest["slice_id"].str.startswith(f"{case}_z").all()
        made[layout] = hashes["images.npy"], hashes["masks.npy"], manifest[["position", "label"]].to_csv()
    assert len(set(made.values())) == 1, made
    assert manifest["label"].sum() == 17  # of 30 slices: masks were read
