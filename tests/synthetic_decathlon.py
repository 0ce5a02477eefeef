"""A tiny Task01_BrainTumour of the Medical Segmentation Decathlon, of the same volumes as the synthetic BraTS cases."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
from synthetic_brats import volumes_of

TASK = "Task01_BrainTumour"
ORDER = {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"}
CASES = tuple(f"BRATS_{number:03d}" for number in range(1, 5))
TEST = "BRATS_485"
"""The case of imagesTs, which has no mask."""
KEYS = {"FLAIR": "flair", "T1w": "t1", "t1gd": "t1ce", "T2w": "t2"}


def write_task(raw: Path, order: dict[str, str] = ORDER, affine: np.ndarray | None = None) -> Path:
    """Write the task's folder below `raw`, with what macOS packed beside the files; returns it."""
    task = raw / TASK
    affine = np.diag([-1, -1, 1, 1]) if affine is None else affine
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (task / folder).mkdir(parents=True)
    for name in (*CASES, TEST):
        volumes = volumes_of(name)
        four = np.stack([volumes[KEYS[order[str(index)]]] for index in range(len(order))], axis=-1)
        images = "imagesTs" if name == TEST else "imagesTr"
        nib.save(nib.Nifti1Image(four.astype(np.float32), affine), task / images / f"{name}.nii.gz")
        (task / images / f"._{name}.nii.gz").write_bytes(b"\0\5\x16\7")
        if name != TEST:
            labels = np.where(volumes["seg"] == 4, 3, volumes["seg"])
            nib.save(nib.Nifti1Image(labels.astype(np.uint8), affine), task / "labelsTr" / f"{name}.nii.gz")
    files = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in CASES]
    described = {"name": "BRATS", "tensorImageSize": "4D", "modality": order, "numTraining": len(files)}
    (task / "dataset.json").write_text(json.dumps(described | {"training": files}))
    return task


def as_nnunet(task: Path) -> None:
    """Give the task the layout of nnU-Net's copy: a file for each sequence, `channel_names` in dataset.json."""
    for path in task.glob("images*/BRATS*.nii.gz"):
        image = nib.load(path)
        for index in range(image.shape[3]):
            nib.save(image.slicer[..., index], path.with_name(path.name.replace(".nii", f"_{index:04d}.nii")))
        path.unlink()
    text = (task / "dataset.json").read_text()
    (task / "dataset.json").write_text(text.replace('"modality"', '"channel_names"'))
