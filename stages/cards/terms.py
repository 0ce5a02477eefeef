"""Under which terms data are used: what terms.yaml says of `data.licence`, or the user's own words."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("terms.yaml")
SPDX = ("Apache-2.0", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "MIT")
HUB = {identifier.lower(): identifier for identifier in SPDX}
"""Licences as the Hugging Face hub spells them -> their SPDX identifier; others are `other` there."""


@dataclass(frozen=True)
class Terms:
    """As terms.yaml describes them."""

    name: str
    provider: str | None
    url: str | None
    licence: str
    images: bool
    terms: str
    cite: list[str]

    @property
    def licence_url(self) -> str | None:
        """Where the licence can be read; None where its words are all there is."""
        return f"https://spdx.org/licenses/{HUB[self.licence]}" if self.licence in HUB else self.url

    def front_matter(self) -> dict[str, str]:
        """The keys about the licence in the YAML head of a card, as the Hugging Face hub reads them."""
        if self.licence != "other":
            return {"license": self.licence}
        words = re.sub(r"[^a-z0-9]+", "-", self.name.partition(",")[0].lower()).strip("-")
        link = {"license_link": self.url} if self.url else {}
        return {"license": "other", "license_name": f"{words}-terms", **link}


def of(licence: str) -> Terms:
    """The terms that `stages.parameters.sections.licence` names; of words that are no name, these words.

    >>> of("msd").licence, of("CC-BY-4.0").licence, of("Not to be passed on.").front_matter()["license"]
    ('cc-by-sa-4.0', 'cc-by-4.0', 'other')
    """
    if licence in known():
        return Terms(**known()[licence])
    hub = licence.lower() if licence.lower() in HUB else "other"
    words = f"The owner of the data set says: {licence}"
    return Terms("a data set of its owner", None, None, hub, images=False, terms=words, cite=[])


@cache
def known() -> dict[str, dict]:
    """The entries of terms.yaml."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))
