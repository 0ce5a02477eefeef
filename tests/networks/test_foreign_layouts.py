"""Foreign weights in this project's conventions: prefixes, classes, precision, variance."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stages.errors import InputError
from stages.networks.foreign_layouts import Told
from stages.networks.import_checkpoint import read_foreign
from stages.networks.unet import EncoderClassifier, UNet

HEALTHY_FIRST = Told(healthy_class=0)


def random(network: torch.nn.Module) -> torch.nn.Module:
    """Every parameter drawn: as initialised, the last convolutions are 0 and hide what comes before."""
    torch.manual_seed(1)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network


def unet() -> UNet:
    return random(UNet(16, 2, 8, [1, 2], 1, attention=[8], heads=1, groups=4))


def classifier() -> EncoderClassifier:
    return random(EncoderClassifier(16, 2, 8, [1, 2], 1, attention=[8], head_channels=8, groups=4))


def outputs(network: torch.nn.Module, y: int | None = None) -> torch.Tensor:
    x, t = torch.linspace(-1, 1, 512).reshape(1, 2, 16, 16), torch.tensor([7])
    with torch.no_grad():
        return network(x, t) if y is None else network(x, t, torch.tensor([y]))


def saved(folder: Path, held: object) -> Path:
    torch.save(held, folder / "model.pt")
    return folder / "model.pt"


def imported(path: Path, told: Told = HEALTHY_FIRST, kind=unet) -> torch.nn.Module:
    network = kind()
    tensors = read_foreign(path, network, told)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    network.load_state_dict(tensors)
    return network


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "state_dict.", "state_dict.model.unet._orig_mod."]
)
def test_a_prefix_is_found_and_nesting_followed(tmp_path, prefix):
    state = unet().state_dict()
    if prefix.startswith("state_dict."):  # Lightning: one level down, beside other things
        inner = {prefix.removeprefix("state_dict.") + name: value for name, value in state.items()}
        held = {"epoch": 1, "state_dict": inner, "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(3)}}}]}
    else:
        held = {prefix + name: value for name, value in state.items()}
    assert torch.equal(outputs(imported(saved(tmp_path, held)), 1), outputs(unet(), 1))


def test_of_several_networks_one_is_chosen(tmp_path):
    state = unet().state_dict()
    half = {name: value / 2 for name, value in state.items()}
    path = saved(tmp_path, {"model": state, "ema": half})
    with pytest.raises(InputError, match=r"several networks; choose one by --prefix: 'ema\.', 'model\.'"):
        imported(path)
    found = imported(path, replace(HEALTHY_FIRST, prefix="ema.")).state_dict()
    assert all(torch.equal(found[name], value) for name, value in half.items())
    with pytest.raises(InputError, match=r"no network below the prefix 'net\.', but: 'ema\.', 'model\.'"):
        imported(path, replace(HEALTHY_FIRST, prefix="net."))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_any_precision_becomes_float32(tmp_path, kind):
    state = {name: value.to(kind) for name, value in unet().state_dict().items()}
    found = imported(saved(tmp_path, state)).state_dict()
    assert all(
        value.dtype == torch.float32 and torch.equal(value, state[name].float()) for name, value in found.items()
    )


def test_without_label_embedding_a_class_changes_nothing(tmp_path):
    state = unet().state_dict()
    state.pop("label_emb.weight")
    network = imported(saved(tmp_path, state), Told())
    theirs = unet()
    assert torch.equal(outputs(network, 0), outputs(theirs, -1))
    assert torch.equal(outputs(network, 1), outputs(theirs, -1))
    with pytest.raises(InputError, match="without --healthy-class: its network has no classes"):
        imported(saved(tmp_path, state))


def test_a_denoiser_trained_with_healthy_as_1_sees_healthy_as_0(tmp_path):
    path = saved(tmp_path, unet().state_dict())
    network = imported(path, Told(healthy_class=1))
    assert torch.equal(outputs(network, 0), outputs(unet(), 1))
    assert not torch.equal(outputs(network, 0), outputs(network, 1))
    assert torch.equal(outputs(imported(path), 0), outputs(unet(), 0))


def test_a_classifier_trained_with_healthy_as_1_answers_healthy_as_0(tmp_path):
    path = saved(tmp_path, classifier().state_dict())
    theirs = outputs(classifier())
    assert torch.allclose(outputs(imported(path, Told(healthy_class=1), classifier)), theirs.flip(1))
    assert torch.equal(outputs(imported(path, HEALTHY_FIRST, classifier)), theirs)


@pytest.mark.parametrize("kind", [unet, classifier])
def test_which_class_is_healthy_is_asked(tmp_path, kind):
    path = saved(tmp_path, kind().state_dict())
    with pytest.raises(
        InputError, match=r"does not say which class is healthy.*--healthy-class 0 .* --healthy-class 1"
    ):
        imported(path, Told(), kind)


def test_a_guided_diffusion_network_of_fixed_variance(tmp_path):
    state = unet().state_dict()
    state |= {name: state[name][:2].clone() for name in ("out.2.weight", "out.2.bias")}
    path = saved(tmp_path, state)
    epsilon, v = outputs(imported(path, replace(HEALTHY_FIRST, variance="large")), 0).chunk(2, dim=1)
    assert torch.allclose(epsilon, outputs(unet(), 0)[:, :2])
    assert (v == 1).all()
    with pytest.raises(InputError, match="--variance large"):
        imported(path)


def missing(state):
    state.pop("out.2.bias")


def other_shape(state):
    state["out.2.bias"] = torch.zeros(7)


def unknown(state):
    state["teapot"] = torch.zeros(1)


def expanded(state):
    state["out.2.weight"] = torch.zeros(1).expand(state["out.2.weight"].shape)


def whole_numbers(state):
    state["out.2.bias"] = torch.zeros(4, dtype=torch.long)


def not_finite(state):
    state["out.2.bias"] = torch.full_like(state["out.2.bias"], torch.nan)


def more_classes(state):
    state["label_emb.weight"] = torch.zeros(1000, 32)


@pytest.mark.parametrize(
    ("harm", "sentence"),
    [
        (missing, r"lacks out\.2\.bias"),
        (other_shape, r"out\.2\.bias has shape \(7,\)"),
        (unknown, "holds teapot"),
        (expanded, r"out\.2\.weight is not a plain"),
        (whole_numbers, r"out\.2\.bias is not a plain"),
        (not_finite, r"out\.2\.bias is not finite"),
        (more_classes, r"label_emb\.weight has shape \(1000, 32\)"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, harm, sentence):
    state = dict(unet().state_dict())
    harm(state)
    with pytest.raises(InputError, match=sentence):
        imported(saved(tmp_path, state))


def test_what_is_no_network_of_this_kind_is_said_first(tmp_path):
    path = saved(tmp_path, {"layer1.0.conv1.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"lacks .*: it holds another network than params\.yaml describes"):
        imported(path)


def test_options_that_a_file_has_no_use_for_are_refused(tmp_path):
    path = saved(tmp_path, unet().state_dict())
    with pytest.raises(InputError, match="without --head-channels: its names are guided-diffusion's"):
        imported(path, replace(HEALTHY_FIRST, head_channels=(8,)))
    with pytest.raises(InputError, match="without --variance: its network predicts the variance too"):
        imported(path, replace(HEALTHY_FIRST, variance="small"))
