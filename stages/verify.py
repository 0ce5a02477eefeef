"""Look whether the results of benchmarks are what was written: stores, latents, maps, checkpoints.

Reads every file that has a digest (stages/digests.py), every checkpoint, and the values of every slice store, and
compares what each checkpoint was trained on with what its fold's split list names now; writes nothing. Says a sentence
about each file that is not as it was, and fails where there is one. The rules ask the same of what they read, when they
read it; this asks it of all, before results are passed on or after a disk has failed.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from stages import checkpoint, command, digests, methods
from stages.data.store import open_split, open_store
from stages.errors import InputError
from stages.parameters import reading

UNFINISHED = "state"
"""The folder of a benchmark that holds what killed jobs go on from: these look at it themselves."""


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m stages.verify", description=__doc__)
    parser.add_argument("benchmarks", nargs="+", help="names in params.yaml")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: %(default)s")
    return parser


def main(options: Namespace) -> None:
    """Verify each benchmark.

    Raises:
        InputError: some file is not as it was written, or a benchmark has no results.
    """
    values, damaged = reading.load(options.params), 0
    for name in options.benchmarks:
        entries = methods.of(reading.benchmark(values, name))
        own = {method for method, entry in entries.items() if "detector" in entry}
        sentences = list(verify(options.results / name, own))
        for sentence in filter(None, sentences):
            damaged += 1
            print(sentence, file=sys.stderr)
        if not sentences:
            raise InputError(f"{options.results / name} holds no results: run Snakemake with --config run={name}")
        print(f"{name}: {len(sentences)} stores, folders and checkpoints looked at")
    if damaged:
        raise InputError(
            f"{damaged} of them are not as they were written: do what the sentences above say "
            "(`snakemake --config run=NAME -- checkpoints` trains a checkpoint again)"
        )


def verify(folder: Path, own: set[str]) -> Iterator[str | None]:
    """Of each store, folder of arrays and checkpoint below a benchmark's folder: the sentence about it, None if whole.

    Args:
        folder: results/<benchmark>.
        own: methods whose maps a rule writes; someone else's have no digests.
    """
    training_data = cache(partial(_training_data, folder))
    for path in sorted((folder / "checkpoints").glob("*/*.safetensors")):
        yield _sentence(partial(_check_checkpoint, path, training_data))
    if (folder / "data").exists():
        yield _sentence(partial(open_store, folder / "data"))
    others = ("data", UNFINISHED)
    written = {path.parent for path in folder.rglob(digests.FILE)}
    written |= {_output(path.parent, folder) for path in folder.glob("*/*/**/*.npy")}  # a rule's lie no higher
    for output in sorted(path for path in written - {folder} if path.relative_to(folder).parts[0] not in others):
        kind, *names = output.relative_to(folder).parts
        ours = own & set(names) or output.name.startswith("_")  # such as _trade_off
        if kind != "maps" or ours or (output / digests.FILE).exists():
            yield _sentence(partial(_check_all, output))


def _check_checkpoint(path: Path, training_data: Callable[[int], tuple[Path, str | None]]) -> None:
    """As detection reads it; and that it was trained on what its fold trains on: the same images, masks and rows."""
    _, header = checkpoint.load(path)
    repeat, trained_on = checkpoint.repeat_of(path), header.get("data_sha256")
    if repeat is None or trained_on is None:  # as of an imported one
        return
    split_list, now = training_data(repeat.fold)
    if now not in (None, trained_on):
        raise InputError(
            f"{path} was trained on other images than {split_list} names: put back the split list and the store that "
            "were there, or delete it and run Snakemake again"
        )


def _training_data(folder: Path, fold: int) -> tuple[Path, str | None]:
    """A fold's split list and the hash of its training slices, as checkpoints bear it; None where they cannot be read.

    What is wrong with the store is a sentence of its own.
    """
    split_list = folder / f"split/fold{fold}.csv"
    try:
        return split_list, open_split(folder / "data", split_list, "train").content_hash()
    except InputError:
        return split_list, None


def _output(arrays: Path, folder: Path) -> Path:
    """The folder of the rule that wrote arrays into this one: latents and maps have folders of splits below it."""
    kind, *_ = parts = arrays.relative_to(folder).parts
    return folder.joinpath(*parts[: {"latents": 3, "maps": 4}.get(kind, len(parts))])


def _check_all(output: Path) -> None:
    for name in digests.read(output):
        digests.check(output, name)
    for path in output.rglob("*.npy"):
        digests.check(output, path.relative_to(output).as_posix())


def _sentence(check: Callable[[], object]) -> str | None:
    try:
        check()
    except InputError as error:
        return str(error)
    return None


if __name__ == "__main__":
    command.run(main, arguments())
