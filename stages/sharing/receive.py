"""Put the checkpoints of a shared folder where Snakemake takes them as trained; prints where they lie now.

Every file has to be what was shared, and each checkpoint one that params.yaml and the store that is here would train.
Nothing is placed unless all of it fits. Model cards are written anew, as training writes them: those in the folder are
for people, and nothing reads them. `make checkpoints FROM=FOLDER` makes the store before, and tells Snakemake
afterwards.
"""

import filecmp
import os
import shutil
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import NamedTuple

from stages import command, provenance
from stages.cards import model_card, terms
from stages.errors import InputError
from stages.parameters import reading, sections
from stages.sharing import folder, trained
from stages.writing import replacing


class Accepted(NamedTuple):
    """What a shared folder holds, once all of it fits: a benchmark's parameters, its checkpoints, what goes where."""

    parameters: dict
    checkpoints: list[Path]
    copied: dict[Path, Path]
    cards: dict[Path, str]


def accept(source: Path, values: dict, results: Path) -> Accepted:
    """Look at a shared folder, and at what lies below `results`/<benchmark>; writes nothing.

    Raises:
        InputError: something in the folder is not what was shared, or does not fit what is here.
    """
    name, noted, about = folder.check(source, values)
    parameters, here = reading.benchmark(values, name), results / name
    folder.require_same(f"the data of {source}", about["data"], folder.data_sections(parameters))
    found = [entry for entry in trained.wanted(parameters) if entry[2] in noted]
    if not found:
        raise InputError(f"{source} holds no checkpoint that params.yaml asks for in {name}: look at its repeats")
    slices, licence = trained.slices_of(here), sections.licence(parameters)
    accepted = Accepted(parameters, [here / place for *_, place in found], {}, {})
    for repeat, network, place in found:
        trained.require(source / place, parameters, network, repeat, slices(repeat.fold))
        if os.path.lexists(here / place) and not _same(here / place, source / place):
            raise InputError(f"{here / place} is there already, and is another one: delete it first")
        made_by, metrics = trained.beside(repeat, network)
        for one in (made_by, metrics):
            if one not in noted and os.path.lexists(source / one):
                raise InputError(f"{source / one} is not among what was shared: download the folder again")
        if made_by in noted:
            provenance.read(source / made_by)
        card = model_card.text(source / place, source / metrics, licence, slices(repeat.fold)[0], name)
        accepted.cards[(here / place).with_suffix(".md")] = card
        accepted.copied.update({here / one: source / one for one in (place, made_by, metrics) if one in noted})
    return accepted


def receive(source: Path, values: dict, results: Path) -> list[Path]:
    """Place the checkpoints of `source` below `results`/<benchmark>; returns where. InputError as of `accept`."""
    accepted = accept(source, values, results)
    for target, origin in accepted.copied.items():
        with replacing(target) as partial:
            shutil.copyfile(origin, partial)
    for target, card in accepted.cards.items():
        with replacing(target) as partial:
            partial.write_text(card, encoding="utf-8")
    if licence := sections.licence(accepted.parameters):
        print(f"Trained on {terms.of(licence).name}. {terms.of(licence).terms}", file=sys.stderr)
    return accepted.checkpoints


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and filecmp.cmp(one, other, shallow=False)


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
