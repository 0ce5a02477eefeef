"""A benchmark's results as an RO-Crate, so that other programs find what lies there and what made it.

Writes ro-crate-metadata.json into the folder of the results, by the profile Process Run Crate 0.5
(https://w3id.org/ro/wfrun/process/0.5): every file with its size and SHA-256, and for each job that left its
provenance.json an action with the code, the inputs, the outputs and the times that are noted there. What nobody has
noted is not in it: scores taken from records have no action. Logs and what killed jobs go on from are left out. Nothing
is copied: the folder itself is the crate.
"""

import hashlib
import json
import mimetypes
import os
import re
import tomllib
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from pathlib import Path

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from stages import command, digests, provenance
from stages.errors import InputError
from stages.evaluation import records
from stages.imports import ROOT
from stages.provenance import Provenance

FILE = "ro-crate-metadata.json"
VERSION = "1.1"
"""Of the RO-Crate specification that the profile extends."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
"""Where the profiles' further terms, `sha256` among them, are defined."""
LEFT_OUT = ("logs", "state")
TYPES = {".npy": "application/octet-stream", ".npz": "application/zip", ".safetensors": "application/octet-stream"}
TYPES |= {".md": "text/markdown", ".tex": "application/x-tex", ".gz": "application/gzip"}
_MIME = mimetypes.MimeTypes()  # without this machine's own tables


def crate_of(benchmark: str, results: Path) -> ROCrate:
    """The crate of a benchmark's results.

    Args:
        benchmark: its name.
        results: its folder.

    Raises:
        InputError: no job has noted its provenance there.
    """
    notes = dict(_notes(results))
    if not notes:
        raise InputError(f"{results} holds no {provenance.FILE}: make its results again with this version")
    crate = ROCrate(version=VERSION)
    crate.metadata.extra_contexts.append(TERMS)
    parts = {path: _file(crate, results, path, known) for path, known in sorted(_files(results).items())}
    actions = [_action(crate, results, parts, note) for _, note in sorted(notes.items())]
    _describe(crate, benchmark, max(note.ended for note in notes.values()), actions)
    return crate


def _notes(results: Path) -> Iterator[tuple[Path, Provenance]]:
    """Every whole provenance below the results, by its file."""
    for path in results.rglob(f"*{provenance.FILE}"):
        if path.relative_to(results).parts[0] not in LEFT_OUT:
            try:
                yield path, provenance.read(path)
            except InputError:
                continue


def _files(results: Path) -> dict[Path, str | None]:
    """Every file of the crate -> its SHA-256 where a rule has noted it: large arrays are not read again."""
    found: dict[Path, str | None] = {}
    for path in results.rglob("*"):
        parts = path.relative_to(results).parts
        hidden = any(part.startswith(".") for part in parts)
        if path.is_file() and not hidden and parts[0] not in (*LEFT_OUT, FILE):
            found[path] = None
    for path in [path for path in found if path.name == digests.FILE]:
        for name, digest in digests.read(path.parent).items():
            if path.parent / name in found:
                found[path.parent / name] = digest
    return found


def _file(crate: ROCrate, results: Path, path: Path, known: str | None) -> Entity:
    """A file as part of the crate."""
    if known is None:
        with path.open("rb") as file:
            known = hashlib.file_digest(file, "sha256").hexdigest()
    kind = TYPES.get(path.suffix) or _MIME.guess_type(path.name)[0] or "application/octet-stream"
    properties = {"name": path.relative_to(results).as_posix(), "encodingFormat": kind, "sha256": known}
    properties["contentSize"] = str(path.stat().st_size)
    return crate.add_file(path, path.relative_to(results), properties=properties)


def _action(crate: ROCrate, results: Path, parts: dict[Path, Entity], note: Provenance) -> Entity:
    """A job as an action: from what it made what, with which code, when."""
    made, used = ([_part(crate, results, parts, name) for name in names] for names in (note.outputs, note.inputs))
    key = hashlib.sha256("\n".join([note.stage, *note.outputs]).encode()).hexdigest()[:16]
    parameters = ContextEntity(
        crate,
        f"#parameters-{note.parameters_sha256}",
        {"@type": "PropertyValue", "name": "SHA-256 of the job's parameters", "value": note.parameters_sha256},
    )
    properties = {
        "name": f"{note.stage} wrote {', '.join(note.outputs)}"[:200],
        "description": _description(note),
        "startTime": note.started,
        "endTime": note.ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    objects, result = _value([*used, crate.add(parameters)]), _value(made)
    return crate.add_action(_software(crate, note), f"#job-{key}", objects, result, properties)


def _value(entities: list[Entity | None]) -> Entity | list[Entity]:
    """Those that are in the crate; JSON-LD is flat: a single one stands without brackets."""
    found = [entity for entity in entities if entity is not None]
    return found[0] if len(found) == 1 else found


def _description(note: Provenance) -> str:
    """What an action's further terms have no place for."""
    said = [f"python -m {note.stage}", f"parameters: SHA-256 {note.parameters_sha256}, in {provenance.FILE}"]
    said += [f"data: SHA-256 {note.data_sha256}"] if note.data_sha256 else []
    said += [f"seed: {note.seed}"] if note.seed is not None else []
    said += [f"devices: {', '.join(note.devices)}"] if note.devices else []
    return "; ".join(said)


def _part(crate: ROCrate, results: Path, parts: dict[Path, Entity], name: str) -> Entity | None:
    """The file or folder of the crate that a job calls so; None for what lies elsewhere or is no longer there."""
    path = Path(name)
    # isdir, since a noted name may be longer than any file's
    if path in parts or not os.path.isdir(path) or not path.is_relative_to(results) or path == results:
        return parts.get(path)
    properties = {"name": path.relative_to(results).as_posix()}
    parts[path] = crate.add_dataset(path, path.relative_to(results), properties=properties)
    parts[path]["description"] = f"The files of {properties['name']}, each a part of this crate."
    return parts[path]


def _software(crate: ROCrate, note: Provenance) -> Entity:
    """The code of a job, one entity for all jobs of the same code, with the packages that it ran on."""
    code = note.code
    commit = f"commit {code.commit}" if code.commit else "no git repository"
    changed = " with changes" if code.modified else ""
    packages = [
        crate.add(
            ContextEntity(
                crate,
                f"#{name}-{version}",
                {"@type": "SoftwareApplication", "name": name, "softwareVersion": version},
            )
        )
        for name, version in note.packages.items()
    ]
    key = hashlib.sha256(json.dumps([code.sha256, code.commit, code.modified, note.packages]).encode()).hexdigest()[:16]
    properties = {
        "@type": "SoftwareApplication",
        "name": _project()["name"],
        "softwareVersion": f"{code.version}, {commit}{changed}, SHA-256 of stages {code.sha256}",
    }
    entity = crate.add(ContextEntity(crate, f"#code-{key}", properties))
    entity["softwareRequirements"] = packages
    return entity


def _describe(crate: ROCrate, benchmark: str, ended: str, actions: list[Entity]) -> None:
    """The crate as a whole: name, date, licence and authors of the project, and what was done."""
    project, root = _project(), crate.root_dataset
    crate.name = f"{benchmark}: results of {project['name']}"
    crate.description = f"Benchmark {benchmark} of: {project['description']}."
    root["datePublished"] = ended
    licence = {"@type": "CreativeWork", "name": f"{project['license']} (of the code and what it makes)"}
    root["license"] = crate.add(ContextEntity(crate, f"https://spdx.org/licenses/{project['license']}", licence))
    holder = re.search(r"^Copyright \(c\) \d+ (.+)$", (ROOT / "LICENSE").read_text(encoding="utf-8"), re.MULTILINE)
    if holder:
        authors = {"@type": "Organization", "name": holder[1]}
        root["author"] = crate.add(ContextEntity(crate, "#authors", authors))
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": PROFILE.rpartition("/")[2]}
    root["conformsTo"] = crate.add(ContextEntity(crate, PROFILE, profile))
    root["mentions"] = actions


def _project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def arguments() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--benchmark", required=True, metavar="NAME", help="name of the benchmark")
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="folder of its results: the crate")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help=f"{FILE} in this folder")
    return parser


def main(options: Namespace) -> None:
    """Write the crate's metadata."""
    metadata = crate_of(options.benchmark, options.results).metadata.generate()
    records.write_text(options.output, json.dumps(metadata, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    command.run(main, arguments())
