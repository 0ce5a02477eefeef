"""What trained a method: from the literals of its networks' trainings, the key that overrides them, or its entry."""

from pathlib import Path

import pytest

from stages import methods
from stages.parameters import reading, sections


@pytest.fixture
def smoke():
    return reading.benchmark(reading.load(Path(__file__).parents[1] / "params.yaml"), "smoke")


def test_a_method_is_trained_on_what_its_most_informed_network_learns_from(smoke):
    found = sections.section(smoke, "comparison_tables")["trained_on"]
    published = {"vae": "healthy", "intensity": "nothing", "guided-ddim": "labels", "fixed-point-gan": "labels"}
    assert found.items() >= published.items()
    smoke["vae"]["training"]["labels"] = "both"
    smoke["denoiser"]["training"]["labels"] = "healthy"
    assert methods.learns_from(smoke, "denoiser") == "healthy"
    found = sections.section(smoke, "comparison_tables")["trained_on"]
    assert [found[name] for name in ("vae", "guided-ddim", "classifier-free")] == ["labels", "labels", "healthy"]


def test_of_maps_of_someone_else_the_entry_says_it(smoke):
    entry = {"grid": [{}], "setting": {}}
    assert methods.trained_on(smoke, entry) == "unknown"
    assert methods.trained_on(smoke, entry | {"trained_on": "healthy"}) == "healthy"
