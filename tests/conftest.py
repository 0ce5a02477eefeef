"""What all tests share."""

import os

import pytest

# One thread: networks of a few pixels gain nothing from more, and two busy-waiting pools on one machine lose much. Set
# before torch is imported, and inherited by the stages that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tiny_training", "snakemake_project", "synthetic_results"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: runs whole workflows; leave out with `-m 'not slow'`")
