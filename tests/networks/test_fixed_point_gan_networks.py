"""Fixed-Point GAN's generator and discriminator: the published sizes, shapes, and what depends on what."""

import torch

from stages.networks.fixed_point_gan import Discriminator, Generator


def images(n: int = 3) -> torch.Tensor:
    return torch.rand(n, 2, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(16, 2, channels=4, residual_blocks=2)


def test_parameter_counts_are_the_published_ones():
    with torch.device("meta"):
        generator = Generator(256, 4, channels=64, residual_blocks=6)
        discriminator = Discriminator(256, 4, channels=64, layers=6)
    assert sum(p.numel() for p in generator.parameters()) == 8_424_256
    assert sum(p.numel() for p in discriminator.parameters()) == 44_754_880


def test_the_generator_adds_to_its_input_before_tanh():
    network, x = generator(), images()
    y = network(x, torch.tensor([0, 1, 1]))
    assert y.shape == x.shape
    assert float(y.detach().abs().max()) < 1
    torch.nn.init.zeros_(network.main[-1].weight)
    torch.testing.assert_close(network(x, torch.tensor([0, 1, 1])), torch.tanh(x))


def test_the_class_matters():
    network, x = generator(), images()
    with torch.no_grad():
        healthy, diseased = network(x, torch.zeros(3)), network(x, torch.ones(3))
    assert ((healthy - diseased).abs().mean(dim=(1, 2, 3)) > 1e-3).all()


@torch.no_grad()
def test_an_image_is_normalised_by_its_own_statistics_at_test_time_too():
    network, x, c = generator(), images(), torch.tensor([0, 1, 0])
    network(5 * x + 3, c)  # nothing of it may be remembered
    trained = network.train()(x, c)
    together = network.eval()(x, c)
    torch.testing.assert_close(together, trained)
    alone = torch.cat([network(x[i : i + 1], c[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    first = network.main[:2]
    scaled = torch.cat([3 * x, torch.zeros(3, 1, 16, 16)], dim=1)
    torch.testing.assert_close(first(scaled).mean(dim=(2, 3)), torch.zeros(3, 4), rtol=0, atol=1e-5)
    torch.testing.assert_close(first(scaled).var(dim=(2, 3), correction=0), torch.ones(3, 4), rtol=1e-3, atol=0)


def test_the_discriminator_judges_patches_and_the_image():
    torch.manual_seed(0)
    network, x = Discriminator(16, 2, channels=4, layers=2), images().requires_grad_()
    realness, logits = network(x)
    assert realness.shape == (3, 1, 4, 4)
    assert logits.shape == (3,)
    (slope,) = torch.autograd.grad(realness[0, 0, 0, 0], x, retain_graph=True)
    assert slope[0, :, :11, :11].abs().max() > 0
    assert slope[0, :, 15, 15].abs().max() == 0, "a patch saw the image's other end"
    (slope,) = torch.autograd.grad(logits[1], x)
    assert (slope[1] != 0).all()
    assert (slope[[0, 2]] == 0).all()
