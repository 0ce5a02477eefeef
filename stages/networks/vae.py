"""The variational autoencoder of Zimmerer et al., "Context-encoding Variational Autoencoder for Unsupervised Anomaly
Detection" (arXiv:1812.05941), with the layers of its first author's code (github.com/MIC-DKFZ/vae-anomaly-experiments:
4 x 4 convolutions, where github.com/MIC-DKFZ/mood has 3 x 3 in the encoder): no normalisation layer, no bias, and no
nonlinearity at the latent and at the output.
"""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from stages.networks.build import ListedNetwork

SLOPE = 0.01
"""Of LeakyReLU below zero: PyTorch's default, which the authors use."""


class Vae(ListedNetwork):
    """Strided convolutions to one vector and back.

    With widths (16, 64, 256, 1024), 128 latents and a 64 x 64 image:

        encoder  (C, 64, 64) -> (16, 32, 32) -> (64, 16, 16) -> (256, 8, 8) -> (1024, 4, 4), 4 x 4 convolutions of
                 stride 2, each with LeakyReLU; then one convolution of the full extent -> (256, 1, 1), which is the
                 mean and the log deviation of the 128 latents
        decoder  (128, 1, 1) -> (1024, 4, 4) -> (256, 8, 8) -> (64, 16, 16) -> (16, 32, 32) -> (C, 64, 64), the same
                 layers transposed in reverse order, LeakyReLU after each but the last

    Args:
        size: pixels of an image's side, a multiple of 2 ** len(widths).
        channels: of an image.
        widths: channels after each halving.
        latent: length of the latent vector.
    """

    SECTION = "vae"
    INPUTS = ()

    def __init__(self, size: int, channels: int, widths: Sequence[int], latent: int):
        super().__init__()
        extent = size // 2 ** len(widths)
        ladder = [channels, *widths]
        steps = list(pairwise(ladder))
        encoder: list[nn.Module] = []
        for thin, wide in steps:
            encoder += [nn.Conv2d(thin, wide, 4, stride=2, padding=1, bias=False), nn.LeakyReLU(SLOPE)]
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(ladder[-1], 2 * latent, extent, bias=False))
        decoder: list[nn.Module] = [nn.ConvTranspose2d(latent, ladder[-1], extent, bias=False)]
        for thin, wide in reversed(steps):
            decoder += [nn.LeakyReLU(SLOPE), nn.ConvTranspose2d(wide, thin, 4, stride=2, padding=1, bias=False)]
        self.decoder = nn.Sequential(*decoder)

    def forward(self, x: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode and decode images x (N, C, H, W).

        Args:
            x: the images.
            noise: (N, latent), standard normal: decode the sample mean + exp(log deviation) * noise. Without it, decode
                the mean.

        Returns:
            The reconstruction (N, C, H, W), and mean and log deviation of the latents (N, latent), both float32.
        """
        mean, log_deviation = self.encoder(x).flatten(1).float().chunk(2, dim=1)
        z = mean if noise is None else mean + log_deviation.exp() * noise
        return self.decoder(z[:, :, None, None]), mean, log_deviation


def divergence(mean: Tensor, log_deviation: Tensor) -> Tensor:
    """KL(N(mean, deviation^2) || N(0, 1)) of each latent, in nats, shaped as both (Kingma and Welling 2014, App. B)."""
    return 0.5 * (mean.square() + (2 * log_deviation).exp() - 1) - log_deviation
