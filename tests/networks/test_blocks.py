"""Group normalisation as detection differentiates it, against PyTorch's own and by finite differences."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from stages.diffusion.guidance import gradient
from stages.networks import blocks
from stages.networks.blocks import GroupNorm32, GroupNormOfInput
from stages.networks.unet import EncoderClassifier, log_probability

SHAPES = {"image": (3, 12, 5, 7), "tokens": (2, 12, 9), "one pixel": (2, 12, 1, 1)}


def layer(dtype: torch.dtype = torch.float32, trained: bool = False) -> GroupNorm32:
    torch.manual_seed(0)
    norm = GroupNorm32(4, 12)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm.to(dtype).requires_grad_(trained)


def image(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Not around zero, so that the mean counts."""
    x = 3 + torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (x.to(memory_format=torch.channels_last) if x.dim() == 4 else x).to(dtype).requires_grad_()


def of_input(norm: GroupNorm32, x: torch.Tensor) -> torch.Tensor:
    return GroupNormOfInput.apply(x, norm.weight, norm.bias, norm.num_groups, norm.eps)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_first_and_second_derivative_are_those_of_finite_differences(shape):
    norm, x = layer(torch.float64), image(shape, torch.float64)

    def normalise(x):
        return of_input(norm, x)

    assert torch.autograd.gradcheck(normalise, x)
    assert torch.autograd.gradgradcheck(normalise, x)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_it_is_pytorchs_in_float32(shape):
    norm, x = layer(), image(shape)
    expected = functional.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    found = of_input(norm, x)
    assert torch.equal(found, expected)
    dy = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    a, b = (torch.autograd.grad(y, x, dy)[0] for y in (found, expected))
    torch.testing.assert_close(a, b, rtol=1e-5, atol=2e-5 * float(b.abs().max()))


@pytest.mark.parametrize(("mean", "size"), [(3, 1), (100, 1), (3, 300)])
@pytest.mark.parametrize(("kind", "rounding"), [(torch.bfloat16, 2**-8), (torch.float16, 2**-11)])
def test_in_half_precision_only_what_is_stored_is_rounded(kind, rounding, mean, size):
    norm = layer()
    x = (size * (image((2, 12, 32, 32), torch.float64).detach() + mean - 3)).to(kind).requires_grad_()
    exact = x.detach().double().requires_grad_()
    dy = (size * torch.randn(x.shape, generator=torch.Generator().manual_seed(2))).to(kind)
    found = norm(x)
    assert type(found.grad_fn).__name__ == "GroupNormOfInputBackward"
    assert found.dtype == kind
    (a,) = torch.autograd.grad(found, x, dy)
    # PyTorch's own, whose forward pass loses digits of the deviation where the mean is large
    trained = norm.weight.clone().requires_grad_()
    (own,) = torch.autograd.grad(functional.group_norm(x, norm.num_groups, trained, norm.bias, norm.eps), x, dy)
    (b,) = torch.autograd.grad(norm.double()(exact), exact, dy.double())
    assert a.dtype == kind
    error, of_own = (float((one - b).detach().abs().max() / b.abs().max()) for one in (a, own))
    assert error < max(rounding, 1.05 * of_own)
    assert of_own < rounding or mean == 100


@pytest.mark.parametrize(("kind", "trained"), [(torch.bfloat16, True), (torch.float32, False), (torch.float32, True)])
def test_where_weights_take_gradients_and_in_float32_it_is_pytorchs_own(kind, trained):
    assert type(layer(trained=trained)(image(SHAPES["image"], kind)).grad_fn).__name__ == "NativeGroupNormBackward0"


def test_weights_take_gradients_where_they_are_asked():
    norm, x = layer(trained=True), image(SHAPES["image"], torch.bfloat16)
    norm(x).sum().backward()
    assert norm.weight.grad is not None
    with torch.no_grad():
        assert norm(x).grad_fn is None


def test_guidance_takes_this_way_and_arrives_at_the_same_gradient(monkeypatch):
    torch.manual_seed(0)
    classifier = EncoderClassifier(16, 2, 8, [1, 2], 1, attention=[8], head_channels=8, groups=4)
    for parameter in classifier.parameters():
        nn.init.normal_(parameter, std=0.2)
    classifier.requires_grad_(False)
    calls, own = [], GroupNormOfInput.backward
    monkeypatch.setattr(blocks.GroupNormOfInput, "backward", lambda *given: calls.append(1) or own(*given))
    x, t = torch.randn(3, 2, 16, 16), torch.tensor([0, 5, 9])
    norms = [module for module in classifier.modules() if isinstance(module, GroupNorm32)]

    def slope(precision: torch.dtype = torch.bfloat16) -> torch.Tensor:
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            return gradient(lambda x, t: log_probability(classifier, x, t, 0), x, t)

    found, exact = slope(), slope(torch.float32)
    assert 0 < len(calls) <= len(norms)
    classifier.requires_grad_(True)
    calls.clear()
    plain = slope()
    assert not calls
    error, error_of_plain = (float((one - exact).norm() / exact.norm()) for one in (found, plain))
    assert error < 0.05
    assert error < 1.5 * error_of_plain
