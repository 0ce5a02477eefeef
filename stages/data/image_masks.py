"""Which files are masks of which images: as data.images.masks says, and what is called like one where it does not."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from stages.data import nearby
from stages.data.image_files import files_below
from stages.data.pixels import SUFFIXES
from stages.errors import InputError

WORDS = frozenset(
    {"mask", "masks", "seg", "segmentation", "segmentations", "label", "labels", "gt", "groundtruth"}
    | {"annotation", "annotations"}
)
"""What folders and files of masks are called, in small letters and without _ and the like."""

_SEPARATORS = re.compile(r"([ _.-]+)")
_FURTHER = re.compile(r"_\d+$")
"""What the name of an image's second mask, and of every further one, ends in (BUSI: _mask_1)."""


@dataclass(frozen=True)
class Masks:
    """Where masks lie, as data.images.masks says.

    Attributes:
        folder: below the raw folder; None: beside the images.
        ending: what a mask's name has after its image's.
        replace: parts of an image's name, and what a mask's has in their place.
    """

    folder: str | None
    ending: str
    replace: dict[str, str]

    @classmethod
    def of(cls, options: dict) -> Self | None:
        """Those that data.images names, if any."""
        if "masks" not in options:
            return None
        given = options["masks"]
        return cls(given.get("folder"), given.get("ending", ""), given.get("replace", {}))

    def name(self, stem: str) -> str:
        """A mask's name, without the ending of the file, for an image's."""
        for part, instead in self.replace.items():
            stem = stem.replace(part, instead)
        return stem + self.ending

    def among(self, paths: Sequence[Path], raw: Path) -> set[Path]:
        """Those of the files below the raw folder that are masks, of whatever image."""
        if self.folder is not None:
            return {path for path in paths if path.is_relative_to(raw / self.folder)}
        named = {(path.parent, self.name(path.stem)) for path in paths if self.name(path.stem) != path.stem}
        return {
            path
            for path in paths
            if (path.parent, path.stem) in named or (self.ending and _FURTHER.sub("", path.stem).endswith(self.ending))
        }


def is_mask_folder(name: str) -> bool:
    """Whether a folder is called as if its images were no pictures of anything.

    >>> is_mask_folder("Ground Truth"), is_mask_folder("annotation"), is_mask_folder("with_mask")
    (True, True, False)
    """
    return "".join(_SEPARATORS.split(name.lower())[::2]) in WORDS


def refuse_masks(paths: Iterable[Path]) -> None:
    """Look whether one of the images is called like another one of its folder, but for a word such as `mask`.

    Raises:
        InputError: one is.
    """
    images = {(path.parent, path.stem): path for path in paths}
    gaps: dict[tuple[Path, str, str], tuple[Path, str, str]] = {}
    for path in images.values():
        for stem in (path.stem, _FURTHER.sub("", path.stem)):
            for before, word, after in _words(stem):
                if word.lower() in WORDS and before + after:
                    bare = (before.rstrip(" _.-") + after).lstrip(" _.-")
                    if image := images.get((path.parent, bare)):
                        _refuse(path, image, "" if after else f"ending: {stem[len(bare) :]}")
                    gaps[path.parent, before, after] = path, word, stem
    for image in images.values() if gaps else ():
        for before, word, after in _words(image.stem):
            if (found := gaps.get((image.parent, before, after))) and word.lower() not in WORDS:
                _refuse(found[0], image, f"replace: {{{word}: {found[1]}}}")


def _words(stem: str) -> list[tuple[str, str, str]]:
    """Each word of a name, between what stands before and behind it."""
    parts = _SEPARATORS.split(stem)
    return [("".join(parts[:i]), parts[i], "".join(parts[i + 1 :])) for i in range(0, len(parts), 2)]


def _refuse(mask: Path, image: Path, how: str) -> None:
    advice = f"set data.images.masks to {{{how}}}" if how else "name masks in a CSV (data.images.table)"
    raise InputError(
        f"{mask} is called as if it were the mask of {image.name}: {advice}, or, if it is an image, rename it"
    )


def index(raw: Path, masks: Masks) -> dict[str, list[Path]]:
    """The files that can be masks, by their names without ending."""
    folder = raw / masks.folder if masks.folder is not None else raw
    if not folder.is_dir():
        meant = nearby.meant(raw, lambda other: (other / str(masks.folder)).is_dir())
        advice = meant or ": correct it, or put the masks there"
        raise InputError(f"{folder} (data.images.masks.folder) is no folder{advice}")
    found: dict[str, list[Path]] = {}
    for file in files_below(folder, raw):
        if file.path.suffix.lower() in SUFFIXES:
            for name in {file.path.stem, _FURTHER.sub("", file.path.stem)}:
                found.setdefault(name, []).append(file.path)
    return found


def masks_of(raw: Path, source: str, masks: Masks, candidates: dict[str, list[Path]]) -> tuple[Path, ...]:
    """The masks whose names fit an image's, of a folder of its name if there is one."""
    image, name = raw / source, masks.name(PurePosixPath(source).stem)
    found = [path for path in candidates.get(name, []) if path != image]
    if not masks.ending:  # a number is then a part of the image's own name
        found = [path for path in found if path.stem == name]
    if masks.folder is None:
        found = [path for path in found if path.parent == image.parent]
    same = [path for path in found if path.parent.name == image.parent.name]
    if masks.folder is not None and not same and {path.parent for path in found} != {raw / masks.folder}:
        return ()  # another class's, which has the same number
    return tuple(same or found)
