"""AnoFPDM: the anomaly in what a denoiser predicts on the way to noise, without a way back.

Che et al., WACV Workshops 2025 (arXiv:2404.15683; github.com/SoloChe/AnoFPDM, scripts/obtain_hyperpara.py). Each slice
is encoded by DDIM without a class, and at every noise level t that is passed the clean image is predicted twice: as
healthy, with classifier-free guidance of weight w, and without guidance. With x_0(t) and x'_0(t), and in each channel

  t_e   the level at which the mean over pixels of (x_0(t) - x'_0(t))^2 is largest: how far to look, slice by slice
  a(x)  the mean over the levels below t_e of (x_0(t) - x)^2, then over channels, then the median of 5 x 5 pixels

No mask enters: t_e is the slice's own, and w and L are chosen on image labels like any setting. Options: channels,
those that are mapped (theirs: flair and t2). w = 3 is what their code calls 2: epsilon = epsilon(none) +
w (epsilon(healthy) - epsilon(none)). Predictions are clipped to the networks' range, as theirs are.

`detection.convention: released-code` computes what their code does. Under `paper` encoding is this benchmark's: nothing
is clipped on the way, it starts at the image itself, `detection.stride` visits some levels only, each of which then
counts for those since the one before. And x'_0 is predicted without a class, as the paper has it; their code predicts
it as healthy with w = 1, which scales the difference, and moves t_e only by what is clipped. Under neither are masks
made by their thresholds: maps are thresholded as every method's, not at the slice's own quantile (.90 to .98, by the
largest difference on diseased validation slices), and a slice that their cosine similarity calls healthy keeps its map.
"""

from collections.abc import Iterable, Iterator

import torch
from scipy import ndimage
from torch import Tensor

from stages.detection.detector import Batch, Detection, Detector, run
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.diffusion.guidance import classifier_free_epsilon
from stages.diffusion.noise_schedule import timestep
from stages.diffusion.objective import predict_x_0
from stages.networks.unet import UNet

NETWORKS = ("denoiser",)
GRID = {"L": (), "w": ()}
OPTIONS = {"channels": "data.channels[]"}
PARAMETERS = ("detection.convention", "detection.stride", "detection.solver")
TOLD_CLASSES = ("healthy", "none")

MEDIAN = 5
"""Side in pixels of the median filter: the authors', at whatever size."""

Step = tuple[int, Tensor, Tensor]
"""A noise level, (x_0 - x)^2 there (N, C, H, W), and the mean over pixels of (x_0 - x'_0)^2 (N, C)."""


class AnoFpdm(Detector):
    """Predictions along the forward process, added up to each slice's own end."""

    reconstructs = False

    def prepare(self) -> None:
        self.model = DiffusionModel(Sampler.of(self.parameters), self.processor.device, self.load("denoiser", UNet))

    def detect(self, batch: Batch) -> Detection:
        """Add up, and smooth."""
        maps = aggregated(self.steps(batch)).mean(dim=1)
        return Detection(median(maps))

    def steps(self, batch: Batch) -> Iterator[Step]:
        """What is predicted at each level that encoding passes, of the chosen channels."""
        model, (low, high) = self.model, self.model.sampler.intensity
        image = model.to_range(batch.images)
        remembered = _Remembered(model)
        for level, x in model.encode_path(remembered.without, batch.images, batch.slice_ids, self.setting["L"]):
            without, healthy = remembered.both(x.float(), timestep(level, len(x), x.device))
            guided = classifier_free_epsilon(without, healthy, self.setting["w"])
            plain = healthy if model.sampler.released else without
            x_0, unguided = (
                predict_x_0(x, epsilon, level, model.schedule).clamp(low, high)[:, self.compared]
                for epsilon in (guided, plain)
            )
            yield level, (x_0 - image[:, self.compared]) ** 2, ((x_0 - unguided) ** 2).mean(dim=(2, 3))


class _Remembered:
    """The denoiser under both classes, which is not asked again where encoding goes on from the same image."""

    def __init__(self, model: DiffusionModel):
        self.model = model
        self.last: tuple[Tensor, Tensor, Tensor] | None = None

    def both(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        without, healthy = self.model.without_and_healthy(x, t)
        self.last = x, t, without
        return without, healthy

    def without(self, x: Tensor, t: Tensor) -> Tensor:
        if self.last is not None and torch.equal(t, self.last[1]) and torch.equal(x, self.last[0]):
            return self.last[2]
        return self.model.epsilon("none")(x, t)


def aggregated(steps: Iterable[Step]) -> Tensor:
    """The mean of the squares over the levels below t_e, where the difference is largest: (N, C, H, W).

    Steps rise by level; one counts for all levels since the step before. Where the difference is largest at the first,
    below which there is none, its own squares stand for them (the authors' code takes the mean of nothing there).

    >>> squares, at = torch.ones(1, 1, 1, 1), torch.tensor
    >>> steps = [(1, squares, at([[2.0]])), (2, 3 * squares, at([[1.0]])), (4, 6 * squares, at([[3.0]]))]
    >>> aggregated(steps).item(), aggregated(steps[:2]).item()
    (2.0, 1.0)
    """
    passed, total, mean, largest = 0, torch.zeros(()), torch.zeros(()), torch.zeros(())
    for level, squares, difference in steps:
        if passed == 0:
            total, mean, largest = torch.zeros_like(squares), squares, difference
        else:
            higher = difference > largest
            mean = torch.where(higher[..., None, None], total / passed, mean)
            largest = torch.where(higher, difference, largest)
        total = total + (level - passed) * squares
        passed = level
    return mean


def median(maps: Tensor) -> Tensor:
    """Maps (N, H, W) after a median filter, mirrored at the edges without repeating them."""
    values = ndimage.median_filter(maps.cpu().numpy(), size=MEDIAN, mode="mirror", axes=(1, 2))
    return torch.from_numpy(values).to(maps.device)


if __name__ == "__main__":
    run(AnoFpdm)
