"""The model card of a checkpoint: what trained it, on which data, how long, what it is good for and under which terms.

Markdown with a YAML head as the Hugging Face hub reads it. Training writes it beside the checkpoint, `make share` again
with the scores that the tables have by then. Its words are in model_card.md.j2, which is no code: a word that is
corrected there trains nothing again. Nothing reads a card.
"""

import ast
import csv
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import yaml

from stages import checkpoint, methods, provenance
from stages.cards import terms
from stages.data.store import SliceStore
from stages.errors import InputError
from stages.imports import ROOT
from stages.regular_files import read_regular
from stages.writing import replacing

_FOLDER = Path(__file__).parent
_COUNTS = ("step", "slices")
_RATES = (*_COUNTS, "learning_rate", "images_per_second")
_BYTES = 2**24
"""Of metrics.csv, more than any."""


def render(template: str, **values: Any) -> str:
    """A template of this folder, filled in."""
    environment = jinja2.Environment(keep_trailing_newline=True, undefined=jinja2.StrictUndefined, autoescape=False)
    return environment.from_string((_FOLDER / template).read_text(encoding="utf-8")).render(**values)


def head(keys: dict[str, Any]) -> str:
    """Keys as the YAML head of a card."""
    return yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)


def front_matter(found: terms.Terms | None, library: str = "pytorch") -> dict[str, Any]:
    """What all heads of cards say, of a network or of a folder of them."""
    licence = found.front_matter() if found else {"license": "other", "license_name": "not-said"}
    tags = ["anomaly-detection", "medical-imaging", "diffusion"]
    return {**licence, "library_name": library, "tags": tags, "metrics": ["dice", "roc_auc"]}


def text(
    path: Path, metrics: Path, licence: str | None, store: SliceStore, benchmark: str | None, results: str | None = None
) -> str:
    """The card of a checkpoint.

    Args:
        path: <network>.safetensors, with its provenance beside it where that is known.
        metrics: metrics.csv of its training, which need not be there.
        licence: as stages.parameters.sections.licence has it.
        store: the slices that trained it.
        benchmark: whose it is, where that is known.
        results: the scores of the methods that use it, as a Markdown table.

    Raises:
        InputError: as stages.checkpoint.load and `last_losses`.
    """
    tensors, header = checkpoint.load(path)
    found, parameters, network = terms.of(licence) if licence else None, header["parameters"], path.stem
    fitted = methods.is_fitted(network)
    made = provenance.of(path) if provenance.beside(path).exists() else None
    return render(
        "model_card.md.j2",
        head=head(front_matter(found, "safetensors" if fitted else "pytorch")),
        network=network,
        arrays={name: (*value.shape,) for name, value in tensors.items()} if fitted else None,
        benchmark=benchmark,
        repeat=header.get("repeat"),
        summary=_summary(network),
        count=f"{sum(value.numel() for name, value in tensors.items() if not name.startswith(checkpoint.EMA)):,}",
        parameters=parameters,
        parameters_json=json.dumps(parameters, indent=2, sort_keys=True),
        header=header,
        terms=found,
        trained_on=methods.TRAINED_ON[methods.learns_from(parameters, network)],
        made=asdict(made) if made else None,
        losses=last_losses(metrics),
        slices=f"{len(store):,} slices of {store.manifest['subject_id'].nunique():,} subjects",
        results=results,
        phantom=licence == "phantom",
    )


def write(path: Path, metrics: Path, licence: str | None, store: SliceStore) -> None:
    """Write the card beside the checkpoint, <network>.md."""
    benchmark = path.parents[2].name if path.parents[1].name == "checkpoints" else None
    with replacing(path.with_suffix(".md")) as partial:
        partial.write_text(text(path, metrics, licence, store, benchmark), encoding="utf-8")


def _summary(network: str) -> str:
    """The first line of what the network's training module says of itself."""
    module = ROOT / f"stages/training/{network}.py"
    words = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) if module.is_file() else None
    return words.partition("\n")[0] if words else ""


def last_losses(metrics: Path) -> dict[str, str]:
    """The last value of each term of metrics.csv, as it is written there; nothing where there is no such file.

    Its rows are a training's steps, or one row with the number of slices that a model was fitted to.

    Raises:
        InputError: it is no table of numbers with a step, or slices, in each row.
    """
    if not os.path.lexists(metrics):
        return {}
    try:
        lines = read_regular(metrics, _BYTES).decode().splitlines()
        columns, *rows = list(csv.reader(lines, strict=True)) or [["step"]]
        if columns[0] not in _COUNTS or len(set(columns)) != len(columns):
            raise ValueError("its columns are not step or slices, and losses")
        for row in rows:
            if int(row[0]) < 0 or not all(math.isfinite(float(value or 0)) for value in row[1:]):
                raise ValueError(f"a row is not of finite numbers: {','.join(row)}")
        named = [dict(zip(columns, row, strict=True)) for row in rows]
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise InputError(
            f"{metrics} is no table of a training's losses ({error}): delete it, or fetch it again"
        ) from error
    return {name: value for row in named for name, value in row.items() if value and name not in _RATES}
