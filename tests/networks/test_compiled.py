"""Compiled networks: whole, equal to plain ones at any batch, with the same names; and a machine without a compiler."""

import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.backends.common import aot_autograd
from torch._inductor import config as inductor

from stages import device
from stages.diffusion.guidance import gradient
from stages.networks import compiled
from stages.networks.compiled import compile_forward
from stages.networks.unet import NO_CLASS, EncoderClassifier, UNet, log_probability

WHOLE = {"fullgraph": True, "backend": "aot_eager"}  # traced there and back; code for a device would take minutes
CPU = torch.device("cpu")


def randomised(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval().requires_grad_(False)


def test_the_denoiser_compiles_whole():
    unet = randomised(UNet(8, 1, 8, [1, 2], 1, attention=[4], heads=2, groups=4))
    given = torch.randn(2, 1, 8, 8), torch.tensor([0, 5]), torch.tensor([1, NO_CLASS])
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(unet, **WHOLE)(*given), unet(*given), rtol=1e-4, atol=1e-5)


def test_the_classifier_and_its_gradient_compile_whole():
    classifier = randomised(EncoderClassifier(8, 1, 8, [1, 2], 1, attention=[4], head_channels=8, groups=4))
    given = torch.randn(2, 1, 8, 8), torch.tensor([0, 5])
    compiled = torch.compile(classifier, **WHOLE)
    found, plain = (
        gradient(lambda x, t, network=network: log_probability(network, x, t, 0), *given)
        for network in (compiled, classifier)
    )
    torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-4 * float(plain.abs().max()))


def slope(network, x, t):
    return gradient(lambda x, t: log_probability(network, x, t, 0), x, t)


def test_batches_of_any_size_are_as_without_and_names_stay(traced):
    classifier = randomised(EncoderClassifier(8, 1, 8, [1, 2], 1, attention=[4], head_channels=8, groups=4))
    names, seen = list(classifier.state_dict()), []
    classifier.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    batches = [(torch.randn(n, 1, 8, 8), torch.arange(n)) for n in (5, 3, 2, 1, 4)]
    expected = [slope(classifier, *batch) for batch in batches]
    compile_forward(classifier, "kernels", CPU)
    seen.clear()
    for batch, plain in zip(batches, expected, strict=True):
        torch.testing.assert_close(slope(classifier, *batch), plain, rtol=1e-3, atol=1e-4 * float(plain.abs().max()))
    assert seen == [5, 3, 2, 1, 4], "a hook sees each call, not those alone at which something is made"
    assert 0 < len(traced) < len(batches), "batches of several sizes share a graph"
    assert list(classifier.state_dict()) == names
    classifier.register_forward_hook(lambda *_: seen.append("later"))
    slope(classifier, *batches[1])
    assert seen[-1] == "later"


def test_a_loss_on_slopes_is_differentiated_without_kernels(traced):
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    x = torch.randn(5, 3, requires_grad=True)

    def penalty():
        (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
        return slope.square().sum()

    expected = torch.autograd.grad(penalty(), network[0].weight)
    compile_forward(network, "kernels", CPU)
    network(x)
    assert traced
    found = torch.autograd.grad(device.differentiated_in_full(penalty, list(network.parameters())), network[0].weight)
    torch.testing.assert_close(found, expected)


def test_nothing_is_made_where_nothing_is_asked(traced):
    for how in ("never", "auto"):
        network = nn.Linear(2, 2)
        compile_forward(network, how, CPU)
        assert "forward" not in vars(network)


def test_what_a_graph_gives_outlives_the_next_replay(monkeypatch):
    """A replay as on a card: it writes where the one before has written."""
    modes = []

    def recorded(graph, given, mode):
        modes.append(mode)
        written = []

        def replay(*inputs):
            found = graph(*inputs)
            written.extend(tensor.clone() for tensor in found[len(written) :])
            return tuple(place.copy_(tensor) for place, tensor in zip(written, found, strict=True))

        return replay

    torch.compiler.reset()
    monkeypatch.setattr(compiled, "BACKEND", recorded)
    monkeypatch.setattr(compiled, "can_compile", lambda kind: True)
    network = nn.Linear(3, 2).requires_grad_(False)
    images = torch.randn(3, 4, 3)
    expected = [network(x) for x in images]
    compile_forward(network, "graphs", torch.device("cuda"))
    found = [network(x) for x in images]
    assert modes == ["reduce-overhead"]
    for one, plain in zip(found, expected, strict=True):
        assert torch.equal(one, plain)
    torch.compiler.reset()


def test_what_cannot_be_compiled_computes_as_it_did(traced, monkeypatch, capsys):
    def refuses(graph, given):
        raise NotImplementedError("no such kernel\nat all")

    network, x = nn.Linear(2, 2), torch.randn(3, 2)
    expected = network(x)
    monkeypatch.setattr(compiled, "BACKEND", refuses)
    compile_forward(network, "kernels", CPU)
    assert torch.equal(network(x), expected)
    assert torch.equal(network(x), expected)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Linear: computed without kernels of its own, since none could be made here (")
    assert "no such kernel" in line


def test_a_network_whose_gradient_cannot_be_compiled_computes_as_it_did(monkeypatch, capsys):
    def refuses(module, inputs):
        raise NotImplementedError("no such gradient")

    torch.compiler.reset()
    network, x = nn.Linear(2, 2), torch.randn(3, 2)
    expected = network(x)
    monkeypatch.setattr(compiled, "can_compile", lambda kind: True)
    monkeypatch.setattr(compiled, "BACKEND", aot_autograd(fw_compiler=lambda module, _: module, bw_compiler=refuses))
    compile_forward(network, "kernels", CPU)
    network(x).sum().backward()
    assert network.weight.grad is not None
    assert torch.equal(network(x), expected)
    assert "no such gradient" in capsys.readouterr().out


def test_a_machine_without_a_compiler_goes_on_in_a_sentence(monkeypatch, tmp_path, capfd):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch.compiler.reset()
    compiled.can_compile.cache_clear()
    network = nn.Linear(2, 2)
    with inductor.patch({"cpp.cxx": ("no-such-compiler",)}):
        for _ in range(2):
            compile_forward(network, "kernels", CPU)
    assert "forward" not in vars(network)
    said = capfd.readouterr()
    assert (said.out.count("\n"), said.err) == (1, "")
    assert said.out.startswith("compile: computed without kernels of its own, since none could be made here (")
    torch.compiler.reset()
    compiled.can_compile.cache_clear()


@pytest.mark.skipif(not shutil.which("g++"), reason="a C++ compiler makes kernels for a CPU")
def test_kernels_of_this_machine_compute_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiled, "can_compile", lambda kind: True)  # its trial would be two compilations more
    network = randomised(nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU()))
    x = torch.randn(3, 4, 5, 5, requires_grad=True)
    (expected,) = torch.autograd.grad(network(x).square().sum(), x)
    compile_forward(network, "kernels", CPU)
    with inductor.patch({"cpp_cache_precompile_headers": False}):  # which pays from many kernels on
        (found,) = torch.autograd.grad(network(x).square().sum(), x)
    assert list(tmp_path.rglob("*.so")), "kernels were made"
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
