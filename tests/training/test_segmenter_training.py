"""Training of the supervised U-Net: its loss, the masks that it is given, and what it refuses."""

import pandas as pd
import pytest
import torch
from runs import train
from torch import nn

from stages import split_lists
from stages.data.store import StoreWriter
from stages.errors import InputError
from stages.split_lists import SplitList
from stages.training import segmenter


@pytest.fixture
def parameters(tiny_parameters):
    """What rule train hands to the stage, at the smallest size."""
    training = {k: v for k, v in tiny_parameters["classifier"]["training"].items() if k != "max_level"}
    training |= {"iterations": 40, "accumulate": 1, "log_every": 10, "learning_rate": 1e-2, "schedule": "constant"}
    section = {"network": {"widths": [4, 8]}, "training": training}
    shared = {key: tiny_parameters[key] for key in ("data", "compile")}
    return {"seed": 3, "segmenter": section} | shared


class Fixed(nn.Module):
    """Logits of a half and of .8 on the left and the right half of every image."""

    def forward(self, x):
        logits = torch.zeros(len(x), *x.shape[2:])
        logits[:, :, x.shape[3] // 2 :] = torch.tensor(4.0).log()
        return logits


def test_the_loss_is_cross_entropy_and_one_minus_dice(parameters):
    objective = segmenter.objective(parameters, torch.device("cpu"))
    masks = torch.zeros(2, 4, 4, dtype=torch.uint8)
    masks[0, :, 2:] = 1  # 8 of 32 pixels, all of probability .8; the other 24 have 16 times .5 and 8 times .8
    terms = objective.loss("network", {"network": Fixed()}, torch.zeros(2, 1, 4, 4), masks, None)
    dice = 2 * 8 * 0.8 / (16 * 0.5 + 16 * 0.8 + 8)
    entropy = -(8 * torch.tensor(0.8).log() + 16 * torch.tensor(0.5).log() + 8 * torch.tensor(0.2).log()) / 32
    assert float(terms["dice"]) == pytest.approx(dice)
    assert float(terms["cross_entropy"]) == pytest.approx(float(entropy))
    assert float(terms["loss"]) == pytest.approx(float(entropy) + 1 - dice)


def test_it_learns_the_masks_and_the_same_bytes_again(parameters, tiny_store, tmp_path):
    first = train("segmenter", parameters, tiny_store, tmp_path / "a")
    assert first == train("segmenter", parameters, tiny_store, tmp_path / "b")
    metrics = pd.read_csv(tmp_path / "a/log/metrics.csv")
    assert metrics["loss"].iloc[-1] < 0.9 * metrics["loss"].iloc[0]
    assert metrics["dice"].iloc[-1] > metrics["dice"].iloc[0]
    assert (tmp_path / "a/log/sheet.png").stat().st_size > 0


def test_a_data_set_without_masks_is_refused_in_one_sentence(parameters, tiny_slices, tmp_path):
    with StoreWriter(tmp_path / "data", channels=2, size=16, masks=False) as writer:
        rows = [row | {"lesion_pixels": 0} for row in tiny_slices.manifest.to_dict("records")]
        writer.append(tiny_slices.images[:].astype("float32"), None, rows)
    subjects = dict.fromkeys(tiny_slices.manifest["subject_id"], "train")
    split_lists.write(tmp_path / "split.csv", SplitList("subject_id", subjects))
    with pytest.raises(InputError, match="holds no masks, from which segmenter learns"):
        train("segmenter", parameters, tmp_path / "data", tmp_path)
