# What the rules ask about a benchmark: its parameters, its settings, the files that follow from them.

import json
import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from stages import imports, methods, parameters
from stages.errors import InputError

# `python` in a rule is the one that runs Snakemake, whether or not its environment is activated, and prints at once.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    PYTHONUNBUFFERED="1",
)

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


def section(rule, item=None):
    """A rule's part of the parameters as JSON. `item` names the wildcard of its network or class, where it has one."""

    def as_json(wildcards):
        values = benchmark_parameters(wildcards.benchmark)
        return json.dumps(
            parameters.stage_section(values, rule, getattr(wildcards, item or "", None))
        )

    return as_json


def one_of(names):
    """A wildcard constraint: one of the names (no name: nothing matches)."""
    return "|".join(names) or "(?!)"


def code(module):
    """The files that a stage module runs, so that an edit reruns the rule."""
    return imports.files(module, Path(workflow.basedir))


def assets(folder):
    """What a page is made from beside Python, so that an edit reruns the rule."""
    return sorted(
        str(path.relative_to(workflow.basedir))
        for path in Path(workflow.basedir, folder).iterdir()
    )


# Raw data


def phantom_benchmarks():
    return [
        name for name in config["benchmarks"] if "phantom" in benchmark_parameters(name)
    ]


def phantom_module(wildcards):
    anatomy = benchmark_parameters(wildcards.benchmark)["phantom"]["anatomy"]
    return f"stages.data.{anatomy}_phantom"


def reader_module(wildcards):
    return f"stages.data.{benchmark_parameters(wildcards.benchmark)['data']['reader']}"


def raw_folder(wildcards):
    return benchmark_parameters(wildcards.benchmark)["data"]["folder"]


def raw_files(wildcards):
    """The raw data set's folder and what its reader's RAW_INPUTS names below: what comes or goes reruns extraction."""
    folder = Path(raw_folder(wildcards))
    if "phantom" in benchmark_parameters(wildcards.benchmark):
        return [str(folder)]
    patterns = imports.constant(reader_module(wildcards), "RAW_INPUTS")
    below = [path for pattern in patterns for path in folder.glob(pattern)]
    return [str(folder), *sorted(map(str, below))]


def require_raw_data():
    """One sentence for a data set that is not there: what is missing, where it belongs, where it comes from."""
    for benchmark in config["run"]:
        data = benchmark_parameters(benchmark)["data"]
        if benchmark not in phantom_benchmarks() and not Path(data["folder"]).is_dir():
            described = imports.constant(f"stages.data.{data['reader']}", "RAW_DATA")
            raise WorkflowError(
                f"{data['folder']} is not there: benchmark {benchmark} needs its raw data set in (or linked as) this "
                f"folder, {described}"
            )


# Methods and settings


def splits(wildcards):
    """The splits that are scored."""
    return parameters.splits(benchmark_parameters(wildcards.benchmark))


def method_of(wildcards):
    return benchmark_parameters(wildcards.benchmark)["methods"][wildcards.method]


def setting_of(wildcards):
    """The setting behind a folder's name: {"L": 500, "s": 100} for L500_s100."""
    for setting in methods.settings(method_of(wildcards)):
        if methods.setting_name(setting) == wildcards.setting:
            return setting
    raise WorkflowError(
        f"{wildcards.setting} is no setting of methods.{wildcards.method}.grid in params.yaml"
    )


def method_settings(benchmark):
    """Every method with every setting of its grid."""
    for method, values in benchmark_parameters(benchmark)["methods"].items():
        for setting in methods.settings(values):
            yield method, setting


def own_methods():
    """The methods whose maps a rule makes, in any benchmark; the others' maps are put there by someone else."""
    found = [
        name
        for benchmark in config["benchmarks"]
        for name, values in benchmark_parameters(benchmark)["methods"].items()
        if "detector" in values
    ]
    return list(dict.fromkeys(found))


def detector_module(wildcards):
    return f"stages.detection.{method_of(wildcards)['detector']}"


def detect_section(wildcards):
    values = benchmark_parameters(wildcards.benchmark)
    setting = setting_of(wildcards)
    return json.dumps(
        parameters.stage_section(values, "detect", wildcards.method, setting)
    )


def needed_networks(wildcards):
    return methods.networks(method_of(wildcards), setting_of(wildcards))


def needed_checkpoints(wildcards):
    """The checkpoints behind a setting: without guidance, a new classifier changes nothing."""
    return [
        checkpoint_file(wildcards.benchmark, name)
        for name in needed_networks(wildcards)
    ]


def network_arguments(wildcards):
    return [
        f"{name}={checkpoint_file(wildcards.benchmark, name)}"
        for name in needed_networks(wildcards)
    ]


def sampled(stage):
    """The checkpoints that trade_off's or trajectory's method and setting need, as files and as arguments."""

    def needed(wildcards):
        values = benchmark_parameters(wildcards.benchmark)
        method, setting = methods.sampled(values)[stage]
        names = methods.networks(values["methods"][method], setting)
        return {name: checkpoint_file(wildcards.benchmark, name) for name in names}

    def files(wildcards):
        return list(needed(wildcards).values())

    def arguments(wildcards):
        return [f"{name}={file}" for name, file in needed(wildcards).items()]

    return files, arguments


def trade_off_split(wildcards):
    return methods.trade_off_split(benchmark_parameters(wildcards.benchmark))


def latents(wildcards):
    """The images encoded to noise, for the methods that decode them."""
    encode_class = methods.encoding(method_of(wildcards))
    if encode_class is None:
        return []
    return f"results/{wildcards.benchmark}/latents/{encode_class}"


def latents_argument(wildcards):
    return latents(wildcards) and ["--latents", latents(wildcards)]


def map_files(benchmark, method, setting):
    """What a setting's maps are as inputs: the folder that `detect` writes, or someone else's files in it."""
    folder = f"results/{benchmark}/maps/{method}/{setting}"
    values = benchmark_parameters(benchmark)
    if "detector" in values["methods"][method]:
        return [folder]
    return [f"{folder}/{split}/maps.npy" for split in parameters.splits(values)]


def setting_maps(wildcards):
    return map_files(wildcards.benchmark, wildcards.method, wildcards.setting)


# What each milestone leaves behind in a benchmark


def milestone(files):
    """The files of a milestone, for every benchmark that is run."""
    return [file for benchmark in config["run"] for file in files(benchmark)]


def stores(benchmark):
    return [f"results/{benchmark}/data"]


def checkpoint_file(benchmark, network):
    return f"results/{benchmark}/checkpoints/{network}.safetensors"


def networks(benchmark):
    """The checkpoints that any setting of any method needs."""
    needed = methods.networks_in_use(benchmark_parameters(benchmark))
    return [checkpoint_file(benchmark, name) for name in needed]


def anomaly_maps(benchmark):
    """The maps of every setting of every method."""
    return [
        file
        for method, setting in method_settings(benchmark)
        for file in map_files(benchmark, method, methods.setting_name(setting))
    ]


def detections(benchmark):
    """All that the detection chapter makes."""
    extra = methods.sampled(benchmark_parameters(benchmark))
    return anomaly_maps(benchmark) + [
        f"results/{benchmark}/maps/_{stage}" for stage in extra
    ]


def scores(benchmark):
    return [
        f"results/{benchmark}/scores/{method}/{methods.setting_name(setting)}"
        for method, setting in method_settings(benchmark)
    ]


def tables(benchmark):
    folder = f"results/{benchmark}"
    return [
        *(f"{folder}/tables/{name}" for name in table_names(benchmark)),
        f"{folder}/metrics.json",
    ]


# As CSV, from the slice scores.
TABLES = ("comparison", "lesion_size", "paired", "sensitivity", "scores")


def table_names(benchmark):
    names = [
        *(f"{name}.csv" for name in TABLES),
        "comparison.md",
        "comparison.tex",
        "sensitivity.md",
    ]
    return names + ["trade_off.csv"] * ("trade_off" in benchmark_parameters(benchmark))


def csv_tables(benchmark):
    names = [name for name in table_names(benchmark) if name.endswith(".csv")]
    return [f"results/{benchmark}/tables/{name}" for name in names]


# Chapters of a benchmark in the HTML report, which sorts them by name.
PAPER, SUPPLEMENT = "1. The paper's figures", "2. The paper's supplement"
BEYOND, TABLE_PAGE = "3. Beyond the paper", "4. Tables and parameters"


def captioned(name, chapter, title, extension="png"):
    """A figure as an output that the HTML report shows, with the caption of its name."""
    return report(
        f"results/{{benchmark}}/figures/{name}.{extension}",
        caption=f"../report/{name}.rst",
        category="{benchmark}",
        subcategory=chapter,
        labels={"figure": title},
    )


def figure_names(benchmark):
    """The figures of a benchmark: some need several channels, or a grid with L and s or w."""
    values = benchmark_parameters(benchmark)
    shown = methods.settings(values["methods"][values["figures"]["method"]])
    names = ["figure-7-healthy", "settings", "comparison", "lesion-size"]
    if len(values["data"]["channels"]) > 1:
        names += ["figure-3-methods", "supplement-1-diseased", "supplement-2-healthy"]
    else:
        names += ["figure-2-methods", "supplement-3-diseased"]
    if all("L" in setting and {"s", "w"} & set(setting) for setting in shown):
        names += ["figure-4-sensitivity", "figure-5-scales", "figure-6-levels"]
    if "trajectory" in methods.sampled(values):
        names.append("figure-1-scheme")
    if "trade_off" in values:
        names.append("trade-off")
    return names


def figures(benchmark):
    folder = f"results/{benchmark}"
    return [
        *(
            f"{folder}/figures/{name}.{extension}"
            for name in figure_names(benchmark)
            for extension in ("png", "svg", "pdf")
        ),
        f"{folder}/figures/tables.html",
        f"{folder}/explorer.html",
    ]


def exports(benchmark):
    return [f"results/{benchmark}/export"]
