"""What translates a single image: a method of a benchmark at one setting, with the networks that one repeat trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from stages import command, methods, repeats
from stages.costs import evaluations
from stages.detection import trained
from stages.detection.detector import Batch, Detector, checked
from stages.detection.diffusion_model import DiffusionModel, Sampler
from stages.detection.job import Computing, Pieces
from stages.detection.trained import OtherParametersError
from stages.device import Processor
from stages.errors import InputError
from stages.evaluation import records
from stages.evaluation.choice import METRICS, choose
from stages.export import familiarity
from stages.figures import results
from stages.methods import Setting
from stages.networks.unet import UNet
from stages.parameters import reading
from stages.parameters.between_keys import problems_between
from stages.parameters.sections import identity, section
from stages.repeats import Repeat

NAMED = ("L", "s", "w")
"""The keys of settings that the command line has options for."""


@dataclass(frozen=True)
class Choice:
    """What is asked for by name; None is what the benchmark shows itself.

    Attributes:
        benchmark: a name below `benchmarks:` of params.yaml.
        method: of the benchmark; None: the one of its figures.
        setting: keys of the setting that differ from the reported one, such as {"L": 500, "s": 100}.
        repeat: such as fold1-seed0; None: the first.
        checkpoints: folder with <network>.safetensors; None: the repeat's.
        results: folder of the results of all benchmarks.
        params: params.yaml.
    """

    benchmark: str
    method: str | None = None
    setting: Mapping[str, float] | None = None
    repeat: str | None = None
    checkpoints: Path | None = None
    results: Path = Path("results")
    params: Path = Path(reading.FILE)


@dataclass(frozen=True)
class Plan:
    """What a `Choice` comes to.

    Attributes:
        parameters: of the benchmark, merged, with the chosen method alone, whose grid is the one setting.
        method, setting, repeat: chosen.
        checkpoints: network -> its file.
        brought: whether the files are not the benchmark's own, but of a folder that was asked for.
        largest_mean: of the maps of the benchmark's own slices, as its record of this setting has them; None without.
    """

    parameters: dict[str, Any]
    method: str
    setting: Setting
    repeat: Repeat
    checkpoints: dict[str, Path]
    brought: bool
    largest_mean: float | None


def plan(choice: Choice) -> Plan:
    """Find setting, repeat and checkpoints.

    Raises:
        InputError: a name is unknown, the method has no detector, the setting is not known or impossible, or a
            checkpoint is not there.
    """
    config = reading.load(choice.params, choice.benchmark)
    parameters = reading.benchmark(config, choice.benchmark)
    every, folder = methods.of(parameters), choice.results / choice.benchmark
    name = choice.method or parameters["figures"]["method"]
    if name not in every:
        raise InputError(f"{name} is no method of {choice.benchmark}, whose methods are {', '.join(every)}")
    method = every[name]
    if "detector" not in method:
        raise InputError(f"{name} has no detector: its maps are made elsewhere, and no image can be translated")
    repeat = repeats.named(parameters, choice.repeat) if choice.repeat else repeats.first(parameters)
    setting = _setting(choice, method, name, repeat.fold, folder / "tables")
    # In the grid's own numbers, where it is of the grid: 100, not the command line's 100.0.
    setting = next((one for one in methods.settings(method) if one == setting), setting)
    own = method | {"grid": [{key: [value] for key, value in setting.items()}], "setting": dict(setting)}
    narrowed = parameters | {"methods": {name: own}}
    for key, sentence in problems_between(narrowed, reading.lineage(config, choice.benchmark)):
        if key[:2] == ("methods", name):
            raise InputError(f"the setting {setting.title} of {name}: {key[-1]} {sentence}")
    where = choice.checkpoints or folder / "checkpoints" / repeat.name
    needed = [*methods.networks(own, setting), *(["denoiser"] if methods.encoding(own) else [])]
    checkpoints = {network: where / f"{network}.safetensors" for network in needed}
    for path in checkpoints.values():
        if not path.is_file():
            raise InputError(
                f"{path} is missing: train it (snakemake --config run={choice.benchmark} -- checkpoints), bring it in "
                "with dvc pull, or name a folder that holds it with --checkpoints"
            )
    record = folder / "record" / repeat.name / name / f"{setting.name}.csv"
    known = record.is_file() and records.record_identity(record) == identity(parameters, repeat, name, setting)
    largest = max(one["mean_map"].max() for one in records.read_record(record).slices.values()) if known else None
    return Plan(narrowed, name, setting, repeat, checkpoints, choice.checkpoints is not None, largest)


def _setting(choice: Choice, method: dict, name: str, fold: int, tables: Path) -> Setting:
    """The setting that a fold reports, as tables or else params.yaml have it, with what was asked for in its place."""
    comparison = tables / "comparison.csv"
    asked = choice.setting or {}
    keys = list(method["grid"][0])
    if unknown := [key for key in asked if key not in keys]:
        raise InputError(f"{name} knows no {unknown[0]}: its settings have {', '.join(keys) or 'no keys'}")
    if set(asked) == set(keys):
        return Setting({key: asked[key] for key in keys})
    if comparison.is_file():
        chosen = results.open_comparison(comparison, [name]).at[name, "settings"]
        if len(chosen) > 1:  # the folds chose several
            by_repeat = records.read_csv(tables / "repeats.csv", ["method", "setting", "split"], ["fold", *METRICS])
            chosen = [choose(name, method, by_repeat).settings[fold]]
        reported = methods.setting(method, chosen[0])
    elif method["setting"] == "validation":
        missing = [key for key in keys if key not in asked]
        advice = f"name {' and '.join(f'--{key}' for key in missing)}"
        if not set(missing) <= set(NAMED):
            advice = f"set methods.{name}.setting in {choice.params}"
        raise InputError(
            f"{comparison} is not there, which says at which setting {name} is reported: run the benchmark, or {advice}"
        )
    else:
        reported = Setting(method["setting"])
    return Setting({**reported, **asked})


@dataclass(frozen=True)
class Translated:
    """What a method makes of n slices.

    Attributes:
        maps: (n, H, W) float16.
        images: the reconstructions (n, C, H, W) float16; None where the method reconstructs nothing.
        noise_left: (n,) as `familiarity.noise_left` has it; None where the method has no denoiser.
    """

    maps: np.ndarray
    images: np.ndarray | None
    noise_left: np.ndarray | None


class Translator:
    """A method with its networks loaded.

    Args:
        chosen: what to load.
        processor: device and precision.

    Raises:
        InputError: a checkpoint is damaged, another network's, or trained with other parameters.
    """

    def __init__(self, chosen: Plan, processor: Processor):
        self.plan, self.processor = chosen, processor
        self._bar: Any = None
        try:
            self._load(chosen, processor)
        except OtherParametersError as error:
            if not chosen.brought:
                raise
            raise InputError(
                f"{error.what}: say with --benchmark and --repeat, and of another project with its --params and "
                "--results, what trained it, or leave --checkpoints out"
            ) from error

    def _load(self, chosen: Plan, processor: Processor) -> None:
        method = chosen.parameters["methods"][chosen.method]
        self.section = section(chosen.parameters, "detect", chosen.method, chosen.setting, chosen.repeat)
        self.encode_class = methods.encoding(method)
        self._loaded: dict[str, Any] = {}
        self.detector = self._detector(evaluations.detector_class(method))
        self.denoiser = self._loaded.get("denoiser")
        if "denoiser" in chosen.checkpoints:
            made_from = self.section
            if self.encode_class:
                made_from = section(chosen.parameters, "latents", self.encode_class, repeat=chosen.repeat)
            if self.denoiser is None:  # what encodes, where the detector does not decode by it
                path = chosen.checkpoints["denoiser"]
                denoiser, _ = trained.network(UNet, "denoiser", made_from, path, processor.device)
                self.denoiser = self._counted(denoiser)
            if self.encode_class:
                self.encoder = DiffusionModel(Sampler.of(made_from), processor.device, self.denoiser)

    def translate(self, images: np.ndarray, slice_ids: list[str], label: str) -> Translated:
        """What the method makes of images, as the pipeline stores it, and how well its denoiser knows them.

        Args:
            images: (n, C, H, W) float16 in [0, 1].
            slice_ids: (n), which seed what is drawn at random.
            label: of the progress bar.

        Raises:
            InputError: a map is not finite.
        """
        pieces = Pieces(Computing.of(self.section).batch)
        with self._progress(label, len(images)) as self._bar:
            arrays = pieces.joined(range(len(images)), lambda rows: self._piece(images, slice_ids, rows))
        return Translated(arrays["maps"], arrays.get("images"), arrays.get("noise_left"))

    def _piece(self, images: np.ndarray, slice_ids: list[str], rows: range) -> dict[str, np.ndarray]:
        passes = self._bar.n
        try:
            return self._batch(images[rows.start : rows.stop], slice_ids[rows.start : rows.stop])
        except torch.OutOfMemoryError:
            self._bar.update(passes - self._bar.n)  # which are made again
            raise

    def _batch(self, images: np.ndarray, slice_ids: list[str]) -> dict[str, np.ndarray]:
        x = torch.from_numpy(images.astype(np.float32)).to(self.processor.device)
        with torch.no_grad(), self.processor.autocast():
            known, latents = {}, None
            if self.denoiser is not None:
                left = familiarity.noise_left(self.denoiser, x, slice_ids, self.section)
                known = {"noise_left": left.cpu().numpy()}
            if self.encode_class:
                level = self.plan.setting["L"]
                latents = self.encoder.encode(x, slice_ids, self.encode_class, [level])[level].float()
            found = self.detector.detect(Batch(x, slice_ids, latents))
        shapes = {"maps": (len(x), *x.shape[2:])} | ({"images": tuple(x.shape)} if self.detector.reconstructs else {})
        return known | {key: checked(found, key, shape, self.detector) for key, shape in shapes.items()}

    # --- progress: by the passes through networks, of which a single image takes hundreds ---------------------------

    def _detector(self, kind: type[Detector]) -> Detector:
        """The method's detector, the networks of which are counted."""

        def load(one: Detector, name: str, of: type[nn.Module]) -> Any:
            self._loaded[name] = self._counted(kind.load(one, name, of))
            return self._loaded[name]

        members = {"load": load, "__module__": kind.__module__}
        return type(kind.__name__, (kind,), members)(self.section, self.processor, self.plan.checkpoints)

    def _counted(self, network: nn.Module) -> Any:
        def count(_: nn.Module, inputs: tuple, __: Any) -> None:  # what a hook returns takes the output's place
            self._bar.update(len(inputs[0]))

        network.register_forward_hook(count)
        return network

    def _progress(self, label: str, images: int) -> Any:
        parameters, name = self.plan.parameters, self.plan.method
        counts = list(evaluations.of_method(parameters, name, self.plan.setting).values())
        if self.encode_class:
            counts += evaluations.of_latents(parameters, self.encode_class).values()
        passes = sum(one.forward + one.slope for one in counts) + (self.denoiser is not None)
        return command.progress(label, images * passes, unit="pass")


def unlike(maps: np.ndarray, largest_mean: float) -> int:
    """How many of maps (n, H, W) are larger on average than twice the largest of the benchmark's own slices."""
    return int((maps.astype(np.float64).mean(axis=(1, 2)) > 2 * largest_mean).sum())
