"""Whether a denoiser knows an image: how much of a weak noise, added to it, it leaves there.

Of Graham et al. 2023 (Denoising diffusion models for out-of-distribution detection, CVPR workshops), who compare images
with what a diffusion model makes of them at many noise levels, this is the one level and the one pass that is cheap
beside a translation. The noise gives the scale: 0 is left where all of it is found, 1 where none is, and more where the
image itself is taken for noise. So no images of the benchmark are needed to compare with.
"""

import torch
from torch import Tensor, nn

from stages.data.store import HEALTHY
from stages.detection.noise import noise
from stages.diffusion.noise_schedule import NoiseSchedule, timestep

NOISE = 0.05
"""Standard deviation of the noise, of an image's range from 0 to 1."""
LEFT = 0.4
"""The largest share that is left of the noise in an image that the denoiser knows.

Measured at 64 x 64 in 60 to 80 slices of each benchmark, healthy and diseased: at most .31 (phantom-brain), .22
(phantom-chest), .27 and .17 (their -full), .27 (brats2018-cv, real). White noise: 1.30 to 1.72. The 26 pictures that
come with scikit-image, made grey: 0 pass as brains (AUROC with their quarters against test slices 1.00 for both), but
5 as radiographs of phantom-chest (.97), smooth ones: .18 (color), .20 (clock_motion), .26 (cell, moon), .37 (rocket).

More noise knows these better (deviation .2: AUROC .999), but there each benchmark has its own scale. 1.25 times the
largest of its healthy validation slices, as the limit, would let 1 of the 26 pass at phantom-chest with that noise; at
brats2018-cv it doubts 2 of 80 of its own test slices, with the weak noise 7. A warning that is often wrong is not read.
"""


def level(schedule: NoiseSchedule, intensity: tuple[float, float]) -> int:
    """The level at which a clean image is under noise of about `NOISE`.

    >>> schedule = NoiseSchedule.linear(1000, (1e-4, 0.02))
    >>> level(schedule, (0, 1)), level(schedule, (-1, 1))
    (12, 27)
    """
    low, high = intensity
    deviation = (1 / schedule.alpha_bar[1:] - 1).sqrt() / (high - low)
    return 1 + int((deviation - NOISE).abs().argmin())


def noise_left(denoiser: nn.Module, images: Tensor, slice_ids: list[str], parameters: dict) -> Tensor:
    """The mean of (epsilon_theta - epsilon)^2 in each image, (N,): the share of the noise's variance that is left.

    Args:
        denoiser: (x_t, t, label) -> epsilon and v, stacked.
        images: (N, C, H, W) in [0, 1].
        slice_ids: (N), which seed the noise.
        parameters: seed, intensity, noise_schedule.
    """
    low, high = parameters["intensity"]
    described = parameters["noise_schedule"]
    schedule = NoiseSchedule.linear(described["timesteps"], tuple(described["beta"]), images.device)
    x_0, k = low + (high - low) * images, level(schedule, (low, high))
    epsilon = noise(parameters["seed"], slice_ids, x_0)()
    x_k = schedule.add_noise(x_0, k, epsilon).contiguous(memory_format=torch.channels_last)
    t = timestep(k, len(x_k), x_k.device)
    found, _ = denoiser(x_k, t, torch.full_like(t, HEALTHY)).chunk(2, dim=1)
    return (found.float() - epsilon).square().mean(dim=(1, 2, 3))
