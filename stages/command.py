"""How every stage is called: arguments in, files out, one clear sentence when an input is bad."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from pathlib import Path

from tqdm import tqdm

from stages import at_work, provenance, space
from stages.errors import InputError, one_line

TERMINAL = 3
"""The file descriptor on which a rule whose output goes to a log hands its stage the terminal, for progress bars."""
_NO_PLACE = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What a path in the command line may be the reason of, and no fault of the code."""
_SMALLER = "lower batches, networks or data.size in params.yaml, or take a larger machine or card"


def parser(description: str, required: bool = True) -> argparse.ArgumentParser:
    """A parser whose help is the stage's docstring, with the `--parameters` that every stage takes.

    They are not `required` of a stage that can also be told a benchmark's name.
    """
    result = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument(
        "--parameters",
        type=_json_object,
        required=required,
        metavar="JSON",
        help="the part of params.yaml that this stage uses, as `python -m stages.parameters BENCHMARK RULE` prints it",
    )
    return result


def _json_object(text: str) -> dict:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, got {text!r}")
    return value


def progress(label: str, total: int, done: int = 0, unit: str = "it", over: Iterable | None = None) -> tqdm:
    """A progress bar on the terminal where there is one, silent otherwise (in logs).

    Loop over it where `over` is given, or tell it by hand how far the work is (`update`).
    """
    bar = {"desc": label, "total": total, "initial": done, "unit": unit, "mininterval": 0.5, "dynamic_ncols": True}
    try:
        if os.isatty(TERMINAL):
            return tqdm(over, file=os.fdopen(os.dup(TERMINAL), "w"), **bar)
    except OSError:
        pass
    return tqdm(over, disable=None, **bar)


def run(main: Callable[[argparse.Namespace], None], arguments: argparse.ArgumentParser) -> None:
    """Parse the command line and call `main`; exit with status 1 and a sentence where that cannot be done.

    That is for an InputError, a path that is of no use, and a full disk or memory.

    SIGTERM raises SystemExit, so that what is half-written is removed.
    """
    signal.signal(signal.SIGTERM, _leave)
    if sys.getfilesystemencoding() != "utf-8":
        # A name would be another one to the tables, which are UTF-8: cases would be left out for want of their files.
        sys.exit(f"error: file names are read as {sys.getfilesystemencoding()} here: set PYTHONUTF8=1 and start again")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: names may hold bytes that are no UTF-8
    options = argparse.Namespace()
    try:
        at_work.join_run()
        arguments.parse_args(namespace=options)
        with provenance.job(_module(main), options):
            main(options)
    except InputError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if isinstance(error, _NO_PLACE) and error.filename is not None:
            sys.exit(f"error: {error.filename} cannot be read or written ({error.strerror}): name another place")
        if not space.is_full(error):
            raise
        sys.exit(f"error: {space.none_left(error, _paths(options))}")
    except (MemoryError, RuntimeError) as error:
        if not space.is_out_of_memory(error):
            raise
        sys.exit(f"error: memory does not hold what is asked for ({one_line(str(error)) or 'MemoryError'}): {_SMALLER}")
    except KeyboardInterrupt:
        sys.exit(130)


def _module(main: Callable[[argparse.Namespace], None]) -> str:
    """The module that `python -m` was told."""
    spec = sys.modules["__main__"].__spec__
    return spec.name if spec else main.__module__


def _leave(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _paths(options: argparse.Namespace) -> list[Path]:
    """The files and folders that a command line names; the last may well be one that it writes."""
    return [value for value in vars(options).values() if isinstance(value, Path)]
