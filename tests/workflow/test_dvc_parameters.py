"""What becomes of params.yaml where DVC writes into it: docs/versions.md says it."""

import pytest
import yaml
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml


@pytest.fixture
def params(root, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_bytes((root / "params.yaml").read_bytes())
    return path


def test_it_is_written_in_dvcs_style(params):
    """So that nothing changes beside what DVC sets: comments, anchors, braces and line ends are as DVC leaves them."""
    before = params.read_bytes()
    with modify_yaml(params) as values:
        values["records"] = "reuse"
    assert params.read_bytes() == before.replace(b"\nrecords: fresh\n", b"\nrecords: reuse\n") != before


def test_an_experiments_number_is_the_only_value_that_changes(params):
    """As by `dvc exp run -S`: lists are written anew, which changes no value, and so brings no job."""
    expected = yaml.safe_load(params.read_bytes())
    expected["benchmarks"]["smoke"]["evaluation"]["bootstrap"] = 500
    apply_overrides(params, ["benchmarks.smoke.evaluation.bootstrap=500"])
    assert yaml.safe_load(params.read_bytes()) == expected
