"""A shared folder: checkpoints of a benchmark with their cards, for Zenodo or the Hugging Face hub.

    README.md, SHA256SUMS, benchmark.json
    checkpoints/<repeat>/<network>.{safetensors,md,provenance.json}
    training/<repeat>/<network>/metrics.csv
    data/croissant.json, and the store's arrays where its terms allow
    split/fold<n>.csv, tables/comparison.{md,csv}

As a program it looks whether such a folder is whole, and prints whose benchmark's it is.
"""

import hashlib
import json
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from stages import command, digests
from stages.data.extraction import leads_out
from stages.errors import InputError
from stages.parameters import inert, reading, sections
from stages.regular_files import read_regular

SUMS = "SHA256SUMS"
ABOUT = "benchmark.json"
DATA = ("phantom", "extract", "split")
"""The rules that make what networks are trained on."""
_BYTES = 2**24
"""Of either list, more than any."""


def seal(folder: Path) -> None:
    """Note the SHA-256 of every file, as `sha256sum -c` reads it."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = "".join(f"{_sha256(folder / name)}  {name}\n" for name in names)
    (folder / SUMS).write_text(lines, encoding="utf-8")


def check(folder: Path, values: dict) -> tuple[str, set[str], dict[str, Any]]:
    """A shared folder's benchmark, the files it vouches for, and benchmark.json, once all are what was shared.

    Raises:
        InputError: no such folder, a file is missing, another one or outside of it, or params.yaml has no such
            benchmark.
    """
    try:
        _refuse_leading_out(folder, SUMS)
        lines = read_regular(folder / SUMS, _BYTES).decode().splitlines()
        noted = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError, RuntimeError) as error:  # the last of a link to itself
        raise InputError(f"{folder / SUMS} cannot be read: name a folder that `make share` has made") from error
    for name, digest in noted.items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise InputError(f"{folder / SUMS} names {name}, outside of the folder: do not use it")
        try:
            _refuse_leading_out(folder, name)
            digests.version(folder / name)
            found = _sha256(folder / name)
        except (OSError, ValueError, RuntimeError):  # the second of a NUL in the name
            raise InputError(f"{folder / name} is missing: download the folder again") from None
        if found != digest:
            raise InputError(f"{folder / name} is not what was shared: download it again")
    try:
        about = json.loads(read_regular(folder / ABOUT, _BYTES))
        name, _ = about["benchmark"], about["data"].items()
        if ABOUT not in noted or not isinstance(name, str):
            raise ValueError("not what was shared")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{folder / ABOUT} does not say whose checkpoints these are: download it again") from error
    if name not in values["benchmarks"]:
        raise InputError(f"{folder} holds checkpoints of '{name}', which is no benchmark of params.yaml: add its entry")
    return name, set(noted), about


def data_sections(parameters: dict) -> dict[str, dict]:
    """What makes a benchmark's training data, as it is compared: the sections of its rules, without what is inert."""
    rules = [rule for rule in DATA if rule != "phantom" or "phantom" in parameters]
    found = {rule: inert.without_inert(sections.section(parameters, rule)) for rule in rules}
    return json.loads(json.dumps(found))


def require_same(what: str, there: dict, here: dict) -> None:
    """InputError that names the keys where parameters of `there` differ from those of params.yaml."""
    found = list(differing(there, here))
    if found:
        more = f" and {len(found) - 3} more" * (len(found) > 3)
        raise InputError(f"{what} was made with other parameters than params.yaml has: {'; '.join(found[:3])}{more}")


def differing(there: object, here: object, key: str = "") -> Iterator[str]:
    """The keys at which two parameters differ, with both values.

    >>> list(differing({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2}))
    ['a.b is 1 there and 3 here']
    """
    if isinstance(there, dict) and isinstance(here, dict):
        for name in sorted(there.keys() | here.keys()):
            yield from differing(there.get(name), here.get(name), f"{key}.{name}".lstrip("."))
    elif there != here:
        yield f"{key} is {json.dumps(there)} there and {json.dumps(here)} here"


def _refuse_leading_out(folder: Path, name: str) -> None:
    if leads_out(folder / name, folder):
        raise InputError(f"{folder / name} is a link that leads out of the folder: do not use it")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m stages.sharing.folder", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder that `make share` has made")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def main(options: Namespace) -> None:
    """Print the benchmark's name."""
    print(check(options.folder, reading.load(options.params))[0])


if __name__ == "__main__":
    command.run(main, arguments())
