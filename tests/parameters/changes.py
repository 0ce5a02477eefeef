"""params.yaml as it is, one key of it changed, and what is then said against it."""

from pathlib import Path

import pytest
import yaml

from stages.errors import InputError
from stages.parameters import reading

ROOT = Path(__file__).resolve().parents[2]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def put(config: dict, path: str, value: object) -> None:
    *parents, last = path.split("/")
    for parent in parents:
        config = config[parent]
    config[last] = value


def refusal(config: dict) -> str:
    with pytest.raises(InputError) as caught:
        reading.load(config)
    return str(caught.value)
