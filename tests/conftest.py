"""What all tests share."""

import os

import pytest

# One thread: networks of a few pixels gain nothing from more, and two busy-waiting pools on one machine lose much. Set
# before torch is imported, and inherited by the stages that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["tiny_training", "snakemake_project", "synthetic_results"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: runs whole workflows; leave out with `-m 'not slow'`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: of several processes (`make test`) none is left alone with one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
