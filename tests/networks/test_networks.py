"""The networks against the reference tensors, and against the paper's parameter counts."""

import torch
from reference_networks import needs_reference, relative_error, tiny_classifier, tiny_unet

from stages.diffusion.guidance import gradient
from stages.networks.unet import NO_CLASS, EncoderClassifier, UNet, log_probability


def test_parameter_counts_are_the_papers():
    with torch.device("meta"):
        unet = UNet(256, 4, 128, [1, 1, 2, 2, 4, 4], 2, attention=[16], heads=1, groups=32)
        classifier = EncoderClassifier(256, 4, 32, [1, 1, 2, 2, 4, 4], 4, [32, 16, 8], head_channels=64, groups=32)
    assert sum(p.numel() for p in unet.parameters()) == 113_681_160
    assert sum(p.numel() for p in classifier.parameters()) == 5_452_962


@needs_reference
def test_unet_gives_the_reference_output():
    unet, tensors = tiny_unet()
    with torch.no_grad():
        output = unet(tensors["x"], tensors["t"], tensors["y"])
    assert relative_error(output, tensors["out"]) < 1e-4


@needs_reference
def test_classifier_and_its_gradient_give_the_reference_output():
    classifier, tensors = tiny_classifier()
    with torch.no_grad():
        assert relative_error(classifier(tensors["x"], tensors["t"]), tensors["logits"]) < 1e-4
    slope = gradient(lambda x, t: log_probability(classifier, x, t, 0), tensors["x"], tensors["t"])
    assert relative_error(slope, tensors["grad_log_p_healthy"]) < 1e-4


def randomised_unet() -> UNet:
    torch.manual_seed(0)
    unet = UNet(16, 2, 8, [1, 2], 1, attention=[8], heads=2, groups=4)
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return unet.eval()


def test_no_class_adds_no_embedding():
    unet = randomised_unet()
    x, t = torch.randn(3, 2, 16, 16), torch.tensor([0, 5, 9])
    with torch.no_grad():
        mixed = unet(x, t, torch.tensor([0, NO_CLASS, 1]))
        unet.label_emb.weight.zero_()
        without = unet(x, t, torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(mixed[1], without[1], rtol=1e-5, atol=1e-5)
    assert (mixed[0] - without[0]).abs().max() > 1e-2
    assert (mixed[2] - without[2]).abs().max() > 1e-2


def test_images_of_a_batch_do_not_see_each_other():
    unet = randomised_unet()
    x, t, y = torch.randn(3, 2, 16, 16), torch.tensor([0, 5, 9]), torch.tensor([0, 1, NO_CLASS])
    with torch.no_grad():
        together = unet(x, t, y)
        alone = torch.cat([unet(x[i : i + 1], t[i : i + 1], y[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
