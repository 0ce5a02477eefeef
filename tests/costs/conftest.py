"""The smallest benchmark of params.yaml."""

import copy

import pytest

from stages.parameters import reading


@pytest.fixture(scope="session")
def config(root):
    """All of params.yaml."""
    return reading.load(root / "params.yaml")


@pytest.fixture
def smoke(config):
    """The merged parameters of `smoke`, to be changed."""
    return copy.deepcopy(reading.benchmark(config, "smoke"))
