"""The proposed method on batches of images: networks from their checkpoints, images in and out of their range."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from stages import checkpoint
from stages.data.store import DISEASED, HEALTHY
from stages.diffusion import ddim
from stages.diffusion.guidance import LogProbability
from stages.diffusion.schedule import NoiseSchedule
from stages.networks import build
from stages.networks.unet import NO_CLASS, log_probability

CLASSES = {"healthy": HEALTHY, "diseased": DISEASED, "none": NO_CLASS}


@dataclass
class Ddim:
    """Encoder and decoder of Algorithm 1 with trained networks.

    Args:
        parameters: the stage's part of params.yaml (data, diffusion, detection, ddpm and, for guidance, classifier).
        fabric: device and precision.
        ddpm_path: checkpoint of the noise predictor.
        classifier_path: checkpoint of the classifier; None where nothing is guided.
    """

    parameters: dict
    fabric: Fabric
    ddpm_path: Path
    classifier_path: Path | None = None
    identity: dict = field(init=False)
    """What the results depend on beside the images."""

    def __post_init__(self) -> None:
        """Load the networks."""
        diffusion = self.parameters["diffusion"]
        self.schedule = NoiseSchedule.linear(diffusion["timesteps"], diffusion["beta"], self.fabric.device)
        weights = {}
        self.unet, weights["ddpm"] = self._load("ddpm", self.ddpm_path)
        self.classifier = None
        if self.classifier_path is not None:
            self.classifier, weights["classifier"] = self._load("classifier", self.classifier_path)
        self.identity = {"parameters": self.parameters, "weights": weights}

    def _load(self, name: str, path: Path) -> tuple[nn.Module, str]:
        network = build.network(name, self.parameters)
        header = checkpoint.load_into(network, path, self.parameters["detection"]["weights"])
        network = network.to(self.fabric.device, memory_format=torch.channels_last).eval().requires_grad_(False)
        return network, header["tensors_sha256"]

    def encode(
        self, images: np.ndarray, slice_ids: list[str], encode_class: str, levels: list[int]
    ) -> dict[int, Tensor]:
        """x_L of images (N, C, H, W) in [0, 1] for each L of `levels`, encoded once to the largest.

        `slice_ids` (N) seed the released code's q_sample, so that a slice's noise does not depend on its batch.
        """
        detection = self.parameters["detection"]
        x_0 = self._to_range(images)
        epsilon = self._epsilon(encode_class)
        with self._inference():
            if detection["convention"] == "paper":
                passed = ddim.encode(epsilon, x_0, max(levels), self.schedule, detection["stride"])
            else:
                noise = torch.stack([self._noise(slice_id, x_0.shape[1:]) for slice_id in slice_ids])
                start = ddim.released_start(x_0, noise.to(x_0), self.schedule)
                passed = ddim.encode_released(epsilon, start, max(levels), self.schedule)
            return {level: x for level, x in passed if level in levels}

    def decode(self, x_level: np.ndarray, decode_class: str, level: int, scale: float) -> Tensor:
        """Reconstructions (N, C, H, W) in the images' range [0, 1], not clipped, from x_L (N, C, H, W)."""
        detection = self.parameters["detection"]
        x = torch.from_numpy(np.array(x_level)).to(self.fabric.device)
        sampler = (self._epsilon(decode_class), self._log_probability(), x, level, scale, self.schedule)
        with self._inference():
            if detection["convention"] == "paper":
                x_0 = ddim.decode(*sampler, detection["stride"])
            else:
                x_0 = ddim.decode_released(*sampler)
        low, high = self.parameters["diffusion"]["intensity"]
        return (x_0 - low) / (high - low)

    def _to_range(self, images: np.ndarray) -> Tensor:
        low, high = self.parameters["diffusion"]["intensity"]
        return low + (high - low) * torch.from_numpy(images.astype(np.float32)).to(self.fabric.device)

    def _epsilon(self, class_name: str) -> ddim.Epsilon:
        label = CLASSES[class_name]

        def epsilon(x: Tensor, t: Tensor) -> Tensor:
            x = x.contiguous(memory_format=torch.channels_last)
            return self.unet(x, t, torch.full_like(t, label)).chunk(2, dim=1)[0]

        return epsilon

    def _log_probability(self) -> LogProbability | None:
        if self.classifier is None:
            return None
        return lambda x, t: log_probability(self.classifier, x, t, HEALTHY)

    def _noise(self, slice_id: str, shape: torch.Size) -> Tensor:
        seed = np.random.SeedSequence([self.parameters["seed"], *slice_id.encode()]).generate_state(1, np.uint64)[0]
        return torch.randn(shape, generator=torch.Generator().manual_seed(int(seed)))

    @contextmanager
    def _inference(self) -> Iterator[None]:
        with torch.no_grad(), self.fabric.autocast():
            yield
