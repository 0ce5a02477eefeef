"""What all tests share."""

import os

import pytest

# One thread: networks of a few pixels gain nothing from more, and two busy-waiting pools on one machine lose much. Set
# before torch is imported, and inherited by the stages that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What `make test ARGS=...` was told is not for the calls of make that tests make.
for name in ("ARGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)

pytest_plugins = ["tiny_training", "snakemake_project", "synthetic_results"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: runs whole workflows; leave out with `-m 'not slow'`")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The order in which several processes (`make test`) take files: what starts Snakemake first, it takes longest.

    One file has `smoked` made, which others then find: they come after those that do without.
    """

    paths = list(dict.fromkeys(item.path for item in items))
    using = {item.path for item in items if "smoked" in getattr(item, "fixturenames", ())}
    smoked = [path for path in paths if path in using]
    without = [path for path in paths if path.parent.name == "workflow" and path not in using]
    place = {path: number for number, path in enumerate([*smoked[:1], *without, *smoked[1:]])}
    items.sort(key=lambda item: place.get(item.path, len(place)))
