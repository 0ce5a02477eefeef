"""What the phantoms share: command line, parameters, which cases have a lesion, and a folder replaced as a whole."""

import argparse
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from stages import command, provenance
from stages.errors import InputError
from stages.writing import replacing, temporary_name

Phantom = TypeVar("Phantom")


def arguments(description: str, what: str) -> argparse.ArgumentParser:
    """A phantom's command line; `what` it generates, in the plural."""
    result = command.parser(description)
    result.add_argument("--output", type=Path, required=True, help=f"folder of the {what}; replaced where it exists")
    result.add_argument("--digest", type=Path, help="file for the SHA-256 of the folder, which one made again shares")
    result.add_argument(
        "--processes", type=int, default=1, metavar="N", help=f"{what} generated at a time (default: 1)"
    )
    return result


def write_digest(folder: Path, output: Path | None) -> None:
    """Write the SHA-256 (hex) of the names and contents of the files of a phantom; nothing without `output`.

    The provenance stands beside it, since the folder holds what a raw data set would, and nothing else.
    """
    if output is None:
        return
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{content}  {path.relative_to(folder).as_posix()}\n".encode())
    with replacing(output) as partial:
        partial.write_text(f"{digest.hexdigest()}\n")
    provenance.note(output, [folder, output])


def section(options: argparse.Namespace, kind: type[Phantom]) -> Phantom:
    """The section `phantom` of the parameters as `kind`, whose fields are its keys but for `anatomy`."""
    values = options.parameters["phantom"].items()
    return kind(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in values if key != "anatomy"}
    )


def has_lesion(seed: int, index: int, fraction: float) -> bool:
    """Whether a case carries a lesion: spread evenly (golden ratio sequence), so that few cases hold the share too.

    >>> sum(has_lesion(0, index, 0.5) for index in range(8))
    4
    """
    start = np.random.default_rng(seed).random()
    return bool((start + index * (5**0.5 - 1) / 2) % 1 < fraction)


@contextmanager
def replacing_folder(output: Path, replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a folder to write to, which takes `output`'s place when the block ends well; else nothing is left of it.

    Args:
        output: the folder; one that exists is replaced where `replaceable` says that it may be.
        replaceable: whether a folder holds only an earlier phantom.

    Raises:
        InputError: `output` holds anything else than a phantom, or cannot be written.
    """
    if output.is_symlink() or (output.exists() and not (output.is_dir() and replaceable(output))):
        raise InputError(f"{output}: holds something else than a phantom; move it away, or give another --output.")
    temporary, former = temporary_name(output), temporary_name(output)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if output.exists():
            os.replace(output, former)
        os.replace(temporary, output)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error}); make room, or give another --output.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)
