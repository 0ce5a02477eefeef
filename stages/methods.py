"""What the methods of params.yaml are: the settings of their grids, and what their detectors say that they need.

A detector is a module of stages/detection. It says in literals, which are read without importing it:

  NETWORKS         the networks that it needs, each trained by the module of stages/training of that name
  UNUSED_AT_ZERO   network -> the key of a setting at whose 0 it is not needed (no classifier where nothing is guided)
  GRID             the keys of a setting, each with the words that it takes, () for numbers
  WHOLE            the keys of a setting that are whole numbers from 1 on
  RESOLUTION_OF    key of a setting -> the network that has features at so many pixels
  OPTIONS          what it is told beside its setting: each key with the words that it takes, () for anything, or with
                   the key of params.yaml that lists them ("data.channels"; "data.channels[]": it takes a list of them)
  OPTIONAL         those of its OPTIONS that may be left out
  PARAMETERS       the keys of params.yaml that change its maps, beside those that all detectors share
  TOLD_CLASSES     the classes that it tells the denoiser of itself, beside those in its options
  RELEASED_LEVEL   the one noise level that it knows under the convention released-code

NETWORKS must be there; where GRID or OPTIONS are not, the detector takes whatever it is given. Its class says
`reconstructs = False` where it has maps alone, and no reconstructions.

A network's module of stages/training says in the same way what it is trained on, LEARNS_FROM, a word of `TRAINED_ON`.
It defines one of two functions (`TRAINERS`): `objective`, what is minimised step by step, or `fit`, which makes a
model's arrays at once. The OPTIONS of one that fits are the keys of its section.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from stages import imports, split_lists
from stages.errors import InputError

TRAINED_ON = {
    "nothing": "nothing",
    "healthy": "healthy images",
    "labels": "image labels",
    "masks": "masks",
    "unknown": "not said",
}
"""What trained a method, in rising order of what it says about lesions, and as tables print it."""

TRAINERS = ("objective", "fit")
"""The functions of stages/training/<network>.py by which a network is trained: in steps, or fitted at once."""


class Setting(Mapping[str, float | str]):
    """One point of a method's grid: the same thing from params.yaml to a folder's name and a figure's title.

    Immutable; equal to any mapping of the same keys and values, whatever their order.

    >>> setting = Setting({"L": 500, "s": 100})
    >>> setting.name, setting.title, setting["s"], setting == {"s": 100, "L": 500}
    ('L500_s100', 'L = 500, s = 100', 100, True)
    >>> setting.without("s").title, Setting({"view": "plain"}).name, Setting({}).name
    ('L = 500', 'view-plain', 'default')
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, float | str]):
        self._values = dict(values)

    def __getitem__(self, key: str) -> Any:
        """The value of one key of the grid."""
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        """The keys, in the order of the grid."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._values)

    def __hash__(self) -> int:
        """Equal settings hash alike."""
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        """As params.yaml has it."""
        return str(self._values)

    @property
    def name(self) -> str:
        """Of its folder: L500_s100, view-plain; `default` where there are no keys."""
        parts = [f"{key}-{value}" if isinstance(value, str) else f"{key}{value:g}" for key, value in self.items()]
        return "_".join(parts) or "default"

    @property
    def title(self) -> str:
        """As it is printed; nothing where there are no keys."""
        return ", ".join(f"{key} = {value if isinstance(value, str) else f'{value:g}'}" for key, value in self.items())

    def without(self, key: str) -> "Setting":
        """The other keys alone."""
        return Setting({other: value for other, value in self.items() if other != key})


def of(parameters: dict) -> dict[str, dict]:
    """The methods of a benchmark; none where it is only data (`methods: null`)."""
    return parameters.get("methods", {})


def settings(method: dict) -> list[Setting]:
    """The settings of a method's grid: the union of its blocks' products, in order, each once.

    A block is what scikit-learn's ParameterGrid takes.

    >>> [setting.name for setting in settings({"grid": [{"L": [250, 500], "s": [0, 100]}, {"L": [125], "s": [0]}]})]
    ['L250_s0', 'L250_s100', 'L500_s0', 'L500_s100', 'L125_s0']
    """
    points = (dict(zip(block, values, strict=True)) for block in method["grid"] for values in product(*block.values()))
    return list(dict.fromkeys(map(Setting, points)))


def setting(method: dict, name: str) -> Setting:
    """The setting of a method's grid that bears a name; InputError where none does."""
    found = {one.name: one for one in settings(method)}
    if name not in found:
        raise InputError(f"{name} is no setting of the method's grid in params.yaml, which has {', '.join(found)}")
    return found[name]


def encoding(method: dict) -> str | None:
    """The class under which a method's slices are encoded to noise by DDIM; None where they are not."""
    return method.get("options", {}).get("encode_class")


def module(method: dict) -> str:
    """The module of a method's detector."""
    return f"stages.detection.{method['detector']}"


def grid(method: dict) -> dict[str, tuple[str, ...]] | None:
    """The keys of a method's settings, as its detector's GRID has them; None where it takes whatever it is given."""
    return _words(module(method), "GRID") if "detector" in method else None


def options(method: dict) -> dict[str, tuple[str, ...] | str] | None:
    """What a method is told, as its detector's OPTIONS have it; None where it takes whatever it is given."""
    return _words(module(method), "OPTIONS") if "detector" in method else None


def _words(module: str, name: str) -> dict | None:
    if not imports.defines(module, name):
        return None
    found = imports.constant(module, name)
    kinds = (tuple, list, str) if name == "OPTIONS" else (tuple, list)
    if not isinstance(found, dict) or not all(isinstance(words, kinds) for words in found.values()):
        raise InputError(f"{module}: {name} must map each key to a tuple of words, () for any, not {found!r}")
    return found


def literal(method: dict, name: str, default: Any) -> Any:
    """A literal of a method's detector; `default` where it has none, or where there is no detector."""
    if "detector" not in method or not imports.defines(module(method), name):
        return default
    return imports.constant(module(method), name)


def networks(method: dict, setting: Mapping) -> list[str]:
    """The networks that a method needs at a setting."""
    if "detector" not in method:
        return []
    unused = literal(method, "UNUSED_AT_ZERO", {})
    needed = imports.names(module(method), "NETWORKS")
    return [name for name in needed if name not in unused or setting.get(unused[name]) != 0]


def parameters_of(method: dict) -> tuple[str, ...]:
    """The keys of params.yaml that change a method's maps, beside those that all detectors share."""
    return imports.names(module(method), "PARAMETERS", default=()) if "detector" in method else ()


def resolutions(network: dict, size: int) -> list[int]:
    """The resolutions, in pixels, at which a U-Net or the encoder of one has features, the image's own first.

    >>> resolutions({"multipliers": [1, 2, 4]}, 64)
    [64, 32, 16]
    """
    return [size // 2**level for level in range(len(network["multipliers"]))]


def encoder_parameters() -> tuple[str, ...]:
    """The keys of params.yaml that change the latents, beside those of the denoiser."""
    return imports.names("stages.detection.latents", "PARAMETERS")


def sampled(parameters: dict) -> dict[str, tuple[str, Setting]]:
    """Rule -> method and setting, of the rules that sample outside of the grids, as far as a benchmark has them.

    `trade_off_maps` measures its solvers, `trajectory` keeps the images of Fig. 1.
    """
    figures, found = parameters["figures"], {}
    if trade_off := parameters.get("trade_off"):
        found["trade_off_maps"] = trade_off["method"], Setting(trade_off["setting"])
    found["trajectory"] = figures["method"], Setting(figures["scheme"])
    known = samplable(parameters)
    return {rule: (name, setting) for rule, (name, setting) in found.items() if name in known}


def samplable(parameters: dict) -> list[str]:
    """The methods whose detector those rules can look into."""
    detector = imports.constant("stages.detection.sampling", "DETECTOR")
    return [name for name, method in of(parameters).items() if method.get("detector") == detector]


def trade_off_split(parameters: dict) -> str | None:
    """The split that the trade-off takes slices from: the first of validation and test with both classes, if any.

    Where data.split counts subjects, or names a list, both classes are taken to be there.
    """
    data = parameters["data"]
    counts = data["split"] if isinstance(data["split"], dict) else {}
    for split in ("validation", "test"):
        count = counts.get(split)
        both = all(count.values()) if isinstance(count, dict) else split_lists.has(data, split)
        if both:
            return split
    return None


def networks_in_use(parameters: dict) -> list[str]:
    """The networks that a benchmark needs, for any setting of any method or what is `sampled`, each once, in order."""
    methods = of(parameters)
    asked = [(method, setting) for method in methods.values() for setting in settings(method)]
    asked += [(methods[name], setting) for name, setting in sampled(parameters).values()]
    return list(dict.fromkeys(name for method, setting in asked for name in networks(method, setting)))


def trainer(network: str) -> str | None:
    """The function, out of `TRAINERS`, by which a network's module trains it; None where there is none."""
    return next((name for name in TRAINERS if imports.defines(training_module(network), name)), None)


def training_module(network: str) -> str:
    """The module that trains a network."""
    return f"stages.training.{network}"


def is_fitted(network: str) -> bool:
    """Whether a network is a model that is fitted at once: arrays by their names, and no training step by step."""
    return trainer(network) == "fit"


def section_options(network: str) -> dict[str, tuple[str, ...] | str] | None:
    """The keys of a fitted model's section, as its OPTIONS have them; None where it takes whatever it is given."""
    return _words(training_module(network), "OPTIONS")


def needs_both_classes(network: str) -> bool:
    """Whether a network learns to tell the classes apart: its training module then says `BOTH_CLASSES = True`."""
    module = training_module(network)
    return imports.defines(module, "BOTH_CLASSES") and bool(imports.constant(module, "BOTH_CLASSES"))


def learns_from(parameters: dict, network: str) -> str:
    """What a network is trained on: "healthy" (images, no others), "labels" (of images of both classes) or "masks".

    Its module's literal LEARNS_FROM says so as it was published (labels, where it has none); the key
    `<network>.training.labels` (healthy or both) says otherwise, where it is trained step by step.
    """
    published = imports.constant(training_module(network), "LEARNS_FROM", default="labels")
    if published == "masks" or is_fitted(network):
        return published
    labels = parameters[network]["training"].get("labels")
    if labels is None:
        return published
    return "healthy" if labels == "healthy" else "labels"


def trained_on(parameters: dict, method: dict) -> str:
    """The most that any network of a method, at any setting, is trained on: a word of `TRAINED_ON`.

    Of someone else's maps the method's key `trained_on` says it.
    """
    if "detector" not in method:
        return method.get("trained_on", "unknown")
    used = {network for setting in settings(method) for network in networks(method, setting)}
    return max(["nothing", *(learns_from(parameters, network) for network in used)], key=list(TRAINED_ON).index)


def detectors_of_one_class() -> list[str]:
    """The detectors that run, at any setting, where a training set lacks a class, sorted."""
    modules = sorted(path.stem for path in (imports.ROOT / "stages/detection").glob("*.py"))
    found = {
        name: imports.names(f"stages.detection.{name}", "NETWORKS")
        for name in modules
        if imports.defines(f"stages.detection.{name}", "NETWORKS")
    }
    return [name for name, networks in found.items() if not any(map(needs_both_classes, networks))]


def network_sections(names: list[str]) -> list[str]:
    """The sections of params.yaml from which networks are made: each its own, and what its SECTIONS says."""
    found = [imports.names(training_module(name), "SECTIONS", default=(name,)) for name in names]
    return list(dict.fromkeys(section for sections in found for section in sections))
