"""The data card of a slice store."""

import os
import shutil
import subprocess
from argparse import Namespace
from datetime import UTC, datetime

import pytest
from shared_checkpoint import SMOKE

from stages import provenance
from stages.sharing import croissant


def test_a_data_card_dates_and_licenses_nothing_that_it_does_not_know(results):
    own = {**SMOKE, "data": SMOKE["data"] | {"licence": "Not to be passed on."}}
    del own["phantom"]
    days = {datetime.now(UTC).date().isoformat()}
    card = croissant.card("smoke", own, results / "data")
    days.add(datetime.now(UTC).date().isoformat())
    assert card["datePublished"] in days
    assert not card.keys() & {"dateCreated", "url", "creator"}
    assert card["license"] == "The owner of the data set says: Not to be passed on."
    with provenance.job("stages.x", Namespace(parameters={})):
        provenance.note(results / "data")
    made = provenance.of(results / "data").ended
    assert croissant.card("smoke", SMOKE, results / "data")["dateCreated"] == made


def test_the_validator_accepts_the_data_card(shared):
    """In an environment of its own (MLCROISSANT: its mlcroissant), since it brings many packages."""
    validator = os.environ.get("MLCROISSANT") or shutil.which("mlcroissant")
    if validator is None:
        pytest.skip("needs mlcroissant: pipx install mlcroissant")
    card = str(shared / "data" / croissant.FILE)
    run = subprocess.run([validator, "validate", "--jsonld", card], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
