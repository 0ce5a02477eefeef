"""The explorer: one HTML file to look at a benchmark's anomaly maps in a browser, from disk, without a network.

Pick a slice, a channel, a method; move its settings, the overlay's opacity and the threshold, and Dice follows. The
file holds every setting of every method on `figures.explorer_slices` of the test slices that are kept, chosen like
those of the figures: diseased ones at even quantiles of the lesion's area, a third of them healthy. Where slices form
volumes, `figures.explorer_volumes` of those that the chosen slices are of are there whole, at the reported settings.
Volumes, then slices, are fewer where they would make more than `figures.explorer_megabytes`. Maps are embedded exactly,
so that Dice in the page is that of the scores; images and reconstructions have 256 shades. Of a benchmark with several
repeats (folds, seeds), it shows the first.
"""

import argparse
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import numpy as np

from stages import command, provenance
from stages.data.rows import held
from stages.data.store import SliceStore
from stages.errors import InputError
from stages.evaluation import records
from stages.figures import results
from stages.pages.explorer_page import blocks, index, page
from stages.pages.explorer_runs import Run, open_runs
from stages.pages.explorer_slices import Shown, choose_slices, choose_volumes

MEGABYTE = 1_000_000


def explorer(
    benchmark: str,
    store: SliceStore,
    runs: list[Run],
    reported: dict[str, str],
    parameters: dict,
    by_fold: Sequence[str] = (),
) -> str:
    """The page, with as many slices and whole volumes as are asked for and fit.

    Args:
        benchmark: its name.
        store: of the test split.
        runs: every setting of every method.
        reported: method -> the name of its reported setting.
        parameters: seed, repeats, data.channels, detection.difference, figures.{explorer_slices, explorer_volumes,
            explorer_megabytes}.
        by_fold: the methods of which folds chose several settings.

    Raises:
        InputError: not one slice fits.
    """
    figures, channels = parameters["figures"], parameters["data"]["channels"]
    limit = figures["explorer_megabytes"]
    by_name = {(run.output.name, run.output.setting): run.output for run in runs}
    outputs, kept = [by_name[item] for item in reported.items()], results.kept(list(by_name.values()))
    scores = outputs[0].slices
    mapped = reduce(np.intersect1d, (held(output.maps) for output in outputs))
    scale = results.common_scale(outputs, store, parameters)
    count, volumes = figures["explorer_slices"], figures["explorer_volumes"]
    while count > 0:
        diseased, healthy = choose_slices(scores, kept, count, parameters["seed"])
        shown = Shown(diseased + healthy, choose_volumes(scores, diseased or healthy, mapped, volumes))
        contents = index(store, shown, runs, reported, scale, channels)
        about = _about(store, len(diseased), len(healthy), len(shown.volumes))
        if repeat := results.repeat_shown(parameters):
            about += f" Of {repeat}; means are those of the tables, over all repeats."
        if by_fold:
            about += (
                f" Folds chose several settings of {', '.join(by_fold)}: the reported one is here that of this fold."
            )
        for what, found, wanted in (
            ("whole volumes", volumes, figures["explorer_volumes"]),
            ("slices", count, figures["explorer_slices"]),
        ):
            if found < wanted:
                about += f" {wanted} {what} were asked for; more than these would exceed {limit:g} MB."
        text = page(f"{benchmark}: anomaly maps", about, scale.unit, contents, blocks(store, shown, runs, reported))
        size = len(text.encode()) / MEGABYTE
        said = f"{len(shown.rows)} slices of {len(store)}"
        if shown.volumes:
            said += f" (whole volumes: {len(shown.volumes)})"
        if size <= limit:
            print(f"explorer: {said}, {len(runs)} settings, {size:.1f} MB")
            return text
        # About what the chosen slices make alone: by the number of maps, since packing takes long.
        maps = sum(len(shown.at(run.is_of(reported))) for run in runs)
        alone = size * len(shown.chosen) * len(runs) / maps
        if shown.volumes and alone <= limit:
            volumes = len(shown.volumes) - 1
            tried = f"{volumes} whole volumes"
        else:
            volumes, count = 0, min(len(shown.chosen) - 1, max(1, int(len(shown.chosen) * limit / alone)))
            tried = f"{count} slices"
        print(f"explorer: {said} make {size:.1f} MB, more than {limit:g}: {tried} are tried")
    raise InputError(
        f"not one slice fits: the explorer of one has {size:.1f} MB where figures.explorer_megabytes allows {limit:g}; "
        "raise it, or make the grids of methods smaller"
    )


def _about(store: SliceStore, diseased: int, healthy: int, volumes: int) -> str:
    spread = "at even quantiles of the lesion's area" if store.masks is not None else "in even steps of their order"
    kinds = [f"{diseased} diseased {spread}"] if diseased else []
    kinds += [f"{healthy} healthy"] if healthy else []
    text = f"{diseased + healthy} of the {len(store)} test slices, chosen before detection: {' and '.join(kinds)}."
    if volumes:
        text += f" Whole volumes that these are of: {volumes}, at the reported settings."
    return text if store.masks is not None else f"{text} This data set has no masks, and so no Dice."


def arguments() -> argparse.ArgumentParser:
    parser = results.parser(__doc__, output="the HTML file")
    parser.add_argument("--benchmark", required=True, help="its name, the page's title")
    parser.add_argument("--table", type=Path, required=True, help="scores.csv, which has the means of the split")
    return parser


def main(options: argparse.Namespace) -> None:
    """Write the page of every setting, on slices that are kept at all of them."""
    parameters = options.parameters
    store = results.open_split(options.data, options.split_list, parameters["data"]["channels"])
    methods = parameters["methods"]
    runs = open_runs(methods, store, options.maps, options.scores, options.table)
    chosen = results.open_comparison(options.comparison, list(methods))
    reported = chosen["setting"].to_dict()
    by_fold = [name for name, names in chosen["settings"].items() if len(names) > 1]
    records.write_text(options.output, explorer(options.benchmark, store, runs, reported, parameters, by_fold))
    provenance.note(options.output)


if __name__ == "__main__":
    command.run(main, arguments())
