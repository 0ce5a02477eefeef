"""Prints a benchmark's parameters as JSON: params.yaml's `paper` values with the benchmark's own over them.

With the name of a rule, prints just the part that this rule hands to its stage (`--parameters`).
This is the one module that reads and merges params.yaml; `load` refuses what is wrong before any job starts.
"""

import argparse
import json
from pathlib import Path

import yaml

from stages import command
from stages.checks import schema_problems
from stages.cross_checks import cross_problems
from stages.errors import InputError
from stages.methods import encoding, network_sections, networks, sampled, setting_name, settings, total

FILE = "params.yaml"

# The keys of the merged parameters that each rule's stage uses: changing one reruns these rules and what follows them.
# `extract`, `train` and `detect` run a module by the name of a reader, network or method, whose own sections are added.
_SLICES = ("seed", "data.channels", "methods", "figures.method")
STAGE_KEYS = {
    "generate_phantom": ["seed", "phantom"],
    "extract": [
        "seed",
        "data.reader",
        "data.channels",
        "data.size",
        "data.split",
        "data.published_slices",
        "data.on_bad_case",
    ],
    "train": ["seed", "data.size", "data.channels"],
    "encode_ddim": ["seed", "data.size", "data.channels", "diffusion", "detection", "ddpm"],
    "detect": ["seed", "data.size", "data.channels", "detection.batch", "detection.weights", "detection.precision"],
    "trade_off": [
        "seed",
        "data.size",
        "data.channels",
        "diffusion",
        "detection.convention",
        "detection.batch",
        "detection.weights",
        "detection.precision",
        "trade_off.slices",
        "trade_off.solvers",
    ],
    "trajectory": ["seed", "data.size", "data.channels", "diffusion", "detection"],
    "score": ["data.size", "evaluation.lesion_pixels_at_256"],
    "tabulate": ["seed", "evaluation.bootstrap", "evaluation.size_groups", "methods"],
    "score_trade_off": ["evaluation.lesion_pixels_at_256"],
    "figure_1": ["data.channels"],
    "figure_2": [*_SLICES, "figures.diseased_slices"],
    "figure_3": [*_SLICES, "figures.diseased_slices"],
    "figure_4": ["methods", "figures.method", "figures.published"],
    "figure_5": [*_SLICES],
    "figure_6": [*_SLICES],
    "figure_7": [*_SLICES, "figures.healthy_slices"],
    "supplement_1": [*_SLICES, "figures.diseased_slices", "figures.supplement_slices"],
    "supplement_2": [*_SLICES, "figures.healthy_slices", "figures.supplement_slices"],
    "supplement_3": [*_SLICES, "figures.diseased_slices", "figures.supplement_slices"],
    "plot_settings": ["methods"],
    "plot_comparison": ["methods"],
    "plot_lesion_size": ["methods"],
    "plot_trade_off": ["trade_off.setting", "trade_off.solvers"],
    "show_tables": [],
    "build_explorer": [*_SLICES, "figures.explorer_slices", "figures.explorer_megabytes"],
    "export": [*_SLICES, "data.reader", "data.size"],
}


def load(source: Path | str | dict) -> dict:
    """The whole configuration, checked: every benchmark, merged, against the schema and against itself.

    `source` is a path to a params.yaml, or its content as Snakemake holds it (`config`, where `--config run=NAME` may
    have put a text or a comma-separated list in place of the list). Returns the content with `run` as a list.
    Raises InputError with one sentence that names the file and the key as the user wrote it.
    """
    config = source if isinstance(source, dict) else read(Path(source))
    file = FILE if isinstance(source, dict) else Path(source).name
    for path, sentence in schema_problems(config, "file"):
        raise InputError(f"{file}: {dotted(path)} {sentence}")
    for path, sentence in schema_problems(config["paper"], "parameters"):
        raise InputError(f"{file}: {dotted(('paper', *path))} {sentence}")
    run = config["run"]
    names = [name.strip() for name in run.split(",")] if isinstance(run, str) else run
    for name in names:
        if name not in config["benchmarks"]:
            raise InputError(f"{file}: run names '{name}', but benchmarks has only {', '.join(config['benchmarks'])}")
    for name in config["benchmarks"]:
        benchmark(config, name, file)
    return {**config, "run": list(dict.fromkeys(names))}


def benchmark(config: dict, name: str, file: str = FILE) -> dict:
    """The parameters of benchmark `name`: `paper` with `benchmarks.<name>` merged over it, checked (InputError)."""
    if name not in config["benchmarks"]:
        raise InputError(f"{file}: benchmarks has no '{name}', only {', '.join(config['benchmarks'])}")
    overrides = config["benchmarks"][name] or {}
    parameters = deep_merge(config["paper"], overrides)
    for check, argument in ((schema_problems, "parameters"), (cross_problems, name)):
        for path, sentence in check(parameters, argument):
            owner = (
                ("benchmarks", name) if _written(overrides, path) or not _written(config["paper"], path) else ("paper",)
            )
            context = f" (in benchmark {name})" if owner == ("paper",) else ""
            raise InputError(f"{file}: {dotted((*owner, *path))} {sentence}{context}")
    for method, values in parameters["methods"].items():
        named = {}
        for setting in settings(values):
            if named.setdefault(setting_name(setting), setting) != setting:
                key = dotted(("benchmarks", name, "methods", method, "grid"))
                raise InputError(f"{file}: {key} has two settings that would both be named {setting_name(setting)}")
    return parameters


def deep_merge(base: dict, overrides: dict) -> dict:
    """`base` with `overrides` over it: sections merge, lists and scalars replace, null removes (RFC 7396)."""
    result = dict(base)
    for key, value in overrides.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = deep_merge(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result


def splits(parameters: dict) -> list[str]:
    """The splits that are scored: those of validation and test that have a subject (or an image of any class)."""
    return [split for split in ("validation", "test") if total(parameters["data"]["split"][split])]


def levels(parameters: dict, encode_class: str | None = None) -> list[int]:
    """The noise levels L, ascending, at which any method that encodes under `encode_class` (None: any) needs x_L."""
    return sorted(
        {
            setting["L"]
            for method in parameters["methods"].values()
            if encode_class in (None, encoding(method)) and encoding(method)
            for setting in settings(method)
        }
    )


def stage_section(parameters: dict, stage: str, item: str | None = None, setting: dict | None = None) -> dict:
    """The part of a benchmark's parameters that rule `stage` hands to its stage, nested as in params.yaml.

    Args:
        parameters: of the benchmark, merged.
        stage: the rule.
        item: for `train` the network, for `encode_ddim` the class (adds `levels`), for `detect` the method (adds its
            `options` and `setting`).
        setting: for `detect`, out of the method's grid.
    """
    if stage not in STAGE_KEYS:
        raise InputError(f"there is no rule '{stage}' with parameters, only {', '.join(STAGE_KEYS)}")
    keys, extra = list(STAGE_KEYS[stage]), {}
    if stage in ("extract", "export"):
        keys.append(f"data.{parameters['data']['reader']}")
    elif stage == "train":
        keys += network_sections([item])
    elif stage == "encode_ddim":
        extra = {"levels": levels(parameters, item)}
    elif stage == "detect":
        method = parameters["methods"][item]
        keys += network_sections(networks(method, setting))
        if "diffusion" in keys:
            keys.append("detection")
        extra = {"options": method.get("options", {}), "setting": setting}
    elif stage in ("trade_off", "trajectory"):
        method, setting = sampled(parameters)[stage]
        keys += network_sections(networks(parameters["methods"][method], setting))
        extra = {"options": parameters["methods"][method]["options"], "setting": setting}
    elif stage == "show_tables":
        return parameters
    section = {}
    for key in keys:
        *parents, last = key.split(".")
        source, target = parameters, section
        for parent in parents:
            source, target = source[parent], target.setdefault(parent, {})
        if last in source:  # optional keys, such as phantom, may be absent
            target[last] = source[last]
    return section | extra


def dotted(path: tuple[str | int, ...]) -> str:
    """A path as a user reads it: ("methods", "diffusion", "grid", 0, "L") is methods.diffusion.grid[0].L."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "the file"


def _written(section: object, path: tuple[str | int, ...]) -> bool:
    """Whether `section` itself holds what `path` leads to."""
    for part in path:
        try:
            section = section[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def read(path: Path) -> dict:
    """A YAML file's content; keys that appear twice, which YAML lets the last win silently, are refused."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        content = yaml.safe_load(text)
    except FileNotFoundError:
        raise InputError(f"{path} is not there: run this from the folder that holds it") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        raise InputError(f"{path.name}{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if node is not None:
        _refuse_repeated_keys(node, path.name, ())
    return content


def _refuse_repeated_keys(node: yaml.Node, file: str, path: tuple[str | int, ...]) -> None:
    if isinstance(node, yaml.MappingNode):
        seen = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in seen:
                first = seen[key.value]
                raise InputError(f"{file}: {dotted((*path, key.value))} stands twice, on lines {first} and {line}")
            seen[key.value] = line
            _refuse_repeated_keys(value, file, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _refuse_repeated_keys(value, file, (*path, index))


def main(options: argparse.Namespace) -> None:
    """Print the parameters of a benchmark, or of one of its rules."""
    parameters = benchmark(load(options.params), options.benchmark)
    if options.rule == "detect":
        grids = {name: {setting_name(s): s for s in settings(method)} for name, method in parameters["methods"].items()}
        if options.item not in grids or options.setting not in grids[options.item]:
            known = "; ".join(f"{name} {' '.join(grid)}" for name, grid in grids.items())
            raise InputError(f"detect needs the name of a method and one of its settings: {known}")
        parameters = stage_section(parameters, "detect", options.item, grids[options.item][options.setting])
    elif options.rule:
        if options.rule == "train" and options.item is None:
            raise InputError("train needs the name of a network, such as ddpm")
        parameters = stage_section(parameters, options.rule, options.item)
    print(json.dumps(parameters, indent=2))


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.parameters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", metavar="BENCHMARK", help="a name below `benchmarks:` of params.yaml")
    parser.add_argument("rule", metavar="RULE", nargs="?", help=f"one of {', '.join(STAGE_KEYS)}")
    parser.add_argument(
        "item", metavar="ITEM", nargs="?", help="train: the network; encode_ddim: the class; detect: the method"
    )
    parser.add_argument("setting", metavar="SETTING", nargs="?", help="detect: the setting's name, such as L500_s100")
    parser.add_argument("--params", type=Path, default=Path(FILE), metavar="FILE", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    command.run(main, arguments())
