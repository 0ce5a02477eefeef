"""Put a benchmark's checkpoints with their cards into a folder that Zenodo or the Hugging Face hub takes as it is.

Takes what is there and trains nothing; refuses where nobody has said under which terms the data are used
(`data.licence`), and what other parameters than those of now have trained. Nothing is uploaded.
"""

import json
import os
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

import stages
from stages import command, methods, provenance
from stages.cards import model_card
from stages.errors import InputError
from stages.evaluation import records
from stages.parameters import reading, sections
from stages.sharing import croissant, folder, trained

_AGAIN = "delete it and run Snakemake again"
COLUMNS = {"dice_average_otsu": "Dice (average Otsu)", "auroc": "AUROC", "image_auroc": "image AUROC"}


def share(name: str, parameters: dict, results: Path, output: Path) -> int:
    """Make the folder `output`; returns how many checkpoints are in it.

    Raises:
        InputError: it is there already, nothing is there to share, or something may not be shared.
    """
    if os.path.lexists(output):
        raise InputError(f"{output} is there already: delete it, or name another folder with --output")
    found = croissant.terms_of(name, parameters)
    there = [entry for entry in trained.wanted(parameters) if (results / entry[2]).exists()]
    if not there:
        raise InputError(f"{results} holds no checkpoint: run snakemake --config run={name} -- checkpoints")
    slices = trained.slices_of(results)
    for repeat, network, place in there:
        trained.require(results / place, parameters, network, repeat, slices(repeat.fold))
    data_card = croissant.card(name, parameters, results / "data")
    table = comparison(parameters, results, [results / place for *_, place in there])
    with _beside(output) as partial:
        for repeat, network, place in there:
            made_by, metrics = trained.beside(repeat, network)
            _copy(results, partial, place, made_by, metrics, f"split/fold{repeat.fold}.csv")
            scores = in_cards(table, parameters, network) if table is not None else None
            store, _ = slices(repeat.fold)
            card = model_card.text(
                results / place, results / metrics, sections.licence(parameters), store, name, scores
            )
            (partial / place).with_suffix(".md").write_text(card, encoding="utf-8")
        croissant.write(partial / "data" / croissant.FILE, data_card)
        if found.images:
            _copy(results, partial, *(f"data/{file['name']}" for file in data_card["distribution"]))
        if table is not None:
            _copy(results, partial, "tables/comparison.md", "tables/comparison.csv")
        about = {"benchmark": name, "version": stages.__version__, "data": folder.data_sections(parameters)}
        (partial / folder.ABOUT).write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        overview = model_card.render(
            "folder.md.j2",
            head=model_card.head(model_card.front_matter(found)),
            benchmark=name,
            terms=found,
            places=[place for *_, place in there],
            scores=in_cards(table, parameters, None) if table is not None else None,
        )
        (partial / "README.md").write_text(overview, encoding="utf-8")
        folder.seal(partial)
    return len(there)


@contextmanager
def _beside(output: Path) -> Iterator[Path]:
    """A folder that becomes `output` when the block ends well; its name until then is nobody else's."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent)
    except OSError as error:
        raise InputError(
            f"{output.parent} is no folder to write to ({error.strerror}): name another one with --output"
        ) from error
    with scratch as path:
        partial = Path(path, output.name)
        partial.mkdir()  # as the umask has it; a temporary folder is its owner's alone
        yield partial
        partial.rename(output)


def _copy(source: Path, target: Path, *names: str) -> None:
    """Those of the files that are there."""
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def comparison(parameters: dict, results: Path, checkpoints: list[Path]) -> pd.DataFrame | None:
    """The comparison of a benchmark, where it was made with these parameters and after these checkpoints; else nothing.

    Raises:
        InputError: it is no table of scores, or not of these methods.
    """
    path = results / "tables/comparison.csv"
    made, before = provenance.of(path), [provenance.of(one) for one in checkpoints]
    section = json.loads(json.dumps(sections.section(parameters, "comparison_tables")))
    fresh = made and made.parameters == section and all(one and one.ended <= made.ended for one in before)
    if not fresh or not path.exists():
        return None
    table = records.read_csv(path, ["method", "settings"], list(COLUMNS), _AGAIN)
    if not set(table["method"]) <= parameters["methods"].keys():
        raise InputError(f"{path} has methods that params.yaml has not: {_AGAIN}")
    return table


def in_cards(table: pd.DataFrame, parameters: dict, network: str | None) -> str:
    """The scores of the methods that use a network (None: of all)."""

    def uses(method: str) -> bool:
        entry = parameters["methods"][method]
        return network is None or any(network in methods.networks(entry, one) for one in methods.settings(entry))

    rows = table[[uses(method) for method in table["method"]]]
    shown = {"method": rows["method"], "setting": rows["settings"]}
    shown |= {
        title: rows[name].map(lambda value: "" if np.isnan(value) else f"{value:.3f}")
        for name, title in COLUMNS.items()
    }
    return pd.DataFrame(shown).to_markdown(index=False, disable_numparse=True)


def arguments() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m stages.sharing.share", description=__doc__)
    parser.add_argument("benchmark", help="a name in params.yaml")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder to make (default: share/BENCHMARK)")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: %(default)s")
    parser.add_argument("--params", type=Path, default=Path(reading.FILE), help="default: %(default)s")
    return parser


def main(options: Namespace) -> None:
    """Make the folder."""
    parameters = reading.benchmark(reading.load(options.params), options.benchmark)
    output = options.output or Path("share", options.benchmark)
    count = share(options.benchmark, parameters, options.results / options.benchmark, output)
    print(f"{output}: {count} of {len(trained.wanted(parameters))} checkpoints; read README.md before you upload it")


if __name__ == "__main__":
    command.run(main, arguments())
