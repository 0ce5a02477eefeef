"""Prints a benchmark's parameters as JSON: params.yaml's `paper` values with the benchmark's own over them.

With the name of a rule, prints just the part that this rule hands to its stage (`--parameters`). Without a benchmark,
checks those that `run` lists, and prints nothing.
"""

import argparse
import json
from pathlib import Path

from stages import command, methods, repeats
from stages.errors import InputError
from stages.parameters.reading import FILE, benchmark, checked_benchmark, load
from stages.parameters.sections import RULES, section


def main(options: argparse.Namespace) -> None:
    """Print the parameters of a benchmark, or of one of its rules."""
    config = load(options.params)
    if options.benchmark is None:
        for name in config["run"] if isinstance(config["run"], list) else config["run"].split(","):
            checked_benchmark(config, name)
        return
    parameters, setting = benchmark(config, options.benchmark), None
    repeat = repeats.named(parameters, options.repeat) if options.repeat else repeats.first(parameters)
    if options.rule == "detect":
        every = methods.of(parameters)
        known = {name: [one.name for one in methods.settings(method)] for name, method in every.items()}
        if options.setting not in known.get(options.item, ()):
            listed = "; ".join(f"{name} {' '.join(names)}" for name, names in known.items())
            raise InputError(f"detect needs the name of a method and one of its settings: {listed}")
        setting = methods.setting(parameters["methods"][options.item], options.setting)
    elif options.rule == "train" and options.item is None:
        raise InputError("train needs the name of a network, such as denoiser")
    if options.rule:
        parameters = section(parameters, options.rule, options.item, setting, repeat)
    print(json.dumps(parameters, indent=2))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stages.parameters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("benchmark", metavar="BENCHMARK", nargs="?", help="a name below `benchmarks:` of params.yaml")
    parser.add_argument("rule", metavar="RULE", nargs="?", help=f"one of {', '.join(RULES)}")
    parser.add_argument(
        "item", metavar="ITEM", nargs="?", help="train: the network; latents: the class; detect: the method"
    )
    parser.add_argument("setting", metavar="SETTING", nargs="?", help="detect: the setting's name, such as L500_s100")
    parser.add_argument("--repeat", metavar="NAME", help="whose seed a rule is handed, such as fold1-seed0 (the first)")
    parser.add_argument("--params", type=Path, default=Path(FILE), metavar="FILE", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    command.run(main, arguments())
