"""The parts of a benchmark, each with what it takes: evaluations of networks, operations, bytes."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from stages import methods, repeats
from stages.costs import evaluations, training
from stages.costs.evaluations import Evaluations
from stages.costs.passes import Pass
from stages.costs.slices import Labels
from stages.detection.selected import select
from stages.device import Precision
from stages.errors import InputError
from stages.networks import flops
from stages.networks.flops import Flops
from stages.parameters import sections

HALF, SINGLE = 2, 4
"""Bytes of a number in maps and reconstructions, and in latents."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """A part of a benchmark, in all its repeats.

    Attributes:
        chapter: training, latents, detection or sampling.
        name: of the network, the class, the method or the rule.
        times: how often it is done: trainings, encodings, settings, runs.
        evaluations: images that networks see.
        slopes: those of them from which detection takes a gradient back to the image.
        flops: of all that.
        passes: a kind of pass -> the images that are taken through it.
        precision: of its arithmetic, in Lightning Fabric's words.
        bytes: of maps and reconstructions; in the chapter latents, of x_L.
    """

    chapter: str
    name: str
    times: int
    evaluations: float
    slopes: int
    flops: float
    passes: Mapping[Pass, float]
    precision: Precision
    bytes: int


def work(parameters: dict, labels: Labels) -> Iterator[Work]:
    """All parts of a benchmark with merged `parameters` and `labels` of its slices."""
    names = [name for name in methods.networks_in_use(parameters) if not methods.is_fitted(name)]
    count = len(repeats.repeats(parameters))
    for name in names:
        found = training.of(parameters, name, labels["train"])
        yield Work(
            chapter="training",
            name=name,
            times=count,
            evaluations=count * found.evaluations,
            slopes=0,
            flops=count * found.flops,
            passes={one: count * images for one, images in found.passes.items()},
            precision=found.precision,
            bytes=0,
        )
    kinds = {kind.SECTION: kind for kind in flops.listed() if kind.PART == "network"}
    if unlisted := [name for name in names if name not in kinds]:
        raise InputError(
            f"the passes of {unlisted[0]} cannot be counted: make it a ListedNetwork (stages/networks/build.py)"
        )
    inference = _Inference(parameters, labels, {name: flops.of(kinds[name], parameters) for name in names})
    yield from inference.latents()
    yield from inference.detection()
    yield from inference.sampling()


@dataclass(frozen=True)
class _Inference:
    """What trained networks are used for.

    Attributes:
        parameters: of the benchmark, merged.
        labels: of its slices.
        flops: network -> what it takes for an image.
    """

    parameters: dict
    labels: Labels
    flops: dict[str, Flops]

    def latents(self) -> Iterator[Work]:
        """Encoding to noise, once a class and repeat."""
        for name in dict.fromkeys(filter(None, map(methods.encoding, methods.of(self.parameters).values()))):
            slices = self._repeats * sum(len(self.labels[split]) for split in sections.splits(self.parameters))
            found = [(slices, evaluations.of_latents(self.parameters, name))]
            arrays = slices * len(sections.levels(self.parameters, name)) * self._channels
            yield self._part("latents", name, self._repeats, found, arrays * SINGLE)

    def detection(self) -> Iterator[Work]:
        """Every method at all its settings; not those whose maps are someone else's."""
        for name, method in methods.of(self.parameters).items():
            if "detector" in method:
                settings = methods.settings(method)
                channels = self._channels * evaluations.detector_class(method).reconstructs
                found, arrays = [], 0
                for setting in settings:
                    maps, images = self._selected(method, setting)
                    found.append((maps, evaluations.of_method(self.parameters, name, setting)))
                    arrays += maps + images * channels
                yield self._part("detection", name, self._repeats * len(settings), found, arrays * HALF)

    def sampling(self) -> Iterator[Work]:
        """The rules that look into the sampler, which are done in the first repeat alone."""
        sampled = methods.sampled(self.parameters)
        if "trade_off_maps" in sampled and (split := methods.trade_off_split(self.parameters)):
            trade_off = self.parameters["trade_off"]
            slices = min(trade_off["slices"], len(self.labels[split]))
            # Each with guidance and without.
            runs = sum(map(len, trade_off["solvers"].values())) * len({0, trade_off["setting"]["s"]})
            found = [(slices, evaluations.of_trade_off(self.parameters))]
            yield self._part("sampling", "trade-off", runs, found, slices * runs * HALF)
        if "trajectory" in sampled:
            yield self._part("sampling", "trajectory", 1, [(1, evaluations.of_trajectory(self.parameters))], 0)

    def _selected(self, method: dict, setting: Mapping) -> tuple[int, int]:
        """Of how many slices there are maps at a method's setting, and reconstructions, in all repeats."""
        kept, maps, images = sections.kept(self.parameters, method, setting), 0, 0
        for split in sections.splits(self.parameters):
            labels = self.labels[split]
            selection = select(pd.DataFrame({"label": labels, "lesion_pixels": labels}), split, kept)
            maps, images = maps + len(selection.maps), images + len(selection.images)
        return self._repeats * maps, self._repeats * images

    @property
    def _repeats(self) -> int:
        return len(repeats.repeats(self.parameters))

    @property
    def _channels(self) -> int:
        return len(self.parameters["data"]["channels"])

    def _part(
        self, chapter: str, name: str, times: int, found: list[tuple[int, dict[str, Evaluations]]], kept: int
    ) -> Work:
        """What some slices take, by their number and what one takes, and then others; `kept` are bytes a pixel."""
        precision = self.parameters["detection"]["precision"]
        passes: Counter[Pass] = Counter()
        for slices, each in found:
            for network, one in each.items():
                passes[Pass(network, "forward", precision)] += slices * one.forward
                passes[Pass(network, "slope", precision)] += slices * one.slope
        passes = +passes  # those that are made
        return Work(
            chapter=chapter,
            name=name,
            times=times,
            evaluations=passes.total(),
            slopes=sum(images for one, images in passes.items() if one.kind == "slope"),
            flops=sum(images * getattr(self.flops[one.network], one.kind) for one, images in passes.items()),
            passes=passes,
            precision=precision,
            bytes=kept * self.parameters["data"]["size"] ** 2,
        )
