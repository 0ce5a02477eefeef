"""The model card of a checkpoint: what trained it, on which data, how long, what it is good for and under which terms.

Markdown with a YAML head as the Hugging Face hub reads it. Training writes it beside the checkpoint, `make share` again
with the scores that the tables have by then. Its words are in model_card.md.j2, which is no code: a word that is
corrected there trains nothing again. Nothing reads a card.
"""

import ast
import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
import yaml

from stages import checkpoint, methods, provenance
from stages.cards import terms
from stages.imports import ROOT
from stages.writing import replacing

_FOLDER = Path(__file__).parent


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


def text(path: Path, metrics: Path, licence: str | None, slices: str | None = None, results: str | None = None) -> str:
    """The card of a checkpoint.

    Args:
        path: <network>.safetensors, with its provenance beside it where that is known.
        metrics: metrics.csv of its training, which need not be there.
        licence: as stages.parameters.sections.licence has it.
        slices: how many trained it, in words.
        results: the scores of the methods that use it, as a Markdown table.

    Raises:
        InputError: as stages.checkpoint.load.
    """
    tensors, header = checkpoint.load(path)
    found, parameters, network = terms.of(licence) if licence else None, header["parameters"], path.stem
    fitted = methods.is_fitted(network)
    made = provenance.of(path) if provenance.beside(path).exists() else None
    benchmark = path.parents[2].name if path.parents[1].name == "checkpoints" else None
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
        losses=_last_losses(metrics),
        slices=slices,
        results=results,
        phantom=licence == "phantom",
    )


def write(path: Path, metrics: Path, licence: str | None, slices: str) -> None:
    """Write the card beside the checkpoint, <network>.md."""
    with replacing(path.with_suffix(".md")) as partial:
        partial.write_text(text(path, metrics, licence, slices), encoding="utf-8")


def _summary(network: str) -> str:
    """The first line of what the network's training module says of itself."""
    module = ROOT / f"stages/training/{network}.py"
    words = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) if module.is_file() else None
    return words.partition("\n")[0] if words else ""


def _last_losses(metrics: Path) -> dict[str, str]:
    """The last value of each term of metrics.csv, or what a fit reports in it."""
    if not metrics.is_file():
        return {}
    with metrics.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rates = ("slices", "step", "learning_rate", "images_per_second")
    return {name: value for row in rows for name, value in row.items() if value and name not in rates}
