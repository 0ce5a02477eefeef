"""The part of a benchmark's parameters that each rule hands to its stage: a changed key reruns what uses it alone."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from stages import imports, methods, split_lists
from stages.errors import InputError
from stages.parameters.by_schema import value_at
from stages.parameters.inert import without_inert
from stages.repeats import Repeat, first

# The keys of the merged parameters that each rule's stage uses. What depends on a name (reader, network, class, method)
# is added by `section`. `tables_page` shows all parameters but inert ones, of which it would show what they once were.
_IMAGE = ("data.size", "data.channels")
_DETECTION = ("seed", *_IMAGE, "compile", "detection.batch", "detection.precision")
_SHOWN = ("seed", "repeats", "data.channels", "detection.difference", "methods", "figures.method")
RULES = {
    "phantom": ("seed", "phantom"),
    "extract": (*_IMAGE, "data.reader", "data.on_bad_case"),
    "split": ("seed", "data.reader", "data.split", "data.published_slices"),
    "train": ("seed", *_IMAGE, "compile"),
    "latents": _DETECTION,
    "detect": _DETECTION,
    "trade_off_maps": (
        *_DETECTION,
        "detection.convention",
        "detection.difference",
        "trade_off.slices",
        "trade_off.solvers",
    ),
    "trajectory": _DETECTION,
    "scores": ("evaluation.lesion_pixels_at_256", "evaluation.healthy_quantile"),
    "comparison_tables": ("seed", "repeats", "evaluation.bootstrap", "evaluation.size_groups", "methods"),
    "trade_off_table": ("evaluation.lesion_pixels_at_256",),
    "scheme": ("data.channels", "detection.difference"),
    "examples_figure_2": (*_SHOWN, "figures.diseased_slices"),
    "examples_figure_3": (*_SHOWN, "figures.diseased_slices"),
    "examples_figure_7": (*_SHOWN, "figures.healthy_slices"),
    "examples_supplement_1": (*_SHOWN, "figures.diseased_slices", "figures.supplement_slices"),
    "examples_supplement_2": (*_SHOWN, "figures.healthy_slices", "figures.supplement_slices"),
    "examples_supplement_3": (*_SHOWN, "figures.diseased_slices", "figures.supplement_slices"),
    "sensitivity_figure_4": ("methods", "figures.method", "figures.published"),
    "sensitivity_settings": ("methods",),
    "sensitivity_heatmap": ("methods",),
    "sweep_figure_5": _SHOWN,
    "sweep_figure_6": _SHOWN,
    "comparison_figure": ("methods",),
    "lesion_size": ("methods",),
    "trade_off_figure": ("trade_off.setting", "trade_off.solvers"),
    "tables_page": (),
    "explorer": (*_SHOWN, "figures.explorer_slices", "figures.explorer_volumes", "figures.explorer_megabytes"),
    "export": (*_SHOWN, "data.reader", "data.size"),
}
REPEATED = ("train", "latents", "detect", "trade_off_maps", "trajectory")
"""The rules that draw from the seed of a repeat, not from that of the benchmark."""


def section(
    parameters: dict,
    rule: str,
    item: str | None = None,
    setting: Mapping | None = None,
    repeat: Repeat | None = None,
) -> dict:
    """The part of a benchmark's parameters that rule `rule` hands to its stage, nested as in params.yaml.

    Args:
        parameters: of the benchmark, merged.
        rule: its name.
        item: for `train` the network (adds `licence`), for `latents` the class (adds `levels`), for `detect` the method
            (adds its `options`, `setting` and `kept`); `comparison_tables` adds `trained_on`, method -> word.
        setting: for `detect`, out of the method's grid.
        repeat: for the rules in `REPEATED`, whose `seed` is the repeat's; the first where it is left out.

    Raises:
        InputError: there is no such rule.
    """
    if rule not in RULES:
        raise InputError(f"there is no rule '{rule}' with parameters, only {', '.join(RULES)}")
    if rule == "tables_page":
        return without_inert(parameters)
    keys = list(RULES[rule])
    extra: dict[str, Any] = {}
    if rule in ("extract", "export"):
        if (reader := parameters["data"]["reader"]) in parameters["data"]:  # one that takes no options needs no section
            keys.append(f"data.{reader}")
    elif rule == "train":
        keys += methods.network_sections([item] if item else [])
        extra = {"licence": licence(parameters)}
    elif rule == "comparison_tables":
        found = methods.of(parameters)
        extra = {"trained_on": {name: methods.trained_on(parameters, method) for name, method in found.items()}}
    elif rule == "latents":
        keys += [*_of_networks(["denoiser"]), *methods.encoder_parameters()]
        extra = {"levels": levels(parameters, item)}
    elif rule == "detect":
        method = parameters["methods"][item]
        keys += [*_of_networks(methods.networks(method, setting or {})), *methods.parameters_of(method)]
        extra = {"options": method.get("options", {}), "setting": dict(setting or {})}
        extra["kept"] = kept(parameters, method, setting or {})
    elif rule in ("trade_off_maps", "trajectory"):
        name, setting = methods.sampled(parameters)[rule]
        method = parameters["methods"][name]
        keys += _of_networks(methods.networks(method, setting))
        if rule == "trajectory":  # the other rule brings its own solvers and strides
            keys += methods.parameters_of(method)
        extra = {"options": method["options"], "setting": dict(setting)}
    if rule in REPEATED:
        parameters = parameters | {"seed": (repeat or first(parameters)).seed}
    return _only(parameters, keys) | extra


def kept(parameters: dict, method: dict, setting: Mapping) -> dict[str, Any]:
    """Of which slices a method's maps are made at a setting, and how many test slices keep their reconstructions.

    Healthy ones are needed where a setting is chosen, at the reported one, and everywhere without masks: there maps are
    judged by nothing but how they tell diseased slices from healthy ones. The rest is `stages.detection.selected`'s.
    """
    reported = method["setting"]
    healthy = reported == "validation" or dict(setting) == reported or not masked(parameters)
    return {"healthy": healthy, "reconstructions": parameters["detection"].get("kept_slices")}


def licence(parameters: dict) -> str | None:
    """Under which terms a benchmark's data are used, as stages.cards.terms knows them; None where nobody says it."""
    return "phantom" if "phantom" in parameters else parameters["data"].get("licence")


def masked(parameters: dict) -> bool:
    """Whether a data set has masks: a reader's literal MASKS names the key of its section without which it has none."""
    data = parameters["data"]
    module = f"stages.data.{data['reader']}"
    return not imports.defines(module, "MASKS") or imports.constant(module, "MASKS") in data.get(data["reader"], {})


def identity(parameters: dict, repeat: Repeat, method: str, setting: Mapping) -> str:
    """SHA-256 (hex) of all parameters that make the slice scores of a method's setting in a repeat.

    These are the sections of the rules on the way there without the keys that change no result, and what these rules
    know beside them: the fold, the raw data set, the split list that data.split names, the detector. The code is not
    among them, nor are someone else's maps, nor which reconstructions are kept where every slice has a map.
    """
    values, data = parameters["methods"][method], parameters["data"]
    split_list = split_lists.published(data["split"]) if named_list(parameters) else None
    made_from: dict[str, Any] = {
        "raw": section(parameters, "phantom") if "phantom" in parameters else data["folder"],
        "extract": section(parameters, "extract"),
        "fold": repeat.fold,
        "split": section(parameters, "split"),
        "list": split_list and hashlib.sha256(split_list.read_bytes()).hexdigest(),
        "scores": section(parameters, "scores"),
        "setting": dict(setting),
    }
    if "detector" in values:
        networks = methods.networks(values, setting)
        detect = section(parameters, "detect", method, setting, repeat)
        if detect["kept"]["healthy"]:
            del detect["kept"]
        made_from |= {
            "train": {name: section(parameters, "train", name, repeat=repeat) for name in networks},
            "detector": values["detector"],
            "detect": detect,
        }
        if encode_class := methods.encoding(values):
            latents = section(parameters, "latents", encode_class, repeat=repeat)
            # On the way to a higher level x_L is the same.
            made_from["latents"] = latents | {"levels": [setting["L"]]}
    return hashlib.sha256(json.dumps(_result_keys(made_from), sort_keys=True).encode()).hexdigest()


def _result_keys(sections: dict) -> dict:
    """Sections, also nested ones, without the keys that change no result."""
    nested = {name: without_inert(values) for name, values in sections.get("train", {}).items()}
    plain = {name: without_inert(values) if isinstance(values, dict) else values for name, values in sections.items()}
    return plain | {"train": nested}


def named_list(parameters: dict) -> bool:
    """Whether data.split names a list of workflow/splits/."""
    split = parameters["data"]["split"]
    return isinstance(split, str) and split != split_lists.RAW


def _of_networks(names: list[str]) -> list[str]:
    """What the networks are made from, and which of their weights are taken; a fitted model has no average."""
    averaged = not all(map(methods.is_fitted, names))
    return [*methods.network_sections(names), *(["detection.weights"] if averaged else [])]


def _only(parameters: dict, keys: list[str]) -> dict:
    """The given keys, each where it stands in the parameters; optional ones, such as phantom, may be absent."""
    result: dict = {}
    for key in keys:
        *above, last = key.split(".")
        source = value_at(parameters, tuple(above))
        if last in source:
            target = result
            for part in above:
                target = target.setdefault(part, {})
            target[last] = source[last]
    return result


def splits(parameters: dict) -> list[str]:
    """The splits that are scored: those of validation and test that data.split gives anything."""
    return [split for split in ("validation", "test") if split_lists.has(parameters["data"], split)]


def levels(parameters: dict, encode_class: str | None = None) -> list[int]:
    """The noise levels L, ascending, at which any method that encodes under `encode_class` (None: any) needs x_L."""
    return sorted(
        {
            setting["L"]
            for method in methods.of(parameters).values()
            if encode_class in (None, methods.encoding(method)) and methods.encoding(method)
            for setting in methods.settings(method)
        }
    )
