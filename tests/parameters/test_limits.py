"""Numbers that no machine could hold, or loop over, are refused before anything is allocated."""

import copy
import string
import time

import pytest
import yaml
from changes import PARAMS, put, refusal

from stages.parameters import reading
from stages.parameters.by_schema import SCHEMA, dotted, schema_problems


def numeric(node, path=()):
    """Every rule of the schema that takes a number."""
    if isinstance(node, dict):
        kinds = node.get("type", [])
        if {"integer", "number"} & {*([kinds] if isinstance(kinds, str) else kinds)}:
            yield path, node
        for key, below in node.items():
            yield from numeric(below, (*path, key))
    elif isinstance(node, list):
        for index, below in enumerate(node):
            yield from numeric(below, (*path, index))


def test_every_number_has_both_bounds():
    rules = dict(numeric(yaml.safe_load(SCHEMA.read_text())["$defs"]))
    assert len(rules) > 100
    for path, rule in rules.items():
        if path[:3] != ("method", "properties", "setting"):  # which has to be one of the grid's
            assert {"minimum", "exclusiveMinimum"} & rule.keys(), path
            assert {"maximum", "exclusiveMaximum"} & rule.keys(), path


def leaves(value, path=()):
    """The path of every number in a benchmark's parameters."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path
    elif isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


@pytest.mark.parametrize("name", ["smoke", "phantom-chest", "brats2020-64"])
@pytest.mark.parametrize("huge", [2**62, 1e300, -(2**62)])
def test_every_number_of_a_benchmark_that_is_beyond_use_is_named(name, huge):
    parameters = copy.deepcopy(reading.benchmark(PARAMS, name))
    paths = {path for path in leaves(parameters) if path[0] != "methods" or path[2] != "setting"}
    for *above, last in paths:
        section = parameters
        for part in above:
            section = section[part]
        section[last] = huge
    named = {path for path, _ in schema_problems(parameters, "parameters")}
    assert {dotted(path) for path in paths - named} == set()


def test_a_grid_is_counted_before_it_is_listed(config):
    keys = {key: list(range(1000)) for key in string.ascii_letters}
    put(config, "benchmarks/smoke/methods/theirs", {"grid": [{}, keys], "setting": {}})
    before = time.process_time()
    message = refusal(config)
    assert time.process_time() - before < 60  # to list it would take longer than there is time
    assert f"theirs.grid has 1{',000' * 51},001 settings, which with the other" in message
    assert "at most 10,000 can be planned, so shorten grids or repeats" in message


def test_repeats_of_a_grid_are_counted_before_they_are_listed(config):
    put(config, "benchmarks/smoke/repeats", {"folds": 10_000, "seeds": list(range(10_000))})
    assert "00,000 runs: at most 10,000 can be planned" in refusal(config)


@pytest.mark.parametrize("timesteps", [20_000, 100_000])
def test_noise_levels_end_where_numbers_do(config, timesteps):
    put(config, "benchmarks/smoke/noise_schedule", {"timesteps": timesteps, "beta": [1e-4, 0.02]})
    assert "smoke.noise_schedule.timesteps must be fewer than" in refusal(config)
    put(config, "benchmarks/smoke/noise_schedule", {"timesteps": timesteps, "beta": [1e-6, 2e-3]})
    reading.load(config)


def test_draws_are_bounded(config):
    peer = {"detector": "gradient", "options": {}, "grid": [{"samples": [10**6], "sigma": [0.1]}], "setting": {}}
    put(config, "benchmarks/smoke/methods/peer", peer)
    assert "peer.grid[0].samples must hold whole numbers from 1 to 10,000, not 1000000" in refusal(config)
