"""`Benchmark`, ready for each test of the evaluation."""

import pytest
from synthetic_benchmark import Benchmark


@pytest.fixture
def new_benchmark():
    """`Benchmark`, for tests of more than one."""
    return Benchmark


@pytest.fixture
def benchmark(tmp_path):
    return Benchmark(tmp_path)


@pytest.fixture
def scored(benchmark):
    benchmark.score_all()
    return benchmark


@pytest.fixture
def repeated(tmp_path):
    """Two folds, three and two test subjects, with two seeds."""
    return Benchmark(tmp_path / "repeated", folds=2, seeds=(0, 1))


@pytest.fixture
def unmasked(tmp_path):
    result = Benchmark(tmp_path / "unmasked")
    result.remove_masks()
    return result
