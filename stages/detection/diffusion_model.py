"""A trained diffusion model on batches of images in [0, 1]: what encoding and three detectors have in common.

The samplers themselves, in the networks' range of intensities, are in stages/diffusion.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from stages.data import store
from stages.data.store import HEALTHY
from stages.diffusion import ddim
from stages.diffusion.guidance import LogProbability, classifier_free_epsilon
from stages.diffusion.noise_schedule import NoiseSchedule
from stages.diffusion.solvers import SOLVERS, Solver
from stages.errors import InputError
from stages.networks.unet import NO_CLASS, log_probability

CLASSES = store.CLASSES | {"none": NO_CLASS}
"""What the network can be told."""


@dataclass(frozen=True)
class Sampler:
    """The keys of params.yaml that say how slices become noise and noise becomes slices.

    Attributes:
        seed: of the noise that is drawn.
        intensity: as what the networks see an image's 0 and 1.
        timesteps: T, the number of noise levels.
        beta: variance of the noise that the first and the last level add.
        convention: paper, or released-code, which leaves a level out on either way.
        stride: noise levels a step.
        solver: of DDIM's differential equation; None for a method whose PARAMETERS do not name it.
    """

    seed: int
    intensity: tuple[float, float]
    timesteps: int
    beta: tuple[float, float]
    convention: str
    stride: int
    solver: str | None

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """Out of a job's part of params.yaml: seed, intensity, noise_schedule, detection."""
        schedule, detection = parameters["noise_schedule"], parameters["detection"]
        return cls(
            seed=parameters["seed"],
            intensity=tuple(parameters["intensity"]),
            timesteps=schedule["timesteps"],
            beta=tuple(schedule["beta"]),
            convention=detection["convention"],
            stride=detection["stride"],
            solver=detection.get("solver"),
        )

    @property
    def released(self) -> bool:
        """Whether to do as the authors' code does, not as the paper says."""
        return self.convention == "released-code"


class DiffusionModel:
    """The noise schedule, the denoiser with a class bound to it, and the classifier that guides it.

    Args:
        sampler: how it is sampled from.
        device: where the networks are.
        denoiser: predicts the noise.
        classifier: C(c | x_t); None where nothing is guided.
    """

    def __init__(
        self, sampler: Sampler, device: torch.device, denoiser: nn.Module, classifier: nn.Module | None = None
    ):
        self.sampler = sampler
        self.device = device
        self.schedule = NoiseSchedule.linear(sampler.timesteps, sampler.beta, device)
        self.denoiser = denoiser
        self.classifier = classifier

    @property
    def solver(self) -> Solver:
        """How DDIM's differential equation is solved; not asked for where sampling is ancestral."""
        if self.sampler.solver is None:
            raise InputError("a method that encodes or decodes by DDIM must name detection.solver in its PARAMETERS")
        return SOLVERS[self.sampler.solver]

    # --- the networks as functions of x_t and t ---------------------------------------------------------------------

    def prediction(self, class_name: str) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(x_t, t) -> (epsilon, v), under a class of `CLASSES`."""
        label = CLASSES[class_name]
        return lambda x, t: self._denoise(x, t, torch.full_like(t, label))

    def epsilon(self, class_name: str) -> ddim.Epsilon:
        """(x_t, t) -> epsilon, under a class of `CLASSES`."""
        prediction = self.prediction(class_name)
        return lambda x, t: prediction(x, t)[0]

    def classifier_free_epsilon(self, weight: float) -> ddim.Epsilon:
        """(x_t, t) -> epsilon under classifier-free guidance towards the healthy class, in one pass of 2 N images."""
        if weight in (0, 1):  # one class is enough
            return self.epsilon("healthy" if weight else "none")

        def epsilon(x: Tensor, t: Tensor) -> Tensor:
            labels = torch.cat([torch.full_like(t, NO_CLASS), torch.full_like(t, HEALTHY)])
            both, _ = self._denoise(torch.cat([x, x]), torch.cat([t, t]), labels)
            without, healthy = both.chunk(2)
            return classifier_free_epsilon(without, healthy, weight)

        return epsilon

    def log_probability(self) -> LogProbability | None:
        """(x_t, t) -> log C(healthy | x_t); None where there is no classifier."""
        classifier = self.classifier
        return None if classifier is None else lambda x, t: log_probability(classifier, x, t, HEALTHY)

    def _denoise(self, x: Tensor, t: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        epsilon, v = self.denoiser(x.contiguous(memory_format=torch.channels_last), t, labels).chunk(2, dim=1)
        return epsilon, v

    # --- images in [0, 1] in, images in [0, 1] out ------------------------------------------------------------------

    def encode(self, images: Tensor, slice_ids: list[str], class_name: str, levels: list[int]) -> dict[int, Tensor]:
        """x_L of images (N, C, H, W) in [0, 1] for each L of `levels`, by the reversed solver, once to the largest.

        x_L is in the networks' range. `slice_ids` (N) seed the noise that the released code adds first.
        """
        x_0, epsilon = self.to_range(images), self.epsilon(class_name)
        if self.sampler.released:
            start = ddim.released_start(x_0, self.noise(slice_ids, x_0)(), self.schedule)
            passed = ddim.encode_released(epsilon, start, max(levels), self.schedule)
        else:
            passed = self.solver.encode(epsilon, x_0, max(levels), self.schedule, self.sampler.stride)
        return {level: x for level, x in passed if level in levels}

    def start_levels(self, level: int) -> list[int]:
        """The levels whose x_k `decode` takes to start from level L: L, and for some solvers the one passed before."""
        two = not self.sampler.released and self.solver.decodes_from_two
        return [level, level - self.sampler.stride] if two else [level]

    def decode(
        self, epsilon: ddim.Epsilon, latents: Tensor | None, level: int, scale: float = 0, below: Tensor | None = None
    ) -> Tensor:
        """Reconstructions (N, C, H, W) in [0, 1], not clipped, guided with scale s.

        From x_L and, where `start_levels` names two levels, x at the other one (N, C, H, W each).
        """
        if latents is None:
            raise InputError(
                "--latents is missing: this method decodes the noisy images that the rule `latents` writes"
            )
        return self.from_range(ddim.last(self.decode_path(epsilon, latents, level, scale, below)))

    def decode_path(
        self, epsilon: ddim.Epsilon, latents: Tensor, level: int, scale: float = 0, below: Tensor | None = None
    ) -> Iterator[tuple[int, Tensor]]:
        """What `decode` passes on its way, (k, x_k) in the networks' range, at last (0, the reconstruction)."""
        start = (epsilon, self.log_probability(), latents, level, scale, self.schedule)
        if self.sampler.released:
            return ddim.decode_released(*start)
        if not self.solver.decodes_from_two:
            return self.solver.decode(*start, self.sampler.stride)
        if below is None:
            raise InputError(
                f"{self.sampler.solver} decodes from two noise levels, of which the rule `latents` writes one: name "
                "another detection.solver in params.yaml"
            )
        return self.solver.decode(*start, self.sampler.stride, below)

    def to_range(self, images: Tensor) -> Tensor:
        """Images in [0, 1] to the networks' range of intensities."""
        low, high = self.sampler.intensity
        return low + (high - low) * images

    def from_range(self, x: Tensor) -> Tensor:
        """Images in the networks' range of intensities to [0, 1]."""
        low, high = self.sampler.intensity
        return (x - low) / (high - low)

    def noise(self, slice_ids: list[str], like: Tensor) -> Callable[[], Tensor]:
        """A source of standard normal noise of the shape and type of `like` (N, C, H, W), fresh at each call.

        Every slice draws from a generator of its own, seeded by the repeat's seed and its name: what it gets depends
        neither on its batch nor on where a killed job went on.
        """
        generators = slice_generators(self.sampler.seed, slice_ids, self.device)

        def draw(generator: torch.Generator) -> Tensor:
            return torch.randn(like.shape[1:], generator=generator, dtype=like.dtype, device=self.device)

        return lambda: torch.stack([draw(generator) for generator in generators])


def slice_generators(seed: int, slice_ids: list[str], device: torch.device) -> list[torch.Generator]:
    """A generator a slice, seeded by the repeat's seed and the slice's name."""
    seeds = [np.random.SeedSequence([seed, *name.encode()]).generate_state(1, np.uint64)[0] for name in slice_ids]
    return [torch.Generator(device).manual_seed(int(one)) for one in seeds]
