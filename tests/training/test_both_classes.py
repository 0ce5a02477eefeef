"""A network that learns to tell classes apart is not trained on one of them."""

import pytest
import runs

from stages import split_lists
from stages.errors import InputError
from stages.split_lists import SplitList


@pytest.mark.parametrize("network", ["classifier", "fixed_point_gan"])
@pytest.mark.parametrize(("label", "lacking"), [(0, "diseased"), (1, "healthy")])
def test_one_class_is_refused(network, label, lacking, tiny_store, tiny_parameters, tmp_path):
    (tmp_path / "data").symlink_to(tiny_store)
    splits = {f"case{i:02d}": "train" if i % 2 == label else "test" for i in range(14)}
    split_lists.write(tmp_path / "split.csv", SplitList("subject_id", splits))
    parameters = tiny_parameters | {network: tiny_parameters["classifier"]}
    with pytest.raises(InputError, match=f"holds no {lacking} slice to train {network} on") as refused:
        runs.train(network, parameters, tmp_path / "data", tmp_path / "out")
    assert str(refused.value).endswith(
        "take methods whose detector is ano_ddpm, anofpdm, classifier_free, intensity, p_ddpm, vae"
    )
    assert not (tmp_path / "out").exists()
