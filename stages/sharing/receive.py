"""Put the checkpoints of a shared folder where Snakemake takes them as trained; prints where they lie now.

Every file has to be what was shared, its parameters those of params.yaml, its training slices those of the store that
is here. Nothing is placed unless all of it fits. `make checkpoints FROM=FOLDER` makes the store before, and tells
Snakemake afterwards.
"""

import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from stages import checkpoint, command
from stages.cards import terms
from stages.data.store import open_split
from stages.errors import InputError
from stages.parameters import reading, sections
from stages.sharing import folder
from stages.sharing.share import require_trained_so, wanted
from stages.writing import replacing


def receive(source: Path, values: dict, results: Path) -> list[Path]:
    """Place the checkpoints of `source` below `results`/<benchmark>; returns where.

    Raises:
        InputError: something in the folder is not what was shared, or does not fit what is here.
    """
    name, noted, about = folder.check(source, values)
    parameters, here = reading.benchmark(values, name), results / name
    folder.require_same(f"the data of {source}", about["data"], folder.data_sections(parameters))
    found = [entry for entry in wanted(parameters) if entry[2] in noted]
    if not found:
        raise InputError(f"{source} holds no checkpoint that params.yaml asks for in {name}: look at its repeats")
    for repeat, network, place in found:
        _, header = checkpoint.load(source / place)
        require_trained_so(source / place, header, parameters, network, repeat)
        split_list = here / f"split/fold{repeat.fold}.csv"
        if open_split(here / "data", split_list, "train").content_hash() != header["data_sha256"]:
            raise InputError(
                f"{source / place} was trained on other slices than {here / 'data'} and {split_list} hold: use the raw "
                "data set and the versions of packages that its provenance.json names"
            )
        if (here / place).exists() and (here / place).read_bytes() != (source / place).read_bytes():
            raise InputError(f"{here / place} is there already, and is another one: delete it first")
    for repeat, network, place in found:
        beside = [place.replace(".safetensors", ending) for ending in (".md", ".provenance.json")]
        metrics = f"training/{repeat.name}/{network}/metrics.csv"
        for one in (place, *(extra for extra in (*beside, metrics) if extra in noted)):
            with replacing(here / one) as partial:
                shutil.copyfile(source / one, partial)
    licence = sections.licence(parameters)
    if licence:
        print(f"Trained on {terms.of(licence).name}. {terms.of(licence).terms}", file=sys.stderr)
    return [here / place for *_, place in found]


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m stages.sharing.receive", description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder that `make share` has made")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def main(options: Namespace) -> None:
    """Place them, and print where."""
    for path in receive(options.folder, reading.load(options.params), options.results):
        print(path)


if __name__ == "__main__":
    command.run(main, arguments())
