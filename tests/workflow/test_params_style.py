"""params.yaml is in DVC's own style: `dvc exp run -S` changes the value that it sets, and no other line."""

import shutil

from dvc.utils.serialize import modify_yaml


def test_a_value_that_dvc_sets_is_all_that_changes(root, tmp_path):
    copy = tmp_path / "params.yaml"
    shutil.copy(root / "params.yaml", copy)
    before = copy.read_text().splitlines()
    with modify_yaml(copy) as params:
        params["benchmarks"]["smoke"]["evaluation"]["bootstrap"] = 21
    after = copy.read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [("    evaluation: {bootstrap: 20}", "    evaluation: {bootstrap: 21}")]
