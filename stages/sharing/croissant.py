"""The data card of a slice store: Croissant 1.0 (https://docs.mlcommons.org/croissant/docs/croissant-spec.html)."""

import json
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import stages
from stages import command, digests, provenance
from stages.cards import terms
from stages.data.store import COLUMNS, open_store
from stages.errors import InputError
from stages.parameters import reading, sections
from stages.writing import replacing

FILE = "croissant.json"
TERMS = (
    "citeAs column equivalentProperty extract field fileProperty fileObject fileSet format "
    "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex repeated replace samplingRate "
    "separator source subField transform"
)
"""Croissant's own, which its context maps one by one."""
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    **{name: f"cr:{name}" for name in TERMS.split()},
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
}
TYPES = {".npy": "application/octet-stream", ".csv": "text/csv"}


def card(benchmark: str, parameters: dict, store: Path) -> dict[str, Any]:
    """The data card of a benchmark's store as JSON-LD; files stand beside it.

    Raises:
        InputError: the store is not what was written, or nobody has said its licence.
    """
    found, opened = terms_of(benchmark, parameters), open_store(store)
    made = provenance.of(store)
    n, channels, height, width = opened.images.shape
    files = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{(store / name).stat().st_size} B",
            "encodingFormat": TYPES[Path(name).suffix],
            "sha256": digest,
        }
        for name, digest in digests.read(store).items()
        if name in ("images.npy", "masks.npy", "manifest.csv")
    ]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"slices/{name}",
            "name": name,
            "dataType": "sc:Integer" if kind is np.int64 else "sc:Text",
            "source": {"fileObject": {"@id": "manifest.csv"}, "extract": {"column": name}},
        }
        for name, kind in COLUMNS.items()
    ]
    names, size = ", ".join(parameters["data"]["channels"]), f"{height}, {width}"
    masks = "" if opened.masks is None else f"; masks.npy ({n}, {size}) uint8"
    passed = (
        "" if found.images else " The files themselves are not passed on: Snakemake makes them from the raw data set."
    )
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{benchmark}-slices",
        "description": (
            f"{n} slices of {opened.manifest['subject_id'].nunique()} subjects out of {found.name}: images.npy "
            f"({n}, {channels}, {size}) float16 in [0, 1], channels {names}{masks}; manifest.csv a row a slice, in "
            f"this order. {found.terms}{passed}"
        ),
        "license": found.licence_url or found.terms,
        **({"url": found.url} if found.url else {}),
        **({"creator": {"@type": "sc:Organization", "name": found.provider}} if found.provider else {}),
        "citeAs": "; ".join(found.cite) or found.name,
        # The specification requires a date of publication, and the card is written for that; when the store was made,
        # only its provenance knows.
        "datePublished": datetime.now(UTC).date().isoformat(),
        **({"dateCreated": made.ended} if made else {}),
        "version": stages.__version__,
        "distribution": files,
        "recordSet": [{"@type": "cr:RecordSet", "@id": "slices", "name": "slices", "field": fields}],
    }


def terms_of(benchmark: str, parameters: dict) -> terms.Terms:
    """InputError where nobody has said under which terms a benchmark's data are used."""
    licence = sections.licence(parameters)
    if licence is None:
        raise InputError(
            f"{reading.FILE}: benchmarks.{benchmark}.data.licence does not say under which terms "
            f"{parameters['data']['folder']} is used, so nothing made from it is shared: set it"
        )
    return terms.of(licence)


def write(path: Path, values: dict[str, Any]) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m stages.sharing.croissant", description=__doc__)
    parser.add_argument("benchmark", help="a name in params.yaml")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=f"such as {FILE} beside images.npy")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def main(options: Namespace) -> None:
    """Write the data card of a benchmark's store."""
    parameters = reading.benchmark(reading.load(options.params), options.benchmark)
    write(options.output, card(options.benchmark, parameters, options.results / options.benchmark / "data"))


if __name__ == "__main__":
    command.run(main, arguments())
