"""Results with one checkpoint, the folder that is shared of them, and other results without."""

import shutil

import pytest
from shared_checkpoint import SMOKE, write_results

from stages.sharing import share


@pytest.fixture
def results(tmp_path):
    """Store, split list and one checkpoint of smoke."""
    here = tmp_path / "results/smoke"
    write_results(here)
    return here


@pytest.fixture
def shared(results, tmp_path):
    output = tmp_path / "a folder"
    assert share.share("smoke", SMOKE, results, output) == 1
    return output


@pytest.fixture
def elsewhere(results, tmp_path):
    """Other results with the same store and split list, and no checkpoint."""
    other = tmp_path / "other"
    for name in ("data", "split"):
        shutil.copytree(results / name, other / "smoke" / name)
    return other
