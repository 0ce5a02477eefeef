# What the rules ask about a benchmark: its parameters, its settings, the files that follow from them.

import json
import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from stages import imports, parameters
from stages.errors import InputError

# `python` in a rule is the one that runs Snakemake, whether or not its environment is activated, and prints at once.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    PYTHONUNBUFFERED="1",
)

RAW_DATA = {
    "brats": "case folders as BraTS 2017-2021 have them (<case>/<case>_t1.nii.gz, ...); the BraTS 2020 training set "
    "comes, after registration, from https://www.med.upenn.edu/cbica/brats2020/data.html",
}


# Configuration


def read_params(path):
    """Refuse a params.yaml that is no YAML or names a key twice, which `configfile:` would not notice."""
    try:
        parameters.read(Path(path))
    except InputError as error:
        raise WorkflowError(str(error))


def checked(config):
    """The configuration with `run` as a list; refused, naming the key, before any job starts."""
    try:
        return parameters.load(config)
    except InputError as error:
        raise WorkflowError(str(error))


@cache
def benchmark_parameters(benchmark):
    return parameters.benchmark(config, benchmark)


def section(rule, **extra):
    """A rule's part of the parameters as JSON; `extra` holds functions of the wildcards (None: leave the key out)."""

    def as_json(wildcards):
        values = parameters.stage_section(
            benchmark_parameters(wildcards.benchmark), rule
        )
        values |= {key: function(wildcards) for key, function in extra.items()}
        return json.dumps(
            {key: value for key, value in values.items() if value is not None}
        )

    return as_json


def one_of(names):
    """A wildcard constraint: one of the names (no name: nothing matches)."""
    return "|".join(names) or "(?!)"


def code(module):
    """The files that a stage module runs, so that an edit reruns the rule."""
    return imports.files(module, Path(workflow.basedir))


# Raw data


def phantom_benchmarks():
    return [
        name for name in config["benchmarks"] if "phantom" in benchmark_parameters(name)
    ]


def raw_folder(wildcards):
    return benchmark_parameters(wildcards.benchmark)["data"]["folder"]


def raw_folders(wildcards):
    """The raw data set's folder and the two levels below it (HGG/<case>): a case that comes or goes reruns extraction."""
    folder = Path(raw_folder(wildcards))
    if "phantom" in benchmark_parameters(wildcards.benchmark):
        return [str(folder)]
    below = [path for pattern in ("*/", "*/*/") for path in folder.glob(pattern)]
    return [str(folder), *sorted(map(str, below))]


def require_raw_data():
    """One sentence for a data set that is not there: what is missing, where it belongs, where it comes from."""
    for benchmark in config["run"]:
        values = benchmark_parameters(benchmark)
        if "phantom" not in values and not Path(values["data"]["folder"]).is_dir():
            raise WorkflowError(
                f"{values['data']['folder']} is not there: benchmark {benchmark} needs its raw data set in (or linked "
                f"as) this folder, {RAW_DATA[values['data']['reader']]}"
            )


# Methods and settings


def splits(wildcards):
    """The splits that are scored."""
    counts = benchmark_parameters(wildcards.benchmark)["data"]["split"]
    return [split for split in ("validation", "test") if counts[split] > 0]


def method_of(wildcards):
    return benchmark_parameters(wildcards.benchmark)["methods"][wildcards.method]


def setting_of(wildcards):
    """The setting behind a folder's name: {"L": 500, "s": 100} for L500_s100."""
    for setting in parameters.settings(method_of(wildcards)):
        if parameters.setting_name(setting) == wildcards.setting:
            return setting
    raise WorkflowError(
        f"{wildcards.setting} is no setting of methods.{wildcards.method}.grid in params.yaml"
    )


def method_settings(benchmark):
    """Every method with every setting of its grid, as names of folders."""
    for method, values in benchmark_parameters(benchmark)["methods"].items():
        for setting in parameters.settings(values):
            yield method, parameters.setting_name(setting)


def guided(benchmark):
    """Whether any setting needs the classifier: one whose guidance scale s is above 0."""
    methods = benchmark_parameters(benchmark)["methods"].values()
    return any(
        setting.get("s", 0) > 0
        for method in methods
        if "encode_class" in method
        for setting in parameters.settings(method)
    )


def own_methods():
    """The methods whose maps a rule makes, in any benchmark; the others' maps are put there by someone else."""
    found = [
        name
        for benchmark in config["benchmarks"]
        for name, values in benchmark_parameters(benchmark)["methods"].items()
        if "encode_class" in values
    ]
    return list(dict.fromkeys(found))


def encode_levels(wildcards):
    return parameters.levels(
        benchmark_parameters(wildcards.benchmark), wildcards.encode_class
    )


def latents(wildcards):
    return (
        f"results/{wildcards.benchmark}/latents/{method_of(wildcards)['encode_class']}"
    )


def classifier(wildcards):
    """The classifier's checkpoint, where guidance needs it: without guidance, a new classifier changes nothing."""
    if setting_of(wildcards)["s"] == 0:
        return []
    return f"results/{wildcards.benchmark}/checkpoints/classifier.safetensors"


def classifier_section(wildcards):
    return (
        benchmark_parameters(wildcards.benchmark)["classifier"]
        if setting_of(wildcards)["s"] > 0
        else None
    )


def map_files(benchmark, method, setting):
    """What a setting's maps are as inputs: the folder that decode_ddim writes, or someone else's files in it."""
    folder = f"results/{benchmark}/maps/{method}/{setting}"
    values = benchmark_parameters(benchmark)
    if "encode_class" in values["methods"][method]:
        return [folder]
    counts = values["data"]["split"]
    return [
        f"{folder}/{split}/maps.npy"
        for split in ("validation", "test")
        if counts[split] > 0
    ]


def setting_maps(wildcards):
    return map_files(wildcards.benchmark, wildcards.method, wildcards.setting)


# What each milestone leaves behind in a benchmark


def milestone(files):
    """The files of a milestone, for every benchmark that is run."""
    return [file for benchmark in config["run"] for file in files(benchmark)]


def stores(benchmark):
    return [f"results/{benchmark}/data"]


def networks(benchmark):
    needed = [
        (
            "ddpm",
            any(
                "encode_class" in m
                for m in benchmark_parameters(benchmark)["methods"].values()
            ),
        )
    ]
    needed += [("classifier", guided(benchmark))]
    return [
        f"results/{benchmark}/checkpoints/{name}.safetensors"
        for name, is_needed in needed
        if is_needed
    ]


def anomaly_maps(benchmark):
    return [
        file
        for method, setting in method_settings(benchmark)
        for file in map_files(benchmark, method, setting)
    ]


def scores(benchmark):
    return [
        f"results/{benchmark}/scores/{method}/{setting}"
        for method, setting in method_settings(benchmark)
    ]


def tables(benchmark):
    folder = f"results/{benchmark}"
    return [
        f"{folder}/tables/{name}"
        for name in ("scores.csv", "comparison.csv", "comparison.md")
    ] + [f"{folder}/metrics.json"]


def figures(benchmark):
    folder = f"results/{benchmark}/figures"
    return [
        f"{folder}/{name}.{extension}"
        for name in ("examples", "healthy", "sensitivity")
        for extension in ("png", "svg", "pdf")
    ]
