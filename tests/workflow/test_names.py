"""One word for each thing: a rule, the module that it runs, its log and what it makes are called alike."""

import re

import pytest

from stages.parameters import reading

# Where a key of params.yaml, and not the rule or a wildcard, says which module runs.
NAMED_BY_PARAMETERS = {
    "phantom": lambda values, wildcards: values["phantom"]["anatomy"],
    "extract": lambda values, wildcards: values["data"]["reader"],
    "detect": lambda values, wildcards: values["methods"][wildcards["method"]]["detector"],
}
NAMED_BY_WILDCARD = {"train": "network"}
KIND = re.compile(r"_(maps|tables?|figure|page)$")
"""Several rules are about one thing (trade_off_maps, trade_off_table): the last word says what they make of it."""


@pytest.fixture(scope="module")
def run(every_job):
    """The jobs that run a module."""
    return [job for job in every_job if job.command]


@pytest.fixture(scope="module")
def sharing(run):
    """Module -> the rules that run it."""
    result = {}
    for job in run:
        result.setdefault(job.module, set()).add(job.rule)
    return result


def test_a_log_bears_the_name_of_its_rule(run):
    for job in run:
        parts = [job.rule, *(value for name, value in job.wildcards.items() if name != "benchmark")]
        assert job.log[0] == f"results/{job.benchmark}/logs/{'/'.join(parts)}.log"


def test_a_rule_bears_the_name_of_its_module(run, sharing, root):
    config = reading.read(root / "params.yaml")
    for job in run:
        module = job.module.rpartition(".")[2]
        if job.rule in NAMED_BY_PARAMETERS:
            values = reading.benchmark(config, job.benchmark)
            assert module == NAMED_BY_PARAMETERS[job.rule](values, job.wildcards)
        elif job.rule in NAMED_BY_WILDCARD:
            assert module == job.wildcards[NAMED_BY_WILDCARD[job.rule]]
        elif len(sharing[job.module]) > 1:
            assert job.rule.startswith(f"{module}_"), f"{job.rule} runs {module}"
        else:
            assert job.rule == module


def test_what_a_rule_makes_bears_its_name(run, sharing):
    for job in run:
        module = job.module.rpartition(".")[2]
        if job.rule in NAMED_BY_PARAMETERS:
            continue  # the stores and maps of whatever reader or detector
        if job.rule in NAMED_BY_WILDCARD:
            name = module
        elif len(sharing[job.module]) > 1:
            name = job.rule.removeprefix(f"{module}_")
        else:
            name = KIND.sub("", job.rule)
        paths = [path.removeprefix(f"results/{job.benchmark}/").partition(".")[0] for path in job.output]
        words = ["_" + re.sub("[^a-z0-9]+", "_", path.lower()) + "_" for path in paths]
        assert any(f"_{name}_" in text for text in words), f"{job.rule} makes {job.output}"
