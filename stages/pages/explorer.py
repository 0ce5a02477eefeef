"""The explorer: one HTML file to look at a benchmark's anomaly maps in a browser, from disk, without a network.

Pick a slice, a channel, a method; move its settings, the overlay's opacity and the threshold, and Dice follows. The
file holds every setting of every method on `figures.explorer_slices` of the test slices that are kept, chosen like
those of the figures: diseased ones at even quantiles of the lesion's area, a third of them healthy; fewer where they
would make more than `figures.explorer_megabytes`. Maps are embedded exactly, so that Dice in the page is that of the
scores; images and reconstructions have 256 shades. Of a benchmark with several repeats (folds, seeds), it shows the
first.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, provenance
from stages.data.store import SliceStore
from stages.detection.selected import two_to_one
from stages.errors import InputError
from stages.evaluation import records
from stages.figures import results, selection
from stages.pages.explorer_page import blocks, index, page
from stages.pages.explorer_runs import Run, open_runs

MEGABYTE = 1_000_000


def choose_slices(slices: pd.DataFrame, kept: np.ndarray, count: int, seed: int) -> tuple[list[int], list[int]]:
    """Rows of diseased and of healthy slices, two to one, `count` in all where there are so many of either.

    Args:
        slices: N slice scores of any method.
        kept: the rows that can be shown.
        count: how many in all.
        seed: of the draws among slices on equal terms.
    """
    diseased, healthy = two_to_one(
        len(selection.diseased_slices(slices, kept, count, seed)),
        len(selection.healthy_slices(slices, kept, count, seed)),
        count,
    )
    return (
        selection.diseased_slices(slices, kept, diseased, seed),
        selection.healthy_slices(slices, kept, healthy, seed),
    )


def explorer(benchmark: str, store: SliceStore, runs: list[Run], reported: dict[str, str], parameters: dict) -> str:
    """The page, with as many slices as are asked for and fit.

    Args:
        benchmark: its name.
        store: of the test split.
        runs: every setting of every method.
        reported: method -> the name of its reported setting.
        parameters: seed, repeats, data.channels, detection.difference, figures.{explorer_slices, explorer_megabytes}.

    Raises:
        InputError: not one slice fits.
    """
    figures, channels = parameters["figures"], parameters["data"]["channels"]
    limit = figures["explorer_megabytes"]
    by_name = {(run.output.name, run.output.setting): run.output for run in runs}
    outputs, kept = [by_name[item] for item in reported.items()], results.kept(list(by_name.values()))
    count = wanted = figures["explorer_slices"]
    while count > 0:
        diseased, healthy = choose_slices(outputs[0].slices, kept, count, parameters["seed"])
        rows = diseased + healthy
        scale = results.common_scale(outputs, store, parameters)
        contents = index(store, rows, runs, reported, scale, channels)
        about = _about(store, len(diseased), len(healthy))
        if repeat := results.repeat_shown(parameters):
            about += f" Of {repeat}; means are those of the tables, over all repeats."
        if count < wanted:
            about += f" {wanted} slices were asked for; more than these would exceed {limit:g} MB."
        text = page(f"{benchmark}: anomaly maps", about, scale.unit, contents, blocks(store, rows, runs))
        size = len(text.encode()) / MEGABYTE
        if size <= limit:
            print(f"explorer: {len(rows)} slices of {len(store)}, {len(runs)} settings, {size:.1f} MB")
            return text
        fewer = min(len(rows) - 1, max(1, int(len(rows) * limit / size)))
        print(f"explorer: {len(rows)} slices make {size:.1f} MB, more than {limit:g}: {fewer} are tried")
        count = fewer
    raise InputError(
        f"not one slice fits: the explorer of one has {size:.1f} MB where figures.explorer_megabytes allows {limit:g}; "
        "raise it, or make the grids of methods smaller"
    )


def _about(store: SliceStore, diseased: int, healthy: int) -> str:
    spread = "at even quantiles of the lesion's area" if store.masks is not None else "in even steps of their order"
    kinds = [f"{diseased} diseased {spread}"] if diseased else []
    kinds += [f"{healthy} healthy"] if healthy else []
    text = f"{diseased + healthy} of the {len(store)} test slices, chosen before detection: {' and '.join(kinds)}."
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
    reported = results.reported(options.comparison, list(methods))
    records.write_text(options.output, explorer(options.benchmark, store, runs, reported, parameters))
    provenance.note(options.output)


if __name__ == "__main__":
    command.run(main, arguments())
