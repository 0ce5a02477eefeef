"""U-Nets of MONAI and diffusers: translated, they compute what their own code computed (foreign_networks.json)."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stages.errors import InputError
from stages.networks.foreign_layouts import Told
from stages.networks.import_checkpoint import read_foreign
from stages.networks.unet import NO_CLASS, EncoderClassifier, UNet
from tests.networks.foreign_weights import CHANNELS, FILE, GROUPS, HEAD_CHANNELS, SIZE, inputs, weights

MEASURED = json.loads(FILE.read_text())


@pytest.fixture
def network() -> UNet:
    return UNet(
        SIZE, 1, CHANNELS[0], [1, 2], 1, attention=[SIZE // 2], heads=CHANNELS[1] // HEAD_CHANNELS, groups=GROUPS
    )


def written(folder: Path, name: str) -> tuple[Path, Told]:
    """A file as its code base saves it, and what has to be told of it."""
    held, config = weights(MEASURED[name]["shapes"]), MEASURED[name]["config"]
    if config:
        path = folder / "diffusion_pytorch_model.safetensors"
        save_file(held, path)
        return path, Told(None, 0, None, None, "small", config)
    path = folder / "model.pt"
    torch.save(held, path)
    return path, Told(None, None if "class_embedding.weight" not in held else 0, (HEAD_CHANNELS,), None, "small")


@pytest.mark.parametrize("name", MEASURED)
def test_outputs_are_those_of_their_own_code(tmp_path, network, name):
    path, told = written(tmp_path, name)
    network.load_state_dict(read_foreign(path, network, told))
    x, t, y = inputs()
    with torch.no_grad():
        epsilon, v = network(x, t, y).chunk(2, dim=1)
    expected = torch.tensor(MEASURED[name]["output"]).reshape(x.shape)
    assert (epsilon - expected).abs().max() < 1e-5
    assert (v == -1).all()


def test_the_epsilon_of_normalisations_is_seen(tmp_path, network):
    """Else the test above would not hold its translation."""
    path, told = written(tmp_path, "monai")
    network.load_state_dict(read_foreign(path, network, replace(told, norm_eps=1e-5)))
    with torch.no_grad():
        epsilon = network(*inputs())[:, :1]
    assert (epsilon.flatten() - torch.tensor(MEASURED["monai"]["output"])).abs().max() > 1e-4


def test_without_classes_every_label_is_the_same(tmp_path, network):
    path, told = written(tmp_path, "monai-without-classes")
    network.load_state_dict(read_foreign(path, network, told))
    x, t, y = inputs()
    with torch.no_grad():
        assert torch.equal(network(x, t, y), network(x, t, torch.full_like(y, NO_CLASS)))


def test_the_large_variance_is_beta(tmp_path, network):
    path, told = written(tmp_path, "monai")
    tensors = read_foreign(path, network, replace(told, variance="large"))
    assert (tensors["out.2.bias"][1:] == 1).all()
    assert not tensors["out.2.weight"][1:].any()


@pytest.mark.parametrize(
    ("name", "changed", "sentence"),
    [
        (
            "monai",
            {"head_channels": None},
            "does not show how many channels a head .* --head-channels, one number or 2",
        ),
        (
            "monai",
            {"head_channels": (16,)},
            r"heads of 16 channels at a width of 16 where .* has 2 \(denoiser\.network",
        ),
        ("monai", {"variance": None}, "without its variance; .* --variance small"),
        ("monai-without-classes", {"healthy_class": 0}, "without --healthy-class: its network has no classes"),
        ("diffusers", {"config": None}, r"lay its config\.json beside it"),
        ("diffusers", {"head_channels": (8,)}, r"without --head-channels: its config\.json says it"),
        ("diffusers", {"config": {"freq_shift": 1}}, r"freq_shift is 1 in config\.json, and 0 in"),
        ("diffusers", {"config": {"attention_head_dim": "8"}}, r"config\.json beside it is not as diffusers writes it"),
        ("monai", {"norm_eps": 0.0}, r"epsilon of its normalisations is 0\.0; it lies between 0 and 1"),
        ("diffusers", {"config": {"norm_num_groups": 8}}, r"norm_num_groups is 8 in config\.json, and 4 in"),
    ],
)
def test_what_is_not_told_or_cannot_be_is_said(tmp_path, network, name, changed, sentence):
    path, told = written(tmp_path, name)
    with pytest.raises(InputError, match=sentence):
        read_foreign(path, network, replace(told, **changed))


@pytest.mark.parametrize(
    ("extra", "removed", "sentence"),
    [
        (
            "down_blocks.1.attentions.0.proj_in.conv.weight",
            None,
            "holds down_blocks.1.attentions.0.proj_in.* without cross",
        ),
        (None, "up_blocks.0.resnets.1.conv2.conv.weight", "lacks up_blocks.0.resnets.1.conv2.conv.weight: .*another"),
    ],
)
def test_other_architectures_are_refused(tmp_path, network, extra, removed, sentence):
    path, told = written(tmp_path, "monai")
    held = torch.load(path, weights_only=True)
    held |= {extra: torch.zeros(1)} if extra else {}
    held.pop(removed, None)
    torch.save(held, path)
    with pytest.raises(InputError, match=sentence):
        read_foreign(path, network, told)


def test_a_unet_is_no_classifier(tmp_path):
    path, told = written(tmp_path, "monai")
    classifier = EncoderClassifier(16, 1, 8, [1, 2], 1, attention=[8], head_channels=8, groups=4)
    with pytest.raises(InputError, match="not the classifier; import it by --network denoiser"):
        read_foreign(path, classifier, told)
