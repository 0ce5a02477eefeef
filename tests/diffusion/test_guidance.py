"""The classifier's gradient, also where it is too small for the network's arithmetic."""

import pytest
import torch

from stages.diffusion import guidance
from stages.diffusion.guidance import gradient

T = torch.zeros(2, dtype=torch.long)


def in_float16(slope: float):
    """log C = slope * sum(x) of a network that computes in float16: its gradient passes through that type."""
    return lambda x, t: slope * x.half().flatten(1).sum(dim=1, dtype=torch.float32)


@pytest.mark.parametrize("slope", [1e-8, 3e-7, 1.0, -3.0])
def test_a_tiny_gradient_outlives_float16(slope, monkeypatch):
    x = torch.randn(2, 1, 4, 4)
    found = gradient(in_float16(slope), x, T)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.full_like(x, slope), rtol=2e-2, atol=0)
    monkeypatch.setattr(guidance, "SCALE", 1.0)
    plain = gradient(in_float16(slope), x, T)
    assert (float(plain.abs().max()) == 0) == (slope == 1e-8), "which alone float16 rounds to zero"


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_where_the_range_is_wide_the_scale_changes_no_bit(kind, monkeypatch):
    weight = torch.randn(16, 16)

    def log_probability(x, t):
        return torch.tanh(x.flatten(1).to(kind) @ weight.to(kind)).float().square().sum(dim=1)

    x = torch.randn(2, 1, 4, 4)
    found = gradient(log_probability, x, T)
    monkeypatch.setattr(guidance, "SCALE", 1.0)
    assert torch.equal(found, gradient(log_probability, x, T))
