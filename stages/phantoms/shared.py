"""What the phantoms share: command line, checks of the section `phantom`, and a folder that is replaced as a whole."""

import argparse
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages import command
from stages.errors import InputError


def arguments(description: str, what: str) -> argparse.ArgumentParser:
    """A phantom's command line; `what` it generates, in the plural."""
    result = command.parser(description)
    result.add_argument("--output", type=Path, required=True, help=f"folder of the {what}; replaced where it exists")
    result.add_argument(
        "--processes", type=int, default=1, metavar="N", help=f"{what} generated at a time (default: 1)"
    )
    return result


def whole(value: object, low: int, high: int) -> bool:
    """Whether a value is a whole number from `low` to `high`."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def check_options(options: argparse.Namespace) -> int:
    """The seed, after checking it and --processes.

    Raises:
        InputError: one of them is out of range.
    """
    seed = options.parameters.get("seed")
    if not whole(seed, 0, 2**32 - 1):
        raise InputError(f"seed: expected a whole number from 0 to {2**32 - 1}, got {seed!r}.")
    if options.processes < 1:
        raise InputError(f"--processes: expected at least 1, got {options.processes}.")
    return seed


def check_keys(section: object, anatomy: str, known: Mapping[str, object], required: tuple[str, ...]) -> dict:
    """The section `phantom` without `anatomy`: a section that holds only known keys, and all that are required.

    Raises:
        InputError: it is not.
    """
    if not isinstance(section, dict):
        keys = " and ".join(f"`{key}`" for key in required)
        raise InputError(f"phantom: expected a section with the keys {keys}; add it to params.yaml.")
    if section.get("anatomy", anatomy) != anatomy:
        raise InputError(f"phantom.anatomy: expected {anatomy}, got {section['anatomy']!r}.")
    section = {key: value for key, value in section.items() if key != "anatomy"}
    for key in section:
        if key not in known:
            raise InputError(f"phantom.{key}: no such key; known are anatomy, {', '.join(known)}.")
    for key in required:
        if key not in section:
            raise InputError(f"phantom.{key}: missing; set it in params.yaml.")
    return section


def check_numbers(section: Mapping[str, object], limits: Mapping[str, float]) -> None:
    """Check that each key of `limits` which the section holds is a number from 0 to its limit.

    Raises:
        InputError: one is not.
    """
    for key, limit in limits.items():
        value = section.get(key, 0)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and 0 <= value <= limit):  # NaN fails as well
            raise InputError(f"phantom.{key}: expected a number from 0 to {limit}, got {value!r}.")


def has_lesion(seed: int, index: int, fraction: float) -> bool:
    """Whether a case carries a lesion: spread evenly (golden ratio sequence), so that few cases hold the share too."""
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
    temporary, former = (output.with_name(f".{output.name}.{os.getpid()}.{part}") for part in ("partial", "former"))
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
