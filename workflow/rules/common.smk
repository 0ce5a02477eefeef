# What the rules ask about a benchmark: its parameters, its settings, the files that follow from them.

import hashlib
import json
import os
import sys
import time
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DAGSettings, DeploymentMethod

# Not workflow.basedir: that is another folder where workflow/Snakefile or a module runs these rules.
sys.path.insert(0, str(Path(workflow.current_basedir).parents[1]))

from stages import channels, dates, imports, methods, repeats, split_lists
from stages.errors import InputError
from stages.parameters import by_schema, inert, reading, sections
from stages.regular_files import first_line, read_regular

# `python` in a rule is the one that runs Snakemake, whether or not its environment is activated, prints at once, and reads
# file names as UTF-8 in every locale.
os.environ.update(
    PATH=os.pathsep.join([os.path.dirname(sys.executable), *os.get_exec_path()]),
    PYTHONUNBUFFERED="1",
    PYTHONUTF8="1",
)

# Configuration


def read_params(path):
    """Refuse a params.yaml that is no YAML or names a key twice, which `configfile:` would not notice."""
    try:
        reading.read(Path(path))
    except InputError as error:
        raise WorkflowError(str(error))


def checked(config):
    """The configuration with `run` as a list; refused, naming the key, before any job starts."""
    try:
        return reading.load(config)
    except InputError as error:
        raise WorkflowError(str(error))


def image():
    """The container image that BENCHMARK_IMAGE names; None without, refused where jobs are to run in one."""
    named = os.environ.get("BENCHMARK_IMAGE")
    if (
        not named
        and DeploymentMethod.APPTAINER in workflow.deployment_settings.deployment_method
    ):
        raise WorkflowError(
            "--sdm apptainer runs jobs in an image, and the variable BENCHMARK_IMAGE, which names it, is not set: "
            "set it to docker://... or to the path of a .sif file"
        )
    return named


@cache
def benchmark_parameters(benchmark):
    return reading.benchmark(config, benchmark)


class Section(str):
    """A rule's part of the parameters, as the JSON that its stage is handed.

    Snakemake tells by the repr of a param whether it has changed: what changes no result is not in it.
    """

    def __new__(cls, values):
        return super().__new__(cls, json.dumps(values))

    def __repr__(self):
        return json.dumps(inert.without_inert(json.loads(self)), sort_keys=True)


def section(rule, item=None):
    """A rule's `Section`. `item` names the wildcard of its network or class, where it has one."""

    def of_job(wildcards):
        values = benchmark_parameters(wildcards.benchmark)
        item_name = getattr(wildcards, item) if item else None
        return Section(
            sections.section(values, rule, item_name, repeat=repeat_of(wildcards))
        )

    return of_job


def one_of(names):
    """A wildcard constraint: one of the names (no name: nothing matches)."""
    return "|".join(names) or "(?!)"


def code(module):
    """The files that a stage module runs, so that an edit reruns the rule."""
    return imports.files(module)


def assets(folder):
    """What a page is made from beside Python, so that an edit reruns the rule."""
    return sorted(str(path) for path in Path(folder).iterdir())


def files_named(values):
    """The files that a section of params.yaml names, such as a user's model: inputs, so that another one reruns."""
    found = values.values() if isinstance(values, dict) else values
    named = [text for text in found if isinstance(text, str) and Path(text).is_file()]
    for file in named:
        if "{" in file:
            raise WorkflowError(
                f"{file}: Snakemake takes braces in a name for wildcards; rename the file, and correct params.yaml"
            )
    nested = [value for value in found if isinstance(value, (dict, list))]
    return named + [file for value in nested for file in files_named(value)]


# Repeats and splits


def repeat_of(wildcards):
    """The repeat that a job names; the first for the jobs that show one repeat without naming it."""
    values = benchmark_parameters(wildcards.benchmark)
    if "repeat" not in wildcards.keys():
        return repeats.first(values)
    try:
        return repeats.named(values, wildcards.repeat)
    except InputError as error:
        raise WorkflowError(str(error))


def repeat_names(benchmark):
    return [repeat.name for repeat in repeats.repeats(benchmark_parameters(benchmark))]


def of_first_repeat(pattern):
    """A path of a benchmark and its first repeat, `{benchmark}` and `{repeat}` filled in."""
    return lambda wildcards: pattern.format(
        benchmark=wildcards.benchmark, repeat=repeat_names(wildcards.benchmark)[0]
    )


def split_list(wildcards):
    """Who is in which split, in the fold of a job's repeat."""
    return f"results/{wildcards.benchmark}/split/fold{repeat_of(wildcards).fold}.csv"


def published_list(wildcards):
    """The list that data.split names, if it does."""
    values = benchmark_parameters(wildcards.benchmark)
    if not sections.named_list(values):
        return []
    return str(split_lists.published(values["data"]["split"]))


# Networks


def training_gpus(wildcards):
    """The cards that train a network together; none for a model that is fitted."""
    if methods.is_fitted(wildcards.network):
        return 0
    values = benchmark_parameters(wildcards.benchmark)
    return values[wildcards.network]["training"]["gpus"]


# Methods and settings


def splits(wildcards):
    """The splits that are scored."""
    return sections.splits(benchmark_parameters(wildcards.benchmark))


def method_of(wildcards):
    return benchmark_parameters(wildcards.benchmark)["methods"][wildcards.method]


def setting_of(wildcards):
    """The setting that bears a folder's name."""
    try:
        return methods.setting(method_of(wildcards), wildcards.setting)
    except InputError as error:
        raise WorkflowError(f"methods.{wildcards.method}: {error}")


def method_settings(benchmark):
    """Every method with every setting of its grid."""
    for method, values in methods.of(benchmark_parameters(benchmark)).items():
        for setting in methods.settings(values):
            yield method, setting


def own_methods():
    """The methods whose maps a rule makes, in any benchmark; the others' maps are put there by someone else."""
    found = [
        name
        for benchmark in config["benchmarks"]
        for name, values in methods.of(benchmark_parameters(benchmark)).items()
        if "detector" in values
    ]
    return list(dict.fromkeys(found))


def detector_module(wildcards):
    return methods.module(method_of(wildcards))


def option_files(wildcards):
    return files_named(method_of(wildcards).get("options", {}))


def detect_section(wildcards):
    values = benchmark_parameters(wildcards.benchmark)
    setting = setting_of(wildcards)
    return Section(
        sections.section(
            values, "detect", wildcards.method, setting, repeat_of(wildcards)
        )
    )


def detect_networks(wildcards):
    """The networks behind a setting: without guidance, a new classifier changes nothing."""
    return methods.networks(method_of(wildcards), setting_of(wildcards))


def sampled_networks(stage):
    """The networks that the method and setting of trade_off_maps or trajectory need."""

    def names(wildcards):
        values = benchmark_parameters(wildcards.benchmark)
        method, setting = methods.sampled(values)[stage]
        return methods.networks(values["methods"][method], setting)

    return names


def checkpoints_of(networks):
    """The checkpoints of a rule's networks, as inputs; `networks` names them by the wildcards."""
    return lambda wildcards: [
        checkpoint_file(wildcards.benchmark, wildcards.repeat, name)
        for name in networks(wildcards)
    ]


def arguments_of(networks):
    """The same as arguments of the stage, NAME=FILE."""
    return lambda wildcards: [
        f"{name}={checkpoint_file(wildcards.benchmark, wildcards.repeat, name)}"
        for name in networks(wildcards)
    ]


def trade_off_split(wildcards):
    return methods.trade_off_split(benchmark_parameters(wildcards.benchmark))


def latents_of(wildcards):
    """The images encoded to noise, for the methods that decode them."""
    encode_class = methods.encoding(method_of(wildcards))
    if encode_class is None:
        return []
    return f"results/{wildcards.benchmark}/latents/{wildcards.repeat}/{encode_class}"


def latents_argument(wildcards):
    return latents_of(wildcards) and ["--latents", latents_of(wildcards)]


@cache
def shard_count(benchmark, folder):
    """Into how many jobs the making of a folder is cut: `detection.shards`, but what is there keeps its number.

    Snakemake runs again what has other inputs than those that it was made from; so another number reruns nothing. Where
    the cost.json that says it is damaged, or says what no key could, nothing is known.
    """
    try:
        made = json.loads(read_regular(Path(folder, "cost.json"), 2**16)).get(
            "shards", 1
        )
    except (OSError, ValueError, AttributeError, RecursionError):
        made = None
    if any(by_schema.schema_problems(made, "shards")):
        return benchmark_parameters(benchmark)["detection"]["shards"]
    return made


def shards(folder, parts):
    """The shards that a folder is joined from, `{wildcards}` filled in; for one shard what no rule makes, as no join is.

    Snakemake then takes the other rule. Joins run where Snakemake does, so no job on a cluster asks this again.
    """

    def of_job(wildcards):
        names = dict(wildcards.items())
        count = shard_count(wildcards.benchmark, folder.format(**names))
        below = parts.format(**names)
        if count == 1:
            return f"{below}/not-sharded"
        return [f"{below}/{number + 1}-of-{count}" for number in range(count)]

    return of_job


def minutes(wildcards):
    """What a job of latents or detect, or a shard of it, asks of a cluster: more is not needed by a retry, which goes on.

    Sampling passes L of T noise levels; what does not sample takes the least.
    """
    values = benchmark_parameters(wildcards.benchmark)
    if "encode_class" in wildcards.keys():
        level = max(sections.levels(values, wildcards.encode_class), default=0)
    else:
        level = dict(setting_of(wildcards)).get("L", 0)
    count = int(wildcards.get("shard", "1-of-1").partition("-of-")[2])
    share = level / values["noise_schedule"]["timesteps"] / count
    return max(30, round(values["detection"]["runtime_minutes"] * share))


def map_files(benchmark, repeat, method, setting):
    """What a setting's maps are as inputs: the folder that `detect` writes, or someone else's files in it."""
    folder = f"results/{benchmark}/maps/{repeat}/{method}/{setting}"
    values = benchmark_parameters(benchmark)
    if "detector" in values["methods"][method]:
        return [folder]
    found = [f"{folder}/{split}/maps.npy" for split in sections.splits(values)]
    beside = ("slices.csv", "images.csv", "images.npy")  # where they are
    lists = [str(Path(maps).with_name(name)) for maps in found for name in beside]
    return found + [path for path in lists if Path(path).exists()]


def setting_maps(wildcards):
    return map_files(
        wildcards.benchmark, wildcards.repeat, wildcards.method, wildcards.setting
    )
