"""What the keys about data say against one another: recipe, split, repeats, phantom. Problems as in between_keys.py."""

import re
from collections.abc import Collection, Iterator

from stages import split_lists
from stages.errors import InputError
from stages.parameters.by_schema import KeyPath, Problem


def data_problems(parameters: dict, makers: Collection[str]) -> Iterator[Problem]:
    """Problems of the sections data, repeats and phantom, of which `makers` are the benchmarks that may make it."""
    if parameters["data"]["reader"] == "brats":
        yield from _brats_problems(parameters)
    if parameters["data"]["reader"] == "images":
        yield from _image_problems(parameters["data"].get("images", {}))
    problems = list(_split_problems(parameters))
    yield from problems
    if not problems and "phantom" in parameters:  # which counts what the split asks for
        yield from _phantom_problems(parameters, makers)


def _brats_problems(parameters: dict) -> Iterator[Problem]:
    data, path = parameters["data"], ("data", "brats")
    recipe = data["brats"]
    if recipe["pad"] % data["size"]:  # resampling by area is to be an exact mean over blocks
        yield (*path, "pad"), f"must be a multiple of data.size, but {recipe['pad']} is none of {data['size']}"
    if recipe["slices"][0] > recipe["slices"][1]:
        yield (*path, "slices"), f"must not end before they begin: {recipe['slices']}"
    if recipe["percentiles"][0] >= recipe["percentiles"][1]:
        yield (*path, "percentiles"), f"must ascend, not {recipe['percentiles']}"
    if "patient" in recipe:
        yield from _pattern_problems((*path, "patient"), recipe["patient"], "patient")


def _image_problems(options: dict) -> Iterator[Problem]:
    path = ("data", "images")
    if "subject" in options:
        yield from _pattern_problems((*path, "subject"), options["subject"], "subject")
    scale = options.get("scale")
    if isinstance(scale, list) and scale[0] >= scale[1]:
        yield (*path, "scale"), f"must ascend, not {scale}"
    if "masks" in options and not options["masks"]:
        yield (*path, "masks"), "must say where masks are (folder) or how they are called (ending, replace)"


def _pattern_problems(path: KeyPath, pattern: str, what: str) -> Iterator[Problem]:
    """Of a regular expression whose one group is a subject."""
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        yield path, f"is no regular expression: {error}"
    else:
        if groups != 1:
            yield path, f"must have one group in brackets, which holds the {what}, not {groups}"


def _split_problems(parameters: dict) -> Iterator[Problem]:
    """Counts of one unit, a list that is there, or the split of a raw data set that has one; folds of what is drawn."""
    data, path = parameters["data"], ("data", "split")
    split, folds = data["split"], parameters["repeats"]["folds"]
    if isinstance(split, dict):
        if len({isinstance(count, dict) for count in split.values()}) > 1:
            yield path, "must count the same in all splits: subjects, or images of each class"
        return
    if split != split_lists.RAW and not split_lists.published(split).is_file():
        yield path, f"names the list {split_lists.published(split)}, which is not there"
        return
    try:
        for name in ("train", "test"):
            if not split_lists.has(data, name):
                yield path, f"gives {name} nothing: {split} needs something to train on and to test"
    except InputError as error:
        yield path, f"names what cannot be used: {error}"
        return
    if folds > 1:
        yield ("repeats", "folds"), f"must be 1 where data.split is not drawn from counts, not {folds}"


def _phantom_problems(parameters: dict, makers: Collection[str]) -> Iterator[Problem]:
    phantom, data = parameters["phantom"], parameters["data"]
    anatomy, folders = phantom["anatomy"], [f"data/{name}" for name in makers]
    if data["folder"] not in folders:
        problem = f"must be {' or '.join(folders)} in a benchmark with a phantom, not {data['folder']}"
        yield ("data", "folder"), problem
    reader = {"brain": "brats", "chest": "chexpert"}[anatomy]
    if data["reader"] != reader:
        yield ("data", "reader"), f"must be {reader} where phantom.anatomy is {anatomy}, not {data['reader']}"
        return
    asked, key = _asked(parameters), {"brain": "cases", "chest": "patients"}[anatomy]
    if phantom[key] < asked:
        yield ("phantom", key), f"must be enough for data.split and repeats.folds, {asked}, not {phantom[key]}"
    if anatomy == "chest":
        if phantom["size"] < data["size"]:
            yield ("phantom", "size"), f"must be at least data.size = {data['size']}, not {phantom['size']}"
        return
    shape, recipe = phantom["shape"], data["brats"]
    if max(shape[:2]) > recipe["pad"]:
        yield ("phantom", "shape"), f"must fit into data.brats.pad = {recipe['pad']} along x and y, not {shape}"
    if recipe["slices"][1] >= shape[2]:
        yield ("data", "brats", "slices"), f"must end before phantom.shape's z = {shape[2]}, not {recipe['slices']}"


def _asked(parameters: dict) -> int:
    """The subjects that a drawn split needs: those of a fold, and the test subjects of all folds, who are disjoint."""
    split = parameters["data"]["split"]
    if not isinstance(split, dict):  # a list names its own
        return 0
    counts = {name: sum(count.values()) if isinstance(count, dict) else count for name, count in split.items()}
    return max(sum(counts.values()), parameters["repeats"]["folds"] * counts["test"])
