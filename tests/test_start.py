"""What a job imports before it computes: dozens of them make a benchmark, and each pays for it."""

import subprocess
import sys

import pytest

IMPORTED = """
import importlib, sys
import torch
from stages.networks.compiled import compile_forward

for module in sys.argv[1].split():
    importlib.import_module(module)
compile_forward(torch.nn.Linear(1, 1), "never", torch.device("cpu"))
print(*sys.modules)
"""
DRAWN = "matplotlib seaborn"
TABLES = "sklearn skimage scipy"
NETWORKS = """
stages.detection.fixed_point_gan stages.detection.gradient stages.detection.guided_ddim stages.detection.latents
stages.detection.trade_off_maps stages.training.denoiser stages.training.fixed_point_gan
"""


@pytest.mark.parametrize(
    ("jobs", "spared"),
    [
        pytest.param(NETWORKS, f"{DRAWN} {TABLES} nibabel pydicom jsonschema", id="networks"),
        pytest.param("stages.export.translate", f"{DRAWN} sklearn skimage", id="translate"),
        pytest.param("stages.figures.examples stages.pages.tables_page", f"seaborn {TABLES} jsonschema", id="pages"),
        pytest.param("stages.data.chexpert stages.data.nih", f"{DRAWN} {TABLES} nibabel pydicom", id="radiographs"),
    ],
)
def test_a_job_imports_what_it_uses(jobs, spared):
    found = subprocess.run([sys.executable, "-c", IMPORTED, jobs], capture_output=True, text=True, check=True)
    imported = set(found.stdout.split())
    assert not imported & {*spared.split(), "torch._dynamo", "lightning_fabric"}
