"""Which slices an iteration learns from, and what is done to them first.

Nothing random is carried from one iteration to the next: iteration i draws from a generator seeded with (seed, i), and
the order of the slices in epoch e from one seeded with (seed, e).
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from stages.data.store import DISEASED, HEALTHY, SliceStore
from stages.training.section import Training

T = TypeVar("T")


@dataclass(frozen=True)
class Batches:
    """Batches of a slice store, on the device and in the networks' range of intensities.

    Attributes:
        store: the slices of the split.
        rows: of those that are learnt from.
        intensity: the interval as which the networks see an image's [0, 1].
        training: sizes and augmentation.
        seed: the repeat's.
        device: where the images are put.
    """

    store: SliceStore
    rows: np.ndarray
    intensity: Sequence[float]
    training: Training
    seed: int
    device: torch.device

    def generator(self, iteration: int) -> torch.Generator:
        """The source of all that is random in an iteration but the order of the slices."""
        # SeedSequence spreads neighbouring (seed, iteration) pairs over the whole state space.
        state = np.random.SeedSequence([self.seed, iteration]).generate_state(1, np.uint64)[0]
        return torch.Generator(self.device).manual_seed(int(state))

    def read(self, iteration: int) -> list[tuple[Tensor, Tensor]]:
        """An iteration's `accumulate` batches as the store holds them: images (B, C, H, W) and targets each.

        Targets are labels (B,), or masks (B, H, W) where `training.learns_from` says so.
        """
        batch, accumulate = self.training.batch, self.training.accumulate
        numbers = range(iteration * accumulate, (iteration + 1) * accumulate)
        return [self._stored(self.rows[batch_indices(len(self.rows), batch, n, self.seed)]) for n in numbers]

    def draw(self, read: list[tuple[Tensor, Tensor]], generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
        """What `read` returned, on the device and augmented."""
        mirror, jitter = self.training.mirror, self.training.jitter
        batches = [self._on_device(images, targets) for images, targets in read]
        return [augment(images, targets, mirror, jitter, self.intensity, generator) for images, targets in batches]

    def shown(self, each: int = 3) -> tuple[Tensor, Tensor]:
        """A few healthy and a few diseased slices for the sheet, always the same: images and targets as `draw`'s."""
        rng = np.random.default_rng(self.seed)
        labels = self.store.manifest["label"].to_numpy()
        rows = [rng.permutation(np.flatnonzero(labels == label))[:each] for label in (HEALTHY, DISEASED)]
        return self._on_device(*self._stored(np.concatenate(rows)))

    def _stored(self, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(self.store.images[rows])
        masks = self.store.masks if self.training.learns_from == "masks" else None
        targets = torch.from_numpy(self.store.manifest["label"].to_numpy()[rows] if masks is None else masks[rows])
        if self.device.type == "cuda":  # only from pinned memory does a copy to the card run beside all else
            return images.pin_memory(), targets.pin_memory()
        return images, targets

    def _on_device(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        low, high = self.intensity
        images, targets = (tensor.to(self.device, non_blocking=True) for tensor in (images, targets))
        return (low + (high - low) * images.float()).contiguous(memory_format=torch.channels_last), targets


def one_ahead(function: Callable[[int], T], numbers: range) -> Iterator[T]:
    """`map`, each result made by a thread while its predecessor is used.

    >>> list(one_ahead(abs, range(-2, 1)))
    [2, 1, 0]
    """
    with ThreadPoolExecutor(1) as thread:
        ahead: deque[Future[T]] = deque()
        for number in numbers:
            ahead.append(thread.submit(function, number))
            if len(ahead) > 1:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def batch_indices(slices: int, batch: int, number: int, seed: int) -> np.ndarray:
    """Rows of batch `number`: consecutive pieces of one endless sequence of shuffled epochs, (batch,).

    >>> [batch_indices(6, 4, number, seed=0).tolist() for number in range(3)]  # two epochs in three batches
    [[3, 2, 5, 4], [0, 1, 1, 4], [3, 0, 2, 5]]
    """
    positions = np.arange(number * batch, (number + 1) * batch)
    rows = np.empty(batch, dtype=np.int64)
    for epoch in np.unique(positions // slices):
        here = positions // slices == epoch
        rows[here] = _epoch(slices, seed, int(epoch))[positions[here] % slices]
    return rows


@lru_cache(maxsize=2)  # a batch may begin in one epoch and end in the next
def _epoch(slices: int, seed: int, number: int) -> np.ndarray:
    """The order of the rows in an epoch, (slices,); kept while its batches are drawn, and so not to be written to."""
    order = np.random.default_rng([seed, number]).permutation(slices)
    order.flags.writeable = False
    return order


def augment(
    images: Tensor,
    targets: Tensor,
    mirror: bool,
    jitter: float,
    intensity: Sequence[float],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Left-right mirroring of half of the images (B, C, H, W), and intensity jitter where `jitter` is above 0.

    Targets that are masks (B, H, W), not labels (B,), are mirrored with their images.

    The jitter raises each channel of each image to a random power and scales it, both by about `jitter`: a change of
    contrast that leaves the background at 0.
    """
    n, channels = images.shape[:2]
    if mirror:
        flip = torch.rand(n, 1, 1, 1, generator=generator, device=images.device) < 0.5
        images = torch.where(flip, images.flip(-1), images)
        if targets.dim() > 1:
            targets = torch.where(flip[:, 0], targets.flip(-1), targets)
    if jitter > 0:
        low, high = intensity
        normal = torch.randn(2, n, channels, 1, 1, generator=generator, device=images.device)
        gamma, gain = (jitter * normal).exp()
        images = low + (high - low) * ((images - low) / (high - low)).clamp(0, 1).pow(gamma) * gain
    return images, targets
