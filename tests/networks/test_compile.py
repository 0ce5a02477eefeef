"""What detection runs could be compiled whole (it is not): no break in the U-Net, the classifier and its gradient."""

import torch
from torch import nn

from stages.diffusion.guidance import gradient
from stages.networks.unet import NO_CLASS, EncoderClassifier, UNet, log_probability

WHOLE = {"fullgraph": True, "backend": "aot_eager"}  # traced there and back; code for a device would take minutes


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
