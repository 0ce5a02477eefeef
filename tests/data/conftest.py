"""A raw folder of synthetic BraTS cases, and the parameters that fit it."""

import pytest
from synthetic_brats import NAMES, SEQUENCES, write_case


@pytest.fixture
def raw(tmp_path):
    """A raw folder with twelve good cases of three centres, some nested, some not compressed."""
    folder = tmp_path / "raw"
    for i, name in enumerate(NAMES):
        write_case(folder / ("HGG" if i % 2 else "LGG"), name, ".nii" if i % 3 else ".nii.gz")
    return folder


@pytest.fixture
def parameters():
    """Parameters of the BraTS reader for the cases of `raw`."""
    return {
        "data": {
            "reader": "brats",
            "folder": "data/synthetic",
            "channels": list(SEQUENCES),
            "size": 16,
            "on_bad_case": "stop",
            "brats": {"percentiles": [1, 99], "slices": [2, 7], "step": 1, "pad": 32},
        },
    }
