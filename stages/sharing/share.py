"""Put a benchmark's checkpoints with their cards into a folder that Zenodo or the Hugging Face hub takes as it is.

Takes what is there and trains nothing; refuses where nobody has said under which terms the data are used
(`data.licence`), and what other parameters than those of now have trained. Nothing is uploaded.
"""

import json
import shutil
from argparse import ArgumentParser, Namespace
from pathlib import Path

import pandas as pd

import stages
from stages import checkpoint, command, methods, provenance, repeats
from stages.cards import model_card
from stages.data.store import open_split
from stages.errors import InputError
from stages.parameters import inert, reading, sections
from stages.repeats import Repeat
from stages.sharing import croissant, folder

COLUMNS = {"dice_average_otsu": "Dice (average Otsu)", "auroc": "AUROC", "image_auroc": "image AUROC"}


def wanted(parameters: dict) -> list[tuple[Repeat, str, str]]:
    """Each repeat and network of a benchmark, and where its checkpoint lies below its results."""
    used = methods.networks_in_use(parameters)
    every = [(repeat, network) for repeat in repeats.repeats(parameters) for network in used]
    return [(repeat, network, f"checkpoints/{repeat.name}/{network}.safetensors") for repeat, network in every]


def require_trained_so(path: Path, header: dict, parameters: dict, network: str, repeat: Repeat) -> None:
    """InputError where a checkpoint is another project's, or of other parameters than those of now."""
    if "data_sha256" not in header:
        raise InputError(
            f"{path} does not say of which data it learnt (data_sha256 in its header): if it was brought in from "
            "elsewhere, share it from where it comes"
        )
    there = header.get("parameters")
    if header.get("stage") != f"train_{network}" or not isinstance(there, dict):
        raise InputError(f"{path} does not say that it is a {network} and how it was trained: it is another file")
    here = json.loads(json.dumps(sections.section(parameters, "train", network, repeat=repeat)))
    folder.require_same(str(path), inert.without_inert(there), inert.without_inert(here))


def share(name: str, parameters: dict, results: Path, output: Path) -> int:
    """Make the folder `output`; returns how many checkpoints are in it.

    Raises:
        InputError: it is there already, nothing is there to share, or something may not be shared.
    """
    if output.exists():
        raise InputError(f"{output} is there already: delete it, or name another folder with --output")
    found = croissant.terms_of(name, parameters)
    there = [entry for entry in wanted(parameters) if (results / entry[2]).exists()]
    if not there:
        raise InputError(f"{results} holds no checkpoint: run snakemake --config run={name} -- checkpoints")
    for repeat, network, place in there:
        require_trained_so(results / place, checkpoint.load(results / place)[1], parameters, network, repeat)
    data_card = croissant.card(name, parameters, results / "data")
    table = _table(parameters, results, [results / place for *_, place in there])
    partial = output.with_name(f"{output.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{partial} cannot be made ({error.strerror}): name another folder with --output") from error
    try:
        for repeat, network, place in there:
            _copy(results, partial, place, place.replace(".safetensors", ".provenance.json"))
            metrics = f"training/{repeat.name}/{network}/metrics.csv"
            _copy(results, partial, metrics, f"split/fold{repeat.fold}.csv")
            store = open_split(results / "data", results / f"split/fold{repeat.fold}.csv", "train")
            slices = f"{len(store):,} slices of {store.manifest['subject_id'].nunique():,} subjects"
            scores = _markdown(table, parameters, network) if table is not None else None
            card = model_card.text(results / place, results / metrics, sections.licence(parameters), slices, scores)
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
            scores=_markdown(table, parameters, None) if table is not None else None,
        )
        (partial / "README.md").write_text(overview, encoding="utf-8")
        folder.seal(partial)
        partial.rename(output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return len(there)


def _copy(source: Path, target: Path, *names: str) -> None:
    """Those of the files that are there."""
    for name in names:
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def _table(parameters: dict, results: Path, checkpoints: list[Path]) -> pd.DataFrame | None:
    """The comparison, where it was made with these parameters and after these checkpoints; else nothing."""
    path = results / "tables/comparison.csv"
    made, trained = provenance.of(path), [provenance.of(one) for one in checkpoints]
    section = json.loads(json.dumps(sections.section(parameters, "comparison_tables")))
    fresh = made and made.parameters == section and all(one and one.ended <= made.ended for one in trained)
    return pd.read_csv(path) if fresh and path.exists() else None


def _markdown(table: pd.DataFrame, parameters: dict, network: str | None) -> str:
    """The scores of the methods that use a network (None: of all)."""

    def uses(method: str) -> bool:
        entry = parameters["methods"][method]
        return network is None or any(network in methods.networks(entry, one) for one in methods.settings(entry))

    rows = table[[uses(method) for method in table["method"]]]
    shown = {"method": rows["method"], "setting": rows["setting"]}
    shown |= {title: rows[name].map("{:.3f}".format, na_action="ignore") for name, title in COLUMNS.items()}
    return pd.DataFrame(shown).fillna("").to_markdown(index=False, disable_numparse=True)


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
    print(f"{output}: {count} of {len(wanted(parameters))} checkpoints; read README.md before you upload it")


if __name__ == "__main__":
    command.run(main, arguments())
